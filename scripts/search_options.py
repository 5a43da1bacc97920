"""Writes the table of a search's options into docs/api.md, from where they are declared.

python -P scripts/search_options.py
"""

from __future__ import annotations

import re
from pathlib import Path

from api.search.parameters import SearchParameters
from search.answers import FACTS, OPTIONS
from search.options import Declared

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
_PLACE = re.compile(r"(<!-- made by scripts/search_options.py -->\n).*?(<!-- end -->)", re.DOTALL)


def table() -> str:
    """Return a row for each parameter, in the order of the contract."""
    declared = {one.name: one for one in (*FACTS, *OPTIONS)}
    rows = [
        _row(name, field.description or "", declared.get(name))
        for name, field in SearchParameters.model_fields.items()
    ]
    return "\n".join(["| parameter | in the shell | meaning |", "|---|---|---|", *rows, ""])


def _row(name: str, told: str, one: Declared | None) -> str:
    if one is None:
        flag = f"`--{name}`" if name in ("since", "until") else ""
        return f"| `{name}` | {flag} | {told} |"
    flag = f"`{one.flag}`" if one.option.in_shell else ""
    default = f" Default: `{str(one.default).lower()}`." if one.default else ""
    more = f" [More]({one.option.page})" if one.option.page else ""
    return f"| `{name}` | {flag} | {told}{default}{more} |"


def page() -> str:
    """Return docs/api.md with the present table."""
    return _PLACE.sub(lambda place: place[1] + table() + place[2], PAGE.read_text("utf-8"))


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
