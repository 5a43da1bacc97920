"""A service under searches, writes and kills for hours, while its indexes are exchanged all the
time: no request fails, and its memory does not grow beside its archive.

It seals and merges segments far more often than it would, so that what is searched is exchanged
twice a minute; beside it a second service of the archive is started and stopped again and again.
What is written are new versions of the same stories, so the archive grows a little. Each second
service shows how much more memory the archive takes a process that has just read it; what the first
one grows beyond that is a leak. SOAK_S says for how long; `make deep` takes two hours. The slope is
judged where there is an hour to judge by.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from benchmarks.service.overload import PRODUCTS, fill
from dateline.default_folders import demo_folder
from dateline.serving.demo import DEMO_INGEST_KEY, DEMO_READ_KEY
from tests.dateline.serving.test_searchers import Service, searchers_of
from tests.dateline.serving.test_serve import START, served

SOAK_S = float(os.environ.get("SOAK_S", "120"))
pytestmark = [pytest.mark.faults, pytest.mark.deep, pytest.mark.timeout(int(SOAK_S) + 900)]

STORIES = 1000
WARM_UP = 0.3  # of the time; caches are full afterwards
FREED_S = (
    120.0  # within this every process gives back what it has freed (`storage.embedded.background`)
)
GROWTH_AN_HOUR = 0.01
OFTEN = (
    "import dateline.build.engine as built;"
    "from storage.embedded.vectors.merge_plan import ProjectionSettings;"
    "built.ProjectionSettings = lambda **_: ProjectionSettings(24, 8, 3, 0.25, 1, 40);"
) + START
READ, WRITE = {"x-api-key": DEMO_READ_KEY}, {"x-api-key": DEMO_INGEST_KEY}


def own_memory(pid: int) -> int:
    """Bytes that a process holds beside files that it maps: those of an archive grow with it, and
    the system takes their pages back where it needs room.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):  # one that searched was replaced
        return 0
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


class Soak:
    """Clients of one service: how many requests of each kind it answered, and what it failed."""

    def __init__(self, client: httpx.Client, rng: random.Random) -> None:
        self._client = client
        self._rng = rng
        lines = (demo_folder() / "stories.jsonl").read_bytes().splitlines()
        self._stories: list[dict[str, Any]] = [orjson.loads(line) for line in lines]
        self._words = sorted({*re.findall(r"[a-z]{5,}", b" ".join(lines).decode())})
        self.versions = Counter[str]()
        self.hidden: dict[str, int] = {}  # with the number of its kill
        self._kills = itertools.count()
        self.answered = Counter[str]()
        self.failed: list[str] = []

    def _ask(self, kind: str, method: str, path: str, **told: Any) -> httpx.Response | None:
        """The answer; None where it is a failure, which is kept."""
        try:
            answer = self._client.request(method, path, **told)
        except httpx.HTTPError as error:
            self.failed.append(f"{kind}: {error!r}")
            return None
        if not answer.is_success:
            self.failed.append(f"{kind}: {answer.status_code} {answer.text[:300]}")
            return None
        self.answered[kind] += 1
        return answer

    def search(self) -> None:
        """Searches for new words; notes a failure where a hidden item is shown."""
        hidden = {*self.hidden.items()}
        query = {"q": " ".join(self._rng.sample(self._words, 3)), "page_size": 10}
        answer = self._ask("search", "GET", "/content/search", params=query, headers=READ)
        found = answer.json()["data"]["items"] if answer else []
        throughout = {uri for uri, _ in hidden & {*self.hidden.items()}}
        if shown := throughout & {entry["item"]["uri"] for entry in found}:
            self.failed.append(f"search: {shown} are shown")

    def write(self) -> None:
        """Writes a new version of a story, then kills or releases one."""
        story = self._rng.choice(self._stories)
        uri = str(story["uri"])
        self.versions[uri] += 1
        told = {**story, "version": str(1 + self.versions[uri]), "products": PRODUCTS}
        self._ask("write", "POST", "/content", json=[told], headers=WRITE)
        uri = str(self._rng.choice(self._stories)["uri"])
        status = "usable" if uri in self.hidden else "canceled"
        self.hidden.pop(uri, None)
        answer = self._ask(
            status, "PATCH", f"/content/{uri}/status", json={"pubstatus": status}, headers=WRITE
        )
        if answer and status == "canceled":
            self.hidden[uri] = next(self._kills)


