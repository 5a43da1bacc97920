"""What goes into a retriever and what comes out: arrays over candidates, never objects.

Ids are the engine's own int64 numbers of item versions: opaque, stable, increasing with each write.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
    is called inside the retriever so that the lexical search runs meanwhile.
    """

    field: str
    weight: float
    encode: Callable[[], FloatMatrix]


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One request to an engine.

    `query` is scored by BM25 and its constraint holds for the vectors too; `filters` (facts only)
    hold for both. Depths say how many items each retriever gives at most; a lexical depth of 0
    leaves BM25 out.
    """

    query: Node
    caller: Caller
    filters: Node = EVERYTHING
    vectors: tuple[VectorQuery, ...] = ()
    lexical_depth: int = 1000
    vector_depth: int = 100
    order: SortOrder = SortOrder.SCORE


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


@dataclass(frozen=True, slots=True)
class FacetCount:
    """One value of a facet and in how many of the candidates it stands."""

    value: str
    count: int
