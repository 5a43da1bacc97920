"""What goes into an engine's search and what comes out: arrays over candidates, never objects.

Ids are the engine's own int64 numbers of item versions. They are opaque and stable, and increase
with each write. Beside candidates an engine gives signatures of near-duplicates, the item of a
"more like this" search, and completions of typed text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from core.callers import Caller
from core.items import FloatMatrix, Item, Passage
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
    """What a total is: the exact number, a lower bound, or the size of the window of candidates."""

    EXACT = "exact"
    LOWER_BOUND = "lower_bound"
    WINDOW = "window"


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """One vector field to search.

    `encode` returns the query's vector, float32 [1, d], unit norm; the retriever calls it while the
    lexical search runs. `encoder` is the encoder's digest: an index of another encoder's vectors is
    not searched. "" allows any encoder.
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

# A word in a machine's text counts three quarters of a word in an average text of the agency's own.
# So it stands behind what people say of the same thing, but not further (docs/media.md has the
# figures). What is read in a picture is often beside its subject, a class is one of few words, and
# a file's name says least.
MACHINE_WEIGHT = 0.75
MEDIA_WEIGHTS: Mapping[str, float] = {"speech": 0.75, "seen": 0.6, "looks": 0.6, "filename": 0.4}
_APART: Mapping[str, float] = {"machine": MACHINE_WEIGHT, **MEDIA_WEIGHTS}


@dataclass(frozen=True, slots=True)
class LexicalWeights:
    """The weights of what is added to a word's BM25 over the whole item, which has the weight 1.

    `fields` has the weight of the BM25 in one text field alone. `phrase` is for each two
    neighbouring words of the query that stand side by side, `proximity` for two that are at most
    `slop` positions from that, in either order; both are scored like one rare word. `apart` has the
    weight of a word in each of the fields that are no part of the item's text
    (`core.query_tree.APART`), such as a machine's description; 0 for one that is not named.
    """

    fields: Mapping[str, float] = field(default_factory=lambda: FIELD_WEIGHTS)
    phrase: float = 0.0
    proximity: float = 0.0
    slop: int = 8
    apart: Mapping[str, float] = field(default_factory=lambda: _APART)

    def of_words(self) -> LexicalWeights:
        """Return the weights for words whose order means nothing: without phrases and proximity."""
        return replace(self, phrase=0.0, proximity=0.0)

    def with_fields(self, share: float) -> LexicalWeights:
        """Return the weights, with the weights of single fields multiplied by a share."""
        if share == 1.0:
            return self
        return replace(self, fields={name: share * one for name, one in self.fields.items()})


@dataclass(frozen=True, slots=True)
class Beside:
    """What a search asks of the index beside its candidates, so that an engine on another machine
    can answer it in the same request.

    `named` are facts, and wanted are the newest `most` items that have them and that pass
    `within`; None if none are wanted.
    """

    named: Node | None = None
    within: Node = EVERYTHING
    most: int = 0


@dataclass(frozen=True, slots=True)
class Retrieval:
    """One request to an engine.

    `query` is scored by BM25, and its constraint holds for the vectors too; `filters` (facts only)
    hold for both. The depths are the largest numbers of items from each retriever; a lexical depth
    of 0 leaves BM25 out. `lexical` says what BM25 adds up. An engine that answers other calls at
    once need not look at what is wanted `beside`.
    """

    query: Node
    caller: Caller
    filters: Node = EVERYTHING
    vectors: tuple[VectorQuery, ...] = ()
    lexical_depth: int = 1000
    vector_depth: int = 100
    order: SortOrder = SortOrder.SCORE
    lexical: LexicalWeights = LexicalWeights()
    beside: Beside = Beside()

    def without(self, fields: Collection[str]) -> Retrieval:
        """Return the request without some of its vector fields; those that are left take over the
        weight. At least one must be left.
        """
        if not fields:
            return self
        left = [query for query in self.vectors if query.field not in fields]
        whole = sum(query.weight for query in self.vectors)
        share = whole / sum(query.weight for query in left)
        vectors = tuple(replace(query, weight=query.weight * share) for query in left)
        return replace(self, vectors=vectors)

    def incomplete(self, lacking: Mapping[str, int]) -> tuple[str, ...]:
        """Return the later vector fields that lack more items than the first one does. A search
        leaves them out: items that they lack would stand behind others for no reason of their own.
        """
        first = lacking.get(self.vectors[0].field, 0) if self.vectors else 0
        later = [query.field for query in self.vectors[1:]]
        return tuple(field for field in later if lacking.get(field, 0) > first)