@contextmanager
def repeated(work: Callable[[], None], pause_s: float) -> Iterator[None]:
    """Does it again and again meanwhile, in a thread."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(pause_s):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextmanager
def heard(process: subprocess.Popen[str]) -> Iterator[list[str]]:
    """What the process logs until it is ended, at the end."""
    lines: list[str] = []
    assert process.stderr is not None
    listener = threading.Thread(target=lines.extend, args=(process.stderr,))
    listener.start()
    try:
        yield lines
    finally:
        process.terminate()
        listener.join()


@dataclass
class Memory:
    """The bytes that a service and its processes for searches hold, by the second of the soak."""

    seconds: list[float] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)

    def look(self, second: float, pid: int) -> None:
        """Adds what the service `pid` holds now."""
        self.seconds.append(second)
        self.bytes.append(sum(map(own_memory, (pid, *searchers_of(pid)))))

    def floors(self) -> Memory:
        """The least of each `FREED_S`: what is left when freed memory was given back."""
        turns = itertools.groupby(
            zip(self.seconds, self.bytes, strict=True), lambda seen: seen[0] // FREED_S
        )
        least = [min(turn, key=lambda seen: seen[1]) for _, turn in turns]
        return Memory([second for second, _ in least], [held for _, held in least])

    def since(self, second: float) -> Memory:
        """What was seen from then on."""
        kept = [at >= second for at in self.seconds]
        seconds = [*itertools.compress(self.seconds, kept)]
        return Memory(seconds, [*itertools.compress(self.bytes, kept)])

    def an_hour(self) -> float:
        """The bytes that it grows in an hour: the median slope between any two looks (Theil, 1950;
        Sen, 1968), which single high ones do not move.
        """
        seconds, held = np.array(self.seconds), np.array(self.bytes)
        later, earlier = np.tril_indices(len(seconds), -1)
        slopes = (held[later] - held[earlier]) / (seconds[later] - seconds[earlier])
        return 3600 * float(np.median(slopes)) if len(slopes) else 0.0


def come_and_go(archive: Path, rng: random.Random, began: float) -> Memory:
    """A second service of the archive, again and again: what each held when it had answered."""
    until, fresh = began + SOAK_S, Memory()
    while time.monotonic() < until:
        with served(archive) as (process, client):
            Service(process.pid, client)  # waits for its processes
            soak = Soak(client, rng)
            for _ in range(20):
                soak.search()
            assert soak.failed == []
            fresh.look(time.monotonic() - began, process.pid)
            process.terminate()
            assert process.wait(timeout=480) == -signal.SIGTERM, "it ends as it was told to"
        time.sleep(max(0.0, min(60.0, until - time.monotonic())))
    return fresh


def test_hours_of_work_fail_no_request_and_leave_memory_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATELINE_SEARCH_IN", "processes")
    monkeypatch.setenv("DATELINE_SEARCHES", "2")
    archive = tmp_path / "archive"
    fill(archive, STORIES)
    memory, segments = Memory(), set[str]()
    with ExitStack() as running:
        process, client = running.enter_context(served(archive, start=OFTEN))
        log = running.enter_context(heard(process))
        soak, began = Soak(client, random.Random(20261128)), time.monotonic()

        def look() -> None:
            memory.look(time.monotonic() - began, process.pid)
            segments.update(path.name for path in (archive / "projections/vectors/text").iterdir())

        running.enter_context(repeated(look, 1.0))
        for _ in range(2):
            running.enter_context(repeated(soak.search, 0.1))
        running.enter_context(repeated(soak.write, 2.0))
        fresh = come_and_go(archive, random.Random(7), began)
    lasted = memory.seconds[-1]
    warm, read = (seen.since(WARM_UP * lasted) for seen in (memory.floors(), fresh))
    held = float(np.median(warm.bytes))
    growth, archives = warm.an_hour() / held, read.an_hour() / held
    print(
        f"{lasted:,.0f} s: {dict(soak.answered)}, {len(segments)} segments, {len(fresh.bytes)} "
        f"starts of another service, {held / 1e6:,.0f} MB, {growth:+.2%} in an hour, of which the "
        f"archive {archives:+.2%}"
    )
    assert soak.failed == []
    assert "Traceback" not in "".join(log)
    assert len(segments) > SOAK_S / 60, "the indexes were exchanged all the time"
    assert growth - archives < GROWTH_AN_HOUR or lasted < 3600
