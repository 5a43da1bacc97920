"""A target in words, and the cells that are compared with it.

recall .99 recall of as many rows as the service asks for; recall@10 for another depth p95 under 5
ms a single query on one thread; p50 and p99 likewise; us, ms or s under 2 GB memory of the graph
with its vectors; GB are 10^9 bytes, GiB 2^30 qps over 500 queries a second on one thread
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.errors import InputError
from eval.tune.graphs.sweep_grid import BuildCell

_NUMBER = r"(?P<number>\d+(?:\.\d*)?|\.\d+)"
_OVER = r"(?:>=?|over|above|at least|of)?"
_UNDER = r"(?:<=?|under|below|at most)?"
_CLAUSES = (
    re.compile(rf"(?P<name>recall)(?:@(?P<k>\d+))? ?{_OVER} ?{_NUMBER} ?(?P<unit>%?)"),
    re.compile(rf"(?P<name>p50|p95|p99) ?{_UNDER} ?{_NUMBER} ?(?P<unit>us|ms|s)"),
    re.compile(rf"(?P<name>memory)? ?{_UNDER} ?{_NUMBER} ?(?P<unit>[kmgt]i?b)"),
    re.compile(rf"(?P<name>qps) ?{_OVER} ?{_NUMBER}"),
)
_UNITS = {"": 1.0, "%": 0.01, "us": 1e-3, "ms": 1.0, "s": 1e3}
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}
_MEND = (
    'write it as "recall .99, p95 under 5 ms, under 2 GB"; also recall@10, p50, p99, qps over 500'
)
_LEAST_MISS = 1e-4  # the smallest allowed share of misses, as a divisor


@dataclass(frozen=True, slots=True)
class Cell:
    """One row of a sweep: a graph asked for `k` rows at the width `ef`.

    `recalls` in 0..1 by depth, the last being k; queries a second on one thread (`qps`) and on all;
    `milliseconds` of a single query by p50, p95, p99; bytes of the graph in `memory` and on `disk`;
    seconds of its build.
    """

    build: BuildCell
    k: int
    ef: int
    recalls: Mapping[int, float]
    qps: float
    qps_all: float
    milliseconds: Mapping[str, float]
    memory: int
    disk: int
    build_seconds: float

    @property
    def recall(self) -> float:
        """Recall of the `k` rows asked for."""
        return self.recalls[self.k]

    def __str__(self) -> str:
        return f"{self.build}, ef {self.ef}"


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause: `name` is recall, p50, p95, p99 (milliseconds), memory (bytes) or qps."""

    name: str
    limit: float
    k: int | None = None

    def value(self, cell: Cell) -> float:
        """Return the cell's value for this clause."""
        match self.name:
            case "recall":
                return cell.recall
            case "memory":
                return float(cell.memory)
            case "qps":
                return cell.qps
            case _:
                return cell.milliseconds[self.name]

    def excess(self, cell: Cell) -> float:
        """Return 0 if the cell meets the clause, else the logarithm of the factor by which it
        exceeds the limit: for recall the factor of misses.
        """
        value = self.value(cell)
        if self.name == "recall":
            missed, allowed = 1 - value, max(1 - self.limit, _LEAST_MISS)
            return math.log(missed / allowed) if value < self.limit and missed > allowed else 0.0
        ratio = self.limit / max(value, 1e-9) if self.name == "qps" else value / self.limit
        return max(0.0, math.log(ratio))

    def met(self, cell: Cell) -> bool:
        """Return whether the cell meets the clause."""
        more_is_better = self.name in ("recall", "qps")
        value = self.value(cell)
        return value >= self.limit if more_is_better else value <= self.limit

    def __str__(self) -> str:
        return self.shown(self.limit, "over " if self.name == "qps" else "under ")

    def shown(self, value: float, word: str = "") -> str:
        """Return a value of this kind as text."""
        match self.name:
            case "recall":
                return f"recall{f'@{self.k}' if self.k else ''} {_recall(value)}"
            case "memory":
                return f"memory {word}{size(value)}"
            case "qps":
                return f"qps {word}{value:.0f}"
            case _:
                return f"{self.name} {word}{value:.3g} ms"


@dataclass(frozen=True, slots=True)
class Target:
    """Clauses that must all hold; without clauses every cell meets the target."""

    clauses: tuple[Clause, ...] = field(default=())

    @property
    def recall(self) -> Clause | None:
        """The clause about recall, None without one."""
        return next((clause for clause in self.clauses if clause.name == "recall"), None)

    def limit(self, name: str) -> float | None:
        """Return the limit of a clause, None without the clause."""
        return next((clause.limit for clause in self.clauses if clause.name == name), None)

    def depth(self, ks: Sequence[int]) -> int:
        """Return the number of rows for the target's recall. Raises InputError if `ks` lacks it."""
        clause = self.recall
        if clause is None or clause.k is None:
            return max(ks)
        if clause.k not in ks:
            asked = ", ".join(str(k) for k in ks)
            raise InputError(
                f"the target's recall@{clause.k} is not measured",
                where=f"asked for are {asked} rows",
                mend=f"add {clause.k} to --k",
            )
        return clause.k

    def excess(self, cell: Cell) -> float:
        """Return how far the cell is from the target; 0 if it meets every clause."""
        return sum(clause.excess(cell) for clause in self.clauses)

    def met(self, cell: Cell) -> bool:
        """Return whether the cell meets every clause."""
        return all(clause.met(cell) for clause in self.clauses)

    def __str__(self) -> str:
        return ", ".join(str(clause) for clause in self.clauses)


def parse_target(text: str) -> Target:
    """Read a target. Raises InputError for a malformed clause, one that nothing can meet, or one
    that appears twice.
    """
    where = f"the target {text!r}"
    clauses: list[Clause] = []
    for part in re.split(r"[,;]| and ", text.lower()):
        clause = _clause(" ".join(part.split()), where)
        if any(clause.name == other.name for other in clauses):
            raise InputError(f"{clause.name} is there twice", where=where, mend="name it once")
        clauses.append(clause)
    return Target(tuple(clauses))


def size(count: float) -> str:
    """Return bytes as text, in powers of ten."""
    for power, unit in ((12, "TB"), (9, "GB"), (6, "MB")):
        if count >= 10**power:
            return f"{count / 10**power:.3g} {unit}"
    return f"{count / 1e3:.3g} KB"


def _clause(text: str, where: str) -> Clause:
    found = next((match for each in _CLAUSES if (match := each.fullmatch(text))), None)
    if found is None:
        raise InputError(f"{text!r} is no target", where=where, mend=_MEND)
    groups = found.groupdict()
    name = groups["name"] or "memory"
    limit = float(groups["number"]) * _factor(groups.get("unit") or "")
    if name == "recall" and not 0 < limit <= 1:
        raise InputError(f"recall can't be {limit:g}", where=where, mend="such as .99 or 99 %")
    if not limit:
        raise InputError(f"nothing can meet {text!r}", where=where, mend="more than 0")
    k = groups.get("k")
    return Clause(name, limit, int(k) if k else None)


def _factor(unit: str) -> float:
    if unit in _UNITS:
        return _UNITS[unit]
    return float((1024 if "i" in unit else 1000) ** _POWERS[unit[0]])


def _recall(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".").removeprefix("0") or "0"
