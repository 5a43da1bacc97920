"""A search request, whose fields are the options of a search, and its answer.

To add an option, declare it as a field of `SearchRequest`, or of `Facts` if it is a filter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from core.callers import Caller
from core.entities import EntityLabel, KnownName
from core.errors import QueryError
from core.items import Item, ItemType
from core.query_tree import EVERYTHING, DateRange, Keyword, Node, all_of, without_field
from core.retrieval import (
    DateBuckets,
    DateInterval,
    FacetCount,
    FacetRequest,
    SortOrder,
    TotalRelation,
)
from search.opening import Opening
from search.options import declared_by, option
from search.understanding.dates.calendar import calendar_of, zone_of

FACET_FIELDS = (
    "type",
    "subject",
    "place",
    "person",
    "organisation",
    "language",
    "rights",
    "source",
    "credit",
    "orientation",
    "size",
    "versioncreated",
)
MAX_PAGE = 1_000_000
MAX_PAGE_SIZE = 200
MAX_QUERY_CHARACTERS = 4096
MAX_CLAUSES = 256  # of a query
MAX_TEXT = 1 << 20  # bytes of a pasted text
MAX_PICTURE = 1 << 24  # bytes of a picture that others shall look like


class EntityUse(StrEnum):
    """What names in a query do: rank stories about them higher (BOOST), keep only such stories
    (FILTER), or nothing (OFF: names are not searched for).
    """

    BOOST = "boost"
    FILTER = "filter"
    OFF = "off"


class FacetSubjects(StrEnum):
    """What the facet of subjects counts: the subjects that items name, or also the topics above
    them.
    """

    OWN = "own"
    BROADER = "broader"


class Fold(StrEnum):
    """What a hit is: a story, or a group of stories with nearly the same text."""

    NONE = "none"
    NEAR_DUPLICATES = "near_duplicates"


class Relevance(StrEnum):
    """What a hit is by the floor: STRONG, or RELATED, which is only among the nearest there are."""

    STRONG = "strong"
    RELATED = "related"


class SimilarBy(StrEnum):
    """What makes items similar: their words, what their pictures look like, or both."""

    BOTH = "both"
    WORDS = "words"
    LOOKS = "looks"


class DateUse(StrEnum):
    """What dates in plain words do: they keep only stories of that time (FILTER), or are plain
    words (OFF).
    """

    FILTER = "filter"
    OFF = "off"


_ANY = "Repeat it or separate values by commas for any of them; quote a value that has a comma."


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts that a search filters by: an item needs one of the values of each field that has
    any.
    """

    type: tuple[str, ...] = option(
        (),
        f"Kinds of item: {', '.join(ItemType)}. {_ANY}",
        brief="Only these types, by commas: text, picture, video, …",
        values=tuple(ItemType),
        noun="type",
    )
    subject: tuple[str, ...] = option(
        (), f"Subjects by name or code. {_ANY}", brief="Only these subjects, by commas."
    )
    place: tuple[str, ...] = option((), f"Places. {_ANY}", brief="Only these places, by commas.")
    person: tuple[str, ...] = option((), f"People. {_ANY}", brief="Only these people, by commas.")
    organisation: tuple[str, ...] = option(
        (), f"Organisations. {_ANY}", brief="Only these organisations, by commas."
    )
    language: tuple[str, ...] = option(
        (), f"Languages, such as en. {_ANY}", brief="Only these languages, by commas."
    )
    rights: tuple[str, ...] = option(
        (),
        "What may be done with it: commercial, editorial, restricted, owned, or the agency's own "
        f"words. {_ANY}",
        brief="Only these rights, by commas: commercial, editorial, restricted, owned.",
        page="query-language.md#rights",
    )
    source: tuple[str, ...] = option((), f"Sources. {_ANY}", brief="Only these sources, by commas.")
    credit: tuple[str, ...] = option(
        (), f"Credit lines. {_ANY}", brief="Only these credit lines, by commas."
    )
    orientation: tuple[str, ...] = option(
        (),
        f"Of pictures and videos: landscape, portrait, square. {_ANY}",
        brief="Only landscape, portrait or square.",
        values=("landscape", "portrait", "square"),
        noun="orientation",
    )
    size: tuple[str, ...] = option(
        (),
        "Of pictures and videos, by the longer side: small (under 1,000 pixels), medium, large "
        f"(3,000 and more). {_ANY}",
        brief="Only small, medium or large.",
        values=("small", "medium", "large"),
        noun="size",
    )

    def filters(self, since: datetime | None = None, until: datetime | None = None) -> Node:
        """Return the facts as a tree, with a span of `versioncreated` if `since` or `until` is
        given.
        """
        named = [(one.name, getattr(self, one.name)) for one in fields(self)]
        nodes: list[Node] = [Keyword(name, values) for name, values in named if values]
        if since or until:
            nodes.append(DateRange("versioncreated", since, until))
        return all_of(*nodes) if nodes else EVERYTHING


