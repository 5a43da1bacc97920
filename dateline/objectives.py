"""A running service against its objectives, by its own metrics: what `doctor --service` shows.

The objectives are those of deploy/observability/rules.yaml. Rates there are of the last minutes;
here counters are read once, so each share is of all since the service's start.
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
_OLDEST_S = 300.0

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

    def total(self, name: str, has: Callable[[Labels], bool] = lambda labels: True) -> float:
        """Return the sum of a metric's series that have such labels."""
        return sum(v for found, labels, v in self.samples if found == name and has(labels))

    def within(self, name: str, le: str, **labels: str) -> tuple[float, float]:
        """Return how many of a histogram's values are at most `le`, and how many there are."""

        def has(found: Labels) -> bool:
            return all(found.get(label) == value for label, value in labels.items())

        few = self.total(f"{name}_bucket", lambda found: has(found) and found["le"] == le)
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


def objectives(page: Page) -> list[Finding]:
    """Return a finding for each objective."""
    requests = "dateline_http_requests_total"
    every = page.total(requests)
    failed = page.total(requests, lambda labels: labels["status"].startswith("5"))
    searches = page.within("dateline_search_stage_seconds", "0.25", stage="total")
    kills = page.within("dateline_http_request_seconds", "0.5", route=_STATUS)
    wanted = page.total("dateline_recall_wanted_total")
    found = page.total("dateline_recall_found_total")
    lag = page.total("dateline_projection_lag")
    oldest = page.total("dateline_webhook_oldest_seconds")
    held = page.total("dateline_clock_held_seconds")
    return [
        _share(
            "answers without a 5xx", every - failed, every, 0.999, "look at its log, by `level`"
        ),
        _share(
            "searches within .25 s", *searches, 0.95, "more processes, hosts or a faster profile"
        ),
        _share("changes of state within .5 s", *kills, 0.99, "dateline doctor, where it runs"),
        _share("recall@10", found, wanted, 0.97, "dateline rebuild; then raise hnsw_ef_search"),
        Finding(
            "freshness",
            lag == 0,
            f"projections are {lag:,.0f} changes behind",
            "dateline status: another process may own the indexes, or have ended",
        ),
        Finding(
            "webhooks",
            oldest <= _OLDEST_S,
            f"the oldest message has waited for {oldest:,.0f} s",
            "docs/webhooks.md says what holds messages up",
        ),
        Finding("clock", held == 0, f"a step of {held:,.0f} s is held", "dateline clock"),
        Finding("captions", True, f"cost {page.total('dateline_caption_spend_total'):,.2f}"),
    ]


def _share(what: str, good: float, every: float, least: float, mend: str) -> Finding:
    if not every:
        return Finding(what, True, "none since its start")
    share = good / every
    says = f"{share:.2%} of {every:,.0f} since its start; {least:.1%} is the objective"
    return Finding(what, share >= least, says, mend)
