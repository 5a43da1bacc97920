"""Measures what a plan of capacity needs, on this machine: `dateline capacity measure`.

    peaks ──> a made archive ──> dateline serve ──> searches alone ──> several clients ──> calls
              of two sizes       over HTTP          by stage           the curve           of models

The archive is made from the demo corpus (`made_stories.py`), with vectors that lie between those of
its stories, so no model runs for it. Searches are of a few words of one story, new each time.
Everything is in a temporary folder, and nothing outside of this machine is asked.
"""

from __future__ import annotations

import http.client
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode, urlsplit

import numpy as np
import orjson

from capacity.measurements import (
    HTTP,
    QUANTILES,
    Archive,
    Calls,
    MachineFacts,
    Measurements,
    Peaks,
    SearchTimes,
)
from core.errors import InputError, StorageError
from dateline.build.service import Service, build_service, profiles
from dateline.default_folders import demo_folder
from dateline.measuring.made_stories import made_stories, parents_of
from dateline.measuring.provenance import program_version
from dateline.measuring.served import started
from dateline.settings import Settings
from inference.measuring.machine import measure_limits, times
from inference.runtimes.loading import cores

Report = Callable[[str], None]
PRODUCTS = ("demo",)
_BATCH = 500
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_BLOCK = 1 << 26  # bytes, larger than caches
_ROUNDS = 3
_PACKAGES = ("numpy", "onnxruntime", "faiss-cpu", "tantivy", "tokenizers", "fastapi", "uvicorn")
_TOLD = ("profile", "encoder", "second_encoder", "tagger", "reranker", "threads", "runtimes")
_TOLD_TOO = ("hnsw_m", "hnsw_ef_search", "hnsw_precision", "rerank_candidates", "rerank_tokens")
_RERANKS = "hybrid-rerank"
_WORDS = (
    *("news", "city", "week", "year", "team", "fire", "rain", "bank", "vote", "ship", "road"),
    *("game", "court", "train", "price", "storm"),
)
_CALM, _CALM_S = 0.05, 180.0  # share of a processor that a service at rest takes; longest wait


@dataclass(frozen=True, slots=True)
class MeasurePlan:
    """What to measure: archives of these numbers of passages, searches of each profile, and
    seconds of each number of clients.
    """

    sizes: tuple[int, ...] = (25_000, 100_000)
    profiles: tuple[str, ...] = ("hybrid",)
    searches: int = 150
    seconds: float = 10.0

    def check(self, known: Sequence[str]) -> None:
        """Raise InputError for a plan that can't be carried out."""
        if not self.sizes or min(self.sizes) < 1000:
            what = "an archive has 1,000 passages at least"
            raise InputError(what, where="--passages", mend="25k,100k")
        for name in self.profiles:
            if name not in known:
                mend = f"one of {', '.join(known)}"
                raise InputError(f"there is no profile {name}", where="--profiles", mend=mend)


def measure(settings: Settings, plan: MeasurePlan, report: Report) -> Measurements:
    """Return the measurements of this machine. Raises InputError, StorageError, ModelError."""
    if settings.engine != "embedded":
        mend = "set engine to embedded for this command; a plan has constants for OpenSearch"
        raise InputError("only the embedded engine is measured", where="engine", mend=mend)
    plan.check(tuple(profiles(settings)))
    report("peaks of the machine")
    peaks = machine_peaks()
    searches: list[SearchTimes] = []
    archives: list[Archive] = []
    with tempfile.TemporaryDirectory(prefix="dateline-capacity-") as folder:
        ours = settings.model_copy(update={"data": Path(folder), "demo": False, "keys": ()})
        ours = ours.model_copy(update={"searches": min(64, max(2, cores()))})
        calls: tuple[Calls, ...] = ()
        made = 0
        for size in sorted(plan.sizes):
            grown = grow(ours, made, size, report, with_calls=size == max(plan.sizes))
            made, calls = size, grown.calls
            asked = _asked(ours, plan, grown, report, with_clients=size == max(plan.sizes))
            searches += asked.searches
            archives.append(asked.archive)
    machine = replace(machine_facts(peaks), curve=asked.curve)
    return Measurements(
        made=date.today().isoformat(),
        version=program_version(),
        noise=asked.noise,
        machine=machine,
        searches=tuple(searches),
        archives=tuple(archives),
        calls=calls,
        packages={name: _version(name) for name in _PACKAGES},
        settings={name: str(getattr(ours, name)) for name in (*_TOLD, *_TOLD_TOO)},
    )


# --- the machine


def machine_peaks() -> Peaks:
    """Measure what one thread can do at most, for about two seconds."""
    limits = measure_limits(sizes=(_BLOCK,))
    return Peaks(
        limits.int8,
        limits.float32,
        limits.bandwidth(_BLOCK),
        1.0 / min(times(_python_loop, 0.3)) * _STEPS,
        float(np.median(_syncs(50))),
    )


_STEPS = 100_000


