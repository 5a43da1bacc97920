"""Metrics of the models for operators: where a call's time goes, how full batches are, what waits.

Labels are few. Those that are known in advance (models, tasks, stages) have their series made once,
when a model is opened, so a call needs no lookup for them; callers are those that have keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from core.callers import asking
from core.observation import Event, ModelWatch, Stage

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5)
_ROWS = (1, 2, 4, 8, 16, 32, 64)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024)
_BY = ("model", "task")
_CACHE = (Event.CACHE_HIT, Event.CACHE_MISS, Event.CACHE_EVICTED)


class ModelMetrics:
    """Makes the watches of models (`core.observation.Watching`) over a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "dateline_model_seconds",
            "Time of a call in each stage: tokenise, queue, inference.",
            (*_BY, "stage"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._rows = Histogram(
            "dateline_model_batch_rows", "Texts in a batch.", _BY, buckets=_ROWS, registry=registry
        )
        self._tokens = Histogram(
            "dateline_model_batch_tokens",
            "Tokens in a batch, padding included.",
            _BY,
            buckets=_TOKENS,
            registry=registry,
        )
        self._waiting = Gauge(
            "dateline_model_waiting", "Texts that wait for the model.", _BY, registry=registry
        )
        self._refused = Counter(
            "dateline_model_refused",
            "Calls refused because too much waited.",
            _BY,
            registry=registry,
        )
        self._truncated = Counter(
            "dateline_model_truncated", "Texts whose end was not read.", _BY, registry=registry
        )
        self._cache = Counter(
            "dateline_model_cache",
            "Answers found in the cache (hit), not found (miss), dropped from it (evicted).",
            (*_BY, "outcome"),
            registry=registry,
        )

        self._by_caller = Counter(
            "dateline_model_caller_seconds",
            "Seconds of inference that a caller's requests took; of an ingest the caller is empty.",
            ("caller", "model"),
            registry=registry,
        )

    def of(self, model: str, task: str) -> ModelWatch:
        """Return the watch of one model and task."""
        stages = {stage: self._seconds.labels(model, task, stage.value).observe for stage in Stage}
        events: dict[Event, Callable[[float], None]] = {
            event: self._cache.labels(model, task, event.value).inc for event in _CACHE
        }
        events[Event.BATCH_ROWS] = self._rows.labels(model, task).observe
        events[Event.BATCH_TOKENS] = self._tokens.labels(model, task).observe
        events[Event.WAITING] = self._waiting.labels(model, task).inc
        events[Event.REFUSED] = self._refused.labels(model, task).inc
        events[Event.TRUNCATED] = self._truncated.labels(model, task).inc
        return _Series(model, stages, events, self._by_caller)


@dataclass(frozen=True, slots=True)
class _Series:
    """The ModelWatch of one model and task."""

    model: str
    stages: Mapping[Stage, Callable[[float], None]]
    events: Mapping[Event, Callable[[float], None]]
    by_caller: Counter

    def timed(self, stage: Stage, began: float, ended: float) -> None:
        self.stages[stage](ended - began)
        if stage is Stage.INFERENCE:
            self.by_caller.labels(asking.get(), self.model).inc(ended - began)

    def counted(self, event: Event, amount: int) -> None:
        self.events[event](amount)
