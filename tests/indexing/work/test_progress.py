"""Rates and the time that is left, by hand-made counts."""

from __future__ import annotations

import pytest

from core.work import AssetState, Job, JobCounts, JobState, Stage
from indexing.work.progress import Speedometer, progress_since_start

JOB = Job("job", {"paths": []}, 10, JobState.RUNNING, created=100.0)
WAITING, DEAD, DONE = AssetState.WAITING, AssetState.DEAD, AssetState.DONE


def counts(decode: int, describe: int, apply: int, done: int, dead: int = 0) -> JobCounts:
    return JobCounts(
        {
            (Stage.DECODE, WAITING): decode,
            (Stage.DESCRIBE, WAITING): describe,
            (Stage.APPLY, WAITING): apply,
            (Stage.DONE, DONE): done,
            (Stage.DECODE, DEAD): dead,
        },
        {"decoded": 7},
    )


def test_rates_are_of_the_last_minute_and_the_slowest_stage_decides() -> None:
    meter = Speedometer()
    meter.look(JOB, counts(100, 0, 0, 0), 0.0)
    at = meter.look(JOB, counts(60, 20, 10, 10), 10.0)
    assert {s: p.rate for s, p in at.stages.items()} == {
        Stage.DECODE: 4.0,
        Stage.SHOTS: 4.0,  # passed over as fast as what is before it goes
        Stage.DESCRIBE: 2.0,
        Stage.TRANSCRIBE: 2.0,
        Stage.LOOK: 2.0,
        Stage.READ_TEXT: 2.0,
        Stage.EMBED: 2.0,
        Stage.APPLY: 1.0,
    }
    assert at.left_s == 90.0  # 90 have still to be applied, one a second
    late = meter.look(JOB, counts(60, 20, 10, 10), 80.0)
    assert late.left_s is None  # nothing moves


def test_a_whole_life_s_rate_and_its_json() -> None:
    at = progress_since_start(JOB, counts(0, 0, 50, 50, dead=3), 150.0)
    tree = at.as_dict()
    assert tree["stages"]["apply"] == {"done": 50, "waiting": 50, "per_second": 1.0}
    assert tree["seconds_left"] == 50.0
    assert (tree["found"], tree["done"], tree["failed"], tree["decoded"]) == (103, 50, 3, 7)
    assert progress_since_start(JOB, counts(0, 0, 0, 9), 150.0).left_s == 0.0


@pytest.mark.parametrize("now", [100.0, 99.0])
def test_no_time_is_no_rate(now: float) -> None:
    at = progress_since_start(JOB, counts(1, 0, 0, 1), now)
    assert at.left_s is None
