"""Searches a second by one service with workers, against as many services that share nothing.

    python -m benchmarks.service.workers [--workers N] [--turns N] [--seconds N] [--json]

All services run at the same time, and take turns in being asked, over loopback with connections
kept alive:

- `workers`: `dateline serve --workers N`, two clients for each worker;
- `independent`: N services of one process each (`search_in = "threads"`), each with a copy of the
  archive, and two clients for each;
- `one`: one of these alone, with two clients.

The queries are words that nobody has asked for before. `of independent` is the median over the
turns of the ratio within a turn. `cpu_ms` is the processor time of the service's processes for an
answer; `front cpu_ms` that of the process that reads requests, which bounds how many workers one
service can feed. The load has a lower priority than the services. `pss_mb` is memory with each
shared page counted once (proportional set size, /proc/PID/smaps_rollup), after the turns.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.machine import arguments, show, this_machine
from benchmarks.service.overload import PRODUCTS, SETTINGS, STORIES, Heard, answers_of, fill
from dateline.measuring.served import started

_START_S = 120.0
_CLIENTS = 2  # for each process that searches
_ALONE = {**SETTINGS, "DATELINE_SEARCH_IN": "threads"}


@dataclass(slots=True)
class _Side:
    """Services that are asked at the same time, by address and process id."""

    places: Sequence[tuple[str, int]]
    clients: int  # of each
    turns: list[Sequence[Heard]] = field(default_factory=list)

    def take_turn(self, seconds: float, seed: Callable[[], int]) -> None:
        """Ask every service for some seconds."""

        def ask(place: tuple[str, int]) -> Heard:
            url, pid = place
            return answers_of(url, pid, f"clients:{seed()}", self.clients, seconds, ())

        with ThreadPoolExecutor(len(self.places)) as pool:
            self.turns.append([*pool.map(ask, self.places)])

    @property
    def answers_per_s(self) -> list[float]:
        """The good answers a second of all services together, by turn."""
        return [sum(one.goodput for one in turn) for turn in self.turns]

    @property
    def cpu_ms(self) -> float:
        """The median of a turn's processor time for an answer."""
        each = [
            sum(one.service_s for one in turn) / sum(len(one.good) for one in turn)
            for turn in self.turns
        ]
        return 1000 * statistics.median(each)

    @property
    def pss_mb(self) -> float:
        """The memory of all processes of the services."""
        return sum(_pss_mb(each) for _, pid in self.places for each in tree(pid))


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each side's turn")
    parser.add_argument("--stories", type=int, default=STORIES)
    chosen = parser.parse_args()
    machine = this_machine()
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "first", chosen.stories)
        with _sides(Path(folder), chosen.workers) as sides:
            figures = _measured(sides, chosen.turns, chosen.seconds)
    show(f"workers ({chosen.workers})", figures, machine, as_json=chosen.json)


@contextmanager
def _sides(folder: Path, workers: int) -> Iterator[Mapping[str, _Side]]:
    """Start every service on an archive like that in `folder`/first."""
    with ExitStack() as running:

        def start(settings: Mapping[str, str], name: str) -> tuple[str, int]:
            shutil.copytree(folder / "first", folder / name)
            pid, client = running.enter_context(started(folder / name, PRODUCTS, settings))
            if "DATELINE_WORKERS" in settings:
                wait_for(client, workers)
            return str(client.base_url), pid

        more = {"DATELINE_WORKERS": str(workers), "DATELINE_OPEN_METRICS": "true"}
        place = start({**SETTINGS, **more}, "workers")
        alone = [start(_ALONE, f"independent-{number}") for number in range(workers)]
        yield {
            "workers": _Side([place], _CLIENTS * workers),
            "independent": _Side(alone, _CLIENTS),
            "one": _Side(alone[:1], _CLIENTS),
        }


def wait_for(client: httpx.Client, workers: int) -> None:
    """Wait until every worker searches: before, the process that reads requests does."""
    until = time.monotonic() + _START_S
    while f"dateline_search_processes {workers}.0" not in client.get("/metrics").text:
        if time.monotonic() > until:
            raise SystemExit("the workers did not start; `dateline serve` says why")
        time.sleep(0.2)


def _measured(sides: Mapping[str, _Side], turns: int, seconds: float) -> dict[str, Any]:
    numbers = count(1)
    for side in sides.values():  # a warm-up
        side.take_turn(seconds, numbers.__next__)
        side.turns.clear()
    front = _front(sides["workers"].places[0][1])
    front_s = 0.0
    for _ in range(turns):
        for name, side in sides.items():
            before = processor_s(front)
            side.take_turn(seconds, numbers.__next__)
            front_s += processor_s(front) - before if name == "workers" else 0.0
    answered = sum(len(one.good) for turn in sides["workers"].turns for one in turn)
    found: dict[str, Any] = {"turns": turns, "seconds": seconds}
    for name, side in sides.items():
        found[f"{name}, answers_per_s"] = statistics.median(side.answers_per_s)
        found[f"{name}, cpu_ms"] = side.cpu_ms
        found[f"{name}, pss_mb"] = side.pss_mb
    found["workers, front cpu_ms"] = 1000 * front_s / answered
    for other in ("independent", "one"):
        pairs = zip(sides["workers"].answers_per_s, sides[other].answers_per_s, strict=True)
        found[f"workers, of {other}"] = statistics.median(ours / its for ours, its in pairs)
        found[f"workers, memory of {other}"] = sides["workers"].pss_mb / sides[other].pss_mb
    return found


def tree(pid: int) -> list[int]:
    """Return a process and all that came from it."""
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


def _front(pid: int) -> int:
    """Return the process of a service with workers that reads requests: it was forked first."""
    (loader,) = psutil.Process(pid).children()
    return min(loader.children(), key=lambda child: child.create_time()).pid


def processor_s(pid: int) -> float:
    """Return the seconds that a process has spent on processors."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


if __name__ == "__main__":
    main()
