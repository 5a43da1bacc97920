"""A running service against its objectives, by its own metrics: what `doctor --service` shows.

The objectives are those of deploy/observability/rules.yaml. Rates there are of the last minutes.
Here counters are read once, so that each share is of all since the service's start, or twice, and
then it is of the time between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx
from prometheus_client.parser import text_string_to_metric_families

from core.errors import InputError, UnavailableError
from dateline.diagnosis import Finding

_STATUS = "/content/{item_id:path}/status"
_PATIENCE_S = 10.0
_MOST_BYTES = 16 * 2**20
_OLDEST_MESSAGE_S = 300.0
_OLDEST_ORDER_S = 900.0
_OF_CAP = 0.8
_COUNTS = ("_total", "_bucket", "_count", "_sum")  # the ends of what only grows

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Page:
    """The samples of a service: name, labels and value of each."""

    samples: Sequence[tuple[str, Labels, float]]

    @classmethod
    def of_text(cls, text: str) -> Page:
        """Read Prometheus's text format. Raises ValueError."""
        families = text_string_to_metric_families(text)
        return cls([(s.name, s.labels, s.value) for one in families for s in one.samples])

    def since(self, before: Page) -> Page:
        """Return the page with what was counted after `before`. A count that went down began anew
        in between, at a restart.
        """
        then = {(name, *sorted(labels.items())): value for name, labels, value in before.samples}

        def after(name: str, labels: Labels, value: float) -> float:
            earlier = then.get((name, *sorted(labels.items())), 0.0)
            return value - earlier if name.endswith(_COUNTS) and earlier <= value else value

        return Page([(name, labels, after(name, labels, v)) for name, labels, v in self.samples])

    def total(self, name: str, has: Callable[[Labels], bool] = lambda labels: True) -> float:
        """Return the sum of a metric's series that have such labels."""
        return sum(v for found, labels, v in self.samples if found == name and has(labels))

    def largest(self, name: str) -> float | None:
        """Return the largest value of a gauge's series; None if none is known."""
        return max((v for found, _, v in self.samples if found == name and v == v), default=None)

    def quantile(self, name: str, at: float, **labels: str) -> float:
        """Return the bound of a histogram below which so large a share of its values are: the next
        of its buckets' bounds; 0.0 without values.
        """
        bounds = {
            float(found["le"])
            for one, found, _ in self.samples
            if one == f"{name}_bucket" and labels.items() <= found.items()
        }
        for bound in sorted(bounds):
            few, every = self.within(name, bound, **labels)
            if few >= at * every:
                return bound if every else 0.0
        return 0.0

    def within(self, name: str, le: float, **labels: str) -> tuple[float, float]:
        """Return how many of a histogram's values are at most `le`, and how many there are."""

        def has(found: Labels) -> bool:
            return all(found.get(label) == value for label, value in labels.items())

        few = self.total(f"{name}_bucket", lambda found: has(found) and float(found["le"]) == le)
        return few, self.total(f"{name}_count", has)


def read_page(url: str, key: str) -> Page:
    """Return the metrics of the service at `url`. Raises InputError and UnavailableError."""
    headers = {"x-api-key": key} if key else {}
    where = f"{url.rstrip('/')}/metrics"
    try:
        answer = httpx.get(where, headers=headers, timeout=_PATIENCE_S)
    except httpx.InvalidURL as error:
        raise InputError(f"this is no address: {error}", where=url) from error
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"the service does not answer ({type(error).__name__})",
            where=url,
            mend="see that it runs and is reached from here",
        ) from error
    if answer.status_code in (401, 403):
        mend = "name a key with inspect or write in the variable DATELINE_SERVICE_KEY"
        raise InputError("the service does not show its metrics to this key", where=url, mend=mend)
    if answer.status_code != 200 or len(answer.content) > _MOST_BYTES:
        raise InputError(f"no metrics are there (HTTP {answer.status_code})", where=where)
    try:
        return Page.of_text(answer.text)
    except ValueError as error:
        raise InputError("what is there are no metrics", where=where) from error


def objectives(page: Page, before: Page | None = None, seconds: float = 0.0) -> list[Finding]:
    """Return a finding for each objective, of all since the service's start, or since `before`,
    which was read so many seconds earlier.
    """
    late = page if before is None else before
    lag = min(one.total("dateline_projection_lag") for one in (page, late))
    held = page.total("dateline_clock_held_seconds")
    counted = page if before is None else page.since(before)
    return [
        *_shares(counted, "since its start" if before is None else f"in {seconds:,.0f} s"),
        Finding(
            "freshness",
            lag == 0,
            f"projections are {lag:,.0f} changes behind",
            "dateline status: another process may own the indexes, or have ended",
        ),
        _age(
            "orders of ingests",
            page.largest("dateline_work_oldest_seconds"),
            _OLDEST_ORDER_S,
            "dateline jobs list; more workers",
        ),
        _age(
            "webhooks",
            page.largest("dateline_webhook_oldest_seconds"),
            _OLDEST_MESSAGE_S,
            "docs/webhooks.md says what holds messages up",
        ),
        Finding("clock", held == 0, f"a step of {held:,.0f} s is held", "dateline clock"),
        _spend(page),
    ]


def _shares(page: Page, when: str) -> list[Finding]:
    requests = "dateline_http_requests_total"
    every = page.total(requests)
    failed = page.total(requests, lambda labels: labels["status"].startswith("5"))
    searches, kills = "dateline_search_stage_seconds", "dateline_http_request_seconds"
    wanted = page.total("dateline_recall_wanted_total")
    found = page.total("dateline_recall_found_total")
    p95 = page.quantile(searches, 0.95, stage="total")
    p99 = page.quantile(kills, 0.99, route=_STATUS)
    return [
        _share("answers without a 5xx", (every - failed, every), 0.999, when, "", _LOG),
        _share(
            "searches within .25 s",
            page.within(searches, 0.25, stage="total"),
            0.95,
            when,
            f"; p95 at most {p95:g} s",
            "more processes, hosts or a faster profile",
        ),
        _share(
            "changes of state within .5 s",
            page.within(kills, 0.5, route=_STATUS),
            0.99,
            when,
            f"; p99 at most {p99:g} s",
            "dateline doctor, where it runs",
        ),
        _share(
            "recall@10",
            (found, wanted),
            0.97,
            when,
            "",
            "dateline rebuild; then raise hnsw_ef_search",
        ),
    ]


_LOG = "look at its log, by `level`"


def _share(
    what: str, counts: tuple[float, float], least: float, when: str, more: str, mend: str
) -> Finding:
    good, every = counts
    if not every:
        return Finding(what, True, f"none {when}")
    share = good / every
    says = f"{share:.2%} of {every:,.0f} {when}; {least:.1%} is the objective{more}"
    return Finding(what, share >= least, says, mend)


def _age(what: str, seconds: float | None, most: float, mend: str) -> Finding:
    if seconds is None:
        return Finding(what, True, "the service does not say")
    return Finding(what, seconds <= most, f"the oldest has waited for {seconds:,.0f} s", mend)


def _spend(page: Page) -> Finding:
    """Return what captions cost today of all processes, against four fifths of the cap."""
    spent = page.largest("dateline_caption_spent_today")
    cap = page.largest("dateline_caption_daily_spend")
    if spent is None:
        return Finding("captions", True, "the service does not say")
    says = f"cost {spent:,.2f} today" + ("" if cap is None else f" of {cap:,.2f}")
    mend = "dateline captions status; at the cap, pictures wait for the next day"
    return Finding("captions", cap is None or spent <= _OF_CAP * cap, says, mend)
