"""What counting a key's share costs each request.

    python -m benchmarks.limiter [--requests N] [--processes N] [--record postgresql://…]

N requests of 50 keys are let in. First by the file of one host, from one process; then from several
processes at the same time, each of which waits a millisecond after a request, as a busy service
does. With `--record`, also by leases from that server, whose tables must exist. Figures are
microseconds.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

from api.access.shares import Shares
from benchmarks.machine import arguments, percentile, show, this_machine
from core.callers import Caller
from core.limits import Limiter, MemoryLimiter, Share
from storage.work.host_limits import FILE, HostLimits

_KEYS = 50
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
    if chosen.record:
        figures |= _told("leases", _of_record(chosen.record, chosen.requests // 10))
    show("limiter", figures, machine, as_json=chosen.json)


def _of_file(folder: Path, requests: int, pause: float) -> list[float]:
    limits = HostLimits(folder / FILE)
    try:
        return _times(limits, requests, pause)
    finally:
        limits.close()


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
