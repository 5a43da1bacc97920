"""Limits that hosts share: all together take what is allowed, and nobody waits for the server."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.limits import Allowed, Limit, Limiter, MemoryLimiter, Refused, leased
from storage.postgres.limits import ON_ACCOUNT, PostgresLimits
from storage.postgres.record import PostgresRecord
from tests.postgres_server import Server
from tests.storage.postgres_world import address_of
from tests.storage.world import SetClock

pytestmark = pytest.mark.timed

SECOND = 1_000_000_000
RATE, BURST = 300, 200
SLOW = Limit("requests", 1, 3600.0, 200)  # nothing comes back while a test runs
FEW = Limit("requests", 1, 3600.0, 3)

# A process of a host: takes as fast as it can without turning the processor, and says how much.
_TAKER = """
import sys, time
from core.limits import Allowed, Limit, MemoryLimiter
from storage.postgres.limits import PostgresLimits
limiter, limit = PostgresLimits(sys.argv[1], MemoryLimiter()), Limit("requests", 300, 1.0, 200)
print("ready", flush=True)
sys.stdin.readline()
began, taken = time.monotonic(), 0
while time.monotonic() < began + 2.0:
    taken += isinstance(limiter.take(limit, "all"), Allowed)
    time.sleep(0.001)
print(began, time.monotonic(), taken)
limiter.close()
"""


class Closed:
    """A limiter that says no, so that whatever is allowed is the server's doing."""

    def take(self, limit: Limit, key: str, cost: int = 1) -> Allowed | Refused:
        return Refused(1.0)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def address(postgres: Server, folder: Path) -> str:
    made = address_of(postgres, folder)
    PostgresRecord(made, {}, SetClock()).close()
    return made


@pytest.fixture
def host(address: str) -> Iterator[Callable[[Limiter], PostgresLimits]]:
    opened: list[PostgresLimits] = []

    def another(beside: Limiter) -> PostgresLimits:
        opened.append(PostgresLimits(address, beside))
        return opened[-1]

    yield another
    for limits in opened:
        limits.close()


def taken(limiter: Limiter, limit: Limit, key: str, times: int, pause: float = 0.002) -> int:
    count = 0
    for _ in range(times):
        count += isinstance(limiter.take(limit, key), Allowed)
        time.sleep(pause)
    return count


def test_processes_of_several_hosts_take_together_what_is_allowed(address: str) -> None:
    takers = [
        subprocess.Popen(
            [sys.executable, "-P", "-c", _TAKER, address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in takers:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in takers:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate(timeout=240)[0].split() for process in takers]
    began, ended = min(float(one[0]) for one in told), max(float(one[1]) for one in told)
    together = sum(int(one[2]) for one in told)
    ahead = 3 * max(BURST // 20, ON_ACCOUNT)
    assert together <= BURST + RATE * (ended - began) + ahead
    assert together >= RATE * (ended - began)


def test_what_one_host_took_is_gone_on_another(
    host: Callable[[Limiter], PostgresLimits],
) -> None:
    one, other = host(Closed()), host(Closed())
    first = taken(one, SLOW, "a", 400)
    assert 200 - 10 <= first <= 200 + 10
    assert taken(other, SLOW, "a", 100) <= 10
    refused = other.take(SLOW, "a")
    assert isinstance(refused, Refused)
    assert refused.retry_after > 60
    assert taken(other, SLOW, "another key", 50) >= 30  # its answers may come late here


def test_a_small_burst_is_nearly_kept(host: Callable[[Limiter], PostgresLimits]) -> None:
    one, other = host(Closed()), host(Closed())
    both = taken(one, FEW, "a", 30, 0.02) + taken(other, FEW, "a", 30, 0.02)
    assert 3 <= both <= 3 + 2 * min(FEW.burst, ON_ACCOUNT)
    assert taken(one, FEW, "b", 3, 0.0) == 3  # at once, while the server's answer is awaited


def test_nobody_waits_for_a_server_that_does(
    host: Callable[[Limiter], PostgresLimits], address: str
) -> None:
    """Another transaction holds the key's row: the host counts by itself then."""
    limits = host(MemoryLimiter())
    taken(limits, SLOW, "a", 1)
    with psycopg.connect(address) as holder:
        holder.execute("SELECT * FROM limits FOR UPDATE")
        longest, count = 0.0, 0
        for _ in range(400):
            began = time.perf_counter()
            count += isinstance(limits.take(SLOW, "a"), Allowed)
            longest = max(longest, time.perf_counter() - began)
            time.sleep(0.002)
        holder.rollback()
    assert longest < 0.5  # the machine's own hiccups; the row is held for longer than a second
    assert count >= 100


def test_a_server_that_is_gone_leaves_each_host_to_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limits = PostgresLimits("postgresql://nobody@127.0.0.1:9/none", MemoryLimiter())
    assert 200 <= taken(limits, SLOW, "a", 300) <= 200 + 10
    assert sum("of this host alone" in record.message for record in caplog.records) == 1
    limits.close()


@given(
    st.lists(
        st.tuples(st.integers(0, SECOND), st.integers(0, 9), st.integers(0, 9)),
        min_size=1,
        max_size=60,
    )
)
def test_leases_never_pass_the_limit(
    steps: list[tuple[int, int, int]],
) -> None:
    limit = Limit("requests", 10, 1.0, 20)
    now, paid_back, granted_at = 0, 0, list[tuple[int, int]]()
    for pause, owed, wanted in steps:
        now += pause
        paid_back, granted, wait_s = leased(paid_back, now, limit, owed, wanted)
        assert 0 <= granted <= wanted
        granted_at.append((now, granted))
        if wait_s:
            later = now + round(wait_s * SECOND) + 1
            assert leased(paid_back, later, limit, 0, 1)[1] == 1
    for place, (start, _) in enumerate(granted_at):
        sums = 0
        for moment, granted in granted_at[place:]:
            sums += granted
            assert sums <= limit.burst + 10 * (moment - start) / SECOND + 1e-6
