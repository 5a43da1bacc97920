"""Turns a matplotlib figure into an SVG for a page.

The SVG uses the page's colours: a figure is drawn in the placeholder colours below, which become
CSS variables, so that it follows light and dark mode. Text stays text. The same figure gives the
same markup.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from eval.report.texts import shown

INK, QUIET, RULE, GOOD, BAD = "#010203", "#010204", "#010205", "#010206", "#010207"
SERIES = tuple(f"#0203{index:02x}" for index in range(8))
_VARIABLES = {
    INK: "--ink",
    QUIET: "--ink-3",
    RULE: "--rule",
    GOOD: "--good",
    BAD: "--bad",
    **{colour: f"--s{index}" for index, colour in enumerate(SERIES)},
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9,
    "axes.edgecolor": RULE,
    "axes.labelcolor": QUIET,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
}
_WIDTH = 7.2  # inches; a page scales it
_OWN_PARTS = re.compile(r"<(metadata|style)\b.*?</\1>", re.DOTALL)
_GROUP = re.compile(r'<g id="([^"]*)">')
_COLOUR = re.compile("|".join(_VARIABLES))


def svg_of(
    draw: Callable[[Axes], None],
    said: str,
    height: float = 3.2,
    tips: Mapping[str, str] | None = None,
) -> Markup:
    """Return the figure that `draw` draws on one pair of axes. `said` is its description for screen
    readers; `tips` are tooltips by an artist's gid.
    """
    salt = sha256(said.encode()).hexdigest()
    with rc_context({**_STYLE, "svg.hashsalt": salt}), warnings.catch_warnings():
        # The browser's fonts draw scripts that matplotlib's font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.subplots()
        axes.patch.set_visible(False)
        draw(axes)
        target = io.StringIO()
        figure.savefig(target, format="svg", metadata={"Date": None})
    return _adopted(target.getvalue(), said, tips or {})


def _adopted(document: str, said: str, tips: Mapping[str, str]) -> Markup:
    """Return the document's `svg` element without what can't be inside a page: a style for every
    element, names of groups that the next figure has too, and fixed colours.
    """
    body = _OWN_PARTS.sub("", document[document.index("<svg") :])
    body = body.replace("<svg ", f'<svg role="img" aria-label="{escape(shown(said, 2000))}" ', 1)
    body = _COLOUR.sub(lambda found: f"var({_VARIABLES[found[0]]})", body)

    def group(found: re.Match[str]) -> str:
        tip = tips.get(found[1])
        return "<g>" if tip is None else f'<g class="tip"><title>{escape(shown(tip))}</title>'

    # matplotlib or the code above escaped everything that is not ours.
    return Markup(_GROUP.sub(group, body).strip())  # noqa: S704
