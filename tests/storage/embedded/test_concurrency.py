"""Searches go on while others write, seal and merge: what was acknowledged holds for the very next
search, whatever the other threads do.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.items import PubStatus
from core.query_tree import EVERYTHING, Word
from storage.embedded.engine import EmbeddedEngine
from tests.storage.world import (
    SetClock,
    ask,
    change,
    lexical,
    make_item,
    nearest,
    opened,
    unit,
    vector_of,
    write,
)

TURNS = int(os.environ.get("CONCURRENT_TURNS", "50"))


@pytest.fixture(autouse=True)
def _often_switched() -> Iterator[None]:
    """Threads take turns far more often than usual, so that a race has its chance."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@contextmanager
def meanwhile(*works: Callable[[], object]) -> Iterator[None]:
    """Each of `works` over and over in a thread of its own; what they raise is raised here."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


def busy(engine: EmbeddedEngine) -> list[Callable[[], object]]:
    """Searches of three kinds, the lexical index, and segments."""
    return [
        lambda: engine.retrieve(lexical(EVERYTHING)),
        lambda: engine.retrieve(nearest(unit(1))),
        lambda: engine.retrieve(lexical(Word("zebra"))),
        engine.catch_up,
        engine.compact,
    ]


def test_a_write_is_seen_by_the_next_search(folder: Path) -> None:
    with opened(folder, SetClock()) as engine, meanwhile(*busy(engine)):
        for turn in range(TURNS):
            uri = f"urn:{turn}"
            write(engine, make_item(uri, body="zebra"))
            assert ask(engine, nearest(vector_of(f"{uri}/1"), depth=1)) == [(uri, 1)]
            assert (uri, 1) in ask(engine, lexical(EVERYTHING))


def test_a_kill_is_seen_by_the_next_search(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        for n in range(20):
            write(engine, make_item(f"urn:{n}", body="zebra"))
        with meanwhile(*busy(engine)):
            for turn in range(TURNS):
                uri = f"urn:{turn % 20}"
                change(engine, uri, pubstatus=PubStatus.CANCELED)
                for request in (
                    nearest(vector_of(f"{uri}/1")),
                    lexical(EVERYTHING),
                    lexical(Word("zebra")),
                ):
                    found = engine.retrieve(request)
                    uris = {item.uri for item in engine.items(found.ids, request.caller) if item}
                    assert uri not in uris
                    assert len(uris) == len(found.ids), "a hidden candidate was counted"
                    if request.query is EVERYTHING:  # words may lag behind what comes back
                        assert len(uris) == 19
                change(engine, uri, pubstatus=PubStatus.USABLE)
                assert (uri, 1) in ask(engine, nearest(vector_of(f"{uri}/1")))


def test_a_new_version_is_the_only_one(folder: Path) -> None:
    with opened(folder, SetClock()) as engine, meanwhile(*busy(engine)):
        for version in range(1, TURNS):
            write(engine, make_item("a", version, body="zebra"))
            assert ask(engine, nearest(unit(1))) == [("a", version)]
            assert ask(engine, lexical(EVERYTHING)) == [("a", version)]
            assert set(ask(engine, lexical(Word("zebra")))) <= {("a", version)}


def test_two_processes_worth_of_writers(folder: Path) -> None:
    """Two engines write at once: no write is lost, each sees all."""
    with opened(folder, SetClock()) as owner, opened(folder, SetClock()) as other:

        def work(engine: EmbeddedEngine, name: str) -> None:
            for n in range(60):
                write(engine, make_item(f"{name}:{n}"))

        threads = [
            threading.Thread(target=work, args=(engine, name))
            for engine, name in ((owner, "one"), (owner, "two"), (other, "three"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wanted = sorted((f"{name}:{n}", 1) for name in ("one", "two", "three") for n in range(60))
        for engine in (owner, other):
            assert sorted(ask(engine, nearest(unit(1)))) == wanted
            assert sorted(ask(engine, lexical(EVERYTHING))) == wanted
