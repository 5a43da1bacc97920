"""AP's operations on accounts: what there is, plans, quotas, downloads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.access.callers import CallerDep, SurfaceDep
from api.access.checks import no_parameters
from api.access.services import Services
from api.envelope import delivered
from api.media.answers import answer, now
from api.media.contract import MediaAnswer, served
from api.media.links import PREFIX, Addresses, addresses_of
from api.media.quotas import rates_of
from api.media.sold import Sold, sold_to
from api.problems import ParameterError
from api.search.parameters import Values
from core.callers import Caller
from core.customers.accounts import Download, Entitlement, Plan, PlanStyle
from core.errors import InputError
from customers.accounts.downloads import KEPT, LONGEST_RANGE
from customers.accounts.pricing import next_interval
from customers.accounts.trees import time_text
from customers.accounts.usage import csv_text

router = APIRouter(prefix=PREFIX, tags=["AP Media API: account"])
CSV = "text/csv; charset=utf-8"
_DAY = r"\d{4}-\d{2}-\d{2}"
_MOMENT = re.compile(
    rf"(?P<month>\d{{4}}-\d{{2}})|(?P<moment>{_DAY}(?:T\d{{2}}:\d{{2}}:\d{{2}})?)Z?", re.ASCII
)
_DURATION = re.compile(
    r"-?P(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,5})H)?)?", re.ASCII
)
_HOW_TO_DATE = "Write YYYY-MM-DD, YYYY-MM-DDTHH:mm:ss, YYYY-MM, or a duration such as P30D."
_TYPES = {"text", "picture", "audio", "video", "graphic", "composite"}


class TableAsked(BaseModel):
    """What `GET /media/v/account/followedtopics` takes."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["json", "csv"] = Field(default="json", description="json, or csv.")


class PlansAsked(TableAsked):
    """What `GET /media/v/account/plans` takes."""

    include: Values = Field(default_factory=list, description="Only these members of plans.")
    exclude: Values = Field(default_factory=list, description="Members of plans to leave out.")


class DownloadsAsked(TableAsked):
    """What `GET /media/v/account/downloads` takes."""

    include: Values = Field(default_factory=list, description="Only these members of downloads.")
    exclude: Values = Field(default_factory=list, description="Members of downloads to leave out.")
    min_date: str = Field(default="", max_length=40, description="From this time on.")
    max_date: str = Field(default="", max_length=40, description="Until this time.")
    order: int = Field(default=0, ge=0, le=2**53, description="Only the order of this number.")


PARAMETERS: dict[str, type[BaseModel]] = {
    f"{PREFIX}/account/followedtopics": TableAsked,
    f"{PREFIX}/account/plans": PlansAsked,
    f"{PREFIX}/account/downloads": DownloadsAsked,
}
_TABLE: dict[str, Any] = {
    "model": MediaAnswer,
    "content": {"text/csv": {"schema": {"type": "string"}}},
}
_LINKS = (
    ("plans", "Your plans, their entitlements and meters"),
    ("downloads", "What you have downloaded"),
    ("quotas", "How many requests you may make"),
    ("followedtopics", "The topics that you follow"),
    ("monitors", "What watches your feeds"),
)


@served(router, "/account", "AP: what an account can ask", dependencies=[Depends(no_parameters)])
async def account(request: Request, surface: SurfaceDep, caller: CallerDep) -> Response:
    """The addresses of an account's operations."""
    addresses = addresses_of(request)
    links = [
        {"title": name, "url": f"{addresses.base}/account/{name}", "description": told}
        for name, told in _LINKS
    ]
    title = title_of(surface.services, caller)
    return answer(request, title, {**_head("account", caller, title), "links": links})