def _known_zone(text: str) -> None:
    calendar_of(datetime.now(UTC), text)


def _known_locale(text: str) -> None:
    calendar_of(datetime.now(UTC), locale=text)


@dataclass(frozen=True, slots=True)
class Counted:
    """The facets to count. Those `opened` are counted without their own filter, which is set."""

    facets: FacetRequest
    opened: tuple[str, ...]

    def of(self, *names: str) -> FacetRequest:
        """Return what to count for the facets `names`."""
        return replace(self.facets, names=names)


@dataclass(frozen=True, slots=True)
class Draft:
    """Another profile that fills the list in turns with the request's own; `seed` tosses the
    coins.
    """

    against: str
    seed: int


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """One search. Each field's declaration says what it means.

    `filters` are facts that hold beside the query, as `Facts` has them. `text` is a pasted text in
    place of a query, to find coverage like it; `picture` has the bytes of a picture, to find others
    that look like it. `cursor` wins over `page`. `deadline_ms` None means the profile's own
    deadline. An experiment asks for a `draft`. The pipeline asks again, `widened`, where no item of
    the kinds that the query's words ask for answers: then they set no type.
    """

    q: str = option(
        "",
        'The query: words, "phrases", AND, OR, NOT, field:value. Empty: everything, newest first. '
        f"More than {MAX_QUERY_CHARACTERS} characters, or prose of more than 256 words: taken as a "
        "text, to find coverage like it, as POST does.",
        in_shell=False,  # the shell takes it as an argument
        most=MAX_TEXT,
        page="query-language.md",
    )
    filters: Node = EVERYTHING
    text: str = ""
    picture: bytes = b""
    widened: bool = False
    similar_to: str = option(
        "",
        "The uri of an item: finds items like it, instead of matches of q. Filters hold; its own "
        "story is left out; sort does not apply. URI#t=12.5 names a video's shot.",
        brief="Find items like the one with this uri, instead of a query.",
        page="ranking.md#more-like-this",
    )
    similar_by: SimilarBy = option(
        SimilarBy.BOTH,
        "What similar_to compares: both, words, looks (what pictures and shots look like, for a "
        "picture or a video that a model has looked at). data.understood.notes says what it was.",
        brief="What --similar-to compares: words, looks, or both.",
        page="looks.md#looks-like-this",
    )
    tz: str = option(
        "",
        "Time zone of the days in q, since and until, an IANA name such as Europe/Berlin. Empty: "
        "UTC.",
        brief="Time zone of dates, such as Europe/Berlin; UTC if empty.",
        check=_known_zone,
    )
    order: SortOrder = option(
        SortOrder.SCORE,
        f"The order: {', '.join(SortOrder)}. An order by date lists matches by words only.",
        name="sort",
        brief="Order of the hits.",
    )
    page: int = option(1, "The page, from 1.", brief="Page number, from 1.", least=1, most=MAX_PAGE)
    page_size: int = option(
        20,
        f"Hits per page, 1 to {MAX_PAGE_SIZE}.",
        brief=f"Hits per page, up to {MAX_PAGE_SIZE}.",
        shell_default=10,
        least=1,
        most=MAX_PAGE_SIZE,
    )
    cursor: str = option(
        "",
        "Continues where an earlier answer ended (its data.cursor); the other parameters stay as "
        "they were. A ranked list is kept for ten minutes, then the answer is 410; a list by date "
        "goes on at any time.",
        in_shell=False,
    )
    facets: tuple[str, ...] = option(
        (),
        f"Facets to count: {', '.join(FACET_FIELDS)}.",
        flag="--facet",
        brief=f"Facets to count, by commas: {', '.join(FACET_FIELDS)}.",
        values=FACET_FIELDS,
        noun="facet",
    )
    open_facets: tuple[str, ...] = option(
        (),
        "Facets to count without their own filter but with all others, so that more values can be "
        "chosen; total_items stays that of the filtered answer.",
        flag="--open-facet",
        brief="Facets to count without their own filter, by commas.",
        values=FACET_FIELDS,
        noun="facet",
    )
    facet_interval: DateInterval = option(
        DateInterval.MONTH,
        f"Intervals of the facet versioncreated, by the calendar of tz: {', '.join(DateInterval)}.",
        brief="Intervals of the facet versioncreated, in --tz.",
    )
    facet_subjects: FacetSubjects = option(
        FacetSubjects.OWN,
        "What the facet subject counts: own (subjects as items name them), broader (also the "
        "topics above them: football counts for sport).",
        brief="broader: subjects also count for the topics above them.",
        page="query-language.md#subjects",
    )
    facet_limit: int = option(
        20, "Values per facet, 1 to 200.", brief="Values per facet.", least=1, most=200
    )
    explain: bool = option(
        False,
        "true: what each retriever, fusion and reranker gave each hit; raw scores are for keys "
        "with inspect.",
        brief="Say why each hit is there.",
        page="ranking.md#what-scores-tell-and-to-whom",
    )
    why_missing: str = option(
        "",
        "The uri of an item that is not among the hits: data.missing says which stage dropped it "
        "and what would have kept it.",
        brief="Say why this uri is not among the hits.",
        page="ranking.md#why-is-it-missing",
    )
    profile: str = option(
        "",
        "How to rank: a profile of this service. Empty: its default.",
        in_shell=False,  # the shell takes it from the settings, which name the models to load
        page="ranking.md",
    )
    entities: EntityUse = option(
        EntityUse.BOOST,
        "What names in q do if the archive knows them: boost (stories about them rank higher), "
        "filter (a story must have all of them), off (names are not searched for).",
        brief="What names in the query do if the archive knows them.",
        page="query-language.md#names",
    )
    dates: DateUse = option(
        DateUse.FILTER,
        "What dates in plain words in q do: filter (only stories of that time), off (plain words).",
        brief="What dates in plain words in the query do.",
        page="query-language.md#dates",
    )
    ignore: tuple[str, ...] = option(
        (),
        "Dates, names and kinds in q to take as plain words, each as written there. Repeat it, or "
        "separate them by commas; quote one that has a comma.",
        brief="A date, name or kind in the query to take as words. Repeatable.",
        written=True,
        page="query-language.md#dates",
    )
    locale: str = option(
        "",
        "How dates in q are written, such as en-US. Empty: the day before the month.",
        brief="How dates in the query are written, such as en-US; the day first if empty.",
        check=_known_locale,
    )
    fold: Fold = option(
        Fold.NONE,
        "near_duplicates: stories with nearly the same text are one hit, the best placed of them; "
        "total_items and the facets count such groups. A cursor keeps its first page's choice.",
        brief="near_duplicates: stories with nearly the same text are one hit.",
        page="ranking.md#one-hit-per-story",
    )
    min_relevance: Relevance = option(
        Relevance.RELATED,
        "The least relevance of a hit: related (strong hits, then those that are only the "
        "nearest), strong (no others). total_items and the facets are those of the strong hits "
        "either way.",
        brief="strong: without hits that are only the nearest there are.",
        page="ranking.md#strong-and-related-hits",
    )
    highlight: bool = option(
        True, "false: no marks (U+E000, U+E001) around matched words.", in_shell=False
    )
    use_log: bool = option(
        True,
        "false: the use log keeps nothing of this search, and no experiment changes it, also where "
        "the account agreed to both.",
        in_shell=False,
        page="experiments.md#the-use-log",
    )
    deadline_ms: float | None = None
    draft: Draft | None = None

    def check(self) -> None:
        """Raise QueryError for values and options that can't be answered."""
        if not 1 <= self.page_size <= MAX_PAGE_SIZE:
            raise QueryError(
                f"page_size is {self.page_size}", mend=f"it must be 1 to {MAX_PAGE_SIZE}"
            )
        if self.page < 1:
            raise QueryError(f"page is {self.page}", mend="pages are counted from 1")
        if self.why_missing and self.cursor:
            raise QueryError(
                "why_missing is asked of a later page", where="cursor", mend="leave the cursor out"
            )
        if self.fold is not Fold.NONE and self.order is not SortOrder.SCORE:
            raise QueryError(
                "fold groups the candidates of a ranked answer; a list by date has everything",
                where="fold",
                mend="leave out fold, or sort",
            )
        for name in (*self.facets, *self.open_facets):
            if name not in FACET_FIELDS:
                raise QueryError(
                    f"there is no facet {name!r}", mend=f"one of {', '.join(FACET_FIELDS)}"
                )
        if self.similar_to:
            self._check_similar()
        if (self.text or self.picture) and (self.q.strip() or self.similar_to):
            what = "a text" if self.text else "a picture"
            raise QueryError(
                f"{what} and q or similar_to are both given",
                mend="search by one of them; filters narrow the result",
            )

    def _check_similar(self) -> None:
        """Raise QueryError for options that can't be combined with an item."""
        if self.q.strip():
            raise QueryError(
                "q and similar_to are both given",
                mend="search by one of them; filters narrow the result",
            )
        if self.why_missing == self.similar_to:
            raise QueryError(
                "an item is not among the items that are like it",
                where="why_missing",
                mend="ask it of another item",
            )
        if self.order is not SortOrder.SCORE:
            raise QueryError(
                "items that are like an item are ordered by likeness alone",
                mend="leave the sort order out, or give a range of dates",
            )

    def counted(self) -> Counted:
        """Return what to count for the facets, each once."""
        names = tuple(dict.fromkeys((*self.facets, *self.open_facets)))
        buckets = DateBuckets()
        if "versioncreated" in names:
            buckets = DateBuckets(self.facet_interval, zone_of(self.tz))
        broader = self.facet_subjects is FacetSubjects.BROADER
        wider = {name: without_field(self.filters, name) for name in self.open_facets}
        opened = tuple(name for name, filters in wider.items() if filters is not self.filters)
        return Counted(FacetRequest(names, self.facet_limit, buckets, broader), opened)


