"""EC2 instances: their sizes, and how fast one of their threads is against the measured machine.

A ratio is measured where a file of measurements was made on that kind of processor. Elsewhere it is
an estimate with an interval, from `instances.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import resources
from typing import Any

from capacity.measurements import MachineFacts, Peaks

GIBI = 2.0**30
BOUNDS = ("int8", "memory", "python")
SAME = "measured on this kind of processor"
RATIO = "by the ratio of measured peaks"
ESTIMATE = "estimate"
UNKNOWN = "unknown"  # the kind of a processor that is not in the table
_PAIRS = 1.5  # work of twice as many threads, below which they share cores


class End(Enum):
    """Which end of every interval is taken. A plan takes the slow one."""

    SLOW = 0
    MIDDLE = 1
    FAST = 2


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, or a measured value three times."""

    low: float
    middle: float
    high: float

    def at(self, end: End) -> float:
        """Return one end."""
        return (self.low, self.middle, self.high)[end.value]

    @property
    def known(self) -> bool:
        """Whether it is one value."""
        return self.low == self.high

    def __str__(self) -> str:
        return f"{self.middle:g}" if self.known else f"{self.middle:g} ({self.low:g}–{self.high:g})"


@dataclass(frozen=True, slots=True)
class Instance:
    """A size of a family: hardware threads, those of one core, and memory in bytes."""

    name: str
    family: str
    processor: str
    vcpus: int
    of_core: int
    memory: float

    @property
    def cores(self) -> int:
        """Physical cores."""
        return max(1, self.vcpus // self.of_core)


@dataclass(frozen=True, slots=True)
class Speeds:
    """One thread against a measured one: work done at the same time, by what bounds it. `curve` is
    as `MachineFacts.curve`, for each `End`. `how` says where it comes from.
    """

    by_bound: Mapping[str, Interval]
    curves: tuple[tuple[float, ...], ...]
    how: str

    def of(self, bound: str, end: End) -> float:
        """Return the speed of work with this bound."""
        return self.by_bound[bound].at(end)

    def curve(self, end: End) -> tuple[float, ...]:
        """Return the work of 1, 2, 3 … busy threads."""
        return self.curves[end.value]


def table() -> Mapping[str, Any]:
    """Return instances.toml."""
    return _table()


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads((resources.files("capacity") / "instances.toml").read_text("utf-8"))


def instances() -> tuple[Instance, ...]:
    """Return every size of every family."""
    return tuple(
        Instance(
            f"{family}.{size}",
            family,
            row["processor"],
            vcpus,
            row["threads"],
            vcpus * row["memory"] * GIBI,
        )
        for family, row in table()["families"].items()
        for size, vcpus in row["sizes"].items()
    )


def processor_kind(name: str) -> str:
    """Return the kind of a processor, by its name in /proc/cpuinfo; UNKNOWN for another one."""
    for kind, row in table()["processors"].items():
        if any(pattern in name for pattern in row["patterns"]):
            return str(kind)
    return UNKNOWN


def speeds_of(
    instance: Instance, measured: MachineFacts, others: Sequence[MachineFacts] = ()
) -> Speeds:
    """Return how fast an instance is against the `measured` machine; `others` are machines whose
    peaks were measured, too.
    """
    for machine in (measured, *others):
        if processor_kind(machine.processor) == instance.processor:
            ratios = {bound: _peak_ratio(machine.peaks, measured.peaks, bound) for bound in BOUNDS}
            how = SAME if machine is measured else RATIO
            return Speeds(ratios, _curves(instance, machine), how)
    ours = table()["processors"][processor_kind(measured.processor)]
    theirs = table()["processors"][instance.processor]
    guessed = {bound: _guessed(theirs[bound], ours[bound]) for bound in BOUNDS}
    return Speeds(guessed, _curves(instance, measured), ESTIMATE)


def _peak_ratio(theirs: Peaks, ours: Peaks, bound: str) -> Interval:
    ratio = float(getattr(theirs, bound) / getattr(ours, bound))
    return Interval(ratio, ratio, ratio)


def _guessed(theirs: Sequence[float], ours: Sequence[float]) -> Interval:
    """Return the quotient of two estimates. That a machine is of a kind is known; how fast that
    kind is, is not: the widest quotient counts.
    """
    return Interval(theirs[0] / ours[2], theirs[1] / ours[1], theirs[2] / ours[0])


def _curves(instance: Instance, machine: MachineFacts) -> tuple[tuple[float, ...], ...]:
    """Return the curve of an instance for each end: by cores, then by their second threads."""
    pair, core = pair_of(machine), Interval(*table()["scaling"]["core"])
    return tuple(_curve(instance, pair.at(end), core.at(end)) for end in End)


def pair_of(machine: MachineFacts) -> Interval:
    """Return the work that two threads of one core do together. A virtual machine may call the two
    threads of a core two cores: a curve that hardly rises in its second half tells.
    """
    half = machine.threads // 2
    if machine.threads % 2 == 0 and len(machine.curve) == machine.threads:
        found = machine.curve[-1] / machine.curve[half - 1]
        if machine.cores == half or found < _PAIRS:
            return Interval(found, found, found)
    return Interval(*table()["scaling"]["hyperthreads"])


def _curve(instance: Instance, pair: float, core: float) -> tuple[float, ...]:
    """Return the curve: first a thread on each core, then a second one on each."""
    cores = [1.0 + core * n for n in range(instance.cores)]
    more = [
        cores[-1] * (1 + (pair - 1) * (n + 1) / instance.cores)
        for n in range(instance.vcpus - instance.cores)
    ]
    return (*cores, *more)