@dataclass(frozen=True, slots=True)
class VectorScores:
    """The scores of m candidates in one vector field.

    `cosines` has the exact cosine of each candidate's best passage (NaN without a vector),
    `passages` that passage's number (-1 without one), `ranks` the 1-based rank among the nearest (0
    for a candidate that only BM25 found). `background` is the query's mean cosine over the corpus,
    which is what an unrelated passage gets.
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

    `bm25` is NaN and `lexical_ranks` 0 if only vectors found the candidate. `lexical_matches`
    counts every item that matches the query and the filters, beyond the depth too; if vectors took
    part, it may count candidates only. `lexical_bound` is the highest BM25 that an item with every
    word of the query can get; `lexical_seen` is the part of it that is of words that an allowed
    item has.

    `named` are the items that were wanted beside the candidates, None from an engine that is to be
    asked for them.
    """

    ids: Ids
    bm25: Floats
    lexical_ranks: Ints
    lexical_matches: int
    vectors: tuple[VectorScores, ...] = ()
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()
    lexical_bound: float = 0.0
    lexical_seen: float = 0.0
    named: Ids | None = None


class DateInterval(StrEnum):
    """The intervals of a date facet. A week begins on Monday and is named after that day."""

    YEAR = "year"
    MONTH = "month"
    WEEK = "week"
    DAY = "day"
    HOUR = "hour"


@dataclass(frozen=True, slots=True)
class DateBuckets:
    """How a date facet counts: the interval, and the time zone of the calendar."""

    interval: DateInterval = DateInterval.MONTH
    zone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class FacetCount:
    """One value of a facet, and how many of the candidates have it."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a list by date: a time in microseconds, and the number of a uri, which decides
    between items of the same time.
    """

    time: int
    tie: int


@dataclass(frozen=True, slots=True)
class FacetRequest:
    """Which facets to count: at most `limit` values of each field; with `broader`, a subject also
    counts for each topic above it.
    """

    names: tuple[str, ...] = ()
    limit: int = 20
    buckets: DateBuckets = DateBuckets()
    broader: bool = False


@dataclass(frozen=True, slots=True)
class Browse:
    """A request for a stretch of everything that matches, by date.

    `asked` has the query, the filters, the caller and the order (NEWEST unless it is OLDEST); it
    has no vectors, and its depths mean nothing. The stretch has at most `size` items, after the
    place `after` or after the first `skip`.
    """

    asked: Retrieval
    size: int
    after: Place | None = None
    skip: int = 0
    facets: FacetRequest = FacetRequest()


@dataclass(frozen=True, slots=True)
class Browsed:
    """A stretch of a list by date: the ids in order, and the places of all versions in it, also of
    those that were hidden since. `matches` counts all matches of the list, `facets` their values.
    `more` says whether the list continues.
    """

    ids: Ids
    places: tuple[Place, ...]
    matches: int
    more: bool
    facets: Mapping[str, tuple[FacetCount, ...]] = field(default_factory=dict)
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()


SignatureMatrix = npt.NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class TextSignatures:
    """MinHash signatures of n candidates' texts.

    `rows` is uint16 [n, k]; the share of equal columns of two rows estimates the Jaccard similarity
    of the two texts' word shingles. `comparable` is bool [n]: False if an item can't be compared by
    its text, and its row means nothing.
    """

    rows: SignatureMatrix
    comparable: Marks


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A visible item whose like is searched for.

    `story` is the number of its story (`core.ports.engine.Catalogue.chains`). `vectors` are its
    passages' vectors by vector field, float32 [n, d], unit rows; a field without vectors is left
    out. `passages` says where each row stands in the item, and `encoders` has the digest of each
    field's encoder.
    """

    item: Item
    story: int
    vectors: Mapping[str, FloatMatrix]
    passages: Mapping[str, tuple[Passage, ...]] = field(default_factory=dict)
    encoders: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rarities:
    """BM25's idf of some words, float32 [n]. `lacking` says why the counts behind it leave out a
    part of the archive, "" if they leave out none.
    """

    values: Floats
    lacking: str = ""


class SuggestionKind(StrEnum):
    """The member of the items that a completion comes from."""

    PERSON = "person"
    ORGANISATION = "organisation"
    PLACE = "place"
    SUBJECT = "subject"
    HEADLINE = "headline"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A name, subject or headline as the archive writes it, and the number of stories that have it
    and that the caller may see.
    """

    text: str
    kind: SuggestionKind
    count: int
