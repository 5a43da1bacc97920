"""What a search takes and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from core.entities import EntityLabel, KnownName
from core.items import Item
from core.query_tree import EVERYTHING, Node
from core.retrieval import DateInterval, FacetCount, SortOrder, TotalRelation

FACET_FIELDS = (
    "type",
    "subject",
    "place",
    "person",
    "organisation",
    "language",
    "rights",
    "versioncreated",
)
MAX_PAGE_SIZE = 200
MAX_QUERY_CHARACTERS = 4096


class EntityUse(StrEnum):
    """What names in a query do: stories that are about them rank higher, or are the only ones, or
    names are not looked for.
    """

    BOOST = "boost"
    FILTER = "filter"
    OFF = "off"


class FacetSubjects(StrEnum):
    """What the facet of subjects counts: those that items name, or the topics above them, too."""

    OWN = "own"
    BROADER = "broader"


class Fold(StrEnum):
    """What is one hit: a story, or a group of stories with nearly the same text."""

    NONE = "none"
    NEAR_DUPLICATES = "near_duplicates"


class DateUse(StrEnum):
    """What dates in plain words do: stories from then are the only ones, or they are words."""

    FILTER = "filter"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search. `filters` are facts that hold beside the query; `cursor` goes on where an earlier
    answer ended and wins over `page`. `profile` "" is the service's default. `why_missing` is the
    uri of an item of which the answer says what dropped it; `similar_to` that of an item to find
    the like of, instead of `q`. `tz` (an IANA name) and `locale` (a BCP 47 tag) say how dates in
    `q` are meant: "" is UTC, and the day before the month. `fold` is fixed by an answer's first
    page, and so are `open_facets`: facets that are counted without their own one of `filters`.
    `ignore` are dates and names in `q` that are to be words, each as it is written there.
    """

    q: str = ""
    filters: Node = EVERYTHING
    profile: str = ""
    order: SortOrder = SortOrder.SCORE
    page: int = 1
    page_size: int = 20
    cursor: str = ""
    facets: tuple[str, ...] = ()
    facet_limit: int = 20
    open_facets: tuple[str, ...] = ()
    facet_interval: DateInterval = DateInterval.MONTH
    facet_subjects: FacetSubjects = FacetSubjects.OWN
    explain: bool = False
    highlight: bool = True
    deadline_ms: float | None = None
    entities: EntityUse = EntityUse.BOOST
    dates: DateUse = DateUse.FILTER
    ignore: tuple[str, ...] = ()
    tz: str = ""
    locale: str = ""
    why_missing: str = ""
    similar_to: str = ""
    fold: Fold = Fold.NONE