FACTS = tuple(declared_by(Facts))
OPTIONS = tuple(declared_by(SearchRequest))


@dataclass(frozen=True, slots=True)
class DateSpan:
    """Words of the query that were read as a time: `q[start:end]` means [since, until) in UTC; ""
    is an open end.

    `other` has words for the other reading of an ambiguous date, else "": 03/04/2024 and
    2024-03-04. Where `ignored` is set, the words are plain words.
    """

    text: str
    start: int
    end: int
    since: str
    until: str
    other: str = ""
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class KindSpan:
    """Words of the query that were read as kinds of item: `q[start:end]` means `types`. Where
    `ignored` is set, the words are plain words. Where `widened` is set, no item of these types
    answered, and all types are shown.
    """

    text: str
    start: int
    end: int
    types: tuple[str, ...]
    ignored: bool = False
    widened: bool = False


def types_of(kinds: Iterable[KindSpan]) -> tuple[str, ...]:
    """Return the types that spans set, each once; those that are ignored or widened set none."""
    setting = (span for span in kinds if not span.ignored and not span.widened)
    told = (str(one) for span in setting for one in span.types)
    return tuple(dict.fromkeys(told))


@dataclass(frozen=True, slots=True)
class FoundName:
    """A name in the query.

    `start` and `end` are its characters in the query as typed, operators included; `text` has no
    operators. `score` is the tagger's confidence, 0 to 1. `known` is the archive's own name, if it
    has one, and `use` what was done with it: nothing if it is `ignored`.
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
    names, dates and kinds of item found, and notes on everything that was not taken literally. A
    known name is under `entities` only, because it is forgotten with its last story. `language` is
    that of the query (ISO 639-1), "" if its words do not tell.
    """

    vector_text: str
    lexical: str
    entities: tuple[FoundName, ...] = ()
    dates: tuple[DateSpan, ...] = ()
    kinds: tuple[KindSpan, ...] = ()
    notes: tuple[str, ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True)
