"""Rows of the proof of capacity plans: kept in one JSON over several calls, shown as a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import orjson

from benchmarks.machine import Machine, this_machine

HEAD = ("service", "what", "predicted", "measured", "rounds", "off", "aim", "")


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of one `service`, predicted and measured; `low` and `high` are of single rounds.
    With an aim of 0 only the direction counts, which `met` says.
    """

    service: str
    what: str
    predicted: float
    measured: float
    low: float
    high: float
    aim: float
    met: bool

    @property
    def key(self) -> tuple[str, str]:
        """Return what the row is of: a later run of it replaces it."""
        return self.service, self.what

    @property
    def cells(self) -> tuple[str, ...]:
        """Return the row as texts."""
        return (
            self.service,
            self.what,
            f"{self.predicted:.1f}",
            f"{self.measured:.1f}",
            f"{self.low:.1f} to {self.high:.1f}",
            f"{self.measured / self.predicted - 1:+.0%}",
            f"{self.aim:.0%}" if self.aim else "direction",
            "" if self.met else "missed",
        )


def keep(path: Path, rows: Iterable[Row]) -> None:
    """Add rows to the file, or make it; a row of the same figure is replaced."""
    known = {row.key: row for row in read(path)} if path.exists() else {}
    known |= {row.key: row for row in rows}
    tree = {
        "made": date.today().isoformat(),
        "machine": asdict(this_machine()),
        "rows": [asdict(row) for row in known.values()],
    }
    path.write_bytes(orjson.dumps(tree, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def read(path: Path) -> tuple[Row, ...]:
    """Return the rows of a file."""
    return tuple(Row(**row) for row in _tree(path)["rows"])


def table(path: Path) -> str:
    """Return the file as a table in Markdown, and how many rows miss their aim."""
    tree, rows = _tree(path), sorted(read(path), key=lambda row: row.service)
    lines = [_line(HEAD), _line(["---"] * len(HEAD)), *(_line(row.cells) for row in rows)]
    missed = sum(not row.met for row in rows)
    machine = Machine(**tree["machine"])
    said = f"{tree['made']}, {machine.cpu}, {machine.cores} threads, {machine.memory_gib:.0f} GiB"
    return "\n".join([*lines, "", f"{missed} of {len(rows)} rows miss their aim. {said}."])


def _tree(path: Path) -> Mapping[str, Any]:
    tree: Mapping[str, Any] = orjson.loads(path.read_bytes())
    return tree


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
