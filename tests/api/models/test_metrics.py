"""What operators see of the models, after real calls."""

from __future__ import annotations

from contextvars import copy_context
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import Metrics
from api.models.metrics import ModelMetrics
from api.problems import problem_of
from core.callers import asking
from core.errors import BusyError
from core.observation import Event, Stage
from inference.encoder import SentenceEncoder
from inference.models.store import ModelStore
from inference.runtimes.onnx import OnnxRuntime

MODELS = Path(__file__).parents[3] / "models"
NAME = "all-MiniLM-L6-v2"


def shown(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Every sample of the models by name and the labels that tell it apart."""
    found = {}
    for family in text_string_to_metric_families(metrics.page({}).decode()):
        for sample in family.samples:
            labels = [sample.labels.get(key, "") for key in ("task", "stage", "outcome")]
            if "le" not in sample.labels and sample.labels.get("model") == NAME:
                found[sample.name, " ".join(filter(None, labels))] = sample.value
    return found


def test_calls_are_timed_by_stage_and_counted() -> None:
    metrics = Metrics()
    folder = ModelStore(MODELS).open(NAME)
    runtime = OnnxRuntime.open(folder, threads=1)
    encoder = SentenceEncoder.over(folder, runtime, cache_size=2, watching=metrics.models)
    for text in ("oil", "gas", "oil", "coal"):
        encoder.encode_queries([text])
    encoder.encode_passages(["oil and gas", "word " * 400])
    found = shown(metrics)
    for stage in Stage:
        assert found["dateline_model_seconds_count", f"query {stage}"] == 3
        assert found["dateline_model_seconds_count", f"passage {stage}"] == 1
    assert found["dateline_model_seconds_sum", "passage inference"] > 0
    assert found["dateline_model_cache_total", "query hit"] == 1
    assert found["dateline_model_cache_total", "query miss"] == 3
    assert found["dateline_model_cache_total", "query evicted"] == 1
    assert found["dateline_model_truncated_total", "passage"] == 1
    assert found["dateline_model_batch_rows_sum", "passage"] == 2
    assert found["dateline_model_batch_tokens_sum", "query"] == 9  # three tokens each
    assert found["dateline_model_waiting", "query"] == 0
    encoder.close()


def test_a_refusal_is_counted() -> None:
    metrics = Metrics()
    watch = metrics.models.of(NAME, "tag")
    watch.counted(Event.REFUSED, 1)
    watch.counted(Event.WAITING, 5)
    watch.counted(Event.WAITING, -2)
    assert shown(metrics)["dateline_model_refused_total", "tag"] == 1
    assert shown(metrics)["dateline_model_waiting", "tag"] == 3


def test_each_service_has_its_own() -> None:
    first, second = Metrics(), Metrics()
    first.models.of(NAME, "tag").counted(Event.REFUSED, 1)
    assert ("dateline_model_refused_total", "tag") not in shown(second)


def test_a_full_model_is_a_busy_service() -> None:
    """What a full queue raises is told as 503 with Retry-After."""
    problem = problem_of(BusyError("9 tokens wait for the model already"))
    assert (problem.status, problem.retry_after) == (503, 1)


def test_inference_is_counted_by_the_caller_of_the_context() -> None:
    registry = CollectorRegistry()
    watch = ModelMetrics(registry).of("m", "query")

    def ask(name: str) -> None:
        asking.set(name)
        watch.timed(Stage.QUEUE, 0.0, 5.0)
        watch.timed(Stage.INFERENCE, 1.0, 1.5)

    for name in ("desk", "desk", "wire"):
        copy_context().run(ask, name)
    watch.timed(Stage.INFERENCE, 0.0, 2.0)
    found = {
        caller: registry.get_sample_value(
            "dateline_model_caller_seconds_total", {"caller": caller, "model": "m"}
        )
        for caller in ("desk", "wire", "")
    }
    assert found == {"desk": 1.0, "wire": 0.5, "": 2.0}
