"""The query parameters of a search: reads and checks them and makes a `SearchRequest`.

Names follow AP Media API (`q`, `sort`, `page`, `page_size`, `include`, `exclude`, `session_label`);
the others are ours, and `search/answers.py` declares them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta, tzinfo
from functools import partial
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    create_model,
)

from api.formats.members import known_members
from api.problems import ParameterError
from core.errors import QueryError
from core.query_tree import Node
from search.answers import FACTS, MAX_QUERY_CHARACTERS, OPTIONS, Facts, SearchRequest
from search.options import Declared
from search.profiles import BEST
from search.understanding.dates.calendar import calendar_of

MAX_VALUES = 100
_LINE_BREAK = re.compile(r"[\r\n]")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})")
HOW_TO_DATE = "write YYYY-MM-DD, or RFC 3339 with a zone such as 2024-03-05T07:30:00Z (a + is %2B)"


def split_list(value: Any) -> Any:
    """Return repeated and comma-separated values as one list; a value with a comma stands in
    quotes.
    """
    raw = value if isinstance(value, list) else [value]
    # csv fails at some line breaks, so they become blanks.
    rows = csv.reader([_LINE_BREAK.sub(" ", str(part)) for part in raw], skipinitialspace=True)
    try:
        values = [part.strip() for row in rows for part in row if part.strip()]
    except csv.Error as error:
        raise ValueError(f"can't be read as a list: {error}") from error
    if len(values) > MAX_VALUES:
        raise ValueError(f"has {len(values)} values; at most {MAX_VALUES} are taken")
    return values


def read_time(text: str, *, end: bool, zone: tzinfo = UTC) -> datetime:
    """Return a date or time in UTC. A bare date is a day of `zone`: its first moment, or with `end`
    the first moment of the next day.
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
    """Return the request's zone, UTC without one. `tz` is declared before the dates, so that it is
    read first.
    """
    return calendar_of(datetime.now(UTC), info.data.get("tz", "")).zone


def _known(values: list[str], declared: Declared) -> list[str]:
    """Return `values`. Raises ValueError for a value that the option does not have."""
    known, noun = declared.option.values, declared.option.noun
    for value in values if known else ():
        if value not in known:
            raise ValueError(f"'{value[:40]}' is no {noun}; there are {', '.join(known)}")
    return values


def _checked(text: str, check: Callable[[str], object]) -> str:
    try:
        check(text)
    except QueryError as error:
        raise ValueError(f"is unknown: {error.what}; {error.mend}") from error
    return text


Values = Annotated[list[str], BeforeValidator(split_list)]
MemberNames = Annotated[Values, AfterValidator(known_members)]
WHAT_TO_INCLUDE = (
    "Only these members of the item: names, or paths such as subject.name. *: every member."
)
WHAT_TO_EXCLUDE = "Members of the item to leave out: names, or paths such as renditions.nitf."


def _parameter(one: Declared) -> tuple[Any, Any]:
    """Return the type of a parameter, and its pydantic field."""
    option, kind = one.option, one.kind
    told: dict[str, Any] = {"description": option.help}
    if kind is tuple:
        known = AfterValidator(partial(_known, declared=one))
        return Annotated[Values, known], Field(default_factory=list, **told)
    if kind is int:
        return int, Field(default=one.default, ge=option.least, le=option.most, **told)
    if option.check is not None:
        check = AfterValidator(partial(_checked, check=option.check))
        return Annotated[str, check], Field(default=one.default, **told)
    if kind is str and option.most is not None:
        told["max_length"] = option.most
    return kind, Field(default=one.default, **told)


def _span() -> dict[str, tuple[Any, Any]]:
    """Return the parameters `since` and `until`, for the time when versions were created."""
    return {
        "since": (
            Annotated[datetime | None, BeforeValidator(_since)],
            Field(
                default=None,
                description="Versions created at or after this time: a day of tz, or RFC 3339 with "
                "a zone.",
            ),
        ),
        "until": (
            Annotated[datetime | None, BeforeValidator(_until)],
            Field(
                default=None,
                description="Versions created before this time; a bare date includes that day of "
                "tz.",
            ),
        ),
    }


def _parameters() -> dict[str, Any]:
    """Return the parameters by name, in the order of the contract; `tz` stands before the days that
    need it.
    """
    asked = {one.name: _parameter(one) for one in OPTIONS}
    facts = {one.name: _parameter(one) for one in FACTS}
    return {"q": asked["q"], **facts, "tz": asked["tz"], **_span(), **asked}


def _model(name: str, without: Collection[str] = ()) -> Any:
    """Return a model of the parameters but for those `without`; it refuses any other name."""
    return create_model(
        name,
        __config__=ConfigDict(extra="forbid", str_max_length=MAX_QUERY_CHARACTERS),
        **{name: one for name, one in _parameters().items() if name not in without},
        include=(MemberNames, Field(default_factory=list, description=WHAT_TO_INCLUDE)),
        exclude=(MemberNames, Field(default_factory=list, description=WHAT_TO_EXCLUDE)),
        session_label=(
            str,
            Field(
                default="",
                pattern=r"^[a-zA-Z0-9_. -]{0,48}$",
                description="A label of your own that comes back: 1 to 48 of a-z A-Z 0-9 _ . - and "
                "space.",
            ),
        ),
    )


_Asked: Any = _model("Asked")
_Beside: Any = _model("Beside", ("q", "similar_to"))


class SearchParameters(_Asked):  # type: ignore[misc]  # the declarations make its fields
    """Everything that `GET /content/search` takes; any other name is refused."""


class TextParameters(_Beside):  # type: ignore[misc]  # the declarations make its fields
    """Everything that `POST /content/search` takes beside the text."""


def filters_of(parameters: SearchParameters | TextParameters) -> Node:
    """Return the filters as a tree; raises ParameterError if `since` is not before `until`."""
    since, until = parameters.since, parameters.until
    if since and until and since >= until:
        raise ParameterError(
            "since lies at or after until, so nothing could match.",
            field="since",
            mend="Swap the two, or leave one out.",
        )
    facts = Facts(**{one.member: tuple(getattr(parameters, one.name)) for one in FACTS})
    return facts.filters(since, until)


def search_request(
    parameters: SearchParameters | TextParameters, profiles: tuple[str, ...]
) -> SearchRequest:
    """Return the core's request; raises ParameterError for a profile that the service does not
    have.
    """
    if parameters.profile and parameters.profile not in profiles:
        needs = " It needs the service's setting second_encoder."
        raise ParameterError(
            f"There is no profile '{parameters.profile[:40]}'."
            + (needs if parameters.profile == BEST else ""),
            field="profile",
            mend=f"Use one of {', '.join(profiles)}, or leave it out.",
        )
    given = {one.member: getattr(parameters, one.name, one.default) for one in OPTIONS}
    lists = {one.member: tuple(given[one.member]) for one in OPTIONS if one.kind is tuple}
    missing = parameters.why_missing.strip()
    filters = filters_of(parameters)
    return SearchRequest(**{**given, **lists, "why_missing": missing, "filters": filters})