@dataclass(frozen=True, slots=True)
class DateSpan:
    """Words of the query that were read as a time: `q[start:end]` means [since, until) in UTC; ""
    is an open end. `other` are words that mean the other reading, where its numbers have two (""
    where not): 03/04/2024 and 2024-03-04. Where it is `ignored` the words are words.
    """

    text: str
    start: int
    end: int
    since: str
    until: str
    other: str = ""
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class FoundName:
    """A name in the query: characters `start` to `end` of it as it was typed, with the operators in
    between where there are some; `text` is without them. `score` is the tagger's confidence, 0 to
    1, `known` the archive's own name where it has one, `use` what was done with that: nothing where
    it is `ignored`.
    """

    text: str
    label: EntityLabel
    start: int
    end: int
    score: float
    known: KnownName | None = None
    use: EntityUse = EntityUse.OFF
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class Understood:
    """What was made of the query: the text for vectors, the tree for BM25 (as a readable line),
    names and dates found, and notes on everything that was not taken literally. A known name may
    vanish with its last story, so it stands under `entities` only.
    """

    vector_text: str
    lexical: str
    entities: tuple[FoundName, ...] = ()
    dates: tuple[DateSpan, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VectorShare:
    """What one vector field gave a hit: rank among the nearest (0: found by BM25 only), the cosine
    of its best passage, and that normalized to 0..1; None where the item has no vector.
    """

    field: str
    weight: float
    rank: int
    cosine: float | None
    normalized: float


@dataclass(frozen=True, slots=True)
class RerankMix:
    """How a reranked hit's score came about: `floor` + (1 - `weight`) * `fused` + `weight` *
    `reranked`, the two on 0 to 1 over the candidates that were reranked. `floor` is the best fused
    score of those that the reranker should have read and did not reach; 0 where it read all. One
    that has no score but stands among some that have is there by its fused score: `weight` is 0.
    """

    weight: float
    floor: float
    fused: float
    reranked: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a hit is where it is. Ranks are 1-based, 0 means that this stage did not find it.
    `names` is the share of the query's known names that the item has in its fields. `fused` is
    before the recency curve, of which the item keeps the share `recency`; `fused_rank` is after it.
    `mix` says what the reranker did to the hit's score, None where it did nothing.
    """

    lexical_rank: int
    bm25: float | None
    bm25_normalized: float
    lexical_weight: float
    vectors: tuple[VectorShare, ...]
    fused: float
    fused_rank: int
    rerank_score: float | None = None
    reranked_rank: int = 0
    names: float = 0.0
    names_weight: float = 0.0
    recency: float = 1.0
    mix: RerankMix | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One story: its newest usable version, `rank` 1-based over all pages.

    `highlights` maps a text member to its text with matched words between the marks
    U+E000 and U+E001 (private use, so that no text can fake them); `passage` is the best passage,
    marked the same way. `shot` is the number, from 1, of the video's shot that answers best, 0
    where none does. `versions` counts the versions and write-throughs in the chain view.
    `pinned`: editors put it there for this query. `near_duplicates` are the uris of the stories
    that are folded under it, best first.
    """

    item: Item
    rank: int
    score: float
    highlights: Mapping[str, str] = field(default_factory=dict)
    passage: str = ""
    versions: int = 1
    explanation: Explanation | None = None
    pinned: bool = False
    near_duplicates: tuple[str, ...] = ()
    shot: int = 0


@dataclass(frozen=True, slots=True)
class Total:
    """How many stories (or groups of them, where near-duplicates are folded), and what that number
    is.
    """

    value: int
    relation: TotalRelation


class MissingStage(StrEnum):
    """The stage that dropped an item: the first of these in the order of the query path. FOLDED: it
    was found, and stands under a hit with nearly the same text.
    """

    NONE = "none"
    ARCHIVE = "archive"
    STATUS = "status"
    ENTITLEMENT = "entitlement"
    STORY = "story"
    FILTERS = "filters"
    QUERY = "query"
    RETRIEVAL = "retrieval"
    FOLDED = "folded"


@dataclass(frozen=True, slots=True)
class RetrieverMiss:
    """How far an item is from a retriever's list, which has the best `depth`: its `rank` (0: not
    found), its score, and the score of the list's last.
    """

    retriever: str
    rank: int
    depth: int
    score: float | None
    last: float | None


@dataclass(frozen=True, slots=True)
class Missing:
    """Why `uri` is not among the hits: which stage dropped it, the `reason` in words and what would
    have kept it (`mend`). `rank` and `page` are of an item that is there (stage NONE).
    """

    uri: str
    stage: MissingStage
    reason: str
    mend: str
    rank: int = 0
    page: int = 0
    excluded_by: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    words_missing: tuple[str, ...] = ()
    retrievers: tuple[RetrieverMiss, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchResponse:
    """One page of an answer. `cursor` continues it ("" at the end). `degraded` names each stage
    that was skipped or cut short and why; `milliseconds` is per stage with "total". `suggestion` is
    the query in another spelling ("" where there is none); it was not searched for. `fold` says
    what a hit is, and so what the total and the facets count.
    """

    hits: tuple[Hit, ...]
    total: Total
    page: int
    page_size: int
    profile: str
    understood: Understood
    facets: Mapping[str, tuple[FacetCount, ...]] = field(default_factory=dict)
    cursor: str = ""
    degraded: tuple[str, ...] = ()
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    lexical_matches: int = 0
    suggestion: str = ""
    missing: Missing | None = None
    fold: Fold = Fold.NONE
