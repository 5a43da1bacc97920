"""Damaged files: what is wrong is seen before native code opens it, and made anew from the record.

A damaged projection that reached tantivy or faiss would end the test process, not just a test.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ConflictError, CorruptError, InputError
from core.items import PubStatus
from core.query_tree import EVERYTHING, Word
from core.writes import Outcome, PutItem
from storage.embedded.engine import EmbeddedEngine
from storage.embedded.record import copies
from storage.embedded.record.archive import FILE
from tests.conftest import new_folder
from tests.storage.world import (
    ENCODER,
    WIRE,
    SetClock,
    ask,
    change,
    lexical,
    make_item,
    nearest,
    open_embedded,
    opened,
    unit,
    vector_of,
    vectors,
    versions,
    write,
)

ITEMS = 40
Damage = Callable[[Path], None]
Answers = list[object]


@pytest.fixture(scope="module")
def archive() -> Iterator[Path]:
    """An archive with several segments, a lexical index with deletions, a kill, and a tail."""
    folder = new_folder()
    with opened(folder, SetClock()) as engine:
        for first in range(0, ITEMS, 10):
            batch = [make_item(f"urn:{n}", body=f"zebra w{n}x") for n in range(first, first + 10)]
            engine.put([PutItem(item, (vectors(vector_of(item.uri)),)) for item in batch])
            if first < 30:
                engine.projections.projector.seal("text", 1)
        engine.catch_up()
        change(engine, "urn:3", pubstatus=PubStatus.CANCELED)
        engine.catch_up()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def damaged(archive: Path, folder: Path) -> Path:
    """A copy of the archive, to be damaged."""
    shutil.copytree(archive, folder, dirs_exist_ok=True)
    return folder


def answers(engine: EmbeddedEngine) -> Answers:
    """What the engine says to a few questions; scores are left out, as BM25 counts deleted ones."""
    engine.catch_up()
    near = engine.retrieve(nearest(unit(1, 2, 3)))
    words = [sorted(ask(engine, lexical(Word(f"w{n}x")))) for n in range(0, ITEMS, 3)]
    return [
        sorted(ask(engine, lexical(Word("zebra")))),
        ask(engine, lexical(EVERYTHING)),
        versions(engine, near, WIRE),
        near.vectors[0].cosines.round(5).tolist(),
        words,
        engine.item("urn:3", WIRE),
        sorted(engine.projections.lexical.ids().tolist()),
    ]


@pytest.fixture(scope="module")
def expected(archive: Path) -> Answers:
    copy = new_folder()
    shutil.copytree(archive, copy, dirs_exist_ok=True)
    with opened(copy, SetClock()) as engine:
        assert engine.projections.repairs == []
        found = answers(engine)
    shutil.rmtree(copy)
    shown = sorted((f"urn:{n}", 1) for n in range(ITEMS) if n != 3)
    assert found[0] == shown
    assert len(found[2]) == ITEMS - 1  # type: ignore[arg-type]
    return found


# --- ways to damage a file


def flip_first(path: Path) -> None:
    _flip(path, 0)


def flip_middle(path: Path) -> None:
    _flip(path, path.stat().st_size // 2)


def flip_last(path: Path) -> None:
    _flip(path, path.stat().st_size - 1)


def _flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 0x10
    path.write_bytes(data)


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_to_nothing(path: Path) -> None:
    path.write_bytes(b"")


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0" * 64)


def replace_by_noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(max(64, path.stat().st_size)))


def delete(path: Path) -> None:
    path.unlink()


DAMAGES = [
    flip_first,
    flip_middle,
    flip_last,
    cut_in_half,
    cut_to_nothing,
    lengthen,
    replace_by_noise,
    delete,
]
CHECKED = [
    "lexical/*.term",
    "lexical/*.idx",
    "lexical/*.pos",
    "lexical/*.fast",
    "lexical/*.fieldnorm",
    "lexical/*.store",
    "lexical/*.del",
    "vectors/text/*/graph.faiss",
    "vectors/text/*/rows.npy",
]
LISTS = [
    "lexical/meta.json",
    "lexical/.managed.json",
    "lexical.sha256",
    "vectors/text/manifest.json",
    "columns.npz",
]


def pairs(names: list[str]) -> list[Any]:
    """Each name with each damage; `make test` takes a third, in which each of both is."""
    return [
        pytest.param(
            name,
            damage,
            marks=[pytest.mark.deep] if (number + place) % 3 else [],
            id=f"{name}-{damage.__name__}",
        )
        for number, name in enumerate(names)
        for place, damage in enumerate(DAMAGES)
    ]


@pytest.mark.parametrize(("kind", "damage"), pairs(CHECKED))
def test_a_damaged_index_file_is_seen_and_made_anew(
    damaged: Path, expected: Answers, kind: str, damage: Damage
) -> None:
    paths = sorted((damaged / "projections").glob(kind))
    assert paths, f"the archive has no {kind}"
    damage(paths[0])
    with opened(damaged, SetClock()) as engine:
        assert len(engine.projections.repairs) == 1
        assert paths[0].name in engine.projections.repairs[0]
        assert engine.status()["repairs"] == engine.projections.repairs
        assert answers(engine) == expected
    with opened(damaged, SetClock()) as engine:
        assert engine.projections.repairs == []
        assert answers(engine) == expected


@pytest.mark.parametrize(("name", "damage"), pairs(LISTS))
def test_a_damaged_list_of_files_changes_no_answer(
    damaged: Path, expected: Answers, name: str, damage: Damage
) -> None:
    """These are not native code's: some damage is harmless, and none may change what is found."""
    damage(damaged / "projections" / name)
    with opened(damaged, SetClock()) as engine:
        assert answers(engine) == expected
        write(engine, make_item("new", body="crocodile"))
        engine.compact()
        engine.catch_up()
        assert ask(engine, lexical(Word("crocodile"))) == [("new", 1)]
    with opened(damaged, SetClock()) as engine:
        assert engine.projections.repairs == []
        assert ask(engine, nearest(vector_of("new/1")))[0] == ("new", 1)


