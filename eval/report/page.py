"""Draws parts as one HTML file, with the template, its style and its script inside."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from eval.report.parts import Section
from eval.report.texts import shown, visible


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("eval.report"),
        autoescape=True,
        finalize=_finished,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _own(name: str) -> str:
    """Return the text of a file beside the template."""
    return (resources.files("eval.report") / "templates" / name).read_text("utf-8").strip()


def _finished(value: object) -> object:
    """Return a value for the template, cleaned in case its maker forgot to."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else visible(value)


def draw_page(title: str, summary: str, sections: Sequence[Section], made: str = "") -> str:
    """Return the page with these sections; empty ones are left out. `made` says when and by which
    version.
    """
    script = _own("sort.js")
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=shown(title),
            summary=shown(summary, 600) if summary else "",
            made=shown(made) if made else "",
            sections=[section for section in sections if section.filled],
            script_digest=digest,
            script=Markup(script),  # noqa: S704 - ours
            style=Markup(_own("page.css")),  # noqa: S704 - ours
        )
    )
