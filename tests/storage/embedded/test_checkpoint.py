"""An archive that opens from a checkpoint answers as one that reads every version."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.items import PubStatus
from core.query_tree import EVERYTHING, Keyword
from storage.embedded.checkpoint import read_checkpoint, write_checkpoint
from storage.embedded.engine import EmbeddedEngine
from storage.embedded.record.reading import SqliteReads
from tests.storage.world import (
    HOUR,
    NOW,
    WIRE,
    SetClock,
    Version,
    ask,
    change,
    lexical,
    make_item,
    opened,
    write,
)

FILE = "projections/columns.npz"


def items(engine: EmbeddedEngine) -> None:
    write(engine, make_item("plain"))
    write(engine, make_item("killed later"))
    write(engine, make_item("corrected later"))
    write(engine, make_item("embargoed", embargoed=NOW + HOUR))
    write(engine, make_item("expires", expires=NOW + HOUR))
    write(engine, make_item("moved", chain="one"))
    write(engine, make_item("moved", 2, chain="two"))


def found(engine: EmbeddedEngine) -> list[object]:
    engine.catch_up()
    every = sorted(ask(engine, lexical(EVERYTHING)))
    ids = np.array([engine.standing(uri).id for uri, _ in every], np.int64)
    return [
        every,
        sorted(ask(engine, lexical(Keyword("product", ("wire",))))),
        engine.facets(ids, ("product", "subject", "type"), 10),
        engine.created(ids).tolist(),
        [engine.chains(ids).tolist().count(number) for number in engine.chains(ids).tolist()],
    ]


@pytest.fixture
def checked(folder: Path) -> Path:
    with opened(folder, SetClock()) as engine:
        items(engine)
    assert (folder / FILE).is_file()
    return folder


def reads_from(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seqs from which versions' facts are read from now on."""
    seen: list[int] = []
    before = SqliteReads.facts_from

    def facts_from(reads: SqliteReads, seq: int) -> object:
        seen.append(seq)
        return before(reads, seq)

    monkeypatch.setattr(SqliteReads, "facts_from", facts_from)
    return seen


def test_no_version_is_read_again(checked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = reads_from(monkeypatch)
    with opened(checked, SetClock()) as engine:
        assert 0 not in seen
        went_on = found(engine)
    (checked / FILE).unlink()
    with opened(checked, SetClock()) as engine:
        assert 0 in seen
        assert found(engine) == went_on


def test_what_changed_since_holds(checked: Path) -> None:
    """Another process killed, corrected and wrote after the checkpoint."""
    kept = checked / "kept"
    shutil.copy(checked / FILE, kept)
    with opened(checked, SetClock()) as engine:
        change(engine, "killed later", pubstatus=PubStatus.CANCELED)
        write(engine, make_item("corrected later", 2, products=("wire", "photos")))
        write(engine, make_item("new"))
        expected = found(engine)
    kept.replace(checked / FILE)
    with opened(checked, SetClock()) as engine:
        assert found(engine) == expected
        assert engine.item("killed later", WIRE) is None


def test_embargoes_and_expiries_of_a_checkpoint_come(checked: Path) -> None:
    clock = SetClock()
    with opened(checked, clock) as engine:
        assert shown(engine, "embargoed") is None
        assert shown(engine, "expires") is not None
        clock.advance(HOUR)
        assert shown(engine, "embargoed") is not None
        assert shown(engine, "expires") is None
    clock = SetClock()
    clock.advance(2 * HOUR)  # they passed while the archive was closed
    with opened(checked, clock) as engine:
        assert shown(engine, "embargoed") is not None
        assert shown(engine, "expires") is None


def shown(engine: EmbeddedEngine, uri: str) -> object:
    return engine.item(uri, WIRE)


def test_a_checkpoint_of_another_archive_is_left_aside(checked: Path, other: Path) -> None:
    with opened(other, SetClock()) as engine:
        for number in range(20):
            write(engine, make_item(f"other {number}"))
        expected = found(engine)
    shutil.copy(checked / FILE, other / FILE)
    with opened(other, SetClock()) as engine:
        assert found(engine) == expected


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return tmp_path / "other"


def test_facts_that_the_record_has_not_are_left_aside(checked: Path) -> None:
    """Products that were read in another way would show items to whom they do not belong."""
    written = read_checkpoint(checked / FILE)
    assert written is not None
    labels = np.frombuffer(b'["photos"]', np.uint8)
    columns = {**written.columns, "product.labels": labels}
    write_checkpoint(checked / FILE, replace(written, columns=columns))
    with opened(checked, SetClock()) as engine:
        everybody: list[Version] = sorted(ask(engine, lexical(EVERYTHING)))
        assert ("plain", 1) in everybody
        assert engine.products() == {"wire"}


def test_a_checkpoint_that_can_not_be_written_leaves_the_one_before(checked: Path) -> None:
    written = read_checkpoint(checked / FILE)
    assert written is not None
    before = (checked / FILE).read_bytes()
    refused = np.array([object()])  # numpy would pickle it
    with pytest.raises(ValueError, match="pickle"):
        write_checkpoint(checked / FILE, replace(written, columns={"one": refused}))
    assert (checked / FILE).read_bytes() == before
    assert not (checked / FILE).with_suffix(".new").exists()
