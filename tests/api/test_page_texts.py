"""The page's words: every text that its scripts translate has a Spanish one."""

from __future__ import annotations

import json
import re

from api.page_routes import FOLDER as PAGE
from eval.judging.sitting import MEANINGS, USUAL
from tests.demo_service import ROOT

_STRING = r'"((?:[^"\\]|\\.)*)"'
_CALLED = re.compile(rf"\b(?:t|said)\((?:\w+ \? )?{_STRING}(?: : {_STRING})?")
_COUNTED = re.compile(rf"\bplural\([^,]+, {_STRING}, {_STRING}\)")
_ROW = re.compile(rf"^  {_STRING}: {_STRING},$", re.MULTILINE)
EXAMPLES = json.loads((ROOT / "datasets/demo/examples.json").read_text("utf-8"))
# What ships beside the page: grades and guideline of a set without its own, and examples.
SHIPPED = {
    *MEANINGS.values(),
    *USUAL.split("\n\n"),
    *(one[part] for one in EXAMPLES for part in ("label", "why")),
}
_HOLE = re.compile(r"\{\w+\}")


def table(name: str) -> dict[str, str]:
    """The translations in one of the page's tables."""
    rows = _ROW.findall((PAGE / name / "spanish.js").read_text("utf-8"))
    return {json.loads(f'"{english}"'): json.loads(f'"{spanish}"') for english, spanish in rows}


def asked() -> set[str]:
    """The texts that scripts ask for."""
    found = set()
    for path in PAGE.rglob("*.js"):
        text = path.read_text("utf-8")
        for one in (*_CALLED.findall(text), *_COUNTED.findall(text)):
            found.update(json.loads(f'"{part}"') for part in one if part)
    return found


def test_every_text_has_a_spanish_one_with_the_same_values() -> None:
    tables = [table(name) for name in ("shared", "edit", "judge", "search")]
    spanish = {english: text for one in tables for english, text in one.items()}
    assert len(spanish) == sum(map(len, tables))
    assert (asked() | SHIPPED) - spanish.keys() == set()
    for one, other in spanish.items():
        assert sorted(_HOLE.findall(one)) == sorted(_HOLE.findall(other)), one
