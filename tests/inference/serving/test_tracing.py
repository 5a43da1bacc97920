"""Spans of a model's stages: in order, inside the caller's span, nothing where none are wanted."""

from __future__ import annotations

from itertools import pairwise

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from core.observation import Event, Stage, WatchedByAll
from inference.encoder import SentenceEncoder
from inference.models.store import ModelStore
from inference.serving.tracing import SpanWatch, Tracing
from tests.inference.computed_models import WIDTH, ComputedRuntime, folder_like, hidden_states


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """What an application's own tracer provider collects."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter


def test_a_call_has_a_span_for_each_stage(spans: InMemorySpanExporter, models: ModelStore) -> None:
    folder = folder_like(models, "all-MiniLM-L6-v2", dimension=WIDTH)
    runtime = ComputedRuntime(hidden_states, "last_hidden_state")
    encoder = SentenceEncoder.over(folder, runtime, watching=WatchedByAll((Tracing(),)))
    with trace.get_tracer("test").start_as_current_span("search") as search:
        encoder.encode_queries(["oil"])
    told = {span.name: span for span in spans.get_finished_spans()}
    parts = [told[f"dateline.model {stage}"] for stage in Stage]
    for before, after in pairwise(parts):
        assert before.start_time <= before.end_time <= after.start_time + 1000
    for part in parts:
        assert part.parent is not None
        assert part.parent.span_id == search.get_span_context().span_id
        assert dict(part.attributes or {}) == {
            "dateline.model": "all-MiniLM-L6-v2",
            "dateline.task": "query",
        }
        assert told["search"].start_time <= part.start_time + 1_000_000_000  # of two clocks
    assert len(told) == 4


def test_without_a_provider_nothing_happens() -> None:
    watch = SpanWatch({})
    watch.timed(Stage.QUEUE, 1.0, 2.0)
    watch.counted(Event.REFUSED, 1)
