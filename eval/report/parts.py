"""The parts of a page, as values, which one template draws.

A page has sections; a section has a title and parts. Text in them is plain text from any source;
the template escapes it. Only `Plot.svg` is markup, and only `plots.py` makes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from markupsafe import Markup

from eval.report.texts import compact, decimal, interval, shown

Tone = Literal["", "good", "bad", "doubt"]
_LAST = -math.inf  # a missing value sorts last, best first


@dataclass(frozen=True, slots=True)
class Cell:
    """A table cell: its text, its sort key, a smaller line below, and its tone."""

    text: str
    key: float | str
    detail: str = ""
    tone: Tone = ""

    @property
    def numeric(self) -> bool:
        """Whether the cell is aligned to the right."""
        return not isinstance(self.key, str)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells [rows][head], in the order that matters most; the reader may sort them."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    note: str = ""
    kind: ClassVar[str] = "table"


@dataclass(frozen=True, slots=True)
class Plot:
    """An inline SVG, its description in words, and the names of its numbered parts."""

    svg: Markup
    title: str
    note: str = ""
    legend: tuple[str, ...] = ()
    kind: ClassVar[str] = "plot"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with values, such as settings and digests; `folded` ones are hidden until opened."""

    pairs: tuple[tuple[str, str], ...]
    title: str = ""
    folded: bool = False
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True, slots=True)
class Sentences:
    """Notes, reasons or doubts, one sentence each."""

    lines: tuple[str, ...]
    title: str = ""
    tone: Tone = ""
    kind: ClassVar[str] = "sentences"


@dataclass(frozen=True, slots=True)
class Headline:
    """The one line that readers look for first."""

    text: str
    tone: Tone
    kind: ClassVar[str] = "headline"


@dataclass(frozen=True, slots=True)
class Listed:
    """One document of an answer: its grade, if known, and its place in the other answer."""

    document: str
    grade: str = ""
    tone: Tone = ""
    elsewhere: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """One query and each system's answer, side by side: (heading, documents)."""

    query: str
    detail: str
    lists: tuple[tuple[str, tuple[Listed, ...]], ...]
    tone: Tone = ""
    note: str = ""
    kind: ClassVar[str] = "answers"


Part = Table | Plot | Facts | Sentences | Headline | Answers


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the parts below it."""

    title: str
    parts: tuple[Part, ...]

    @property
    def filled(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.parts)


def word(text: str, tone: Tone = "", detail: str = "") -> Cell:
    """Return a cell of text."""
    clean = shown(text)
    return Cell(clean, clean.casefold(), shown(detail) if detail else "", tone)


def number(
    value: float,
    digits: int = 4,
    within: tuple[float, float] | None = None,
    *,
    signed: bool = False,
    tone: Tone = "",
) -> Cell:
    """Return a cell with a number, and below it the interval `within`."""
    detail = interval(*within, digits, signed=signed) if within else ""
    key = value if math.isfinite(value) else _LAST
    return Cell(decimal(value, digits, signed=signed), key, detail, tone)


def count(value: int, tone: Tone = "") -> Cell:
    """Return a cell with a count; `tone` is for counts that should be 0."""
    return Cell(f"{value:,}", float(value), "", tone if value else "")


def said(value: float, text: str, detail: str = "", tone: Tone = "") -> Cell:
    """Return a cell that shows `text` and sorts by `value`."""
    return Cell(text, value if math.isfinite(value) else _LAST, detail, tone)


def anything(value: object) -> Cell:
    """Return a cell for a value of any type."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return word("yes" if value is True else "no" if value is False else _text(value))
    return said(float(value), compact(float(value)))


def table_of(rows: Sequence[Mapping[str, object]], title: str = "", note: str = "") -> Table:
    """Return a table of plain rows; its columns are all names, in the order of their first use."""
    head = tuple(dict.fromkeys(name for row in rows for name in row))
    cells = tuple(tuple(anything(row.get(name)) for name in head) for row in rows)
    return Table(tuple(shown(name, 60) for name in head), cells, title, note)


def facts_of(values: Mapping[str, object], title: str = "", *, folded: bool = False) -> Facts:
    """Return the part with these names and values, cleaned."""
    pairs = tuple((shown(str(name), 80), shown(_text(value))) for name, value in values.items())
    return Facts(pairs, title, folded)


def sentences(lines: Sequence[str], title: str = "", tone: Tone = "") -> tuple[Sentences, ...]:
    """Return the part with these lines; no part without lines."""
    if not lines:
        return ()
    return (Sentences(tuple(shown(line, 1000) for line in lines), title, tone),)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_text(each)}" for name, each in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(_text(each) for each in value)
    return compact(value) if isinstance(value, float) else str(value)
