"""The archive served by `dateline serve` and asked over HTTP: first alone, then by several clients.

Queries are a few words of one story, new each time, so that nothing is answered from memory.
"""

from __future__ import annotations

import http.client
import os
import random
import re
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, product
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode, urlsplit

import numpy as np
import orjson

from capacity.measurements import HTTP, Archive, SearchTimes
from core.errors import StorageError
from dateline.measuring.capacity.archive import PART, WHOLE, Filter, Grown, keys_of
from dateline.measuring.served import started
from dateline.settings import Settings
from inference.runtimes.loading import cores
from storage.embedded.record.candidate_lists import FILE, MOST_BYTES

_TICKS = os.sysconf("SC_CLK_TCK")
_ROUNDS, _LONGEST_S = 3, 15.0  # seconds in which the searches of a profile must begin
_RERANKS = "rerank"
_CALM, _CALM_S = 0.08, 60.0  # share of a processor that a service at rest takes; longest wait
_PAUSED, _PAUSE_S = 100, 0.03  # searches after a pause
_REST_S = 4.0  # to see what it takes at rest
_SERVED = (
    *("searches", "profile", "encoder", "second_encoder", "tagger", "reranker", "threads"),
    *("models", "pulled_models", "rerank_candidates", "rerank_tokens", "rerank_deadline_ms"),
)


@dataclass(frozen=True, slots=True)
class Asking:
    """What to ask: searches by each profile; with `filters` by each of them, too; seconds of each
    number of clients at once, 0 for none.
    """

    profiles: tuple[str, ...]
    searches: int
    filters: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Spent:
    """Processor time in milliseconds: of a service's first process, and of those that search."""

    front: float
    search: float


