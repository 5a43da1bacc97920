"""Postgres restarted in the middle: what was acknowledged is there, other batches whole or absent,
searches are refused rather than wrong, and all goes on by itself.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import BusyError, StorageError
from core.items import PubStatus
from core.query_tree import EVERYTHING, Word
from core.writes import PutItem
from storage.embedded.engine import EmbeddedEngine
from tests.postgres_server import Server, server
from tests.storage.postgres_world import hosts
from tests.storage.world import (
    SCANNED,
    ask,
    change,
    lexical,
    make_item,
    nearest,
    unit,
    uris,
    vectors,
    write,
)

PATIENCE_S = 240.0


@pytest.fixture
def own(postgres: Server) -> Iterator[Server]:
    """A server of this test's own, to be stopped and started."""
    with server() as running:
        yield running


class Writer:
    """Writes pairs of items to an engine until it is stopped; notes what became of each pair."""

    def __init__(self, engine: EmbeddedEngine, name: str) -> None:
        self._engine = engine
        self._name = name
        self._stopped = threading.Event()
        self.acknowledged: list[str] = []
        self.refused: list[str] = []
        self.causes: list[StorageError] = []
        self.strange: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stopped.is_set():
            number += 1
            pair = f"{self._name}:{number}"
            items = [make_item(f"{pair}:{half}", body="zebra") for half in "ab"]
            try:
                self._engine.put([PutItem(item, (vectors(unit(1)),)) for item in items])
                self.acknowledged.append(pair)
            except StorageError as error:
                self.refused.append(pair)
                self.causes.append(error)
                time.sleep(0.01)
            except BaseException as error:  # noqa: BLE001 - looked at by the test
                self.strange.append(error)
                return

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        assert self.strange == []
        assert all(cause.mend for cause in self.causes)

    def wait_for(self, more: int) -> None:
        """Until so many more pairs are acknowledged."""
        wanted, deadline = len(self.acknowledged) + more, time.monotonic() + PATIENCE_S
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, "writes did not go on"
            time.sleep(0.005)


def check(engine: EmbeddedEngine, writers: list[Writer]) -> None:
    recorded = {item.uri for item in engine.all_items()}
    for writer in writers:
        for pair in writer.acknowledged:
            assert {f"{pair}:a", f"{pair}:b"} <= recorded
        for pair in writer.refused:
            assert (f"{pair}:a" in recorded) == (f"{pair}:b" in recorded)
    found = [uri for uri, _ in ask(engine, nearest(unit(1)))]
    assert sorted(found) == sorted(recorded), "each once, by its vectors"
    assert sorted(uri for uri, _ in ask(engine, lexical(EVERYTHING))) == sorted(recorded)
    numbers = [c.n for c in engine.record.reads.changes_after(0, 10**6)]
    assert numbers == list(range(1, len(numbers) + 1))


def restart_under_load(own: Server, folder: Path, how: list[signal.Signals]) -> None:
    folders = [folder / "one", folder / "two"]
    with hosts(own, *folders, background=True, hnsw=SCANNED) as engines:  # all of it is looked for
        writers = [Writer(engine, str(number)) for number, engine in enumerate(engines)]
        try:
            for end in how:
                for writer in writers:
                    writer.wait_for(random.randint(1, 10))
                own.stop(end)
                with pytest.raises(BusyError, match="can't be reached"):
                    ask(engines[0], lexical(EVERYTHING))
                own.start()
            for writer in writers:
                writer.wait_for(5)
        finally:
            for writer in writers:
                writer.stop()
        assert all(writer.refused for writer in writers), "the restarts met no write"
        for engine in engines:
            check(engine, writers)
        deadline = time.monotonic() + PATIENCE_S
        recorded = {item.uri for item in engines[0].all_items()}
        for engine in engines:
            while uris(engine, Word("zebra")) != recorded:
                assert time.monotonic() < deadline, engine.status()["failures"]
                time.sleep(0.02)
            assert engine.projections.repairs == []


def test_a_restart_in_the_middle_of_writes(own: Server, folder: Path) -> None:
    restart_under_load(own, folder, [signal.SIGINT, signal.SIGQUIT])


@pytest.mark.faults
@pytest.mark.deep
def test_many_restarts_and_crashes(own: Server, folder: Path) -> None:
    restart_under_load(own, folder, [signal.SIGINT, signal.SIGQUIT] * 8)


def test_a_kill_is_accepted_at_once_after_a_restart(own: Server, folder: Path) -> None:
    with hosts(own, folder / "one", folder / "two") as (one, two):
        for engine in (one, two):
            write(engine, make_item("a"))
            write(engine, make_item("b"))
        own.stop()
        own.start()
        assert change(one, "a", pubstatus=PubStatus.CANCELED) == "updated"
        assert [uri for uri, _ in ask(two, lexical(EVERYTHING))] == ["b"]


def test_without_postgres_nothing_hidden_is_shown(own: Server, folder: Path) -> None:
    """What the engine knew may be out of date: every surface refuses."""
    with hosts(own, folder) as (engine,):
        write(engine, make_item("a"))
        caller = lexical(EVERYTHING).caller
        ids = engine.retrieve(lexical(EVERYTHING)).ids
        own.stop()
        for surface in (
            lambda: engine.retrieve(lexical(EVERYTHING)),
            lambda: engine.visible(ids, caller),
            lambda: engine.items(ids, caller),
            lambda: engine.item("a", caller),
            lambda: engine.chain("a", caller),
            lambda: engine.suggest("head", 5, caller),
            lambda: engine.standing("a"),
        ):
            with pytest.raises(BusyError, match="can't be reached"):
                surface()
        own.start()
        assert engine.visible(ids, caller).tolist() == ids.tolist()
