"""Spans, log lines and metrics in the JSON form of OTLP, as values that orjson writes.

Ids are hex, whole numbers of 64 bits are texts, kinds and severities are OpenTelemetry's numbers.
A value that has no form here (None, a mapping, a number that is not finite) is left out.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from prometheus_client import Metric

from core.tracing import Finished, Place

Json: TypeAlias = dict[str, Any]
_SCOPE = {"name": "dateline"}
_KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_SEVERITIES = {"DEBUG": 5, "INFO": 9, "WARNING": 13, "ERROR": 17, "CRITICAL": 21}
_FAILED = {"code": 2}
_CUMULATIVE = 2


class Line(NamedTuple):
    """A log record as it was when it was written: seconds since 1970, the level's name, the
    logger's, what it says, and the place in a trace.
    """

    created: float
    level: str
    logger: str
    says: Mapping[str, Any]
    place: Place | None


def resource(told: Mapping[str, Any]) -> Json:
    """Return what all signals say of the process that sends them."""
    return {"attributes": _attributes(told)}


def traces(spans: Iterable[Finished], epoch: int, of: Json) -> Json:
    """Return a request for spans; `epoch` is the time of the clock's zero in nanoseconds."""
    scope = {"scope": _SCOPE, "spans": [_span(span, epoch) for span in spans]}
    return {"resourceSpans": [{"resource": of, "scopeSpans": [scope]}]}


def logs(lines: Iterable[Line], of: Json) -> Json:
    """Return a request for log lines, by their loggers."""
    by_logger: dict[str, list[Json]] = defaultdict(list)
    for line in lines:
        by_logger[line.logger].append(_line(line))
    scopes = [{"scope": {"name": name}, "logRecords": found} for name, found in by_logger.items()]
    return {"resourceLogs": [{"resource": of, "scopeLogs": scopes}]}


def metrics(found: Iterable[Metric], began: int, now: int, of: Json) -> Json:
    """Return a request for metrics; the moments are nanoseconds since 1970."""
    told = [one for figures in found if (one := _metric(figures, str(began), str(now)))]
    return {"resourceMetrics": [{"resource": of, "scopeMetrics": [_scoped(told)]}]}


def _scoped(told: list[Json]) -> Json:
    return {"scope": _SCOPE, "metrics": told}


def _span(span: Finished, epoch: int) -> Json:
    told: Json = {
        "traceId": f"{span.trace:032x}",
        "spanId": f"{span.id:016x}",
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(epoch + int(span.began * 1e9)),
        "endTimeUnixNano": str(epoch + int(span.ended * 1e9)),
    }
    if span.parent:
        told["parentSpanId"] = f"{span.parent:016x}"
    if span.attributes:
        told["attributes"] = _attributes(span.attributes)
    if span.error:
        told.setdefault("attributes", []).append(_pair("error.type", span.error))
    if span.error or "error.type" in span.attributes:
        told["status"] = _FAILED
    return told


def _line(line: Line) -> Json:
    says = dict(line.says)
    told: Json = {
        "timeUnixNano": str(int(line.created * 1e9)),
        "severityText": line.level,
        "severityNumber": _SEVERITIES.get(line.level, 0),
        "body": {"stringValue": str(says.pop("message", ""))},
        "attributes": _attributes(says),
    }
    if line.place is not None:
        told["traceId"] = f"{line.place.trace:032x}"
        told["spanId"] = f"{line.place.span:016x}"
        told["flags"] = int(line.place.kept)
    return told


def _attributes(told: Mapping[str, Any]) -> list[Json]:
    return [_pair(name, value) for name, value in told.items() if _has_form(value)]


def _has_form(value: object) -> bool:
    return isinstance(value, str | int | tuple | list) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _pair(name: str, value: Any) -> Json:
    return {"key": name, "value": _value(value)}


def _value(value: Any) -> Json:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"arrayValue": {"values": [_value(one) for one in value]}}


def _metric(figures: Metric, began: str, now: str) -> Json | None:
    """Return a metric of Prometheus in OpenTelemetry's form; None for a kind that it has not."""
    data: Json
    if figures.type in ("gauge", "unknown", "info"):
        data = {"gauge": {"dataPoints": _numbers(figures.samples, now)}}
    elif figures.type == "counter":
        samples = [sample for sample in figures.samples if sample.name.endswith("_total")]
        points = [{**point, "startTimeUnixNano": began} for point in _numbers(samples, now)]
        data = {"sum": {"dataPoints": points, "isMonotonic": True} | _cumulative()}
    elif figures.type == "histogram":
        data = {"histogram": {"dataPoints": _histograms(figures.samples, began, now)}}
        data["histogram"] |= _cumulative()
    else:
        return None
    named = {"name": figures.name, "description": figures.documentation, "unit": figures.unit}
    return named | data


def _cumulative() -> Json:
    return {"aggregationTemporality": _CUMULATIVE}


def _numbers(samples: Iterable[Any], now: str) -> list[Json]:
    return [
        {"attributes": _attributes(one.labels), "timeUnixNano": now, "asDouble": float(one.value)}
        for one in samples
        if math.isfinite(one.value)
    ]


def _histograms(samples: Sequence[Any], began: str, now: str) -> list[Json]:
    """Return a point for each series. Prometheus counts each bucket with all lower ones."""
    series: dict[tuple[tuple[str, str], ...], Json] = {}
    for sample in samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        one = series.setdefault(tuple(sorted(labels.items())), {"le": []})
        if sample.name.endswith("_bucket"):
            one["le"].append((float(sample.labels["le"]), sample.value))
        else:
            one[sample.name.rpartition("_")[2]] = sample.value
    times = {"startTimeUnixNano": began, "timeUnixNano": now}
    return [_histogram(dict(labels), one) | times for labels, one in series.items()]


def _histogram(labels: Mapping[str, str], one: Json) -> Json:
    buckets = sorted(one["le"])
    counts = [count for _, count in buckets]
    own = [int(count - before) for before, count in zip([0, *counts], counts, strict=False)]
    return {
        "attributes": _attributes(labels),
        "count": str(int(one.get("count", 0))),
        "sum": float(one.get("sum", 0.0)),
        "bucketCounts": [str(count) for count in own],
        "explicitBounds": [bound for bound, _ in buckets[:-1]],
    }