def _python_loop() -> int:
    """Take a fixed number of steps of plain Python."""
    total, names = 0, {"a": 1, "b": 2}
    for number in range(_STEPS):
        total += names["a" if number & 1 else "b"]
    return total


def _syncs(rounds: int) -> list[float]:
    """Return milliseconds of writing 4 KiB and waiting for the disk."""
    found = []
    with tempfile.TemporaryFile() as file:
        for _ in range(rounds):
            began = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            found.append((time.perf_counter() - began) * 1000)
    return found


def machine_facts(peaks: Peaks) -> MachineFacts:
    """Return what /proc says of this machine; its curve is not measured yet."""
    text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    allowed = os.sched_getaffinity(0)
    blocks = [dict(_fields(block)) for block in text.strip().split("\n\n")]
    here = [b for b in blocks if int(b.get("processor", -1)) in allowed] or blocks
    places = {(b.get("physical id", ""), b.get("core id", n)) for n, b in enumerate(here)}
    name = here[0].get("model name", "unknown")
    memory = os.sysconf("SC_PHYS_PAGES") * _PAGE
    threads = len(allowed)
    return MachineFacts(name, threads, min(threads, len(places)), float(memory), peaks, (1.0,))


def _fields(block: str) -> Iterator[tuple[str, str]]:
    for line in block.splitlines():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


# --- the archive


@dataclass(frozen=True, slots=True)
class Grown:
    """An archive: its stories, passages, words of texts to ask by, and the calls measured."""

    stories: int
    passages: int
    texts: tuple[str, ...]
    calls: tuple[Calls, ...]


def grow(settings: Settings, made: int, size: int, report: Report, *, with_calls: bool) -> Grown:
    """Fill the archive up to `size` made stories of one passage each."""
    report(f"an archive of {size:,} passages")
    service = build_service(settings, background=False)
    try:
        if not made:
            documents = (demo_folder() / "stories.jsonl").read_bytes().splitlines()
            service.ingest.put_documents(documents)
        parents = parents_of(service)
        imported, built = time.process_time(), 0.0
        for first in range(made, size, _BATCH):
            many = min(_BATCH, size - first)
            service.engine.put(tuple(made_stories(parents, first, many)))
        service.engine.catch_up()
        imported = time.process_time() - imported
        built = time.process_time()
        service.engine.compact()
        built = time.process_time() - built
        status = service.status()
        calls: tuple[Calls, ...] = ()
        if with_calls:
            report("calls of models")
            pace = imported / max(1, size - made) * 1000, built / max(1, size) * 1000
            calls = (_flat("import", pace[0]), _flat("graph", pace[1]), *model_calls(service))
        texts = tuple(item.body for item in parents.items)
        return Grown(int(status["visible"]), int(status["passages"]), texts, calls)
    finally:
        service.close()


def _flat(what: str, ms: float) -> Calls:
    """Return the mean of many small pieces of work, of which no distribution is known."""
    return Calls(what, 1, 1, 1, (ms,) * len(QUANTILES), "python")


def model_calls(service: Service, seconds: float = 1.0) -> tuple[Calls, ...]:
    """Measure the loaded models' calls by batch and tokens."""
    models, threads = service.models, service.settings.threads
    found: list[Calls] = []
    chance = random.Random(1)  # noqa: S311  it only chooses words

    def add(what: str, batch: int, tokens: int, call: Callable[[Sequence[str]], object]) -> None:
        spans = np.array(times(lambda: call(made_texts(batch, tokens, chance)), seconds)) * 1000
        quantiles = tuple(round(float(np.quantile(spans, q)), 4) for q in QUANTILES)
        found.append(Calls(what, threads if batch > 1 else 1, batch, tokens, quantiles))

    for number, encoder in enumerate(models.encoders):
        add(f"encode {number + 1}", 1, 16, encoder.encode_queries)
        for tokens in (32, 128):
            add(f"embed {number + 1}", 64, tokens, encoder.encode_passages)
    if models.tagger is not None:
        add("tag", 1, 16, models.tagger.tag)
    scorer = models.scorer
    if scorer is not None:
        for tokens in (48, 128):
            add("rerank", 20, tokens, lambda texts: scorer.score(["ferry accident"] * 20, texts))
    return tuple(found)


def made_texts(batch: int, tokens: int, chance: random.Random) -> list[str]:
    """Return texts that nobody has asked yet, because what was asked is remembered. Each of these
    words is one token; a text has two more.
    """
    return [" ".join(chance.choices(_WORDS, k=tokens - 2)) for _ in range(batch)]


# --- the service


@dataclass(frozen=True, slots=True)
class _Asked:
    searches: tuple[SearchTimes, ...]
    archive: Archive
    curve: tuple[float, ...]
    noise: float


