"""What an HNSW sweep tries: build parameters apart from query parameters.

    M                links of a node (twice as many on the lowest layer); memory grows with it
    efConstruction   width of the search for links when a node is added; build time grows with it
    ef               width of a search; never below k, the number of rows asked for
    precision        how a vector is kept in the graph; memory falls with it

One graph answers every ef. So a sweep builds once for each (implementation, precision, M,
efConstruction) and asks that graph at every ef.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from core.errors import InputError

Value = TypeVar("Value", int, str)

LIMITS = {"m": (4, 128), "ef-construction": (8, 2000), "ef": (8, 4000), "k": (1, 1000)}


@dataclass(frozen=True, slots=True, order=True)
class BuildCell:
    """One graph to build."""

    implementation: str
    precision: str
    m: int
    ef_construction: int

    def __str__(self) -> str:
        return (
            f"{self.implementation} {self.precision}, M {self.m}, "
            f"efConstruction {self.ef_construction}"
        )


@dataclass(frozen=True, slots=True)
class Grid:
    """All values to try, each axis ascending and without repeats.

    `kinds` are pairs of an implementation and one of its precisions. `ks` are the numbers of rows
    asked for; the largest is what the service asks for. `rescored` has, by precision, the factor by
    which a graph finds more candidates, to order them again by better vectors (default 1).
    """

    kinds: tuple[tuple[str, str], ...] = (("faiss", "fp32"),)
    m: tuple[int, ...] = (8, 16, 32)
    ef_construction: tuple[int, ...] = (100, 200)
    ef: tuple[int, ...] = (16, 32, 64, 96, 128, 192, 256, 400)
    ks: tuple[int, ...] = (10, 100)
    rescored: Mapping[str, int] = field(default_factory=dict)

    def builds(self) -> tuple[BuildCell, ...]:
        """Return every graph, the cheapest first."""
        return tuple(
            BuildCell(implementation, precision, m, width)
            for implementation, precision in self.kinds
            for m in self.m
            for width in self.ef_construction
        )

    def least_ef(self, k: int, precision: str) -> int:
        """Return the smallest width of a search for `k` rows; smaller values of ef mean this
        width.
        """
        return k * self.rescored.get(precision, 1)

    def asks(self, precision: str = "fp32") -> tuple[tuple[int, int], ...]:
        """Return every (k, ef) that each graph of a precision is asked for. Widths below the least
        one equal it and are asked once.
        """
        pairs = {(k, max(self.least_ef(k, precision), ef)) for k in self.ks for ef in self.ef}
        return tuple(sorted(pairs))


def numbers(text: str, axis: str) -> tuple[int, ...]:
    """Return `8,16,32` as ascending numbers. Raises InputError for a malformed list, a repeat, or a
    value outside the axis' limits.
    """
    where = f"--{axis} {text}"
    try:
        found = [int(part) for part in text.replace(" ", "").split(",")]
    except ValueError as error:
        mend = "numbers with commas between, such as 8,16,32"
        raise InputError(f"{axis} takes whole numbers", where=where, mend=mend) from error
    least, most = LIMITS[axis]
    for value in found:
        if not least <= value <= most:
            mend = f"between {least} and {most}"
            raise InputError(f"{axis} can't be {value}", where=where, mend=mend)
    return tuple(sorted(_once(found, where)))


def names(text: str, axis: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return `fp32,int8` as names, in order. Raises InputError for an unknown one."""
    where = f"--{axis} {text}"
    found = [part.strip() for part in text.split(",")]
    for name in found:
        if name not in known:
            mend = f"one of {', '.join(known)}"
            raise InputError(f"there is no {axis} {name!r}", where=where, mend=mend)
    return tuple(_once(found, where))


def _once(found: list[Value], where: str) -> list[Value]:
    for value in found:
        if found.count(value) > 1:
            raise InputError(f"{value} stands there twice", where=where, mend="name it once")
    return found
