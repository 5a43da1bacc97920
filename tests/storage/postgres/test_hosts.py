"""Several hosts over one record on Postgres: each sees what the others wrote, and each keeps only
what can be made from it.

KILL_ROUNDS says how many are killed; `make deep` kills the most.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.errors import StorageError
from core.items import PubStatus
from core.query_tree import EVERYTHING, Word
from storage.embedded import opening
from tests.postgres_server import Server
from tests.storage.postgres_world import address_of, hosts, on
from tests.storage.world import (
    HOUR,
    SCANNED,
    SetClock,
    ask,
    change,
    lexical,
    make_item,
    nearest,
    open_embedded,
    opened,
    unit,
    uris,
    write,
)

ROOT = Path(__file__).resolve().parents[3]
KILLS = int(os.environ.get("KILL_ROUNDS", "16")) // 4


class Host:
    """Another process, as on another host, over the record at `address`."""

    def __init__(self, address: str, folder: Path) -> None:
        script = Path(__file__).with_name("host.py")
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(script), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), "HOST_RECORD": address},
        )

    def __call__(self, *what: object) -> Any:
        """Has it do something and gives its answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(orjson.dumps(what) + b"\n")
        stdin.flush()
        return orjson.loads(stdout.readline())

    def write_until_killed(self, name: str, seconds: float) -> int:
        """Has it write pairs, kills it in the middle, and gives the number of the last that it
        said was acknowledged.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(orjson.dumps(["write without end", name]) + b"\n")
        stdin.close()
        said = [stdout.readline()]
        time.sleep(seconds)  # the moment of the kill, not a wait for anything
        self._process.kill()
        said += stdout.readlines()
        self._process.wait(240)
        stdout.close()
        return int(said[-1]) if said[-1].endswith(b"\n") else int(said[-2])

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(240) == 0
        self._process.stdout.close()


@pytest.fixture
def other(postgres: Server, folder: Path) -> Iterator[Host]:
    host = Host(address_of(postgres, folder), folder / "other")
    yield host
    host.close()


def test_two_processes_see_each_other_s_writes_at_the_next_request(
    postgres: Server, folder: Path, other: Host
) -> None:
    (folder / "one").mkdir()
    with hosts(postgres, folder, folder / "one") as (one, _):
        for turn in range(10):
            assert other("put", f"theirs:{turn}", 1) == "created"
            assert write(one, make_item(f"ours:{turn}", body="zebra")) == "created"
            both = sorted(f"{whose}:{n}" for whose in ("ours", "theirs") for n in range(turn + 1))
            assert sorted(uri for uri, _ in ask(one, lexical(EVERYTHING))) == both
            assert sorted(other("find")) == both
            assert other("item", f"ours:{turn}") == [f"ours:{turn}", 1]


def test_a_kill_on_one_host_hides_on_the_other_at_the_next_request(
    postgres: Server, folder: Path, other: Host
) -> None:
    with hosts(postgres, folder) as (one,):
        write(one, make_item("a", body="zebra"))
        write(one, make_item("b", body="zebra"))
        for _ in range(20):
            assert sorted(other("find")) == ["a", "b"]
            assert change(one, "a", pubstatus=PubStatus.CANCELED) == "updated"
            assert other("find") == ["b"]
            assert other("item", "a") is None
            assert other("status", "a", "usable") == "updated"
            assert sorted(uri for uri, _ in ask(one, nearest(unit(1)))) == ["a", "b"]
            assert other("status", "b", "withheld") == "updated"
            assert [uri for uri, _ in ask(one, nearest(unit(1)))] == ["a"]
            assert one.item("b", lexical(EVERYTHING).caller) is None
            change(one, "b", pubstatus=PubStatus.USABLE)


def test_words_of_other_hosts_writes_are_found_without_a_search_in_between(
    postgres: Server, folder: Path
) -> None:
    folders = [folder / name for name in ("one", "two", "three")]
    with hosts(postgres, *folders, background=True) as engines:
        for number, engine in enumerate(engines):
            write(engine, make_item(f"urn:{number}", body="zebra"))
        wanted = {f"urn:{number}" for number in range(3)}
        deadline = time.monotonic() + 240
        for engine in engines:
            assert engine.projections.ownership.held, "each host keeps projections of its own"
            while set(uris(engine, Word("zebra"))) != wanted:
                assert time.monotonic() < deadline
                time.sleep(0.02)


def test_an_embargo_lifts_on_every_host(postgres: Server, folder: Path) -> None:
    with hosts(postgres, folder / "one", folder / "two") as engines:
        until = engines[0]._clock() + HOUR
        write(engines[0], make_item("a", embargoed=until))
        for engine in engines:
            assert ask(engine, lexical(EVERYTHING)) == []
            engine._clock.advance(2 * HOUR)  # type: ignore[attr-defined]
            assert ask(engine, lexical(EVERYTHING)) == [("a", 1)]


@pytest.mark.faults
def test_hosts_that_are_killed_in_the_middle_leave_whole_batches_and_no_lock(
    postgres: Server, folder: Path
) -> None:
    address = address_of(postgres, folder / "one")
    rng = random.Random()
    with hosts(postgres, folder / "one", hnsw=SCANNED) as (one,):
        for number in range(KILLS):
            host = Host(address, folder / f"killed {number}")
            last = host.write_until_killed(str(number), rng.uniform(0.0, 0.3))
            assert write(one, make_item(f"urn:{number}")) == "created", "the lock is free again"
            recorded = {item.uri for item in one.all_items()}
            for half in "ab":
                assert {f"{number}:{pair}:{half}" for pair in range(1, last + 1)} <= recorded
            under_way = {f"{number}:{last + 1}:{half}" in recorded for half in "ab"}
            assert len(under_way) == 1, "a batch is recorded wholly or not at all"
        found = [uri for uri, _ in ask(one, nearest(unit(1)))]
        assert sorted(found) == sorted(item.uri for item in one.all_items())


# --- whose projections


def test_indexes_of_another_record_are_made_anew(postgres: Server, folder: Path) -> None:
    """A folder that had its record beside it is given to Postgres, and back."""
    data = folder / "data"
    with opened(data, SetClock()) as engine:
        write(engine, make_item("sqlite", body="zebra"))
        engine.catch_up()
        engine.compact()
    for _ in range(2):
        with on(postgres), opened(data, SetClock()) as engine:
            assert len(engine.projections.repairs) == 1
            write(engine, make_item("postgres", body="zebra"))
            engine.catch_up()
            engine.compact()
            assert uris(engine, Word("zebra")) == {"postgres"}
            assert [uri for uri, _ in ask(engine, nearest(unit(1)))] == ["postgres"]
        with on(postgres), opened(data, SetClock()) as engine:
            assert engine.projections.repairs == []
        with opened(data, SetClock()) as engine:
            assert len(engine.projections.repairs) == 1
            engine.catch_up()
            assert uris(engine, Word("zebra")) == {"sqlite"}


def test_two_records_do_not_share_a_folder(
    postgres: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_PATIENCE_S", 0.1)
    with opened(folder, SetClock()), on(postgres), pytest.raises(StorageError, match="another"):
        open_embedded(folder, SetClock())


def test_a_record_that_went_back_is_noticed(postgres: Server, folder: Path) -> None:
    """As after a restored dump: a running host says so, a restarted one makes its indexes anew."""
    schema = address_of(postgres, folder).rpartition("%3D")[2]
    with on(postgres):
        with opened(folder, SetClock()) as engine:
            for number in range(3):
                write(engine, make_item(f"urn:{number}", body="zebra"))
            engine.catch_up()
            engine.compact()
            postgres.run(
                f"DELETE FROM {schema}.changes WHERE n > 1",
                f"DELETE FROM {schema}.items WHERE seq > 1",
            )
            with pytest.raises(StorageError, match="gone back to an earlier state"):
                ask(engine, lexical(EVERYTHING))
        with opened(folder, SetClock()) as engine:
            assert len(engine.projections.repairs) == 1
            write(engine, make_item("urn:9", body="zebra"))
            engine.catch_up()
            assert uris(engine, Word("zebra")) == {"urn:0", "urn:9"}
