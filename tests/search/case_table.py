"""Tables of cases that a person can read: Markdown, one case a line under headings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_BORDER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Row:
    """A case by column; `line` is where it stands, `group` the heading above."""

    line: int
    group: str
    cells: dict[str, str]

    def __str__(self) -> str:
        return f"{self.line}: {next(iter(self.cells.values()))}"


def read_cases(path: Path) -> list[Row]:
    """The rows of every table in a file; each table's first line names its columns."""
    rows: list[Row] = []
    group, names = "", []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.startswith("#"):
            group, names = line.lstrip("# "), []
        if not line.startswith("|"):
            continue
        cells = [_plain(cell) for cell in _BORDER.split(line)[1:-1]]
        if not names:
            names = cells
        elif not re.fullmatch(r"[|\s-]+", line):
            rows.append(Row(number, group, dict(zip(names, cells, strict=True))))
    return rows


def _plain(cell: str) -> str:
    """A cell's text; in back quotes it is kept with its blanks."""
    text = cell.strip().replace("\\|", "|")
    quoted = re.fullmatch(r"(`+)(.*)\1", text)
    return quoted[2] if quoted else text
