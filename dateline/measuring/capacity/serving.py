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

_TICKS = os.sysconf("SC_CLK_TCK")
_ROUNDS = 3
_RERANKS = "rerank"
_CALM, _CALM_S = 0.05, 60.0  # share of a processor that a service at rest takes; longest wait
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
class Asked:
    """What came of it. `curve` is the work of 1, 2, 3 … threads in that of one, `noise` by how much
    the slowest of three rounds took more than the fastest.
    """

    searches: tuple[SearchTimes, ...]
    archive: Archive
    curve: tuple[float, ...]
    noise: float


def asked(settings: Settings, grown: Grown, asking: Asking) -> Asked:
    """Start the service on the archive and ask it. Raises StorageError if it does not answer."""
    disk = sum(p.stat().st_size for p in settings.data.rglob("*") if p.is_file())
    keys = {each: secrets.token_urlsafe(16) for each in (WHOLE, PART)}
    variables = served_variables(settings, keys)
    with started(settings.data, (WHOLE,), variables) as (pid, reached):
        settle(pid)
        client = Client(str(reached.base_url), keys, grown.texts)
        found, noise = [], 0.0
        for name in asking.profiles:
            client.ask(name, 20)  # a warm-up
            one, spread = alone(client, pid, name, asking.searches)
            noise = max(noise, spread)
            deadline = settings.rerank_deadline_ms if name.endswith(_RERANKS) else 0.0
            found.append(replace(one, passages=grown.passages, deadline_ms=deadline))
        for name, filter_ in product(asking.profiles, grown.filters if asking.filters else ()):
            client.ask(name, 5, filter_=filter_)
            one, _ = alone(client, pid, name, asking.searches // 3, filter_)
            deadline = settings.rerank_deadline_ms if name.endswith(_RERANKS) else 0.0
            found.append(replace(one, passages=grown.passages, deadline_ms=deadline))
        curve = curve_of(client, found[0].profile, asking.seconds) if asking.seconds else (1.0,)
        front, search, mapped = _memory(pid)
    archive = Archive(grown.stories, grown.passages, disk, front, search, mapped)
    return Asked(tuple(found), archive, curve, noise)


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
        self, profile: str, most: int, until: float = float("inf"), filter_: Filter | None = None
    ) -> list[tuple[float, Mapping[str, float]]]:
        """Ask one after the other; return milliseconds, whole and by stage, of each."""
        found: list[tuple[float, Mapping[str, float]]] = []
        more = () if filter_ is None else filter_.parameters
        headers = {"x-api-key": self._keys[WHOLE if filter_ is None else filter_.products]}
        connection = http.client.HTTPConnection(*self._place, timeout=60)
        try:
            for query in self.queries():
                if len(found) >= most or time.perf_counter() > until:
                    return found
                path = "/content/search?" + urlencode([("q", query), ("profile", profile), *more])
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
    client: Client, pid: int, profile: str, searches: int, filter_: Filter | None = None
) -> tuple[SearchTimes, float]:
    """Return the searches of one client, and how much the slowest of three rounds took more than
    the fastest.
    """
    answers: list[tuple[float, Mapping[str, float]]] = []
    medians = []
    before, load = _processor_ms(pid), time.process_time()
    began = time.perf_counter()
    for _ in range(_ROUNDS):
        part = client.ask(profile, max(10, searches // _ROUNDS), filter_=filter_)
        medians.append(float(np.median([took for took, _ in part])))
        answers += part
    wall = (time.perf_counter() - began) * 1000 / len(answers)
    load_ms = (time.process_time() - load) * 1000 / len(answers)
    after = _processor_ms(pid)
    front, search = (max(0.01, (after[n] - before[n]) / len(answers)) for n in range(2))
    stages = tuple(sorted({name for _, spent in answers for name in spent} - {"total"}))
    rows = tuple(
        (*(spent.get(name, 0.0) for name in stages), max(0.0, took - spent["total"]))
        for took, spent in answers
    )
    width = search / max(1e-3, wall - front - load_ms)
    times = SearchTimes(profile, 0, (*stages, HTTP), rows, front, load_ms, width)
    if filter_ is not None:
        times = replace(times, filter=filter_.name, allowed=filter_.allowed)
    return times, max(medians) / min(medians) - 1


def curve_of(client: Client, profile: str, seconds: float) -> tuple[float, ...]:
    """Return the work that 1, 2, 4 … clients get done at once, in the work of one, for each number
    of threads of this machine. Between the measured numbers it is a straight line.
    """
    threads = cores()
    numbers = sorted({1, *(2**n for n in range(1, 8) if 2**n < threads), threads, 2 * threads})
    paces = {number: _pace(client, profile, number, seconds) for number in numbers}
    seen = {number: paces[number] / paces[1] for number in numbers if number < threads}
    seen[threads] = max(paces[threads], paces[2 * threads]) / paces[1] if threads > 1 else 1.0
    places = sorted(seen)
    most = np.arange(1, threads + 1)
    line = np.interp(most, places, [seen[place] for place in places])
    rising = np.maximum.accumulate(np.clip(line, 1.0, most))  # other work makes it seem to be more
    return tuple(round(float(each), 4) for each in rising)


def _pace(client: Client, profile: str, clients: int, seconds: float) -> float:
    """Return answers a second to `clients` that ask one after the other."""
    answered: list[int] = []
    until = time.perf_counter() + seconds

    def run() -> None:
        answered.append(len(client.ask(profile, sys.maxsize, until)))

    threads = [Thread(target=run) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(answered) < clients:
        raise StorageError("a client was refused while the curve was measured")
    return sum(answered) / (time.perf_counter() - began)


# --- what processes take


def _processor_ms(pid: int) -> tuple[float, float]:
    """Return the processor time of a service's first process, and of those that search."""
    return _spent(pid), sum(_spent(child) for child in _searching(pid))


def _spent(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / _TICKS


def settle(pid: int) -> None:
    """Wait until a service that was just started does nothing by itself any more, or not longer
    than a minute.
    """
    until, spent = time.perf_counter() + _CALM_S, sum(_processor_ms(pid))
    while time.perf_counter() < until:
        time.sleep(1.0)
        before, spent = spent, sum(_processor_ms(pid))
        if spent - before < _CALM * 1000:
            return


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
    own = [sizes_of(each) for each in (pid, *_searching(pid))]
    searching = own[1:] or own
    return own[0][0], max(each[0] for each in searching), max(each[1] for each in own)


def sizes_of(pid: int | str) -> tuple[float, float]:
    """Return bytes of a process: its own, and of mapped files."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    sizes = {
        name: int(rest.split()[0]) * 1024.0
        for name, _, rest in (line.partition(":") for line in lines)
        if name in ("RssAnon", "RssFile")
    }
    return sizes["RssAnon"], sizes["RssFile"]