class VectorShare:
    """What one vector field gave a hit: its rank among the nearest (0: only BM25 found it), the
    cosine of its best passage, and that cosine normalized to 0..1. `cosine` is None if the item has
    no vector.
    """

    field: str
    weight: float
    rank: int
    cosine: float | None
    normalized: float


@dataclass(frozen=True, slots=True)
class RerankMix:
    """How a reranked hit's score was computed: `floor` + (1 - `weight`) * `fused` + `weight` *
    `reranked`. `fused` and `reranked` are on 0 to 1 over the candidates that were reranked.

    `floor` is the best fused score of the candidates that the reranker should have read and did not
    reach; 0 if it read all. A hit without a rerank score that stands among reranked ones is there
    by its fused score: its `weight` is 0.
    """

    weight: float
    floor: float
    fused: float
    reranked: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a hit has its rank. Ranks are 1-based; 0 means that this stage did not find it.

    `names` is the share of the query's known names that are in the item's fields. `fused` is the
    score before the recency curve, and `recency` the share of it that the item keeps; `fused_rank`
    is the rank after the curve. `mix` says what the reranker did to the score, None if it did
    nothing. `chance` is the floor's chance that the hit is relevant, None if there is no floor.
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
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One story, shown by its newest usable version. `rank` is 1-based over all pages.

    `highlights` maps a text member to its text, with matched words between the marks U+E000 and
    U+E001 (private use, so that no text can fake them); `passage` is the best passage, marked the
    same way. `opening` is where to open a video, a sound or a picture, None if no line of what is
    in it answers. `found_in` are the fields apart from the item's text that have a word of the
    query, each with the machine that wrote or found it ("" for none).
    `versions` counts the versions and write-throughs of the story that the caller sees. `pinned`
    says that editors put the story there for this query, `exact` that the whole query is one of its
    values, such as its slugline. `near_duplicates` are the uris of the stories that are folded
    under it, best first. `relevance` is None if the answer has no floor. `id` is the engine's
    number of the version, 0 if it is not known. `team` is a or b in a list that two profiles filled
    in turns, = where both agree, "" in any other.
    """

    item: Item
    rank: int
    score: float
    highlights: Mapping[str, str] = field(default_factory=dict)
    passage: str = ""
    versions: int = 1
    explanation: Explanation | None = None
    pinned: bool = False
    exact: bool = False
    near_duplicates: tuple[str, ...] = ()
    opening: Opening | None = None
    relevance: Relevance | None = None
    id: int = 0
    team: str = ""
    found_in: Mapping[str, str] = field(default_factory=dict)

    @property
    def shot(self) -> int:
        """The number, from 1, of the video's shot where the hit opens; 0 without one."""
        return self.opening.shot if self.opening else 0


