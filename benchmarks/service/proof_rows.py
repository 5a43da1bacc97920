"""Rows of the proof of capacity plans, shown as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEAD = ("service", "what", "predicted", "measured", "runs", "off", "aim", "")


@dataclass(frozen=True, slots=True)
class Row:
    """A figure of one `service`, predicted and measured; `low` and `high` are of single rounds.
    With an aim of 0 only the direction counts, which `met` says. `speed` is how many times as fast
    a machine would do what was measured; 0 if that is not known.
    """

    service: str
    what: str
    predicted: float
    measured: float
    low: float
    high: float
    aim: float
    met: bool
    speed: float = 0.0

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
            "" if self.met else f"missed{self._speed}",
        )

    @property
    def _speed(self) -> str:
        return f"; as predicted at {self.speed:.2f} of the speed" if self.speed else ""


def table(rows: Sequence[Row], machine: str) -> str:
    """Return rows as a table in Markdown, and how many miss their aim."""
    lines = [_line(HEAD), _line(["---"] * len(HEAD)), *(_line(row.cells) for row in rows)]
    missed = sum(not row.met for row in rows)
    return "\n".join([*lines, "", f"{missed} of {len(rows)} rows miss their aim. {machine}."])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