def _asked(
    settings: Settings, plan: MeasurePlan, grown: Grown, report: Report, *, with_clients: bool
) -> _Asked:
    """Start the service on the archive and ask it, first alone, then by several clients."""
    disk = sum(p.stat().st_size for p in settings.data.rglob("*") if p.is_file())
    variables = {
        f"DATELINE_{name.upper()}": str(getattr(settings, name))
        for name in ("searches", "second_encoder", "profile")
    }
    with started(settings.data, PRODUCTS, variables) as (pid, reached):
        settle(pid)
        client = Client(str(reached.base_url), str(reached.headers["x-api-key"]), grown.texts)
        found, noise = [], 0.0
        for name in plan.profiles:
            report(f"{plan.searches} searches by {name}")
            client.ask(name, 20)  # a warm-up
            one, spread = alone(client, pid, name, plan.searches)
            noise = max(noise, spread)
            deadline = settings.rerank_deadline_ms if name == _RERANKS else 0.0
            found.append(replace(one, passages=grown.passages, deadline_ms=deadline))
        curve: tuple[float, ...] = (1.0,)
        if with_clients:
            report("several clients at once")
            curve = curve_of(client, found[0], plan.seconds)
        front, search, mapped = _memory(pid)
    archive = Archive(grown.stories, grown.passages, disk, front, search, mapped)
    return _Asked(tuple(found), archive, curve, noise)


class Client:
    """Asks by a few words of one text, new each time."""

    def __init__(self, url: str, key: str, texts: Sequence[str]) -> None:
        parts = urlsplit(url)
        self._place = parts.hostname or "", parts.port or 80
        self._headers = {"x-api-key": key}
        self._words = [words for t in texts if len(words := re.findall(r"[a-z]{4,}", t)) >= 6]
        self._seeds = count(1)

    def queries(self, seed: int = 0) -> Iterator[str]:
        """Yield queries without end: others in each call, or those of a seed."""
        chance = random.Random(seed or next(self._seeds))  # noqa: S311  it only chooses words
        while True:
            words = chance.choice(self._words)
            yield " ".join(chance.sample(words, min(len(words), chance.randint(2, 6))))

    def ask(
        self, profile: str, most: int, until: float = float("inf")
    ) -> list[tuple[float, Mapping[str, float]]]:
        """Ask one after the other; return milliseconds, whole and by stage, of each."""
        found: list[tuple[float, Mapping[str, float]]] = []
        connection = http.client.HTTPConnection(*self._place, timeout=60)
        try:
            for query in self.queries():
                if len(found) >= most or time.perf_counter() > until:
                    return found
                path = "/content/search?" + urlencode({"q": query, "profile": profile})
                began = time.perf_counter()
                connection.request("GET", path, headers=self._headers)
                answer = connection.getresponse()
                body = answer.read()
                took = (time.perf_counter() - began) * 1000
                if answer.status != 200:
                    raise StorageError(f"the service answered {answer.status}: {body[:200]!r}")
                found.append((took, orjson.loads(body)["data"]["timings_ms"]))
        finally:
            connection.close()
        return found


def alone(client: Client, pid: int, profile: str, searches: int) -> tuple[SearchTimes, float]:
    """Return the searches of one client, and how much the slowest of three rounds took more than
    the fastest.
    """
    answers: list[tuple[float, Mapping[str, float]]] = []
    medians = []
    before, load = _processor_ms(pid), time.process_time()
    began = time.perf_counter()
    for _ in range(_ROUNDS):
        part = client.ask(profile, max(10, searches // _ROUNDS))
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
    return times, max(medians) / min(medians) - 1


def curve_of(client: Client, found: SearchTimes, seconds: float) -> tuple[float, ...]:
    """Return the work that 1, 2, 4 … clients get done at once, in the work of one, for each number
    of threads of this machine. Between the measured numbers it is a straight line.
    """
    threads = cores()
    numbers = sorted({1, *(2**n for n in range(1, 8) if 2**n < threads), threads, 2 * threads})
    paces = {number: _pace(client, found.profile, number, seconds) for number in numbers}
    seen = {number: paces[number] / paces[1] for number in numbers if number < threads}
    seen[threads] = max(paces[threads], paces[2 * threads]) / paces[1] if threads > 1 else 1.0
    places = sorted(seen)
    line = np.interp(np.arange(1, threads + 1), places, [seen[place] for place in places])
    return tuple(round(float(each), 4) for each in np.maximum.accumulate(np.maximum(line, 1.0)))


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
    than three minutes.
    """
    until, spent = time.perf_counter() + _CALM_S, _spent(pid)
    while time.perf_counter() < until:
        time.sleep(1.0)
        before, spent = spent, _spent(pid)
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
    own = [_sizes(each) for each in (pid, *_searching(pid))]
    searching = own[1:] or own
    return own[0][0], max(each[0] for each in searching), max(each[1] for each in own)


def _sizes(pid: int) -> tuple[float, float]:
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    sizes = {
        name: int(rest.split()[0]) * 1024.0
        for name, _, rest in (line.partition(":") for line in lines)
        if name in ("RssAnon", "RssFile")
    }
    return sizes["RssAnon"], sizes["RssFile"]
