"""A full disk, for real: a small file system of its own is filled to the brim.

Writes are refused with nothing of their batch recorded, reads go on; once there is room again,
writes work and every projection catches up by itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from core.callers import Caller
from core.errors import HiddenHereError, StorageFullError
from core.items import PubStatus
from core.query_tree import Word
from core.writes import SetStatus
from dateline.build.app import build_app
from dateline.build.service import build_service
from dateline.settings import KeySetting, Settings
from storage.embedded.engine import EmbeddedEngine
from storage.embedded.record import copies, journal
from tests.faults.world import READER, open_archive, put_of, vectors_of, word_of
from tests.storage.world import ask, lexical, nearest

pytestmark = pytest.mark.faults

PATIENCE_S = 240.0


def unavailable(reason: str) -> None:
    """Skips; where tests must not be skipped, fails."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; in CI this test must run")
    pytest.skip(reason)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        unavailable("only root can mount a small file system")
    done = subprocess.run(
        [str(mount), "-t", "tmpfs", "-o", "size=24m", "dateline-test", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        unavailable(f"mounting is not allowed here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


class Filler:
    """A file that takes all the room there is."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "filler"

    def fill(self, leave: int = 0) -> None:
        """Takes the room to the last byte, but for `leave` bytes."""
        with self._path.open("ab", buffering=0) as stream:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while stream.write(b"\0" * size):
                        pass
                except OSError:
                    continue
            stream.truncate(max(0, stream.tell() - leave))

    def free(self) -> None:
        """Gives the room back."""
        self._path.unlink()


def wait_until(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    """Polls until it holds; fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.05)


def is_found(engine: EmbeddedEngine, uri: str) -> bool:
    """By uri, by vector and by word."""
    return (
        engine.item(uri, READER) is not None
        and ask(engine, nearest(vectors_of(uri, 1)[0], READER, depth=1)) == [(uri, 1)]
        and ask(engine, lexical(Word(word_of(uri, 1)), READER)) == [(uri, 1)]
    )


def put(engine: EmbeddedEngine, *names: str) -> list[str]:
    """Writes a batch; the acknowledged uris."""
    return [written.uri for written in engine.put([put_of(uri, 1) for uri in names])]


def put_until_full(engine: EmbeddedEngine, prefix: str) -> list[str]:
    """Writes batches of ten until one is refused; the acknowledged uris."""
    acknowledged: list[str] = []
    for turn in range(5000):
        batch = [f"{prefix}:{turn}:{n}" for n in range(10)]
        try:
            acknowledged += put(engine, *batch)
        except StorageFullError:
            assert all(engine.item(uri, READER) is None for uri in batch)
            return acknowledged
    raise AssertionError("the disk is not full yet")


def kill(engine: EmbeddedEngine, uri: str) -> None:
    engine.set_status([SetStatus(uri, PubStatus.CANCELED)])


def kill_until_aside(engine: EmbeddedEngine, uris: list[str]) -> list[str]:
    """Kills items until the record takes no more; those that were killed."""
    for place, uri in enumerate(uris, start=1):
        kill(engine, uri)
        if engine.record.unsettled.changes:
            return uris[:place]
    raise AssertionError("the record takes every kill")


@pytest.mark.parametrize("background", [True, False], ids=["background", "foreground"])
def test_writes_are_refused_reads_go_on_and_all_recovers(
    small_disk: Path, background: bool
) -> None:
    filler = Filler(small_disk)
    engine = open_archive(small_disk / "archive", background=background)
    try:
        early = [f"urn:1:0:{n}" for n in range(60)]
        put(engine, *early)
        if not background:
            engine.catch_up()
        wait_until(lambda: is_found(engine, early[-1]), "the first items are found")
        for round_ in range(2, 4):
            filler.fill(leave=600_000 * (round_ - 2))
            late = put_until_full(engine, f"urn:{round_}")
            assert late or round_ == 2
            kill(engine, early[0])
            assert not is_found(engine, early[0])
            recorded = {item.uri for item in engine.all_items()}
            assert recorded >= {*early, *late}
            for uri in early[1::7]:
                assert is_found(engine, uri)
            for uri in late[::7]:
                assert engine.item(uri, READER) is not None
                assert ask(engine, nearest(vectors_of(uri, 1)[0], READER, depth=1)) == [(uri, 1)]
            if not background:
                _fail_to_catch_up(engine)
            filler.free()
            fresh = f"urn:{round_}:9999:1"
            put(engine, fresh)
            engine.set_status([SetStatus(early[0], PubStatus.USABLE)])
            if not background:
                engine.catch_up()
            for uri in (early[0], *late, fresh):
                wait_until(lambda uri=uri: is_found(engine, uri), f"{uri} is found")  # type: ignore[misc]
        kill(engine, early[0])
        assert not is_found(engine, early[0])
    finally:
        engine.close()
    engine = open_archive(small_disk / "archive", background=False)
    try:
        assert engine.projections.repairs == []
        engine.catch_up()
        assert len(engine.projections.lexical.ids()) == engine.status()["visible"]
    finally:
        engine.close()


def _fail_to_catch_up(engine: EmbeddedEngine) -> None:
    """Whether the index can be written now is the file system's affair; nothing may be lost by it,
    and nothing may come twice.
    """
    for _ in range(3):
        try:
            engine.catch_up()
            engine.compact()
        except (OSError, ValueError, RuntimeError):
            engine.projections.reopen_lexical()


@pytest.fixture
def filled(small_disk: Path) -> Iterator[tuple[EmbeddedEngine, Filler, list[str]]]:
    """An archive of some items on a disk that is full to the last byte, and their uris."""
    filler = Filler(small_disk)
    engine = open_archive(small_disk / "archive", background=False)
    names = [f"urn:1:0:{n}" for n in range(60)]
    put(engine, *names)
    engine.catch_up()
    filler.fill()
    put_until_full(engine, "urn:2")
    yield engine, filler, names
    engine.close()


Filled = tuple[EmbeddedEngine, Filler, list[str]]


def test_a_kill_is_in_force_everywhere_and_is_recorded_when_there_is_room(
    filled: Filled, small_disk: Path
) -> None:
    engine, filler, names = filled
    other = open_archive(small_disk / "archive", background=False)
    try:
        killed = kill_until_aside(engine, names)
        for each in (engine, other):
            assert all(each.item(uri, READER) is None for uri in killed)
            assert not is_found(each, killed[-1])
            assert is_found(each, names[-1])
        with pytest.raises(StorageFullError):
            engine.set_status([SetStatus(killed[-1], PubStatus.USABLE)])
        third = open_archive(small_disk / "archive", background=False)
        assert all(third.item(uri, READER) is None for uri in killed)
        third.close()
        filler.free()
        put(other, "urn:3:0:0")  # any write records what waits before it
        assert other.record.unsettled.changes == engine.record.unsettled.changes == ()
        assert engine.put([put_of(killed[-1], 2)])[0].held == "canceled"
        for each in (engine, other):
            assert all(each.item(uri, READER) is None for uri in killed)
        engine.set_status([SetStatus(killed[-1], PubStatus.USABLE)])
        assert other.item(killed[-1], READER) is not None
    finally:
        other.close()


def test_who_may_not_kill_an_item_hides_nothing_on_a_full_disk(filled: Filled) -> None:
    """And is told the same of an item as of nothing."""
    engine, filler, names = filled
    kill_until_aside(engine, names)
    waiting = engine.record.unsettled.changes
    stranger = Caller("stranger", frozenset(), frozenset({"other"}))
    for uri in (names[-1], "urn:nowhere"):
        with pytest.raises(StorageFullError):
            engine.set_status([SetStatus(uri, PubStatus.CANCELED)], stranger)
    assert engine.record.unsettled.changes == waiting
    assert is_found(engine, names[-1])
    filler.free()


def test_kills_that_the_record_lacks_are_in_its_backup(filled: Filled, tmp_path: Path) -> None:
    engine, _, names = filled
    killed = kill_until_aside(engine, names)
    copies.backup(Path(engine.status()["folder"]), tmp_path / "copy")
    copies.restore(tmp_path / "copy", tmp_path / "restored", force=False)
    restored = open_archive(tmp_path / "restored", background=False)
    try:
        assert restored.record.unsettled.changes == ()
        assert all(restored.item(uri, READER) is None for uri in killed)
        assert restored.item(names[-1], READER) is not None
    finally:
        restored.close()


def test_without_a_journal_an_item_is_hidden_here_and_that_is_no_acknowledgement(
    filled: Filled, small_disk: Path
) -> None:
    """The journal has gone, and there is no room for another one."""
    first, filler, names = filled
    (small_disk / "archive" / journal.FILE).unlink()
    filler.fill()
    engine = open_archive(small_disk / "archive", background=False)
    try:
        with pytest.raises(HiddenHereError):
            kill_until_aside(engine, names)
        hidden = engine.record.unsettled.changes[-1].change.uri
        assert engine.record.unsettled.here == 1
        assert engine.item(hidden, READER) is None
        assert not is_found(engine, hidden)
        assert first.item(hidden, READER) is not None
        filler.free()
        wait_until(lambda: _settled(engine), "what is hidden here is recorded")
        assert first.item(hidden, READER) is None
    finally:
        engine.close()


def _settled(engine: EmbeddedEngine) -> bool:
    engine.catch_up()
    return not engine.record.unsettled.changes


def test_a_backup_onto_a_full_disk_leaves_nothing(small_disk: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    engine = open_archive(archive, background=False)
    try:
        for turn in range(40):
            put(engine, *(f"urn:{turn}:{n}" for n in range(10)))
    finally:
        engine.close()
    filler = Filler(small_disk)
    filler.fill()
    with pytest.raises(StorageFullError):
        copies.backup(archive, small_disk / "copy")
    assert [path.name for path in small_disk.iterdir()] == ["filler"]
    filler.free()
    assert copies.backup(archive, small_disk / "copy") > 0


def document(number: int) -> dict[str, object]:
    return {
        "uri": f"urn:api:{number}",
        "version": 1,
        "type": "text",
        "headline": f"Ferry number {number} sails again",
        "body_text": f"The ferry to the islands is number {number}. " * 10,
        "products": ["demo"],
    }


def test_over_http(small_disk: Path) -> None:
    """507 or 503 for a write while a search answers 200; afterwards both work."""
    key = KeySetting(name="desk", key=SecretStr("a-key"), products=("demo",), write=True)
    models = {"second_encoder": "", "tagger": "", "reranker": ""}
    settings = Settings(data=small_disk / "archive", **models, keys=(key,))
    reads = writes = {"x-api-key": "a-key"}
    filler = Filler(small_disk)
    with TestClient(build_app(build_service(settings)), base_url="http://127.0.0.1") as http:

        def hits(query: str) -> list[str]:
            answer = http.get("/content/search", params={"q": query}, headers=reads)
            assert answer.status_code == 200, answer.text
            return [hit["item"]["uri"] for hit in answer.json()["data"]["items"]]

        for number in range(2):
            assert http.post("/content", json=document(number), headers=writes).status_code == 201
        assert {*hits("ferry")} == {"urn:api:0", "urn:api:1"}  # at once
        filler.fill()
        acknowledged = ["urn:api:1"]
        for number in range(2, 500):
            answer = http.post("/content", json=document(number), headers=writes)
            if answer.status_code != 201:
                break
            acknowledged.append(f"urn:api:{number}")
        assert answer.status_code in {503, 507}, answer.text
        assert "space" in answer.text
        refused = f"urn:api:{number}"
        assert "urn:api:1" in hits("ferry")
        assert refused not in hits("ferry")
        killed = http.patch(
            "/content/urn:api:0/status", json={"pubstatus": "canceled"}, headers=writes
        )
        assert killed.status_code == 200, killed.text
        assert "urn:api:0" not in hits("ferry")
        assert http.get(f"/content/{refused}", headers=reads).status_code == 404
        assert http.get("/content/urn:api:1", headers=reads).status_code == 200
        assert http.get("/healthz").status_code == 200
        filler.free()
        assert http.post("/content", json=document(number), headers=writes).status_code == 201
        wait_until(lambda: refused in hits(f'"ferry number {number}"'), "the refused one is found")
