"""Weak grades from clicks, by a model of who looks where.

A hit that nobody clicks may be bad, or stand where nobody looks. The position-based model tells
them apart: a click needs a look and a liking, P(click) = look(rank) x like(query, document). Both
are fitted by expectation maximisation (A. Chuklin, I. Markov, M. de Rijke, Click Models for Web
Search, 2015, chapters 3 and 4). The look at rank 1 is 1 by definition, as only the product is seen.

The model can tell the two apart only where a document stood at several ranks, as in an experiment
that mixes lists. Its grades end at 2: only a person can say 3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.customers.use import LoggedQuery

Floats64 = npt.NDArray[np.float64]
Pair = tuple[str, str]  # words and uri
_ROUNDS = 500
_CLOSE = 1e-6
_PRIOR = (1.0, 4.0)  # likes and looks that every pair has before the first click: 1 of 4
_LEAST_LOOKS = 5.0  # that a pair needs for a grade
_GRADES = (0.1, 0.4)  # the least liking of the grades 1 and 2
DEEPEST = 20  # ranks


@dataclass(frozen=True, slots=True)
class Shown:
    """How often a pair of query and document was shown at a rank, and how often clicked there."""

    pair: Pair
    rank: int
    shown: int
    clicked: int


@dataclass(frozen=True, slots=True)
class ClickModel:
    """`look` float64 [ranks] is the chance that a rank is looked at; `like` the chance that a pair
    is clicked where it is looked at, and `looks` how many looks it had, both by pair. `moved` is
    the share of impressions of pairs that stood at several ranks.
    """

    look: Floats64
    like: Mapping[Pair, float]
    looks: Mapping[Pair, float]
    moved: float

    def grades(self) -> dict[str, dict[str, int]]:
        """Return weak grades, 0 to 2, by query and document, of pairs that had enough looks."""
        found: dict[str, dict[str, int]] = {}
        for pair, like in self.like.items():
            if self.looks[pair] >= _LEAST_LOOKS:
                grade = int(np.searchsorted(_GRADES, like, "right"))
                found.setdefault(pair[0], {})[pair[1]] = grade
        return found


def impressions(queries: Iterable[LoggedQuery]) -> list[Shown]:
    """Return what was shown and clicked, for queries whose words are kept."""
    shown: Counter[tuple[Pair, int]] = Counter()
    clicked: Counter[tuple[Pair, int]] = Counter()
    for query in queries:
        if not query.words:
            continue
        liked = {event.uri for event in query.events}
        for rank, uri in enumerate(query.hits[:DEEPEST], start=1):
            if not uri:
                continue
            place = ((query.words, uri), rank)
            shown[place] += 1
            clicked[place] += uri in liked
    return [Shown(pair, rank, n, clicked[pair, rank]) for (pair, rank), n in shown.items()]


def fit(shown: Iterable[Shown]) -> ClickModel:
    """Return the model that fits what was shown and clicked."""
    rows = list(shown)
    names = list(dict.fromkeys(row.pair for row in rows))
    place = {pair: at for at, pair in enumerate(names)}
    pairs = np.array([place[row.pair] for row in rows], np.int64)
    ranks = np.array([row.rank - 1 for row in rows], np.int64)
    n = np.array([row.shown for row in rows], np.float64)
    clicks = np.array([row.clicked for row in rows], np.float64)
    look = 1.0 / np.arange(1, ranks.max(initial=0) + 2)
    like = np.full(len(names), _PRIOR[0] / _PRIOR[1])
    for _ in range(_ROUNDS):
        before = look
        look, like = _round(look, like, pairs, ranks, n, clicks)
        if np.abs(look - before).max(initial=0.0) < _CLOSE:
            break
    looks = np.bincount(pairs, n * look[ranks], len(names))
    several = np.bincount(pairs, minlength=len(names)) > 1
    moved = float(n[several[pairs]].sum() / n.sum()) if len(rows) else 0.0
    by_pair = dict(zip(names, like.tolist(), strict=True))
    return ClickModel(look, by_pair, dict(zip(names, looks.tolist(), strict=True)), moved)


def _round(
    look: Floats64,
    like: Floats64,
    pairs: npt.NDArray[np.int64],
    ranks: npt.NDArray[np.int64],
    n: Floats64,
    clicks: Floats64,
) -> tuple[Floats64, Floats64]:
    """Return look and like after one round: the chances of a look and of a liking where nothing was
    clicked, and then their means.
    """
    t, g = look[ranks], like[pairs]
    neither = np.maximum(1 - t * g, 1e-12)
    looked = clicks + (n - clicks) * t * (1 - g) / neither
    liked = clicks + (n - clicks) * g * (1 - t) / neither
    whole = np.maximum(np.bincount(ranks, n, len(look)), 1e-12)
    fresh = np.bincount(ranks, looked, len(look)) / whole
    fresh[:1] = 1.0
    mine = np.bincount(pairs, liked, len(like)) + _PRIOR[0]
    return fresh, mine / (np.bincount(pairs, n, len(like)) + _PRIOR[1])
