"""What a process tells OpenTelemetry, and that it tells nothing unasked."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from core import tracing
from core.errors import SettingsError
from core.threads import Threads
from core.tracing import Span, Trace
from dateline.serving.otlp import Sender
from dateline.serving.telemetry import telemetry
from dateline.settings import Settings
from tests.otlp_collector import Collector, collecting

ASKED = Settings(otel=True)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    pytest.importorskip("opentelemetry.proto", reason="needs opentelemetry-proto")
    with collecting() as one:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", one.address)
        yield one


def test_nothing_is_set_up_unasked() -> None:
    with telemetry(Settings()), Trace("a request"):
        assert tracing.header() == ""


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


def test_logs_have_the_trace_and_no_text_of_an_exporter(collector: Collector) -> None:
    with telemetry(ASKED), Trace("GET /x"):
        logging.getLogger("dateline.test").warning("%s is late", "it")
        logging.getLogger("httpx").warning("about sending")
    (record,) = collector.logs
    assert record.body.string_value == "it is late"
    assert record.severity_text == "WARNING"
    assert record.trace_id.hex() == collector.spans[0].trace
    assert record.span_id.hex() == collector.spans[0].id


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


def test_a_share_keeps_about_so_many(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.1")
    with telemetry(ASKED):
        for _ in range(2000):
            with Trace("GET /x"):
                pass
    assert 120 < len(collector.spans) < 290  # 200 and seven standard deviations


def test_an_unknown_sampler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "jaeger_remote")
    with pytest.raises(SettingsError, match="no sampler"), telemetry(ASKED):
        pass


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
    ],
)
def test_an_address_that_can_not_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught, telemetry(ASKED):
        pass
    assert caught.value.where


def test_the_environment_names_the_service_and_the_form(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=late,deployment=a%20b")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "wire")
    with telemetry(ASKED), Trace("GET /x"):
        pass
    assert collector.spans[0].service == "wire"
    assert b'"a b"' in collector.bodies[0]


def test_what_a_collector_could_not_take_is_sent_again(collector: Collector) -> None:
    collector.answers = iter([503, 400])
    sender = Sender("1", every_s=None)
    tracing.send_to(tracing.Sink(sender.write))
    try:
        with Trace("first"):
            pass
        assert not sender.send()
        assert sender.waiting == 1
        with Trace("second"):
            pass
        assert sender.send()  # refused for good
        assert (sender.waiting, sender.dropped) == (0, 2)
        with Trace("third"):
            pass
        assert sender.send()
    finally:
        tracing.send_to(None)
        sender.close()
    assert [span.name for span in collector.spans] == ["third"]


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
