"""Spans, log records and metrics as OTLP, sent over HTTP by a thread.

Requests only put tuples into a list; this thread makes OpenTelemetry's values of them each second,
and the exporters of its SDK send these. They read OpenTelemetry's own variables for the address,
headers, certificates and timeouts. Where the collector is slow or away, what finds no room is
dropped and counted: a service never waits for it.

The thread has the usual priority. With a lower one it loses its processor to a model's threads
while it holds the interpreter, which a search then waits for: 11 ms more in a run that took 4
more with the usual one.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from prometheus_client import Metric as Figures

from core.tracing import Finished, place
from dateline.serving.log_lines import members

_SCOPE = InstrumentationScope("dateline")
_KINDS = {kind.name.lower(): kind for kind in SpanKind}
_SEVERITIES = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}
_MOST = 50_000  # spans, and log records, that wait to be sent
_AT_ONCE = 512
_ROUND_S = 1.0
_METRICS_S: Final = 15.0
_CUMULATIVE = AggregationTemporality.CUMULATIVE
T = TypeVar("T")
Collect = Callable[[], Iterable[Figures]]


class Sender(logging.Handler):
    """Sends what this process writes, until `close`. As a handler it takes log records."""

    def __init__(self, version: str, every_s: float = _ROUND_S) -> None:
        super().__init__()
        self.collect: Collect | None = None  # the process's metrics, where it has some
        self.dropped = 0
        self._every_s = every_s
        self._resource = Resource.create(
            {
                "service.version": version,
                "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
                "process.pid": os.getpid(),
            }
        )
        self._exporters = OTLPSpanExporter(), OTLPLogExporter(), OTLPMetricExporter()
        self._spans: deque[Finished] = deque()
        self._records: deque[ReadableLogRecord] = deque()
        self._began = time.time_ns()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Spans that are not sent yet."""
        return len(self._spans)

    def write(self, span: Finished) -> None:
        """Take a span."""
        if len(self._spans) < _MOST:
            self._spans.append(span)
        else:
            self.dropped += 1

    def emit(self, record: logging.LogRecord) -> None:
        """Take a log record, but none of the exporters, which would be about sending it."""
        if record.name.startswith(("opentelemetry", "urllib3")):
            return
        if len(self._records) < _MOST:
            self._records.append(_record(record, self._resource))
        else:
            self.dropped += 1

    def close(self) -> None:
        """Send what is left, and end; do nothing the second time, which is the log's own."""
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join()
            for exporter in self._exporters:
                exporter.shutdown()
        super().close()

    def _run(self) -> None:
        next_metrics = 0.0
        while not self._ended.wait(self._every_s):
            self._send()
            if time.monotonic() >= next_metrics:
                self.send_metrics()
                next_metrics = time.monotonic() + _METRICS_S
        self._send()
        self.send_metrics()

    def _send(self) -> None:
        spans, records, _ = self._exporters
        epoch = time.time_ns() - time.perf_counter_ns()
        while self._spans:
            spans.export([_span(span, epoch, self._resource) for span in _taken(self._spans)])
        while self._records:
            records.export(_taken(self._records))

    def send_metrics(self) -> None:
        """Send the metrics of this moment."""
        collect = self.collect
        if collect is None:
            return
        try:
            found = collect()
        except Exception as error:  # noqa: BLE001  the next round may have them
            logging.getLogger(__name__).warning("metrics can't be read: %s", type(error).__name__)
            return
        metrics = [_metric(figures, self._began, time.time_ns()) for figures in found]
        scope = ScopeMetrics(_SCOPE, [one for one in metrics if one is not None], "")
        self._exporters[2].export(MetricsData([ResourceMetrics(self._resource, [scope], "")]))


def _taken(queue: deque[T]) -> list[T]:
    """Take the first entries out of a queue, which only this thread makes shorter."""
    return [queue.popleft() for _ in range(min(_AT_ONCE, len(queue)))]


def _span(span: Finished, epoch: int, resource: Resource) -> ReadableSpan:
    """Return OpenTelemetry's form; `epoch` is the time of the clock's zero in nanoseconds."""
    error = {"error.type": span.error} if span.error else {}
    failed = span.error or span.attributes.get("error.type")
    return ReadableSpan(
        span.name,
        _context(span.trace, span.id),
        _context(span.trace, span.parent) if span.parent else None,
        resource,
        {**span.attributes, **error},
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
        start_time=epoch + int(span.began * 1e9),
        end_time=epoch + int(span.ended * 1e9),
        instrumentation_scope=_SCOPE,
    )


def _context(trace: int, span: int) -> SpanContext:
    return SpanContext(trace, span, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _record(record: logging.LogRecord, resource: Resource) -> ReadableLogRecord:
    told = members(record)
    here = place()
    log_record = LogRecord(
        timestamp=int(record.created * 1e9),
        context=Context(),
        severity_text=record.levelname,
        severity_number=_SEVERITIES.get(record.levelno, SeverityNumber.UNSPECIFIED),
        body=told.pop("message", ""),
        attributes={name: value for name, value in told.items() if _is_plain(value)},
    )
    if here is not None:
        log_record.trace_id, log_record.span_id = here.trace, here.span
        log_record.trace_flags = TraceFlags(int(here.kept))
    return ReadableLogRecord(log_record, resource, InstrumentationScope(record.name))


def _is_plain(value: object) -> bool:
    return isinstance(value, str | bool | int | float)


def _metric(figures: Figures, began: int, now: int) -> Metric | None:
    """Return a metric of Prometheus in OpenTelemetry's form; None for a kind that it has not."""
    data: Any
    if figures.type in ("gauge", "unknown", "info"):
        data = Gauge([_number(sample, 0, now) for sample in figures.samples])
    elif figures.type == "counter":
        samples = [sample for sample in figures.samples if sample.name.endswith("_total")]
        data = Sum([_number(sample, began, now) for sample in samples], _CUMULATIVE, True)
    elif figures.type == "histogram":
        data = Histogram(_histograms(figures.samples, began, now), _CUMULATIVE)
    else:
        return None
    return Metric(figures.name, figures.documentation, figures.unit, data)


def _number(sample: Any, began: int, now: int) -> NumberDataPoint:
    return NumberDataPoint(dict(sample.labels), began, now, sample.value)


def _histograms(samples: Sequence[Any], began: int, now: int) -> list[HistogramDataPoint]:
    """Return a point for each series. Prometheus counts each bucket with all lower ones."""
    series: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for sample in samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        one = series.setdefault(tuple(sorted(labels.items())), {"le": []})
        if sample.name.endswith("_bucket"):
            one["le"].append((float(sample.labels["le"]), sample.value))
        else:
            one[sample.name.rpartition("_")[2]] = sample.value
    return [_histogram(dict(labels), one, began, now) for labels, one in series.items()]


def _histogram(
    labels: Mapping[str, str], one: dict[str, Any], began: int, now: int
) -> HistogramDataPoint:
    buckets = sorted(one["le"])
    counts = [count for _, count in buckets]
    own = [int(count - before) for before, count in zip([0, *counts], counts, strict=False)]
    bounds = [bound for bound, _ in buckets[:-1]]
    total, sum_ = int(one.get("count", 0)), float(one.get("sum", 0.0))
    nan = float("nan")
    return HistogramDataPoint(dict(labels), began, now, total, sum_, own, bounds, nan, nan)