@served(router, "/account/plans", "AP: plans and meters", _TABLE)
async def plans(
    request: Request, surface: SurfaceDep, caller: CallerDep, asked: Annotated[PlansAsked, Query()]
) -> Response:
    """What the account has bought: its plans, the entitlements in them and their meters."""
    title, addresses = title_of(surface.services, caller), addresses_of(request)
    found = await surface.accounts.run(
        partial(plans_json, surface.services, caller, addresses), caller
    )
    told = _chosen(found, asked, _PLAN)
    if asked.format == "csv":
        return _table(request, _PLAN_COLUMNS, _flat(told))
    return answer(request, title, {**_head("plans", caller, title), "plans": told})


def plans_json(services: Services, caller: Caller, addresses: Addresses) -> list[dict[str, Any]]:
    """Return the plans of a caller's account."""
    sold = sold_to(services, caller)
    accounts = services.accounts
    if accounts is None or not caller.customer:
        own = [_entitlement(one, addresses) for one in sold]
        return [{"id": 1, "name": caller.name, "plan_style": "duration", "entitlements": own}]
    book = accounts.in_force.book
    used = accounts.downloads.used(caller.account)
    named = {one.id: one for one in sold}
    return [
        {
            **_plan(plan, used.get(plan.id, 0)),
            "entitlements": [
                {**_entitlement(named[number], addresses), **_terms(book.entitlements[number])}
                for number in plan.entitlements
                if number in named
            ],
        }
        for plan in book.plans_of(caller.account)
    ]


def _plan(plan: Plan, used: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": plan.id,
        "name": plan.name,
        "updated": time_text(plan.added),
        "plan_style": str(plan.style),
    }
    if plan.style is PlanStyle.DOWNLOADS:
        begins = next_interval(plan.interval, datetime.now(UTC))
        told |= {"used": used, "usage_limit": plan.limit, "interval": str(plan.interval)}
        told["next_cycle_begins"] = f"{begins:%Y-%m-%d}"
    return told


def _entitlement(one: Sold, addresses: Addresses) -> dict[str, Any]:
    query = [("q", f"productid:{one.id}")]
    return {
        "id": one.id,
        "name": one.name,
        "type": "Product" if len(one.products) == 1 else "Package",
        "search_link": addresses.of("/content/search", query),
        "feed_link": addresses.of("/content/feed", query),
    }


def _terms(one: Entitlement) -> dict[str, Any]:
    told = {
        "tier": one.tier,
        "meter_ticks": one.ticks,
        "base_cost": float(one.cost),
        "overage_allowed": one.overage is not None,
        "overage_cost": None if one.overage is None else float(one.overage),
        "currency": one.currency,
        "daypart": {"type": one.day_part} if one.day_part else None,
    }
    return {name: value for name, value in told.items() if value not in (None, "")}


@served(router, "/account/followedtopics", "AP: followed topics", _TABLE)
async def followed_topics(
    request: Request, surface: SurfaceDep, caller: CallerDep, asked: Annotated[TableAsked, Query()]
) -> Response:
    """The topics that the account follows; `followedtopics:ID` in a query asks for their items."""
    topics, title = surface.services.topics, title_of(surface.services, caller)
    found = await surface.accounts.run(partial(topics.all, caller), caller) if topics else ()
    rows = [{"id": one.id, "name": one.name} for one in found]
    if asked.format == "csv":
        return _table(request, ("id", "name"), rows)
    return answer(
        request, title, {**_head("followedtopics", caller, title), "followedtopics": rows}
    )


@served(router, "/account/quotas", "AP: quotas", dependencies=[Depends(no_parameters)])
async def quotas(request: Request, surface: SurfaceDep, caller: CallerDep) -> Response:
    """How many requests of each method the account may make in a minute, and in a day."""
    accounts, title = surface.services.accounts, title_of(surface.services, caller)
    found = accounts.quotas.of(caller.account) if accounts else {}
    rows = [
        {"method": str(method), "limit": limit, "period": period}
        for method, quota in found.items()
        for limit, period in ((quota.minute, "minute"), (quota.day, "day"))
    ] or rates_of(caller)
    data = {**_head("quotas", caller, title), "account": caller.account, "quotas": rows}
    return answer(request, title, data)


