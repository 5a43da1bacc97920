"""What counting a key's share costs each request.

    python -m benchmarks.limiter [--requests N] [--processes N] [--record postgresql://…]

N requests of 50 keys are let in. First by the file of one host, from one process; then from several
processes at the same time, each of which waits a millisecond after a request, as a busy service
does. `quotas` is the share together with the minute and the day of one of 1,000 accounts. With
`--record`, also by leases from that server, whose tables must exist. Figures are microseconds.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from api.access.shares import Shares
from benchmarks.machine import arguments, percentile, show, this_machine
from core.accounts import Account, AccountBook, Method, Quota
from core.callers import Caller
from core.limits import Limiter, MemoryLimiter, Share
from customers.quotas import Quotas
from storage.work.host_limits import FILE, HostLimits

_KEYS = 50
_ACCOUNTS = 1000
_NOW = datetime(2026, 3, 18, tzinfo=UTC)
_MICROSECONDS = 1000  # in a millisecond


def main() -> None:
    """Runs the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--record", default="")
    chosen = parser.parse_args()
    machine = this_machine()
    with tempfile.TemporaryDirectory() as folder:
        figures = _told("alone", _of_file(Path(folder), chosen.requests, 0.0))
        each = chosen.requests // 10
        with ProcessPoolExecutor(chosen.processes) as pool:
            take = partial(_of_file, Path(folder), each)
            times = [one for part in pool.map(take, [1e-3] * chosen.processes) for one in part]
        figures |= _told(f"{chosen.processes} processes", times)
        figures |= _told("quotas", _of_quotas(Path(folder), chosen.requests))
    if chosen.record:
        figures |= _told("leases", _of_record(chosen.record, chosen.requests // 10))
    show("limiter", figures, machine, as_json=chosen.json)


def _of_file(folder: Path, requests: int, pause: float) -> list[float]:
    limits = HostLimits(folder / FILE)
    try:
        return _times(limits, requests, pause)
    finally:
        limits.close()


def _of_quotas(folder: Path, requests: int) -> list[float]:
    """The seconds that each request of an account waits for its share and its quota."""
    limits = HostLimits(folder / FILE)
    accounts = {f"account-{n}": Account(f"account-{n}", "", _NOW) for n in range(_ACCOUNTS)}
    book = AccountBook(accounts=accounts)
    most = {method: Quota(10**6, 10**9) for method in Method}
    quotas, shares = Quotas(limits, lambda: book, most), Shares(limits)
    callers = [Caller(f"{name}/key", frozenset(), share=Share(rate=1e6)) for name in accounts]
    methods = (Method.SEARCH, Method.FEED, Method.CONTENT, Method.DOWNLOADS)
    times: list[float] = []
    try:
        for number in range(requests):
            caller = callers[number % _ACCOUNTS]
            account, method = caller.name.partition("/")[0], methods[number // _ACCOUNTS % 4]
            started = perf_counter()
            leave = shares.enter(caller)
            use = quotas.take(account, method)
            leave()
            times.append(perf_counter() - started)
            assert use is not None
            assert not use.is_refused
    finally:
        limits.close()
    return times


def _of_record(address: str, requests: int) -> list[float]:
    from storage.postgres.limits import PostgresLimits

    limits = PostgresLimits(address, MemoryLimiter())
    try:
        return _times(limits, requests, 1e-3)
    finally:
        limits.close()


def _times(limiter: Limiter, requests: int, pause: float) -> list[float]:
    """The seconds that each request waits for its share."""
    shares = Shares(limiter)
    callers = [Caller(f"key {n}", frozenset(), share=Share(rate=1e6)) for n in range(_KEYS)]
    times: list[float] = []
    for number in range(requests):
        started = perf_counter()
        leave = shares.enter(callers[number % _KEYS])
        leave()
        times.append(perf_counter() - started)
        if pause:
            sleep(pause)
    return times


def _told(what: str, times: list[float]) -> dict[str, Any]:
    return {
        f"{what}, p50": percentile(times, 50) * _MICROSECONDS,
        f"{what}, p99": percentile(times, 99) * _MICROSECONDS,
        f"{what}, most": percentile(times, 100) * _MICROSECONDS,
    }


if __name__ == "__main__":
    main()
