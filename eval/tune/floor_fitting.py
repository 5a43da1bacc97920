"""Learns a floor (`search.floor`) from judged queries, and from queries that nothing answers.

Each set counts alike. Its relevant documents among the first DEEP are positive, whichever query
they are of; negative are the first documents of queries that nothing answers, and at a low weight
those of judged queries that are not judged relevant, because many of them are relevant and nobody
looked. The least chance of a strong hit is the one that does best where it does worst: it is to
keep KEPT_10 of the relevant documents of the first ten and KEPT_100 of the first hundred of each
set, and QUIET of each kind of queries that nothing answers are to have no strong hit. Queries of
other collections (ELSEWHERE) teach with a weight of their own, because they have words that the
collection knows, as made ones hardly do; less is asked of them, because some are answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from core.errors import InputError
from core.items import FloatMatrix
from core.retrieval import Floats, Ints
from search.floor import Floor, feature_names

KEPT_10, KEPT_100, QUIET, QUIET_ELSEWHERE = 0.97, 0.90, 0.90, 0.50
ELSEWHERE = "elsewhere"
DEEP = 100
_FIRST = 10  # documents of a query that nothing answers
_UNJUDGED, _UNJUDGED_WEIGHT = 30, 0.15
_STIFF = 1e-3  # weight of the ridge, on features of unit spread
_STEPS = 30
_BINS = 10
_CHANCES = np.linspace(0.01, 0.99, 99)

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FloorQuery:
    """One query: the features float32 [m, k] of its stories as they are served, best first, and
    their grades int32 [m]. Nothing answers a query of a `kind`; a judged one has "". Nothing is
    learned from a `sealed` one.
    """

    features: FloatMatrix
    grades: Ints
    kind: str = ""
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class FloorSet:
    """A judged set's queries, and queries that nothing in its collection answers."""

    label: str
    queries: tuple[FloorQuery, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a floor does to a set: the shares of relevant documents among the first ten and the
    first hundred that stay strong, and by kind the share of queries without a strong hit. `strong`
    is the median number of strong hits of a judged query.
    """

    label: str
    first_10: float
    first_100: float
    strong: float
    quiet: dict[str, float]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far a floor's chances are from shares, over the first hundred of each judged query of a
    set; what nobody judged counts as not relevant. `constant` is the Brier score if each document
    has the same chance, the share of relevant ones. `error` is the mean distance between chance and
    share over ten bins. `bins` has the mean chance, the share of relevant documents and the number.
    """

    label: str
    brier: float
    constant: float
    error: float
    bins: tuple[tuple[float, float, int], ...]


def calibration(one: FloorSet, floor: Floor) -> Calibration:
    """Return how far the floor's chances are from shares in a set that is judged to depth."""
    judged = [query for query in one.queries if not query.kind]
    rows = [floor.of_features(query.features[:DEEP]) for query in judged]
    chances = np.concatenate([np.zeros(0), *rows])
    relevant = np.concatenate([np.zeros(0), *(query.grades[:DEEP] > 0 for query in judged)])
    if not len(chances):
        raise InputError("no judged query found anything", where=one.label)
    places = np.minimum((chances * _BINS).astype(int), _BINS - 1)
    marks = [places == number for number in range(_BINS) if (places == number).any()]
    bins = tuple(
        (float(chances[mark].mean()), float(relevant[mark].mean()), int(mark.sum()))
        for mark in marks
    )
    share = float(relevant.mean())
    return Calibration(
        one.label,
        float(np.mean((chances - relevant) ** 2)),
        share * (1 - share),
        sum(abs(mean - known) * count for mean, known, count in bins) / len(chances),
        bins,
    )


def learned(sets: Sequence[FloorSet], encoders: tuple[str, ...]) -> Floor:
    """Return the floor of these sets, for the cosines of these encoders. Raises InputError if they
    have no relevant document, or no query that nothing answers.
    """
    parts = [part for one in sets for part in _examples(one)]
    if {label for _, label, _ in parts} != {0.0, 1.0}:
        raise InputError(
            "there is nothing to learn from: no relevant document was found, or no query is "
            "without an answer",
            mend="name judged sets whose queries find something",
        )
    known = len(feature_names(len(encoders)))
    rows = np.concatenate([rows[:, :known] for rows, _, _ in parts])
    labels = np.concatenate([np.full(len(rows), label) for rows, label, _ in parts])
    weights = np.concatenate([np.full(len(rows), each / len(rows)) for rows, _, each in parts])
    vector, bias = _logistic(rows, labels, weights / weights.sum())
    plain = Floor(encoders, tuple(vector.tolist()), bias, 0.0)
    return replace(plain, least=_least(sets, plain))


def kept(one: FloorSet, floor: Floor, *, sealed: bool = True) -> Kept:
    """Return what the floor does to a set, with the sealed or the other queries that nothing
    answers.
    """
    return _kept(one, _chances(one, floor), floor, sealed=sealed)


def _chances(one: FloorSet, floor: Floor) -> list[Floats]:
    """Return the chances of each query's stories. They do not depend on the floor's threshold."""
    return [floor.of_features(query.features) for query in one.queries]


def _kept(one: FloorSet, chances: Sequence[Floats], floor: Floor, *, sealed: bool) -> Kept:
    first_10 = first_100 = relevant_10 = relevant_100 = 0
    sizes: list[int] = []
    quiet: dict[str, list[bool]] = {}
    for query, known in zip(one.queries, chances, strict=True):
        strong = floor.strong(known)
        if query.kind:
            if query.sealed is sealed:
                quiet.setdefault(query.kind, []).append(strong == 0)
            continue
        sizes.append(strong)
        relevant = query.grades > 0
        first_10 += int(relevant[:10][:strong].sum())
        first_100 += int(relevant[:DEEP][:strong].sum())
        relevant_10 += int(relevant[:10].sum())
        relevant_100 += int(relevant[:DEEP].sum())
    return Kept(
        one.label,
        first_10 / relevant_10 if relevant_10 else 1.0,
        first_100 / relevant_100 if relevant_100 else 1.0,
        float(np.median(sizes)) if sizes else 0.0,
        {kind: sum(each) / len(each) for kind, each in quiet.items()},
    )


def left_out(sets: Sequence[FloorSet], encoders: tuple[str, ...]) -> tuple[Floor, ...]:
    """Return for each set the floor of all other sets. Empty for a single set."""
    if len(sets) < 2:
        return ()
    return tuple(learned([other for other in sets if other is not one], encoders) for one in sets)


def _least(sets: Sequence[FloorSet], plain: Floor) -> float:
    """Return the chance whose worst result over the sets is best."""
    floors = [replace(plain, least=least) for least in _CHANCES.tolist()]
    known = [(one, _chances(one, plain)) for one in sets]
    worst = [
        min(_reached(_kept(one, chances, floor, sealed=False)) for one, chances in known)
        for floor in floors
    ]
    return floors[int(np.argmax(worst))].least


def _reached(found: Kept) -> float:
    """Return how far the worst of a set's figures is above its aim, as a share of the distance from
    the aim to 1.
    """
    figures = [(found.first_10, KEPT_10), (found.first_100, KEPT_100)]
    for kind, share in found.quiet.items():
        figures.append((share, QUIET_ELSEWHERE if kind == ELSEWHERE else QUIET))
    return min((figure - asked) / (1 - asked) for figure, asked in figures)


def _examples(one: FloorSet) -> Iterable[tuple[Matrix, float, float]]:
    """Yield the rows of a set, their label, and the weight of all of them together."""
    positive, unjudged = [], []
    absent: list[FloatMatrix] = []
    elsewhere: list[FloatMatrix] = []
    for query in one.queries:
        rows, relevant = query.features[:DEEP], query.grades[:DEEP] > 0
        if not query.kind:
            positive.append(rows[relevant])
            unjudged.append(rows[~relevant][:_UNJUDGED])
        elif not query.sealed:
            (elsewhere if query.kind == ELSEWHERE else absent).append(rows[:_FIRST])
    for parts, label, weight in (
        (positive, 1.0, 1.0),
        (unjudged, 0.0, _UNJUDGED_WEIGHT),
        (absent, 0.0, 1.0),
        (elsewhere, 0.0, 1.0),
    ):
        if sum(map(len, parts)):
            yield np.concatenate(parts).astype(np.float64), label, weight


def _logistic(rows: Matrix, labels: Matrix, weights: Matrix) -> tuple[Matrix, float]:
    """Return the weights [k] and bias of a logistic regression with a ridge, by Newton's steps."""
    middle, spread = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    scaled = np.column_stack([(rows - middle) / spread, np.ones(len(rows))])
    ridge = _STIFF * np.diag([*np.ones(rows.shape[1]), 1e-6])
    found = np.zeros(scaled.shape[1])
    for _ in range(_STEPS):
        chances = 1.0 / (1.0 + np.exp(-np.clip(scaled @ found, -30, 30)))
        slope = scaled.T @ (weights * (chances - labels)) + ridge @ found
        bend = (scaled * (weights * chances * (1 - chances))[:, None]).T @ scaled + ridge
        found = found - np.linalg.solve(bend, slope)
    vector: Matrix = found[:-1] / spread
    return vector, float(found[-1] - vector @ middle)
