"""What goes into a retriever and what comes out: arrays over candidates, never objects.

Ids are the engine's own int64 numbers of item versions: opaque, stable, increasing with each write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from core.callers import Caller
from core.items import FloatMatrix
from core.query_tree import EVERYTHING, Node

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Marks = npt.NDArray[np.bool_]


class SortOrder(StrEnum):
    """How a result list is ordered, in AP Media API's spelling."""

    SCORE = "_score:desc"
    NEWEST = "versioncreated:desc"
    OLDEST = "versioncreated:asc"


class TotalRelation(StrEnum):
    """What a total is: the exact number, at least so many, or the size of the window looked at."""

    EXACT = "exact"
    LOWER_BOUND = "lower_bound"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """One vector field to search. `encode` gives the query's vector, float32 [1, d], unit norm; it
    is called inside the retriever so that the lexical search runs meanwhile. `encoder` is its
    digest: an index of another encoder's vectors is not asked. "" goes for any.
    """

    field: str
    weight: float
    encode: Callable[[], FloatMatrix]
    encoder: str = ""


FIELD_WEIGHTS: Mapping[str, float] = {
    "headline": 0.3,
    "description": 0.0,
    "body": 0.0,
    "names": 0.0,
}

# A word of a machine's counts three quarters of what it counts in an average text of the agency's
# own: behind what people say of the same thing, and no further (docs/media.md has the figures).
MACHINE_WEIGHT = 0.75


@dataclass(frozen=True, slots=True)
class LexicalWeights:
    """What is added to a word's BM25 in the whole item, whose own weight is 1.

    `fields` has the weight of the BM25 in one text field alone. `phrase` is that of each two
    neighbouring words of the query where they stand side by side, `proximity` where they are at
    most `slop` positions from doing so, in either order; both are scored as one rare word is.
    `machine` is that of a word in what a machine says of a picture or a shot, beside the agency's.
    """

    fields: Mapping[str, float] = field(default_factory=lambda: FIELD_WEIGHTS)
    phrase: float = 0.0
    proximity: float = 0.0
    slop: int = 8
    machine: float = MACHINE_WEIGHT

    def of_words(self) -> LexicalWeights:
        """For words whose order means nothing."""
        return replace(self, phrase=0.0, proximity=0.0)


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One request to an engine.

    `query` is scored by BM25 and its constraint holds for the vectors too; `filters` (facts only)
    hold for both. Depths say how many items each retriever gives at most; a lexical depth of 0
    leaves BM25 out. `lexical` says what BM25 adds up.
    """

    query: Node
    caller: Caller
    filters: Node = EVERYTHING
    vectors: tuple[VectorQuery, ...] = ()
    lexical_depth: int = 1000
    vector_depth: int = 100
    order: SortOrder = SortOrder.SCORE
    lexical: LexicalWeights = LexicalWeights()


@dataclass(frozen=True, slots=True)
class VectorScores:
    """One vector field's view of the candidates, m long.

    `cosines` is the exact cosine of each candidate's best passage (NaN where it has no vector),
    `passages` that passage's number (-1 where none), `ranks` the 1-based rank among the nearest
    (0 for a candidate that only BM25 found). `background` is the query's mean cosine over the
    corpus: what an unrelated passage gets.
    """

    field: str
    weight: float
    cosines: Floats
    passages: Ints
    ranks: Ints
    background: float


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What retrieval found: m candidates, each once, allowed for the caller at that moment.

    `bm25` is NaN and `lexical_ranks` 0 where only vectors found the candidate. `lexical_matches`
    counts every item that matches the query and the filters, beyond the depth too.
    `lexical_bound` is what BM25 could give at most to an item with every word of the query.
    """

    ids: Ids
    bm25: Floats
    lexical_ranks: Ints
    lexical_matches: int
    vectors: tuple[VectorScores, ...] = ()
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()
    lexical_bound: float = 0.0


class DateInterval(StrEnum):
    """The stretches of a date facet. A week begins on Monday, and is named after that day."""

    YEAR = "year"
    MONTH = "month"
    WEEK = "week"
    DAY = "day"
    HOUR = "hour"


@dataclass(frozen=True, slots=True)
class DateBuckets:
    """How a date facet counts: by which stretches of whose calendar."""

    interval: DateInterval = DateInterval.MONTH
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class FacetCount:
    """One value of a facet and in how many of the candidates it stands."""

    value: str
    count: int
