"""Limits over every store: never more than allowed, never starved, whoever asks and from where."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.limits import Allowed, Limit, Limiter, MemoryLimiter, Refused, charged
from storage.work import host_limits
from storage.work.host_limits import HostLimits, open_limits

SECOND = 1_000_000_000
TEN = Limit("requests", 10, 1.0, 5)
SLOW = Limit("requests", 1, 3600.0, 3)  # nothing comes back while a test runs

# Takes for a while, as fast as it can, and says how often it was allowed to, and from when to when.
_TAKER = """
import sys, time
from pathlib import Path
from core.limits import Allowed, Limit
from storage.work.host_limits import HostLimits
path, seconds = Path(sys.argv[1]), float(sys.argv[2])
limiter, limit = HostLimits(path), Limit("requests", 200, 1.0, 20)
print("ready", flush=True)
sys.stdin.readline()
began = time.monotonic()
taken = 0
while time.monotonic() < began + seconds:
    taken += isinstance(limiter.take(limit, "all"), Allowed)
print(began, time.monotonic(), taken)
"""


@pytest.fixture(params=["memory", "file"])
def limiter(request: pytest.FixtureRequest, folder: Path) -> Iterator[Limiter]:
    if request.param == "memory":
        yield MemoryLimiter()
        return
    limits = HostLimits(folder / "limits")
    yield limits
    limits.close()


def taken(limiter: Limiter, limit: Limit, key: str, times: int) -> int:
    return sum(isinstance(limiter.take(limit, key), Allowed) for _ in range(times))


def test_a_burst_is_taken_at_once_and_no_more(limiter: Limiter) -> None:
    assert [limiter.take(SLOW, "a") for _ in range(3)] == [Allowed(2), Allowed(1), Allowed(0)]
    refused = limiter.take(SLOW, "a")
    assert isinstance(refused, Refused)
    assert 3590 < refused.retry_after <= 3600


def test_keys_and_names_are_apart(limiter: Limiter) -> None:
    assert taken(limiter, SLOW, "a", 9) == 3
    assert taken(limiter, SLOW, "b", 9) == 3
    assert taken(limiter, Limit("tokens", 1, 3600.0, 4), "a", 9) == 4


@pytest.mark.timed
def test_who_waits_as_told_is_let_in(limiter: Limiter) -> None:
    quick = Limit("requests", 20, 1.0, 2)
    assert taken(limiter, quick, "a", 9) == 2
    refused = limiter.take(quick, "a")
    assert isinstance(refused, Refused)
    time.sleep(refused.retry_after)
    assert isinstance(limiter.take(quick, "a"), Allowed)


def test_several_are_taken_together_or_not_at_all(limiter: Limiter) -> None:
    assert limiter.take(SLOW, "a", 2) == Allowed(1)
    assert isinstance(limiter.take(SLOW, "a", 2), Refused)
    assert limiter.take(SLOW, "a", 1) == Allowed(0)
    with pytest.raises(ValueError, match="at once"):
        limiter.take(SLOW, "a", 4)


@given(
    st.lists(st.tuples(st.integers(0, SECOND), st.integers(1, 5)), min_size=1, max_size=60),
    st.integers(1, 50),
)
def test_no_stretch_of_time_gets_more_than_allowed(
    steps: list[tuple[int, int]], amount: int
) -> None:
    limit = Limit("requests", amount, 1.0, 5)
    now, paid_back, allowed = 0, 0, list[tuple[int, int]]()
    for pause, cost in steps:
        now += pause
        paid_back, answer = charged(paid_back, now, limit, cost)
        if isinstance(answer, Allowed):
            allowed.append((now, cost))
        else:
            later = now + round(answer.retry_after * SECOND) + 1
            assert isinstance(charged(paid_back, later, limit, cost)[1], Allowed)
    for place, (start, _) in enumerate(allowed):
        sums = 0
        for moment, cost in allowed[place:]:
            sums += cost
            assert sums <= limit.burst + amount * (moment - start) / SECOND + 1e-6


@pytest.mark.parametrize("moment", [10**18, -(10**18)])
def test_a_moment_of_another_clock_starves_nobody(moment: int) -> None:
    paid_back, answer = charged(moment, 7 * SECOND, TEN, 1)
    waits = answer.retry_after if isinstance(answer, Refused) else 0.0
    assert waits <= TEN.burst * TEN.interval / SECOND
    assert paid_back <= 7 * SECOND + TEN.burst * TEN.interval


def start(path: Path, seconds: float) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _TAKER, str(path), str(seconds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.timed
def test_many_processes_take_no_more_together_and_no_less(folder: Path) -> None:
    path = folder / "limits"
    takers = [start(path, 1.0) for _ in range(4)]
    killed = start(path, 60.0)
    for process in (*takers, killed):
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    time.sleep(0.3)
    killed.kill()
    told = [process.communicate(timeout=240)[0].split() for process in takers]
    killed.communicate()
    began, ended = min(float(one[0]) for one in told), max(float(one[1]) for one in told)
    together = sum(int(one[2]) for one in told)
    most = 20 + 200 * (ended - began)
    assert together <= most + 1
    # What the killed one took is missing: at most what it could take in its time.
    assert together >= 200 * (ended - began) * 0.5


def test_what_was_taken_outlives_the_process(folder: Path) -> None:
    first = HostLimits(folder / "limits")
    assert taken(first, SLOW, "a", 9) == 3
    first.close()
    second = HostLimits(folder / "limits")
    assert taken(second, SLOW, "a", 9) == 0
    second.close()


def test_a_start_of_the_machine_forgets_what_was_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot = folder / "boot_id"
    boot.write_text("one")
    monkeypatch.setattr(host_limits, "_BOOT", boot)
    first = HostLimits(folder / "limits")
    assert taken(first, SLOW, "a", 9) == 3
    boot.write_text("two")
    second = HostLimits(folder / "limits")
    assert taken(second, SLOW, "a", 9) == 3
    first.close()
    second.close()


@pytest.mark.timed
def test_a_process_that_was_stopped_with_the_lock_stops_nobody(folder: Path) -> None:
    path = folder / "limits"
    limits = HostLimits(path)
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+b'); fcntl.flock(file, fcntl.LOCK_EX);"
        " print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    os.kill(holder.pid, signal.SIGSTOP)
    began = time.monotonic()
    assert taken(limits, SLOW, "a", 100) == 3
    assert time.monotonic() - began < 5.0
    holder.kill()
    holder.communicate()
    limits.close()


def test_more_keys_than_places_are_held_to_their_limits_nearly(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_limits, "SLOTS", 32)
    limits = HostLimits(folder / "limits")
    keys = [f"key {number}" for number in range(200)]
    random.Random(4).shuffle(keys)
    allowed = {key: taken(limits, SLOW, key, 5) for key in keys}
    assert max(allowed.values()) <= 3
    assert sum(allowed.values()) >= 3 * 16
    limits.close()


def test_a_folder_that_takes_no_file_leaves_each_process_to_itself(folder: Path) -> None:
    (folder / "limits").mkdir()
    alone = open_limits(folder)
    assert taken(alone, SLOW, "a", 9) == 3


def test_a_full_disk_leaves_each_process_to_itself(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    opened: Callable[[Path], Limiter] = open_limits
    monkeypatch.setattr(os, "posix_fallocate", full)
    assert taken(opened(folder), SLOW, "a", 9) == 3
