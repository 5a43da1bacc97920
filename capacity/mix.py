"""One way to serve a demand: its machines, its latencies, its bill."""

from __future__ import annotations

from dataclasses import dataclass, field

from capacity.fleet import LoadCurve


class NotMetError(Exception):
    """These machines can't meet the demand; the message says why."""


@dataclass(frozen=True, slots=True)
class Role:
    """Equal machines with one task. `busy` is the share of their processors in a burst with one
    missing; bytes of memory that each needs and has.
    """

    name: str
    type: str
    count: int
    busy: float
    memory: float
    of_memory: float
    how: str


@dataclass(frozen=True, slots=True)
class BillLine:
    """Dollars a month, and how they were reckoned."""

    name: str
    dollars: float
    why: str


@dataclass(frozen=True, slots=True)
class Mix:
    """One way to serve a demand. Latencies in milliseconds in a burst, with one host missing;
    `holds` is the most searches a second then; `cut` is the share of searches whose reranking the
    deadline cuts, and `reranked` that of the reranking which is done. `vectors` are searched in
    graphs, inverted lists or nodes. `loses` says why another one is better.
    """

    name: str
    roles: tuple[Role, ...]
    bill: tuple[BillLine, ...]
    p50: float
    p95: float
    p99: float
    holds: float
    cut: float
    binds: str
    reranked: float = 1.0
    vectors: str = "graphs"
    notes: tuple[str, ...] = ()
    loses: str = ""
    curve: LoadCurve | None = field(default=None, repr=False, compare=False)

    @property
    def dollars(self) -> float:
        """Return the bill of a month."""
        return sum(line.dollars for line in self.bill)

    @property
    def largest(self) -> BillLine:
        """Return the largest line of the bill."""
        return max(self.bill, key=lambda line: line.dollars)