@dataclass(frozen=True, slots=True)
class Total:
    """How many stories (or groups of stories, where near-duplicates are folded), and how exact that
    is.
    """

    value: int
    relation: TotalRelation


class MissingStage(StrEnum):
    """The first stage of the query path that dropped an item. FOLDED: the item was found, and
    stands under a hit with nearly the same text.
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
    """How far an item is from a retriever's list of the best `depth`: its `rank` (0: not found),
    its score, and the score of the last item in the list.
    """

    retriever: str
    rank: int
    depth: int
    score: float | None
    last: float | None


@dataclass(frozen=True, slots=True)
class Missing:
    """Why `uri` is not among the hits: the stage that dropped it, the `reason` in words, and what
    would have kept it (`mend`). `rank` and `page` are set for an item that is among them (stage
    NONE).
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
    """One page of an answer.

    `cursor` leads to the next page ("" at the end). `degraded` names each stage that was skipped or
    cut short, and why. `milliseconds` has the time of each stage and "total". `suggestion` is the
    query in another spelling, which was not searched for ("" without one). `fold` says what a hit
    is. The total and the facets count all hits; if the answer has a floor, only the strong ones.
    `related` is the number of hits below the strong ones, None if there is no floor. `depth` is how
    many hits the pages reach. `query_id` names the query in the use log, "" if it is not there.
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
    depth: int = 0
    related: int | None = None
    query_id: str = ""


class Searches(Protocol):
    """The whole query path: `search.pipeline.SearchPipeline`, or an object that answers like it."""

    def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
        """Return one page of the answer. Raises QueryError, NotFoundError and ExpiredError;
        `degraded` says what a stage could not do.
        """
        ...