def test_a_meta_file_of_other_fields(damaged: Path, expected: Answers) -> None:
    """Valid JSON, but not what was written: the seal does not match, so a child looks first."""
    path = damaged / "projections/lexical/meta.json"
    meta = json.loads(path.read_bytes())
    meta["schema"][0]["name"] = "other"
    path.write_text(json.dumps(meta))
    with opened(damaged, SetClock()) as engine:
        assert len(engine.projections.repairs) == 1
        assert answers(engine) == expected


def test_a_meta_file_that_forgets_deletions(damaged: Path, expected: Answers) -> None:
    path = damaged / "projections/lexical/meta.json"
    meta = json.loads(path.read_bytes())
    assert any(segment["deletes"] for segment in meta["segments"])
    for segment in meta["segments"]:
        segment["deletes"] = None
    path.write_text(json.dumps(meta))
    with opened(damaged, SetClock()) as engine:
        assert ask(engine, lexical(Word("w3x"))) == []
        assert answers(engine) == expected


@pytest.mark.parametrize("documents", [1, 39, 41, 100_000, 2**32 - 1])
def test_a_meta_file_that_miscounts(damaged: Path, expected: Answers, documents: int) -> None:
    path = damaged / "projections/lexical/meta.json"
    meta = json.loads(path.read_bytes())
    for segment in meta["segments"]:
        segment["max_doc"] = documents
    path.write_text(json.dumps(meta))
    with opened(damaged, SetClock()) as engine:
        assert answers(engine) == expected


def test_a_meta_file_that_lost_a_segment(damaged: Path, expected: Answers) -> None:
    path = damaged / "projections/lexical/meta.json"
    meta = json.loads(path.read_bytes())
    meta["segments"] = []
    path.write_text(json.dumps(meta))
    with opened(damaged, SetClock()) as engine:
        assert answers(engine) == expected


