"""The query parameters of a search: read, checked and turned into a `SearchRequest`.

Names follow AP Media API (`q`, `sort`, `page`, `page_size`, `include`, `exclude`,
`session_label`); the filters, `cursor`, `facets`, `explain`, `profile`, `entities`, `dates`,
`ignore`, `tz`, `locale`, `fold` and `highlight` are ours.
"""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from api.problems import ParameterError
from core.errors import QueryError
from core.items import ItemType
from core.query_tree import EVERYTHING, DateRange, Keyword, Node, all_of
from core.retrieval import DateInterval, SortOrder
from search.answers import (
    FACET_FIELDS,
    MAX_PAGE_SIZE,
    MAX_QUERY_CHARACTERS,
    DateUse,
    EntityUse,
    FacetSubjects,
    Fold,
    SearchRequest,
)
from search.dates import calendar_of
from search.profiles import BEST

MAX_PAGE = 1_000_000
MAX_VALUES = 100
_FILTERS = ("type", "subject", "place", "person", "organisation", "language", "rights")
_LINE_BREAK = re.compile(r"[\r\n]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})")
HOW_TO_DATE = "write YYYY-MM-DD, or RFC 3339 with a zone such as 2024-03-05T07:30:00Z (a + is %2B)"


def split_list(value: Any) -> Any:
    """Repeated and comma-separated values as one list; a value with a comma stands in quotes."""
    raw = value if isinstance(value, list) else [value]
    # csv knows line breaks, and of some of them it can't go on: here they are blanks.
    rows = csv.reader([_LINE_BREAK.sub(" ", str(part)) for part in raw], skipinitialspace=True)
    try:
        values = [part.strip() for row in rows for part in row if part.strip()]
    except csv.Error as error:
        raise ValueError(f"can't be read as a list: {error}") from error
    if len(values) > MAX_VALUES:
        raise ValueError(f"has {len(values)} values; at most {MAX_VALUES} are taken")
    return values


def read_time(text: str, *, end: bool, zone: tzinfo = UTC) -> datetime:
    """A date or time in UTC; a bare date is a day of `zone`: its first moment, or with `end` the
    next day's.
    """
    try:
        if _DATE.fullmatch(text):
            day = datetime.fromisoformat(text) + timedelta(days=1 if end else 0)
            return day.replace(tzinfo=zone).astimezone(UTC)
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"'{text[:40]}' is no date of the calendar") from error
    raise ValueError(f"'{text[:40]}' is not read as a date: {HOW_TO_DATE}")


