"""Folds near-duplicates on request: stories with nearly the same text become one hit.

The rule: from the best candidate down, each candidate joins the best-placed group whose first
member has nearly the same text (an estimated Jaccard similarity of at least NEAR), else it begins a
group. Only first members are compared, so a group never drifts away from its first text. What
editors pinned always begins a group.

Groups are frozen with the candidates. The place of a group is that of its first member. At each
request its best-placed visible member is the hit, and the other visible members are folded under
it. A group without visible members is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.near_duplicates import TextSignatures
from core.retrieval import Ids, Marks

# Of Reuters' 19,043 stories, 460 pairs are at .8 or above. Seven of them differ in more than one
# number; five of these are forms filled in for another day. Of the others, all that were read are
# repeats, corrections and stories under a new headline. At .7, 25 of 534 pairs differ so; .9 finds
# 79 pairs fewer.
NEAR = 0.8
_BAND = 4  # columns that are compared together, 64 bits


@dataclass(frozen=True, slots=True)
class Faces:
    """Which candidates are hits, for h groups with a visible member.

    `stands` [h] is the frozen place of each group, `faces` [h] the place of the candidate that is
    shown for it, and `folded` the places of the group's other visible members, best first.
    """

    stands: Ids
    faces: Ids
    folded: tuple[Ids, ...] = ()


def groups_of(signatures: TextSignatures, near: float = NEAR, pinned: int = 0) -> Ids:
    """int64 [n]: for each candidate, best first, the place of its group's first member. Raises
    ValueError if `near` is not above .75.
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
    """The places of candidates that share at least `least` bands with others. Every pair that is
    near enough is among them: each column in which two differ spoils at most one band.
    """
    places = np.flatnonzero(signatures.comparable)
    bands = np.ascontiguousarray(signatures.rows[places]).view(np.uint64)
    shared = np.zeros(len(places), np.int64)
    for column in np.ascontiguousarray(bands.T):
        shared += _repeated(column)
    return places[shared >= least]


def _repeated(values: npt.NDArray[np.uint64]) -> Marks:
    """Bool [n]: which values occur more than once."""
    order = np.argsort(values, kind="stable")
    same = values[order[1:]] == values[order[:-1]]
    found = np.zeros(len(values), np.bool_)
    found[order[1:][same]] = True
    found[order[:-1][same]] = True
    return found


def faces_of(shown: Marks, groups: Ids | None) -> Faces:
    """Which of the candidates in `shown` (bool [n]) are hits. Without `groups`, each candidate is a
    hit.
    """
    places: Ids = np.flatnonzero(shown)
    if groups is None:
        return Faces(places, places)
    stands, first, which = np.unique(groups[places], return_index=True, return_inverse=True)
    order = np.argsort(which, kind="stable")
    members = np.split(places[order], np.cumsum(np.bincount(which))[:-1]) if len(places) else []
    return Faces(stands, places[first], tuple(group[1:] for group in members))


def ranks_of(stands: Ids, groups: Ids | None) -> Ids:
    """int64 [h]: the 1-based ranks of groups among all frozen groups."""
    if groups is None:
        return stands + 1
    begins: Ids = np.cumsum(groups == np.arange(len(groups)))
    return begins[stands]


def face_of(place: int, shown: Marks, groups: Ids | None) -> int:
    """The place of the hit that shows the candidate at `place`: its own place if it is a hit
    itself, -1 if it is not shown.
    """
    if not shown[place]:
        return -1
    if groups is None:
        return place
    return int(np.flatnonzero(shown & (groups == groups[place]))[0])
