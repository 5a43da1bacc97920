"""OpenTelemetry spans of the stages of a model's call.

Only the API package is used. Spans are written where the application has configured a tracer
provider; elsewhere they cost about a microsecond.
"""

import time
from dataclasses import dataclass, field

from opentelemetry import trace

from core.observation import Event, ModelWatch, Stage

SCOPE = "dateline.inference"
# Spans carry wall-clock nanoseconds and the watch is told readings of perf_counter.
_EPOCH = time.time_ns() - time.perf_counter_ns()


class Tracing:
    """Makes watches that write a span `dateline.model STAGE` for each stage.

    A span's parent is the span that is current in the calling thread.
    """

    def of(self, model: str, task: str) -> ModelWatch:
        """Return the watch of one model and task; both are attributes of its spans."""
        return SpanWatch({"dateline.model": model, "dateline.task": task})


@dataclass(frozen=True, slots=True)
class SpanWatch:
    """The ModelWatch that writes spans; events are left to the metrics."""

    attributes: dict[str, str]
    _tracer: trace.Tracer = field(default_factory=lambda: trace.get_tracer(SCOPE))

    def timed(self, stage: Stage, began: float, ended: float) -> None:
        """Write the span of a stage that has ended."""
        span = self._tracer.start_span(
            f"dateline.model {stage.value}",
            attributes=self.attributes,
            start_time=_wall_clock(began),
        )
        span.end(end_time=_wall_clock(ended))

    def counted(self, event: Event, amount: int) -> None:
        """Do nothing."""


def _wall_clock(reading: float) -> int:
    """Return nanoseconds since 1970 for a reading of perf_counter."""
    return _EPOCH + int(reading * 1e9)
