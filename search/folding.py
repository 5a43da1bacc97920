"""Near-duplicates folded: stories with nearly the same text are one hit, on request.

The rule: from the best candidate down, each joins the best-placed group whose first member's text
it nearly has (an estimated Jaccard similarity of at least NEAR), else it begins a group of its own.
Only first members are compared, so a group never drifts away from its first text. What editors
pinned begins a group always.

Groups are frozen with the candidates, and so is the place of each: that of its first member. At
each request the best-placed visible member stands there for its group, the other visible ones are
folded under it, and a group without any is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.near_duplicates import TextSignatures
from core.retrieval import Ids, Marks

# Of Reuters' 19,043 stories 460 pairs are at .8 or above. Seven of them differ in more than one
# number, five of which are forms filled in for another day; of the others, all that were read are
# repeats, corrections and stories under a new headline. At .7, 25 of 534 pairs differ so; at .9, 79
# pairs fewer are found.
NEAR = 0.8
_BAND = 4  # columns that are looked at together, 64 bits


@dataclass(frozen=True, slots=True)
class Faces:
    """Which candidates are hits: for h groups with a visible member, by place, `stands` [h] is the
    frozen place of the group, `faces` [h] the candidate that is shown there, `folded` the places of
    the other visible ones, best first.
    """

    stands: Ids
    faces: Ids
    folded: tuple[Ids, ...] = ()


def groups_of(signatures: TextSignatures, near: float = NEAR, pinned: int = 0) -> Ids:
    """int64 [n]: for each candidate, best first, the place of its group's first member. `near` is
    above .75. Raises ValueError for less.
    """
    rows = signatures.rows
    needed = int(np.ceil(near * rows.shape[1]))
    bands = rows.shape[1] // _BAND - (rows.shape[1] - needed)
    if bands < 1:
        raise ValueError("so small a similarity may share no band")
    groups: Ids = np.arange(len(rows), dtype=np.int64)
    firsts: list[int] = []
    for place in _sharing(signatures, bands).tolist():
        if place >= pinned and firsts:
            equal = np.count_nonzero(rows[firsts] == rows[place], axis=1)
            joined = np.flatnonzero(equal >= needed)
            if len(joined):
                groups[place] = firsts[int(joined[0])]
                continue
        firsts.append(place)
    return groups


def _sharing(signatures: TextSignatures, least: int) -> Ids:
    """The places of those of which at least `least` bands stand elsewhere too. All pairs that are
    near enough are among them: each column in which they differ spoils one band at most.
    """
    places = np.flatnonzero(signatures.comparable)
    bands = np.ascontiguousarray(signatures.rows[places]).view(np.uint64)
    shared = np.zeros(len(places), np.int64)
    for column in np.ascontiguousarray(bands.T):
        shared += _repeated(column)
    return places[shared >= least]


def _repeated(values: npt.NDArray[np.uint64]) -> Marks:
    """Bool [n]: which values stand there more than once."""
    order = np.argsort(values, kind="stable")
    same = values[order[1:]] == values[order[:-1]]
    found = np.zeros(len(values), np.bool_)
    found[order[1:][same]] = True
    found[order[:-1][same]] = True
    return found


def faces_of(shown: Marks, groups: Ids | None) -> Faces:
    """Which of the candidates in `shown` (bool [n]) are hits; `groups` None: each by itself."""
    places: Ids = np.flatnonzero(shown)
    if groups is None:
        return Faces(places, places)
    stands, first, which = np.unique(groups[places], return_index=True, return_inverse=True)
    order = np.argsort(which, kind="stable")
    members = np.split(places[order], np.cumsum(np.bincount(which))[:-1]) if len(places) else []
    return Faces(stands, places[first], tuple(group[1:] for group in members))


def ranks_of(stands: Ids, groups: Ids | None) -> Ids:
    """int64 [h]: the 1-based ranks of groups among all that were frozen."""
    if groups is None:
        return stands + 1
    begins: Ids = np.cumsum(groups == np.arange(len(groups)))
    return begins[stands]


def face_of(place: int, shown: Marks, groups: Ids | None) -> int:
    """The place of the hit that the candidate at `place` is folded under, itself where it is one;
    -1 where it is not shown.
    """
    if not shown[place]:
        return -1
    if groups is None:
        return place
    return int(np.flatnonzero(shown & (groups == groups[place]))[0])