@served(router, "/account/downloads", "AP: what was downloaded", _TABLE)
async def downloads(
    request: Request,
    surface: SurfaceDep,
    caller: CallerDep,
    asked: Annotated[DownloadsAsked, Query()],
) -> Response:
    """The orders of the account: of the last 30 days if no dates are given, the newest first."""
    accounts, title = surface.services.accounts, title_of(surface.services, caller)
    first, last = _range(asked, datetime.now(UTC))
    history: Sequence[Download] = ()
    if accounts is not None:
        history = await surface.accounts.run(
            partial(accounts.downloads.history, caller.account, first, last, asked.order), caller
        )
    rows = _chosen([_download(one, title) for one in history], asked, _DOWNLOAD)
    if asked.format == "csv":
        return _table(request, _DOWNLOAD_COLUMNS, _flat(rows))
    data = {
        **_head("downloads", caller, title),
        "total_items": len(rows),
        "current_item_count": len(rows),
        "min_date": time_text(first),
        "max_date": time_text(last),
        "downloads": rows,
    }
    return answer(request, title, data)


def _download(one: Download, title: str) -> dict[str, Any]:
    """Return an order, without anything of the item's content: that may have been killed since."""
    kind = one.order.kind.lower()
    return {
        "id": str(one.id),
        "item": {"id": one.order.uri, "type": kind.capitalize() if kind in _TYPES else "Unknown"},
        "org_name": title,
        "downloaded_by": one.order.key,
        "download_date": time_text(one.order.at),
        "duplicate": one.duplicate,
        "charge": float(one.charge.amount),
        "currency": one.charge.currency,
    }


class DatesError(InputError):
    """The dates of a history can't be asked for together; `code` says why."""

    def __init__(self, code: str, what: str, mend: str) -> None:
        super().__init__(what, mend=mend)
        self.code = code


def _range(asked: DownloadsAsked, moment: datetime) -> tuple[datetime, datetime]:
    """Return the dates of a request for downloads. Raises DatesError, ParameterError."""
    last = _read("max_date", asked.max_date, moment, end=True) or moment
    first = _read("min_date", asked.min_date, moment, end=False) or moment - timedelta(days=30)
    if asked.max_date and not asked.min_date:
        first = min(first, last - timedelta(days=30))
    if first > moment:
        raise DatesError("min_date_in_future", "min_date is not before today.", "Take another day.")
    if first >= last:
        raise DatesError(
            "min_date_after_max_date", "min_date is not before max_date.", "Swap them."
        )
    if last - first > LONGEST_RANGE + timedelta(seconds=1):
        raise DatesError(
            "range_too_long",
            f"min_date and max_date are more than {LONGEST_RANGE.days} days apart.",
            "Ask for parts of it.",
        )
    if moment - first > KEPT + timedelta(days=1):
        raise DatesError(
            "min_date_too_old",
            f"min_date is more than {KEPT.days} days ago.",
            "Take a later day: nothing older is kept.",
        )
    return first, last


def _read(name: str, text: str, moment: datetime, *, end: bool) -> datetime | None:
    """Return a date as AP's clients write it; None for an empty text. Raises ParameterError."""
    if not text:
        return None
    try:
        return _dated(text, moment, end=end)
    except (ValueError, OverflowError):
        raise ParameterError(
            f"{name} '{text[:40]}' can't be read as a date.", field=name, mend=_HOW_TO_DATE
        ) from None


def _dated(text: str, moment: datetime, *, end: bool) -> datetime:
    if (back := _DURATION.fullmatch(text)) is not None and any(back.groups()):
        months, weeks, days, hours = (int(part or 0) for part in back.groups())
        return moment - timedelta(days=30 * months + 7 * weeks + days, hours=hours)
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(text)
    if found["month"]:
        day = datetime.fromisoformat(f"{found['month']}-01").replace(tzinfo=UTC)
        return (day + timedelta(days=31)).replace(day=1) if end else day
    read = datetime.fromisoformat(found["moment"]).replace(tzinfo=UTC)
    return read + timedelta(days=1) if end and "T" not in text else read