def manifest(folder: Path) -> Path:
    return folder / "projections/vectors/text/manifest.json"


@pytest.mark.parametrize("name", ["../../../outside", "/etc", "..", ".", "a/b"])
def test_a_manifest_that_names_other_folders(damaged: Path, expected: Answers, name: str) -> None:
    outside = damaged / "outside"
    outside.mkdir()
    (outside / "graph.faiss").write_bytes(b"not to be touched")
    data = json.loads(manifest(damaged).read_bytes())
    data["segments"][0]["name"] = name
    manifest(damaged).write_text(json.dumps(data))
    with opened(damaged, SetClock()) as engine:
        assert len(engine.projections.repairs) == 1
        assert "not a name" in engine.projections.repairs[0]
        assert answers(engine) == expected
    assert (outside / "graph.faiss").read_bytes() == b"not to be touched"


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"encoder": "space-a"}', '{"encoder": "space-a", "segments": [1]}', "7"]
)
def test_a_manifest_of_another_shape(damaged: Path, expected: Answers, text: str) -> None:
    manifest(damaged).write_text(text)
    with opened(damaged, SetClock()) as engine:
        assert len(engine.projections.repairs) == 1
        assert answers(engine) == expected


def test_segments_that_changed_places(damaged: Path, expected: Answers) -> None:
    """Whole, valid files with the wrong names: only the checksum tells."""
    first, second, *_ = sorted((damaged / "projections/vectors/text").glob("*/graph.faiss"))
    spare = damaged / "spare"
    first.rename(spare)
    second.rename(first)
    spare.rename(second)
    with opened(damaged, SetClock()) as engine:
        assert len(engine.projections.repairs) == 1
        assert "sha256" in engine.projections.repairs[0]
        assert answers(engine) == expected


def test_segments_of_another_encoder_are_not_opened(damaged: Path) -> None:
    with opened(damaged, SetClock(), spaces={"text": "another"}) as engine:
        assert ask(engine, nearest(unit(1))) == []
        assert len(ask(engine, lexical(Word("zebra")))) == ITEMS - 1
        again = PutItem(
            make_item("urn:0", body="zebra w0x"), (vectors(unit(1), encoder="another"),)
        )
        assert engine.put([again])[0].outcome is Outcome.UPDATED
        engine.compact()
        assert ask(engine, nearest(unit(1))) == [("urn:0", 1)]


def test_what_a_crash_left_is_swept_up(damaged: Path, expected: Answers) -> None:
    field = damaged / "projections/vectors/text"
    named = {path.name for path in field.iterdir()}
    half = field / "0123456789abcdef"
    half.mkdir()
    (half / "graph.faiss").write_bytes(b"half")
    with opened(damaged, SetClock()) as engine:
        assert engine.projections.repairs == []
        assert {path.name for path in field.iterdir()} == named
        assert answers(engine) == expected


def test_only_the_owner_mends(damaged: Path, expected: Answers) -> None:
    with opened(damaged, SetClock()) as owner:
        owner.catch_up()
        path = next((damaged / "projections/lexical").glob("*.store"))
        whole = path.read_bytes()
        flip_middle(path)
        with pytest.raises(CorruptError, match="CRC-32") as caught:
            open_embedded(damaged, SetClock())
        assert "rebuild" in caught.value.mend
        path.write_bytes(whole)
        with opened(damaged, SetClock()) as follower:
            assert not follower.projections.ownership.held
            assert answers(follower) == expected


# --- one owner, many followers


def test_a_follower_that_came_before_the_index(folder: Path) -> None:
    """It opened while the owner had not made the lexical index yet."""
    with opened(folder, SetClock()) as owner:
        shutil.move(folder / "projections/lexical", folder / "aside")
        with opened(folder, SetClock()) as follower:
            shutil.move(folder / "aside", folder / "projections/lexical")
            write(owner, make_item("a", body="zebra"))
            owner.catch_up()
            follower.catch_up()
            assert ask(follower, lexical(Word("zebra"))) == [("a", 1)]