@dataclass(frozen=True, slots=True)
class Settled:
    """A service that does nothing but what it does at rest, which takes `rest` of each second."""

    pid: int
    rest: Spent

    def spent(self) -> Spent:
        """Return what its processes took since they started."""
        return spent_by(self.pid)

    def since(self, before: Spent, seconds: float) -> Spent:
        """Return what it took for searches in the `seconds` since `before`."""
        now = self.spent()
        return Spent(
            now.front - before.front - self.rest.front * seconds,
            now.search - before.search - self.rest.search * seconds,
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of it. `curve` is the work of 1, 2, 3 … threads in that of one, `noise` by how much
    the slowest of three rounds took more than the fastest. The archive's memory is that after the
    searches without a filter, so that sizes compare; `kept` is what the first process and one that
    searches took more until the end: what they remember does not grow with the archive.
    """

    searches: tuple[SearchTimes, ...]
    archive: Archive
    curve: tuple[float, ...]
    noise: float
    kept: tuple[float, float] = (0.0, 0.0)


def asked(settings: Settings, grown: Grown, asking: Asking) -> Asked:
    """Start the service on the archive and ask it. Raises StorageError if it does not answer."""
    disk = sum(p.stat().st_size for p in settings.data.rglob("*") if _grows(p)) + MOST_BYTES
    keys = {each: secrets.token_urlsafe(16) for each in (WHOLE, PART)}
    variables = served_variables(settings, keys)
    with started(settings.data, (WHOLE,), variables) as (pid, reached):
        service = settled(pid)
        client = Client(str(reached.base_url), keys, grown.texts)
        found, noise = [], 0.0
        for name in asking.profiles:
            client.ask(name, asking.searches, time.perf_counter() + _LONGEST_S)
            one, spread = alone(client, service, name, asking.searches)
            noise = max(noise, spread)
            deadline = settings.rerank_deadline_ms if name.endswith(_RERANKS) else 0.0
            one = replace(one, passages=grown.passages, deadline_ms=deadline)
            found.append(with_rest(one, client))
        front, search, mapped = _memory(pid)
        for name, filter_ in product(asking.profiles, grown.filters if asking.filters else ()):
            client.ask(name, 10, filter_=filter_)
            one, _ = alone(client, service, name, asking.searches // 3, filter_)
            deadline = settings.rerank_deadline_ms if name.endswith(_RERANKS) else 0.0
            found.append(replace(one, passages=grown.passages, deadline_ms=deadline))
        curve: tuple[float, ...] = (1.0,)
        if asking.seconds:
            curve = curve_of(client, service, found[0].profile, asking.seconds)
        later = _memory(pid)
    archive = Archive(grown.stories, grown.passages, disk, front, search, mapped)
    kept = max(0.0, later[0] - front), max(0.0, later[1] - search)
    return Asked(tuple(found), archive, curve, noise, kept)


def served_variables(settings: Settings, keys: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a service that callers with these keys, by product, may ask."""
    own = orjson.dumps(keys_of(tuple(keys.items()))).decode()
    told = {f"DATELINE_{name.upper()}": str(getattr(settings, name)) for name in _SERVED}
    return {**told, "DATELINE_KEYS": own}


class Client:
    """Asks by a few words of one text, new each time; `keys` are those of callers by product."""

    def __init__(self, url: str, keys: Mapping[str, str], texts: Sequence[str]) -> None:
        parts = urlsplit(url)
        self._place = parts.hostname or "", parts.port or 80
        self._keys = keys
        self._words = [words for t in texts if len(words := re.findall(r"[a-z]{4,}", t)) >= 6]
        self._seeds = count(1)

    def queries(self, seed: int = 0) -> Iterator[str]:
        """Yield queries without end: others in each call, or those of a seed."""
        chance = random.Random(seed or next(self._seeds))  # noqa: S311  it only chooses words
        while True:
            words = chance.choice(self._words)
            yield " ".join(chance.sample(words, min(len(words), chance.randint(2, 6))))

    def ask(
        self,
        profile: str,
        most: int,
        until: float = float("inf"),
        filter_: Filter | None = None,
        *,
        pause_s: float = 0.0,
    ) -> list[tuple[float, Mapping[str, float]]]:
        """Ask one after the other, each after a pause; return milliseconds, whole and by stage, of
        each.
        """
        found: list[tuple[float, Mapping[str, float]]] = []
        more = () if filter_ is None else filter_.parameters
        headers = {"x-api-key": self._keys[WHOLE if filter_ is None else filter_.products]}
        connection = http.client.HTTPConnection(*self._place, timeout=60)
        try:
            for query in self.queries():
                if len(found) >= most or time.perf_counter() > until:
                    return found
                path = "/content/search?" + urlencode([("q", query), ("profile", profile), *more])
                if pause_s:
                    time.sleep(pause_s)
                began = time.perf_counter()
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                took = (time.perf_counter() - began) * 1000
                if answer.status != 200:
                    raise StorageError(f"the service answered {answer.status}: {body[:200]!r}")
                found.append((took, orjson.loads(body)["data"]["timings_ms"]))
        finally:
            connection.close()
        return found


def alone(
    client: Client,
    service: Settled,
    profile: str,
    searches: int,
    filter_: Filter | None = None,
    *,
    rounds: int = _ROUNDS,
    longest_s: float = _LONGEST_S,
) -> tuple[SearchTimes, float]:
    """Return the searches of one client, as many as asked or those of `longest_s`, and how much the
    slowest round took more than the fastest. Ask so many before, so that caches are full.
    """
    answers: list[tuple[float, Mapping[str, float]]] = []
    medians = []
    before, load = service.spent(), time.process_time()
    began = time.perf_counter()
    for _ in range(rounds):
        until = time.perf_counter() + longest_s / rounds
        part = client.ask(profile, max(10, searches // rounds), until, filter_)
        medians.append(float(np.median([took for took, _ in part])))
        answers += part
    seconds = time.perf_counter() - began
    load_ms = (time.process_time() - load) * 1000 / len(answers)
    spent = service.since(before, seconds)
    front, search = (max(0.01, each / len(answers)) for each in (spent.front, spent.search))
    stages = tuple(sorted({name for _, spent in answers for name in spent} - {"total"}))
    rows = tuple(
        (*(spent.get(name, 0.0) for name in stages), max(0.0, took - spent["total"]))
        for took, spent in answers
    )
    width = search / max(1e-3, seconds * 1000 / len(answers) - front - load_ms)
    times = SearchTimes(profile, 0, (*stages, HTTP), rows, front, load_ms, width)
    if filter_ is not None:
        times = replace(times, filter=filter_.name, allowed=filter_.allowed)
    return times, max(medians) / min(medians) - 1


def with_rest(times: SearchTimes, client: Client, searches: int = _PAUSED) -> SearchTimes:
    """Measure searches after a pause, in which a processor slows down and others use its caches;
    return `times` with what one takes more.
    """
    until = time.perf_counter() + _LONGEST_S / _ROUNDS
    found = client.ask(times.profile, searches, until, pause_s=_PAUSE_S)
    mean = float(np.mean([took for took, _ in found]))
    return replace(times, rested_ms=max(0.0, mean - times.alone))


def curve_of(client: Client, service: Settled, profile: str, seconds: float) -> tuple[float, ...]:
    """Return the work that 1, 2, 3 … busy threads of this machine do at once, in the work of one.
    It is measured by 1, 2, 4 … clients, which see how much threads slow each other: the processor
    time of an answer grows. The last number is what two clients for each thread get: a service that
    is asked all the time does not keep all threads busy. Between is a straight line.
    """
    threads = cores()
    numbers = sorted({1, *(2**n for n in range(1, 8) if 2**n < threads), threads})
    found = {
        busy: _paid(client, service, profile, busy if busy < threads else 2 * threads, seconds)
        for busy in numbers
    }
    one = found[1][0]
    seen = [busy * one / found[busy][0] for busy in numbers]
    if threads > 1:
        seen[-1] = min(seen[-1], one * found[threads][1] / 1000)
    most = np.arange(1, threads + 1)
    line = np.interp(most, numbers, seen)
    rising = np.maximum.accumulate(np.clip(line, 1.0, most))  # a chance can't make more of threads
    return tuple(round(float(each), 4) for each in rising)


def _paid(
    client: Client, service: Settled, profile: str, clients: int, seconds: float
) -> tuple[float, float]:
    """Return the processor time of an answer in milliseconds, with the client's, while so many ask
    in turn, and the answers a second.
    """
    answered: list[int] = []
    before, load = service.spent(), time.process_time()
    began = time.perf_counter()

    def run() -> None:
        answered.append(len(client.ask(profile, sys.maxsize, began + seconds)))

    threads = [Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(answered) < clients:
        raise StorageError("a client was refused while the curve was measured")
    passed = time.perf_counter() - began
    spent = service.since(before, passed)
    ours = (time.process_time() - load) * 1000
    number = sum(answered)
    return (spent.front + spent.search + ours) / max(1, number), number / passed


# --- what processes take


def spent_by(pid: int) -> Spent:
    """Return what the processes of a service took since they started."""
    return Spent(_spent(pid), sum(_spent(child) for child in _searching(pid)))


def _spent(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / _TICKS


def settled(pid: int) -> Settled:
    """Wait until a service that was just started does nothing by itself any more, or not longer
    than a minute; return what it takes at rest.
    """
    until = time.perf_counter() + _CALM_S
    while True:
        spent = _spent_in(pid, 1.0)
        if spent.front + spent.search < _CALM * 1000 or time.perf_counter() > until:
            return Settled(pid, _spent_in(pid, _REST_S))


def _spent_in(pid: int, seconds: float) -> Spent:
    """Return what a service takes in a second, looking at it for `seconds`."""
    before, began = spent_by(pid), time.perf_counter()
    time.sleep(seconds)
    now, passed = spent_by(pid), time.perf_counter() - began
    return Spent((now.front - before.front) / passed, (now.search - before.search) / passed)


def _searching(pid: int) -> list[int]:
    """Return the processes that search for a service."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            fields = (path / "stat").read_text("utf-8").rpartition(")")[2].split()
            line = (path / "cmdline").read_bytes()
        except OSError:
            continue  # it ended
        if int(fields[1]) == pid and b"dateline.serving.searchers" in line:
            found.append(int(path.name))
    return found


def _memory(pid: int) -> tuple[float, float, float]:
    """Return bytes: of the first process and of one that searches, their own; and the most that one
    has of mapped files.
    """
    pids = (pid, *_searching(pid))
    own = [sizes_of(each)[0] for each in pids]
    return own[0], max(own[1:] or own), max(_mapped(each) for each in pids) + MOST_BYTES


def _mapped(pid: int) -> float:
    """Return the bytes of files that a process has in memory. A file that is mapped twice counts
    once, and the lists behind cursors not at all: their size has a limit, whatever the archive's.
    """
    found: Counter[str] = Counter()
    path = ""
    for line in Path(f"/proc/{pid}/smaps").read_text("utf-8", "replace").splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            fields = rest.split(maxsplit=4)
            path = fields[4] if len(fields) == 5 else ""
        elif name == "Rss:" and path.startswith("/") and FILE not in path:
            found[path] += int(rest.split()[0]) * 1024
    return float(sum(min(size, _size(path)) for path, size in found.items()))


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:  # deleted, and still mapped
        return 0


def _grows(path: Path) -> bool:
    """Return whether a file is of the archive, and not of the lists behind cursors."""
    return path.is_file() and not path.name.startswith(FILE)


def sizes_of(pid: int | str) -> tuple[float, float]:
    """Return bytes of a process: its own, and of mapped files."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    sizes = {
        name: int(rest.split()[0]) * 1024.0
        for name, _, rest in (line.partition(":") for line in lines)
        if name in ("RssAnon", "RssFile")
    }
    return sizes["RssAnon"], sizes["RssFile"]
