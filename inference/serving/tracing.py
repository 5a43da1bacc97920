"""Spans of the stages of a model's call, as parts of the caller's span.

They are by OpenTelemetry's conventions for generative AI where these have a word for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.observation import Event, ModelWatch, Stage
from core.tracing import add, done

_SIZES = {Event.BATCH_ROWS: "dateline.batch.rows", Event.BATCH_TOKENS: "dateline.batch.tokens"}


class Tracing:
    """Makes watches. A watch writes a span for each stage, and adds a batch's size to the current
    span of the thread that runs the batch.
    """

    def of(self, model: str, task: str) -> ModelWatch:
        """Return the watch of one model and task; both are attributes of its spans."""
        return SpanWatch({"gen_ai.request.model": model, "dateline.task": task})


@dataclass(frozen=True, slots=True)
class SpanWatch:
    """The ModelWatch that writes spans."""

    attributes: dict[str, str]

    def timed(self, stage: Stage, began: float, ended: float) -> None:
        """Write the span of a stage that has ended."""
        done(stage.value, began, ended, self.attributes)

    def counted(self, event: Event, amount: int) -> None:
        """Add the size of a batch to the caller's span; other events are left to the metrics."""
        name = _SIZES.get(event)
        if name is not None:
            add(name, amount)