def test_followers_open_while_the_owner_writes(folder: Path) -> None:
    """Files come and go under a follower's eyes; that is not damage."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def work(engine: EmbeddedEngine) -> None:
        try:
            for n in range(10_000):
                if stop.is_set():
                    return
                write(engine, make_item(f"urn:{n % 20}", n, body="zebra"))
                engine.catch_up()
                if n % 5 == 0:
                    engine.compact()
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    with opened(folder, SetClock()) as owner:
        write(owner, make_item("first", body="zebra"))
        owner.catch_up()
        thread = threading.Thread(target=work, args=(owner,))
        thread.start()
        try:
            for _ in range(25):
                with opened(folder, SetClock()) as follower:
                    assert not follower.projections.ownership.held
                    follower.catch_up()
                    for request in (lexical(Word("zebra")), nearest(unit(1))):
                        found = follower.retrieve(request).ids
                        items = follower.items(found, WIRE)
                        assert "first" in {item.uri for item in items if item}
        finally:
            stop.set()
            thread.join()
    assert failures == []


# --- the record of truth itself


def spoil_header(path: Path) -> None:
    path.write_bytes(b"this is no database, " * 50 + path.read_bytes()[1050:])


def spoil_pages(path: Path) -> None:
    data = path.read_bytes()
    noise = np.random.default_rng(1).bytes(len(data) - 4096)
    path.write_bytes(data[:4096] + noise)


def cut_pages(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: 4096 * 3])


@pytest.mark.parametrize(
    "damage", [spoil_header, spoil_pages, cut_pages], ids=lambda damage: damage.__name__
)
def test_a_damaged_record_says_how_to_mend_it(damaged: Path, damage: Damage) -> None:
    good = damaged / "good"
    copies.backup(damaged, good)
    damage(damaged / FILE)
    with pytest.raises(CorruptError) as caught:
        open_embedded(damaged, SetClock())
    assert FILE in caught.value.where
    assert "restore" in caught.value.mend
    copies.restore(good, damaged, force=True)
    with opened(damaged, SetClock()) as engine:
        assert len(ask(engine, nearest(unit(1)))) == ITEMS - 1


def test_a_record_of_a_later_program(damaged: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(damaged / FILE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Exception, match="schema 99"):
        open_embedded(damaged, SetClock())


# --- copies


def test_a_backup_while_writing_is_one_moment(folder: Path, tmp_path: Path) -> None:
    acknowledged, stop = [0], threading.Event()

    def work(engine: EmbeddedEngine) -> None:
        while not stop.is_set():
            n = acknowledged[0]
            batch = [make_item(f"urn:{n}:{part}") for part in range(5)]
            engine.put([PutItem(item, (vectors(vector_of(item.uri)),)) for item in batch])
            acknowledged[0] = n + 1

    with opened(folder, SetClock()) as engine:
        thread = threading.Thread(target=work, args=(engine,))
        thread.start()
        try:
            for turn in range(4):
                while acknowledged[0] < 20 * (turn + 1):
                    assert thread.is_alive(), "the writer failed"
                before = acknowledged[0]
                copies.backup(folder, tmp_path / f"{turn}")
                after = acknowledged[0] + 1
                self_check(tmp_path / f"{turn}", tmp_path / f"restored{turn}", before, after)
        finally:
            stop.set()
            thread.join()


def self_check(backup: Path, folder: Path, before: int, after: int) -> None:
    """Restores a backup and looks at it: whole batches only, all that was acknowledged before."""
    folder.mkdir()
    copies.restore(backup, folder, force=False)
    with opened(folder, SetClock()) as engine:
        found = {item.uri for item in engine.all_items()}
        batches = len(found) // 5
        assert before <= batches <= after
        assert found == {f"urn:{n}:{part}" for n in range(batches) for part in range(5)}
        assert len(ask(engine, nearest(unit(1)))) == len(found)


def test_restore_brings_back_words_and_vectors(
    damaged: Path, expected: Answers, tmp_path: Path
) -> None:
    size = copies.backup(damaged, tmp_path / "copy")
    assert size == (tmp_path / "copy").stat().st_size
    with opened(damaged, SetClock()) as engine:
        write(engine, make_item("later", body="zebra"))
        change(engine, "urn:5", pubstatus=PubStatus.CANCELED)
        engine.catch_up()
        assert answers(engine) != expected
    copies.restore(tmp_path / "copy", damaged, force=True)
    with opened(damaged, SetClock()) as engine:
        assert answers(engine) == expected


def test_restore_refuses(damaged: Path, tmp_path: Path, expected: Answers) -> None:
    copies.backup(damaged, tmp_path / "copy")
    with pytest.raises(ConflictError, match="already"):
        copies.restore(tmp_path / "copy", damaged, force=False)
    with opened(damaged, SetClock()) as engine:
        with pytest.raises(ConflictError, match="uses this archive"):
            copies.restore(tmp_path / "copy", damaged, force=True)
        with pytest.raises(ConflictError, match="uses this archive"):
            copies.drop_projections(damaged)
        assert answers(engine) == expected
    with pytest.raises(InputError, match="no such file"):
        copies.restore(tmp_path / "nothing", damaged, force=True)
    (tmp_path / "text").write_text("this is no backup, but a long enough text " * 200)
    (tmp_path / "empty").write_bytes(b"")
    cut_copy = tmp_path / "cut"
    cut_copy.write_bytes((tmp_path / "copy").read_bytes()[: 4096 * 3])
    for bad in ("text", "empty", "cut"):
        with pytest.raises(CorruptError):
            copies.restore(tmp_path / bad, damaged, force=True)
    with opened(damaged, SetClock()) as engine:
        assert engine.projections.repairs == []
        assert answers(engine) == expected


def test_backup_refuses(damaged: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no archive"):
        copies.backup(tmp_path, tmp_path / "copy")
    (tmp_path / "copy").write_text("precious")
    with pytest.raises(ConflictError, match="exists"):
        copies.backup(damaged, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "precious"
    spoil_pages(damaged / FILE)
    with pytest.raises(CorruptError):
        copies.backup(damaged, tmp_path / "second")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy"]


def test_a_failed_start_leaves_the_archive_free(damaged: Path) -> None:
    whole = (damaged / FILE).read_bytes()
    spoil_pages(damaged / FILE)
    with pytest.raises(CorruptError):
        open_embedded(damaged, SetClock())
    (damaged / FILE).write_bytes(whole)
    with opened(damaged, SetClock(), spaces={"text": ENCODER}) as engine:
        assert engine.projections.ownership.held


def test_what_a_killed_writer_left_behind_is_in_nobodys_way(damaged: Path) -> None:
    """A writer that dies before its commit leaves files under the names that the next one takes."""
    lexical_folder = damaged / "projections" / "lexical"
    meta = json.loads((lexical_folder / "meta.json").read_bytes())
    for segment in meta["segments"]:
        name = segment["segment_id"].replace("-", "")
        for opstamp in range(meta["opstamp"], meta["opstamp"] + 60):
            path = lexical_folder / f"{name}.{opstamp}.del"
            if not path.exists():
                path.write_bytes(b"left behind")
    with opened(damaged, SetClock()) as engine:
        before = answers(engine)
        change(engine, "urn:7", pubstatus=PubStatus.CANCELED)
        engine.catch_up()
        assert engine.projections.repairs == []
        assert "urn:7" not in ask(engine, lexical(Word("zebra")))
        change(engine, "urn:7", pubstatus=PubStatus.USABLE)
        assert answers(engine) == before
