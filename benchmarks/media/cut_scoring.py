"""How well found boundaries match true transitions.

The convention is that of the evaluators of Baraldi et al. (2015, "A deep siamese network for scene
detection", section 4), Gygli (2018, "Ridiculously fast shot boundary detection", section 4) and
Soucek and Lokoc (2020, "TransNet V2", section 4): a transition is found if a boundary is on it,
within two frames. Each transition is found at most once. Every other boundary is false, also a
second one on a transition that is found already.

A boundary is the number of a shot's first frame, which every detector gives. A hard cut is found by
a boundary at most two frames from its first new frame. A gradual transition is found by one on any
of its frames or on the next one (the first whole frame), within two frames. Not every detector
names the kind of what it finds, so a false boundary counts against both kinds: precision of hard
cuts is found hard cuts / (found hard cuts + all false boundaries), and of gradual ones likewise.
Recall is computed for each kind by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.media.clip_files import TrueCut

TOLERANCE = 2
Group = Literal["hard", "gradual"]


@dataclass(frozen=True, slots=True)
class Score:
    """Counts over clips: true transitions of a kind, those found, and false boundaries."""

    true: int = 0
    found: int = 0
    false: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(self.true + other.true, self.found + other.found, self.false + other.false)

    @property
    def precision(self) -> float:
        return self.found / max(1, self.found + self.false)

    @property
    def recall(self) -> float:
        return self.found / max(1, self.true)

    @property
    def f1(self) -> float:
        """2 found / (true + found + false)."""
        return 2 * self.found / max(1, self.true + self.found + self.false)


@dataclass(frozen=True, slots=True)
class Scored:
    """One clip's scores by kind, the missed transitions, and the false boundaries."""

    scores: dict[Group, Score]
    missed: tuple[TrueCut, ...]
    false: tuple[int, ...]


def scored(cuts: Sequence[TrueCut], boundaries: Iterable[int]) -> Scored:
    """Match boundaries (first frames of shots) to transitions in the order of time.

    Each transition takes the earliest free boundary within its reach. Reaches are intervals and are
    taken in the order of their ends, so no other matching finds more.
    """
    free = sorted(set(boundaries))
    found: list[TrueCut] = []
    for cut in sorted(cuts, key=lambda cut: _reach(cut)[1]):
        first, last = _reach(cut)
        place = next((at for at in free if first <= at <= last), None)
        if place is not None:
            free.remove(place)
            found.append(cut)
    groups: tuple[Group, ...] = ("hard", "gradual")
    scores = {
        group: Score(_count(cuts, group), _count(found, group), len(free)) for group in groups
    }
    return Scored(scores, tuple(cut for cut in cuts if cut not in found), tuple(free))


def _reach(cut: TrueCut) -> tuple[int, int]:
    first = cut.last if cut.kind == "hard" else cut.first
    last = cut.last if cut.kind == "hard" else cut.last + 1
    return first - TOLERANCE, last + TOLERANCE


def _count(cuts: Iterable[TrueCut], group: Group) -> int:
    return sum((cut.kind == "hard") == (group == "hard") for cut in cuts)
