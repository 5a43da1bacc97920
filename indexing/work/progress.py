"""The progress of a job: counts, rates of the stages, and the time left."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.work import STAGES, AssetState, Job, JobCounts, Stage

_WINDOW_S = 60.0  # rates are of the last minute


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How many assets have passed a stage, how many wait for it, and its rate in assets a
    second.
    """

    done: int
    waiting: int
    rate: float


@dataclass(frozen=True, slots=True)
class JobProgress:
    """A job's counts and rates. `left_s` is how many seconds its slowest stage needs for the assets
    found so far, None if that is unknown.
    """

    job: Job
    counts: JobCounts
    stages: Mapping[Stage, StageProgress]
    left_s: float | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        counts = self.counts
        standing = counts.standing
        dropped = sum(n for (_, s), n in standing.items() if s is AssetState.DROPPED)
        return {
            "job": self.job.id,
            "kind": self.job.kind,
            "state": str(self.job.state),
            "priority": self.job.priority,
            "request": dict(self.job.request),
            "trouble": self.job.trouble,
            "sources_read": self.job.read,
            "found": counts.found,
            "done": counts.past(Stage.APPLY),
            "failed": counts.dead(),
            "dropped": dropped,
            **counts.made,
            "stages": {
                str(name): {
                    "done": stage.done,
                    "waiting": stage.waiting,
                    "per_second": round(stage.rate, 2),
                }
                for name, stage in self.stages.items()
            },
            "seconds_left": None if self.left_s is None else round(self.left_s, 1),
        }


class Speedometer:
    """Computes progress from counts that are taken from time to time."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, JobCounts]] = deque()

    def look(self, job: Job, counts: JobCounts, now: float) -> JobProgress:
        """Return the progress at `now`, in seconds of any clock."""
        self._seen.append((now, counts))
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW_S:
            self._seen.popleft()
        then, before = self._seen[0]
        spans = {stage: counts.past(stage) - before.past(stage) for stage in STAGES}
        return progress_of(job, counts, spans, now - then)


def progress_since_start(job: Job, counts: JobCounts, now: float) -> JobProgress:
    """Return a job's progress over its whole life until now, or its end; `now` is since 1970."""
    end = job.ended or now
    return progress_of(job, counts, {s: counts.past(s) for s in STAGES}, end - job.created)


def progress_of(
    job: Job, counts: JobCounts, spans: Mapping[Stage, int], seconds: float
) -> JobProgress:
    """Return the progress, if `spans` assets went through each stage in the given seconds."""
    stages = {}
    for stage in STAGES:
        waiting = counts.standing.get((stage, AssetState.WAITING), 0)
        rate = max(0, spans[stage]) / seconds if seconds > 0 else 0.0
        stages[stage] = StageProgress(counts.past(stage), waiting, rate)
    return JobProgress(job, counts, stages, _left(counts, stages))


def _left(counts: JobCounts, stages: Mapping[Stage, StageProgress]) -> float | None:
    if not counts.waiting():
        return 0.0
    times, ahead = [], 0
    for stage in STAGES:
        ahead += stages[stage].waiting  # assets of an earlier stage will come here, too
        if ahead and stages[stage].rate <= 0:
            return None
        if ahead:
            times.append(ahead / stages[stage].rate)
    return max(times, default=0.0)