def _since(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    return read_time(value.strip(), end=False, zone=_zone_of(info))


def _until(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    return read_time(value.strip(), end=True, zone=_zone_of(info))


def _zone_of(info: ValidationInfo) -> tzinfo:
    """The request's zone, UTC where it names none; `tz` stands above the dates for that."""
    return calendar_of(datetime.now(UTC), info.data.get("tz", "")).zone


def _known_types(values: list[str]) -> list[str]:
    for value in values:
        if value not in tuple(ItemType):
            raise ValueError(f"'{value[:40]}' is no type; there are {', '.join(ItemType)}")
    return values


def _known_facets(values: list[str]) -> list[str]:
    for value in values:
        if value not in FACET_FIELDS:
            raise ValueError(f"'{value[:40]}' is no facet; there are {', '.join(FACET_FIELDS)}")
    return values


def _known_zone(text: str) -> str:
    _calendar(tz=text)
    return text


def _known_locale(text: str) -> str:
    _calendar(locale=text)
    return text


def _calendar(tz: str = "", locale: str = "") -> None:
    try:
        calendar_of(datetime.now(UTC), tz, locale)
    except QueryError as error:
        raise ValueError(f"is unknown: {error.what}; {error.mend}") from error


Values = Annotated[list[str], BeforeValidator(split_list)]
_OR = "Repeat it or separate values by commas for any of them; quote a value that has a comma."


class SearchParameters(BaseModel):
    """Everything that `GET /content/search` takes; a name that is not here is refused."""

    model_config = ConfigDict(extra="forbid", str_max_length=MAX_QUERY_CHARACTERS)

    q: str = Field(
        default="",
        description='The query: words, "phrases", AND, OR, NOT, field:value. At most '
        f"{MAX_QUERY_CHARACTERS} characters. Empty: everything, newest first.",
    )
    type: Annotated[Values, AfterValidator(_known_types)] = Field(
        default_factory=list, description=f"Kinds of item: {', '.join(ItemType)}. {_OR}"
    )
    subject: Values = Field(default_factory=list, description=f"Subjects by name or code. {_OR}")
    place: Values = Field(default_factory=list, description=f"Places. {_OR}")
    person: Values = Field(default_factory=list, description=f"People. {_OR}")
    organisation: Values = Field(default_factory=list, description=f"Organisations. {_OR}")
    language: Values = Field(default_factory=list, description=f"Languages, such as en. {_OR}")
    rights: Values = Field(
        default_factory=list,
        description="What may be done with it: commercial, editorial, restricted, owned, or the "
        f"agency's own words. {_OR}",
    )
    similar_to: str = Field(
        default="",
        description="The uri of an item: what is like it, instead of what matches q. Filters hold; "
        "its own story is left out; sort does not apply.",
    )
    tz: Annotated[str, AfterValidator(_known_zone)] = Field(
        default="",
        description="Time zone of the days in q, since and until, an IANA name such as "
        "Europe/Berlin. Empty: UTC.",
    )
    since: Annotated[datetime | None, BeforeValidator(_since)] = Field(
        default=None,
        description="Versions created at or after this time: a day of tz, or RFC 3339 with a zone.",
    )
    until: Annotated[datetime | None, BeforeValidator(_until)] = Field(
        default=None,
        description="Versions created before this time; a bare date includes that day of tz.",
    )
    sort: SortOrder = Field(
        default=SortOrder.SCORE, description=f"The order: {', '.join(SortOrder)}."
    )
    page: int = Field(default=1, ge=1, le=MAX_PAGE, description="The page, from 1.")
    page_size: int = Field(
        default=20, ge=1, le=MAX_PAGE_SIZE, description=f"Hits per page, 1 to {MAX_PAGE_SIZE}."
    )
    cursor: str = Field(
        default="", description="Goes on where an earlier answer ended (its data.cursor)."
    )
    facets: Annotated[Values, AfterValidator(_known_facets)] = Field(
        default_factory=list, description=f"Facets to count: {', '.join(FACET_FIELDS)}."
    )
    open_facets: Annotated[Values, AfterValidator(_known_facets)] = Field(
        default_factory=list,
        description="Facets to count without their own filter, all others in force, so that more "
        "values can be chosen; total_items stays that of the filtered answer.",
    )
    facet_interval: DateInterval = Field(
        default=DateInterval.MONTH,
        description=f"Stretches of the facet versioncreated, by the calendar of tz: "
        f"{', '.join(DateInterval)}.",
    )
    facet_subjects: FacetSubjects = Field(
        default=FacetSubjects.OWN,
        description="What the facet subject counts: own (subjects as items name them), broader "
        "(the topics above them, too: football counts for sport).",
    )
    facet_limit: int = Field(default=20, ge=1, le=200, description="Values per facet, 1 to 200.")
    explain: bool = Field(
        default=False, description="true: what each retriever, fusion and reranker gave each hit."
    )
    why_missing: str = Field(
        default="",
        description="The uri of an item that is not among the hits: data.missing says which stage "
        "dropped it and what would have kept it.",
    )
    profile: str = Field(default="", description="How to rank: a profile of this service.")
    entities: EntityUse = Field(
        default=EntityUse.BOOST,
        description="What names in q do that the archive knows: boost (stories that are about them "
        "rank higher), filter (all of them must be there), off (names are not looked for).",
    )
    dates: DateUse = Field(
        default=DateUse.FILTER,
        description="What dates in plain words in q do: filter (stories from then), off (words).",
    )
    ignore: Values = Field(
        default_factory=list,
        description="Dates and names in q that are to be words, each as it is written there; the "
        "others are read. Repeat it, or separate them by commas; quote one that has a comma.",
    )
    locale: Annotated[str, AfterValidator(_known_locale)] = Field(
        default="",
        description="How dates in q are written, such as en-US. Empty: the day before the month.",
    )
    fold: Fold = Field(
        default=Fold.NONE,
        description="near_duplicates: stories with nearly the same text are one hit, the best "
        "placed of them; total_items and the facets count such groups. A cursor keeps to what its "
        "first page asked for.",
    )
    highlight: bool = Field(
        default=True, description="false: no marks (U+E000, U+E001) around matched words."
    )
    include: Values = Field(default_factory=list, description="Members of the item to give only.")
    exclude: Values = Field(default_factory=list, description="Members of the item to leave out.")
    session_label: str = Field(
        default="",
        pattern=r"^[a-zA-Z0-9_. -]{0,48}$",
        description="A label of your own that comes back: 1 to 48 of a-z A-Z 0-9 _ . - and space.",
    )


def filters_of(parameters: SearchParameters) -> Node:
    """The filters as a tree: any of a field's values, all of the fields."""
    nodes: list[Node] = [
        Keyword(name, tuple(getattr(parameters, name)))
        for name in _FILTERS
        if getattr(parameters, name)
    ]
    since, until = parameters.since, parameters.until
    if since and until and since >= until:
        raise ParameterError(
            "since lies at or after until, so nothing could match.",
            field="since",
            mend="Swap the two, or leave one out.",
        )
    if since or until:
        nodes.append(DateRange("versioncreated", since, until))
    return all_of(*nodes) if nodes else EVERYTHING


def search_request(parameters: SearchParameters, profiles: tuple[str, ...]) -> SearchRequest:
    """The core's request; raises ParameterError for a profile that the service doesn't have."""
    if parameters.profile and parameters.profile not in profiles:
        needs = " It needs the service's setting second_encoder."
        raise ParameterError(
            f"There is no profile '{parameters.profile[:40]}'."
            + (needs if parameters.profile == BEST else ""),
            field="profile",
            mend=f"Use one of {', '.join(profiles)}, or leave it out.",
        )
    return SearchRequest(
        q=parameters.q,
        filters=filters_of(parameters),
        profile=parameters.profile,
        order=parameters.sort,
        page=parameters.page,
        page_size=parameters.page_size,
        cursor=parameters.cursor,
        facets=tuple(parameters.facets),
        facet_limit=parameters.facet_limit,
        open_facets=tuple(parameters.open_facets),
        facet_interval=parameters.facet_interval,
        facet_subjects=parameters.facet_subjects,
        explain=parameters.explain,
        highlight=parameters.highlight,
        entities=parameters.entities,
        dates=parameters.dates,
        ignore=tuple(parameters.ignore),
        tz=parameters.tz,
        locale=parameters.locale,
        why_missing=parameters.why_missing.strip(),
        similar_to=parameters.similar_to,
        fold=parameters.fold,
    )
