"""The metrics for operators, in Prometheus's terms; one registry per application."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from math import nan
from typing import Any, TypeAlias

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Metric,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.samples import Sample

from api.models.metrics import ModelMetrics

_MADE = "_created"  # when a series began; it can't be summed
# Of one process; the others add nothing to them.
_OWN = frozenset({"process_start_time_seconds", "process_max_fds", "dateline_build_info"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

# For each series the metric's name, the sample's name, its labels, and the value.
Figures: TypeAlias = Sequence[tuple[str, str, Mapping[str, str], float]]


class Metrics:
    """Counters that requests and `models` feed, and gauges that are set from the status at a
    scrape.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        build = Info("dateline_build", "What runs here.", registry=self._registry)
        build.info({"version": _version(), "python": platform.python_version()})
        self.models = ModelMetrics(self._registry)
        self._spend = Counter(
            "dateline_caption_spend",
            "What captions cost, in the currency of their prices.",
            ("model",),
            registry=self._registry,
        )
        self._caption_tokens = Counter(
            "dateline_caption_tokens",
            "Tokens of captions.",
            ("model", "direction"),
            registry=self._registry,
        )
        self._spent_today = Gauge(
            "dateline_caption_spent_today",
            "What captions cost today (UTC), of all processes, with what is set aside for batches.",
            registry=self._registry,
        )
        self._cap = Gauge(
            "dateline_caption_daily_spend",
            "The cap of a day; NaN if there is none.",
            registry=self._registry,
        )
        self._requests = Counter(
            "dateline_http_requests",
            "Answers by method, route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "dateline_http_request_seconds",
            "Time to the last byte of an answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._stages = Histogram(
            "dateline_search_stage_seconds",
            "Time in each stage of a search; stage total is the whole of it.",
            ("stage",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._by_stage: dict[str, Histogram] = {}
        self._degraded = Counter(
            "dateline_search_degraded",
            "Searches of which a stage was skipped or cut short.",
            registry=self._registry,
        )
        self._refused = Counter(
            "dateline_http_refused",
            "Requests refused because too many were waiting.",
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "dateline_http_in_flight", "Requests being answered.", registry=self._registry
        )
        self.searchers = Gauge(
            "dateline_search_processes",
            "Processes that search and are ready; 0 where threads of the service search.",
            registry=self._registry,
        )
        self._readers = Gauge(
            "dateline_feed_readers", "Requests for a feed that are held.", registry=self._registry
        )
        self._items = Gauge("dateline_items", "Items recorded.", registry=self._registry)
        self._visible = Gauge("dateline_items_visible", "Items visible.", registry=self._registry)
        self._passages = Gauge("dateline_passages", "Passages embedded.", registry=self._registry)
        self._cursors = Gauge(
            "dateline_cursors_shared",
            "1 where other services can go on with cursors of this one, 0 where they can't.",
            registry=self._registry,
        )
        self._clock = Gauge(
            "dateline_clock_held_seconds",
            "How far the system's clock is ahead of the archive's, where a step is held.",
            registry=self._registry,
        )
        self._webhooks = Gauge(
            "dateline_webhooks",
            "Messages of webhooks that wait to be sent, or were given up.",
            ("state",),
            registry=self._registry,
        )
        self._webhook_age = Gauge(
            "dateline_webhook_oldest_seconds",
            "How long the oldest message that waits has waited.",
            registry=self._registry,
        )
        self._webhook_attempts = Gauge(
            "dateline_webhook_attempts",
            "Messages that this process tried to send since its start, by what came of it.",
            ("outcome",),
            registry=self._registry,
        )
        self._work_age = Gauge(
            "dateline_work_oldest_seconds",
            "How long the oldest order that no worker has waits, by queue.",
            ("queue",),
            registry=self._registry,
        )
        self._live_lag = Gauge(
            "dateline_live_lag_seconds",
            "The longest time from the end of a live shot, or of live words, until searches found "
            "it, in the last minute; 0 where there was none.",
            ("of",),
            registry=self._registry,
        )
        self._recall_checks = Counter(
            "dateline_recall_checks",
            "Searches whose nearest items were compared with the exact scan.",
            ("field",),
            registry=self._registry,
        )
        self._recall_wanted = Counter(
            "dateline_recall_wanted",
            "The nearest items of these searches, at most ten of each.",
            ("field",),
            registry=self._registry,
        )
        self._recall_found = Counter(
            "dateline_recall_found",
            "Those of the nearest items that the searches had found.",
            ("field",),
            registry=self._registry,
        )
        self._lag = Gauge(
            "dateline_projection_lag",
            "Changes that a projection has not applied yet.",
            ("projection",),
            registry=self._registry,
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self) -> None:
        """Count a request that found every place taken."""
        self._refused.inc()

    def refused_at_once(self, method: str, route: str, status: int) -> None:
        """Count a request that was refused before routing. Its time is not counted, for it says
        nothing of how long answers take.
        """
        self._requests.labels(method, route, str(status)).inc()

    def searched(self, milliseconds: Mapping[str, float], *, degraded: bool) -> None:
        """Count a search, with the milliseconds of its stages."""
        for stage, spent in milliseconds.items():
            histogram = self._by_stage.get(stage)
            if histogram is None:
                histogram = self._by_stage[stage] = self._stages.labels(stage)
            histogram.observe(spent / 1000)
        if degraded:
            self._degraded.inc()

    def captioned(self, model: str, tokens_in: int, tokens_out: int, price: float) -> None:
        """Count an answer of a provider of captions."""
        self._spend.labels(model).inc(price)
        self._caption_tokens.labels(model, "in").inc(tokens_in)
        self._caption_tokens.labels(model, "out").inc(tokens_out)

    def of_captions(self) -> Iterable[Metric]:
        """Return the metrics of a process that only asks for captions."""
        return [*self._spend.collect(), *self._caption_tokens.collect()]

    def recall_checked(self, field: str, found: int, wanted: int) -> None:
        """Count a search in one vector field that was compared with the exact scan."""
        self._recall_checks.labels(field).inc()
        self._recall_wanted.labels(field).inc(wanted)
        self._recall_found.labels(field).inc(found)

    def figures(self) -> Figures:
        """Return the counts of this process, for the metrics page of another process. What can't be
        summed stays out.
        """
        return [
            (metric.name, sample.name, sample.labels, sample.value)
            for metric in self._registry.collect()
            for sample in metric.samples
            if not sample.name.endswith(_MADE) and sample.name not in _OWN
        ]

    def page(self, status: Mapping[str, Any], others: Iterable[Figures] = ()) -> bytes:
        """Return `collected` in Prometheus's text format."""
        return generate_latest(_Page(self.collected(status, others)))

    def collected(
        self, status: Mapping[str, Any], others: Iterable[Figures] = ()
    ) -> Iterable[Metric]:
        """Return every metric, with gauges from `status` (`StatusPort`). The counts of `others` are
        added; of gauges, only those that every process has at this moment.
        """
        gauges = (("items", self._items), ("visible", self._visible), ("passages", self._passages))
        for name, gauge in gauges:
            if isinstance(status.get(name), (int, float)):
                gauge.set(status[name])
        cursors = dict(status.get("cursors") or {})
        self._cursors.set(cursors.get("kept") == "shared" and not cursors.get("failure"))
        self._clock.set(dict(status.get("clock") or {}).get("held_seconds", 0))
        projections = dict(status.get("projections") or {})
        transitions = projections.get("transitions") or {}
        self._readers.set(transitions.get("readers", 0))
        for name, projection in projections.items():
            lag = projection.get("lag", 0) if isinstance(projection, Mapping) else projection
            self._lag.labels(str(name)).set(lag)
        self._set_webhooks(dict(status.get("webhooks") or {}))
        self._set_work(dict(status.get("work") or {}))
        added = [figure for figures in others for figure in figures]
        return _summed(self._registry.collect(), added)

    def _set_work(self, work: Mapping[str, Any]) -> None:
        """Set what is known, and forget what was known before."""
        self._work_age.clear()
        self._live_lag.clear()
        for kind, seconds in dict(work.get("live_lag_seconds") or {}).items():
            self._live_lag.labels(kind).set(seconds)
        for queue, seconds in dict(work.get("oldest_seconds") or {}).items():
            self._work_age.labels(queue).set(seconds)
        for name, gauge in (("spent_today", self._spent_today), ("daily_spend", self._cap)):
            amount = work.get(name)
            gauge.set(nan if amount is None else amount)

    def _set_webhooks(self, webhooks: Mapping[str, Any]) -> None:
        for state in ("waiting", "dead"):
            self._webhooks.labels(state).set(webhooks.get(state, 0))
        self._webhook_age.set(webhooks.get("oldest_seconds", 0.0))
        for outcome, count in dict(webhooks.get("attempts") or {}).items():
            self._webhook_attempts.labels(outcome).set(count)


@dataclass(frozen=True, slots=True)
class _Page:
    """Metrics as a registry, as Prometheus's library wants them."""

    metrics: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self.metrics


def _version() -> str:
    try:
        return metadata.version("dateline-search")
    except metadata.PackageNotFoundError:  # it runs from a checkout
        return "unknown"


def _summed(own: Iterable[Metric], others: Figures) -> Iterable[Metric]:
    """Return each metric once, each of its series summed over this process and the `others`."""
    metrics = {metric.name: metric for metric in own}
    sums: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], Sample]] = {
        name: {_series(sample.name, sample.labels): sample for sample in metric.samples}
        for name, metric in metrics.items()
    }
    for name, sample_name, labels, value in others:
        series, key = sums[name], _series(sample_name, labels)
        before = series[key].value if key in series else 0.0
        series[key] = Sample(sample_name, dict(labels), before + value)
    for name, metric in metrics.items():
        metric.samples = [*sums[name].values()]
    return metrics.values()


def _series(name: str, labels: Mapping[str, str]) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())
