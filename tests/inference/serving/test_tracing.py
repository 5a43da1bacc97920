"""Spans of a model's stages: in order, inside the caller's span, nothing where none are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from core import tracing
from core.observation import Event, Stage, WatchedByAll
from core.tracing import Finished, Sink, Span, Trace
from inference.encoder import SentenceEncoder
from inference.models.store import ModelStore
from inference.serving.tracing import SpanWatch, Tracing
from tests.inference.computed_models import WIDTH, ComputedRuntime, folder_like, hidden_states


@pytest.fixture
def spans() -> Iterator[list[Finished]]:
    """What is written meanwhile."""
    found: list[Finished] = []
    tracing.send_to(Sink(found.append))
    yield found
    tracing.send_to(None)


def test_a_call_has_a_span_for_each_stage(spans: list[Finished], models: ModelStore) -> None:
    folder = folder_like(models, "all-MiniLM-L6-v2", dimension=WIDTH)
    runtime = ComputedRuntime(hidden_states, "last_hidden_state")
    encoder = SentenceEncoder.over(folder, runtime, watching=WatchedByAll((Tracing(),)))
    with Trace("request"), Span("encode"):
        encoder.encode_queries(["oil"])
    told = {span.name: span for span in spans}
    parts = [told[stage.value] for stage in Stage]
    for before, after in pairwise(parts):
        assert before.began <= before.ended <= after.began + 1e-6
    for part in parts:
        assert part.parent == told["encode"].id
        assert part.attributes == {
            "gen_ai.request.model": "all-MiniLM-L6-v2",
            "dateline.task": "query",
        }
    assert told["encode"].attributes == {"dateline.batch.rows": 1, "dateline.batch.tokens": 3}
    assert len(told) == 5


def test_without_a_sink_nothing_happens() -> None:
    watch = SpanWatch({})
    watch.timed(Stage.QUEUE, 1.0, 2.0)
    watch.counted(Event.BATCH_ROWS, 1)
    assert tracing.place() is None