def title_of(services: Services, caller: Caller) -> str:
    """Return the name of a caller's organisation."""
    return services.accounts.title(caller) if services.accounts else caller.name


def _head(what: str, caller: Caller, title: str) -> dict[str, Any]:
    return {"id": f"{caller.account}/{what}", "title": f"{title}: {what}", "updated": now()}


_PLAN_COLUMNS = (
    *("id", "name", "updated", "plan_style", "used", "usage_limit", "interval"),
    *("next_cycle_begins", "entitlements.id", "entitlements.name", "entitlements.type"),
    *("entitlements.tier", "entitlements.meter_ticks", "entitlements.base_cost"),
    *("entitlements.overage_allowed", "entitlements.overage_cost", "entitlements.currency"),
    *("entitlements.search_link", "entitlements.feed_link"),
)
_DOWNLOAD_COLUMNS = (
    *("id", "item.id", "item.type", "org_name", "downloaded_by", "download_date"),
    *("duplicate", "charge", "currency"),
)
_PLAN = frozenset({*_PLAN_COLUMNS, "entitlements", "entitlements.daypart"})
_DOWNLOAD = frozenset({*_DOWNLOAD_COLUMNS, "item"})


def _chosen(
    rows: Sequence[dict[str, Any]], asked: PlansAsked | DownloadsAsked, known: frozenset[str]
) -> list[dict[str, Any]]:
    """Return the rows with the members that `include` and `exclude` ask for. Raises ParameterError
    for a name that no row has.
    """
    for name in (*asked.include, *asked.exclude):
        if name not in known and name != "*":
            raise ParameterError(
                f"'{name[:80]}' is no member of these rows.",
                field="include",
                mend=f"The members are {', '.join(sorted(known))}.",
            )
    include = [] if "*" in asked.include else asked.include
    return [_without(_only(row, include), asked.exclude) for row in rows]


def _only(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    heads = {name.partition(".")[0] for name in names}
    kept = {name: value for name, value in row.items() if not names or name in heads}
    for head in heads - set(names):
        below = {name.partition(".")[2] for name in names if name.startswith(f"{head}.")}
        _inside(kept, head, lambda name, below=below: name in below)  # type: ignore[misc]
    return kept


def _without(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name not in names}
    for head, _, below in (name.partition(".") for name in names if "." in name):
        _inside(kept, head, lambda name, below=below: name != below)  # type: ignore[misc]
    return kept


def _inside(row: dict[str, Any], head: str, keeps: Callable[[str], bool]) -> None:
    """Leave only the members that `keeps` says of what stands at `head`, an object or several."""
    value = row.get(head)
    if isinstance(value, Mapping):
        row[head] = {name: member for name, member in value.items() if keeps(name)}
    elif isinstance(value, list):
        row[head] = [{n: member for n, member in one.items() if keeps(n)} for one in value]


def _flat(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows for a table: a line for each entitlement of a plan."""
    lines: list[dict[str, Any]] = []
    for row in rows:
        plain = {name: value for name, value in row.items() if not isinstance(value, (list, dict))}
        inner = [(name, value) for name, value in row.items() if isinstance(value, (list, dict))]
        several = [
            {f"{name}.{member}": told for member, told in one.items()}
            for name, value in inner
            for one in (value if isinstance(value, list) else [value])
        ]
        lines += [{**plain, **one} for one in several or [{}]]
    return lines


def _table(request: Request, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Response:
    """Return rows as CSV, with the columns that any row has."""
    shown = [name for name in columns if not rows or any(name in row for row in rows)]
    text = csv_text(shown, [{name: row.get(name, "") for name in shown} for row in rows])
    return delivered(request, text.encode(), CSV)
