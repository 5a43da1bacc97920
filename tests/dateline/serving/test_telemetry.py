"""What a process tells OpenTelemetry, and that it tells nothing unasked."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from core import tracing
from core.errors import SettingsError
from core.threads import Threads
from core.tracing import Span, Trace
from dateline.serving.telemetry import telemetry
from dateline.settings import Settings
from tests.otlp_collector import Collector, collecting


def exporter_is_installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


installed = pytest.mark.skipif(not exporter_is_installed(), reason="needs the extra [otel]")
ASKED = Settings(otel=True)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as one:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", one.address)
        yield one


def test_nothing_is_set_up_unasked() -> None:
    with telemetry(Settings()), Trace("a request"):
        assert tracing.header() == ""


@pytest.mark.skipif(exporter_is_installed(), reason="has the extra [otel]")
def test_a_missing_extra_is_named() -> None:
    with pytest.raises(SettingsError, match="traces can't be sent") as caught, telemetry(ASKED):
        pass
    assert "[otel]" in caught.value.mend


@installed
def test_spans_reach_a_collector_as_one_tree(collector: Collector) -> None:
    pool = Threads(1)
    with telemetry(ASKED), Trace("GET /x") as root:
        root.set({"http.response.status_code": 200, "dateline.degraded": ("rerank",)})
        with Span("outer", {"dateline.profile": "best"}):
            pool.submit(inner).result()
    pool.shutdown()
    assert [collector.path(span) for span in collector.named("inner")] == [
        ["GET /x", "outer", "inner"]
    ]
    (root_span,) = collector.named("GET /x")
    assert root_span.attributes == {
        "http.response.status_code": 200,
        "dateline.degraded": ["rerank"],
    }
    assert root_span.kind == 2  # a server's
    assert root_span.service == "dateline"
    (failed,) = collector.named("failing")
    assert failed.failed
    assert failed.attributes == {"error.type": "ValueError"}


def inner() -> None:
    with Span("inner"):
        pass
    with pytest.raises(ValueError, match="secret"), Span("failing"):
        raise ValueError("a secret")


@installed
def test_logs_have_the_trace_and_no_text_of_an_exporter(collector: Collector) -> None:
    with telemetry(ASKED), Trace("GET /x"):
        logging.getLogger("dateline.test").warning("%s is late", "it")
        logging.getLogger("opentelemetry.sdk").warning("about sending")
    (record,) = collector.logs
    assert record.body.string_value == "it is late"
    assert record.severity_text == "WARNING"
    assert record.trace_id.hex() == collector.spans[0].trace
    assert record.span_id.hex() == collector.spans[0].id


@installed
def test_metrics_of_each_kind_are_those_of_the_page(collector: Collector) -> None:
    registry = CollectorRegistry()
    Counter("asked", "How many.", ("by",), registry=registry).labels("desk").inc(3)
    Gauge("waiting", "How many wait.", registry=registry).set(2)
    times = Histogram("took_seconds", "How long.", buckets=(0.1, 1.0), registry=registry)
    for seconds in (0.05, 0.5, 0.5, 7.0):
        times.observe(seconds)
    with telemetry(ASKED) as told:
        told.tell_metrics(registry.collect)
        told.last_metrics()
    (asked,) = collector.metrics["asked"].sum.data_points
    assert asked.as_double == 3
    assert asked.attributes[0].value.string_value == "desk"
    assert collector.metrics["asked"].sum.is_monotonic
    assert collector.metrics["waiting"].gauge.data_points[0].as_double == 2
    (took,) = collector.metrics["took_seconds"].histogram.data_points
    assert list(took.explicit_bounds) == [0.1, 1.0]
    assert list(took.bucket_counts) == [1, 2, 1]
    assert (took.count, took.sum) == (4, pytest.approx(8.05))


@installed
@pytest.mark.parametrize(
    ("sampler", "share", "callers", "kept"),
    [
        ("always_off", "", "", False),
        ("always_on", "", "00", True),
        ("parentbased_always_on", "", "00", False),
        ("parentbased_always_off", "", "01", True),
        ("traceidratio", "0", "01", False),
        ("traceidratio", "1", "00", True),
    ],
)
def test_the_sampler_of_the_environment_decides(
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
    sampler: str,
    share: str,
    callers: str,
    kept: bool,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", share)
    caller = f"00-{7:032x}-{9:016x}-{callers}" if callers else ""
    with telemetry(ASKED), Trace("GET /x", header=caller), Span("inner"):
        assert tracing.header().endswith("-01" if kept else "-00")
    assert len(collector.spans) == (2 if kept else 0)


@installed
def test_a_share_keeps_about_so_many(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.1")
    with telemetry(ASKED):
        for _ in range(2000):
            with Trace("GET /x"):
                pass
    assert 120 < len(collector.spans) < 290  # 200 and seven standard deviations


@installed
def test_an_unknown_sampler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "jaeger_remote")
    with pytest.raises(SettingsError, match="no sampler"), telemetry(ASKED):
        pass


@installed
@pytest.mark.parametrize("allowed", [False, True])
def test_texts_of_callers_need_a_setting(collector: Collector, allowed: bool) -> None:
    with telemetry(Settings(otel=True, otel_queries=allowed)), Trace("GET /x") as span:
        span.quote("dateline.query", "minister resigns")
    assert collector.spans[0].attributes == (
        {"dateline.query": "minister resigns"} if allowed else {}
    )


@pytest.mark.parametrize(
    "header",
    ["", "nonsense", f"00-{0:032x}-{9:016x}-01", f"00-{7:032x}-{0:016x}-01", "00-7-9-01"],
)
def test_a_header_that_can_not_be_read_is_no_place(header: str) -> None:
    assert tracing.place_of(header) is None
