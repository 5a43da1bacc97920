"""Cursors between real processes, after a kill -9, and through heavy ingest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.items import PubStatus
from core.writes import PutItem, SetStatus
from search.kept_candidates import SharedCandidateStore
from tests.search.engines import Tried, every_engine  # noqa: F401 - a fixture
from tests.search.room import READER, Room, story, uris

pytestmark = pytest.mark.service

ROOT = Path(__file__).parent.parent.parent.parent
QUERY = "ferry quay"


class Process:
    """Another process over the archive in `folder`."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-P", "-m", "tests.search.cursors.cursor_process", str(folder)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def ask(self, **asked: Any) -> dict[str, Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"q": QUERY, "page_size": 4, **asked}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream
            stream.close()


@contextmanager
def processes(folder: Path, count: int) -> Iterator[list[Process]]:
    started = [Process(folder) for _ in range(count)]
    try:
        yield started
    finally:
        for process in started:
            process.kill()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Twenty-three stories at different scores, in an archive that no process has open."""
    room = Room(tmp_path / "archive")
    room.put(*(story(f"urn:{n:02}", "ferry " + "quay " * n, body=f"n{n}") for n in range(23)))
    room.engine.close()
    return room.folder


def test_two_processes_walk_one_cursor_in_turns(archive: Path) -> None:
    with processes(archive, 2) as (one, two):
        whole = one.ask(page_size=200)
        answer = one.ask()
        seen, scores, turns = answer["uris"], answer["scores"], [two, one] * 3
        for process in turns:
            if answer["cursor"]:
                answer = process.ask(cursor=answer["cursor"])
                assert answer["total"] == 23
                seen, scores = seen + answer["uris"], scores + answer["scores"]
        assert (seen, scores) == (whole["uris"], whole["scores"])
        assert answer["cursor"] == ""


def test_a_killed_process_s_cursors_go_on_in_the_next(archive: Path) -> None:
    with processes(archive, 1) as (first,):
        whole = first.ask(page_size=200)["uris"]
        answer = first.ask()
        first.kill()
    with processes(archive, 1) as (second,):
        rest = second.ask(cursor=answer["cursor"], page_size=200)
        assert answer["uris"] + rest["uris"] == whole


def test_a_cursor_of_no_process_is_expired(archive: Path) -> None:
    with processes(archive, 1) as (one,):
        cursor = one.ask()["cursor"]
        forged = "x" * 16 + cursor[16:]
        assert "no longer known" in one.ask(cursor=forged)["expired"]


class Ingest:
    """Threads that write, kill and correct as fast as they can, until the walk ends."""

    def __init__(self, room: Room) -> None:
        self.killed: set[str] = set()  # acknowledged
        self.corrected: set[str] = set()  # perhaps already
        self.written = 0
        self._room = room
        self._over = threading.Event()
        self.failures: list[BaseException] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        works = (self._write, self._kill, self._correct)
        threads = [threading.Thread(target=self._until_over, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def least(self) -> int:
        """How many writes of each kind there were at least."""
        return min(self.written, len(self.killed), len(self.corrected))

    def wait_for(self, count: int) -> None:
        """Until there were so many of each kind: pages may be quicker than writes."""
        deadline = time.monotonic() + 240
        while self.least() < count and not self.failures and time.monotonic() < deadline:
            time.sleep(0.005)

    def _until_over(self, work: Any) -> None:
        number = 0
        try:
            while not self._over.is_set():
                work(number)
                number += 1
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.failures.append(error)

    def _write(self, number: int) -> None:
        item = story(f"new:{number}", "ferry ferry ferry quay", body="fresh")
        self._room.engine.put([PutItem(item, (self._room.embedded(item),))])
        self.written += 1

    def _kill(self, number: int) -> None:
        uri = f"urn:{(number * 37) % 1000:04}"
        self._room.engine.set_status([SetStatus(uri, PubStatus.CANCELED)])
        self.killed.add(uri)

    def _correct(self, number: int) -> None:
        uri = f"urn:{(number * 53 + 7) % 1000:04}"
        self.corrected.add(uri)
        item = story(uri, "ferry corrected", version=number // 1000 + 2, body="corrected")
        self._room.engine.put([PutItem(item, (self._room.embedded(item),))])


def test_a_walk_of_1000_results_during_heavy_ingest_shows_each_once(
    room: Room, tried: Tried
) -> None:
    """By two stores in turns, of which neither has the other's memory."""
    for start in range(0, 1000, 250):
        room.put(
            *(
                story(f"urn:{n:04}", "ferry " + "quay " * (n % 9), body=f"number{n}")
                for n in range(start, start + 250)
            )
        )
    shelves = [tried.lists(room.folder, room.engine.record) for _ in range(2)]
    pipelines = [room.build(candidates=SharedCandidateStore(shelf)) for shelf in shelves]
    asked: dict[str, Any] = {"profile": "lexical", "page_size": 20, "highlight": False}
    answer = room.ask(QUERY, READER, pipeline=pipelines[0], **asked)
    assert answer.total.value == 1000
    seen, turn, ingest = uris(answer), 0, Ingest(room)
    with ingest.running():
        while answer.cursor:
            turn += 1
            ingest.wait_for(turn // 10)
            gone = set(ingest.killed)
            cursor, pipeline = answer.cursor, pipelines[turn % 2]
            answer = room.ask(QUERY, READER, pipeline=pipeline, cursor=cursor, **asked)
            assert gone.isdisjoint(uris(answer))
            assert all(hit.item.version == 1 for hit in answer.hits)
            seen += uris(answer)
    assert not ingest.failures
    assert len(seen) == len(set(seen))
    assert not [uri for uri in seen if uri.startswith("new:")]
    untouched = {f"urn:{n:04}" for n in range(1000)} - ingest.killed - ingest.corrected
    assert untouched <= set(seen)
    assert ingest.least() > 3
    for shelf in shelves:
        shelf.close()
