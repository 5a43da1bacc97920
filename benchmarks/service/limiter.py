"""What counting a key's share costs each request.

    python -m benchmarks.service.limiter [--requests N] [--processes N] [--record postgresql://…]

N requests of 50 keys are let in. First by the file of one host, from one process; then from several
processes at the same time, each of which waits a millisecond after a request, as a busy service
does. `quotas` is the share together with the minute and the day of one of 1,000 accounts. With
`--record`, also by leases from that server, whose tables must exist. Figures are microseconds, of
the clock and of the thread's processor: on a busy machine most of the clock's tail is other work.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter, sleep, thread_time
from typing import Any, TypeAlias

from api.access.shares import Shares
from benchmarks.machine import arguments, percentile, show, this_machine
from core.callers import Caller
from core.customers.accounts import Account, AccountBook, Method, Quota
from core.limits import Limiter, MemoryLimiter, Share
from customers.accounts.quotas import Quotas
from storage.work.host_limits import FILE, HostLimits

Times: TypeAlias = list[tuple[float, float]]  # of the clock and of the processor, in seconds

_KEYS = 50
_ACCOUNTS = 1000
_NOW = datetime(2026, 3, 18, tzinfo=UTC)
_MICROSECONDS = 1000  # in a millisecond


def main() -> None:
    """Run the benchmark."""
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


def _of_file(folder: Path, requests: int, pause: float) -> Times:
    limits = HostLimits(folder / FILE)
    try:
        return _times(limits, requests, pause)
    finally:
        limits.close()


def _of_quotas(folder: Path, requests: int) -> Times:
    """Return the seconds of each request of an account for its share and its quota."""
    limits = HostLimits(folder / FILE)
    accounts = {f"account-{n}": Account(f"account-{n}", "", _NOW) for n in range(_ACCOUNTS)}
    book = AccountBook(accounts=accounts)
    most = {method: Quota(10**6, 10**9) for method in Method}
    quotas, shares = Quotas(limits, lambda: book, most), Shares(limits)
    callers = [Caller(f"{name}/key", frozenset(), share=Share(rate=1e6)) for name in accounts]
    methods = (Method.SEARCH, Method.FEED, Method.CONTENT, Method.DOWNLOADS)
    times: Times = []
    try:
        for number in range(requests):
            caller = callers[number % _ACCOUNTS]
            account, method = caller.name.partition("/")[0], methods[number // _ACCOUNTS % 4]
            started, used = perf_counter(), thread_time()
            leave = shares.enter(caller)
            use = quotas.take(account, method)
            leave()
            times.append((perf_counter() - started, thread_time() - used))
            assert use is not None
            assert not use.is_refused
    finally:
        limits.close()
    return times


def _of_record(address: str, requests: int) -> Times:
    from storage.postgres.limits import PostgresLimits

    limits = PostgresLimits(address, MemoryLimiter())
    try:
        return _times(limits, requests, 1e-3)
    finally:
        limits.close()


def _times(limiter: Limiter, requests: int, pause: float) -> Times:
    """Return the seconds of each request for its share."""
    shares = Shares(limiter)
    callers = [Caller(f"key {n}", frozenset(), share=Share(rate=1e6)) for n in range(_KEYS)]
    times: Times = []
    for number in range(requests):
        started, used = perf_counter(), thread_time()
        leave = shares.enter(callers[number % _KEYS])
        leave()
        times.append((perf_counter() - started, thread_time() - used))
        if pause:
            sleep(pause)
    return times


def _told(what: str, times: Times) -> dict[str, Any]:
    named = zip((what, f"{what}, processor"), zip(*times, strict=True), strict=True)
    return {
        f"{name}, {label}": percentile(list(each), of) * _MICROSECONDS
        for name, each in named
        for label, of in (("p50", 50), ("p99", 99), ("most", 100))
    }


if __name__ == "__main__":
    main()
