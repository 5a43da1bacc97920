"""The vectors of archives, read while they may be in use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import CorruptError, InputError
from core.writes import PutItem
from dateline.measuring.evaluate import CACHE
from dateline.measuring.real_vectors import real_vectors
from tests.storage.world import WIRE, SetClock, make_item, opened, vector_of, vectors


def fill(folder: Path, encoder: str, first: int, count: int) -> None:
    with opened(folder, SetClock(), spaces={"text": encoder}) as engine:
        items = [make_item(f"urn:{n}") for n in range(first, first + count)]
        rows = [vectors(vector_of(item.uri), encoder=encoder) for item in items]
        engine.put([PutItem(item, (row,)) for item, row in zip(items, rows, strict=True)])


def test_the_archive_and_the_collections_under_it(folder: Path) -> None:
    fill(folder, "space-a", 0, 10)
    fill(folder / CACHE / "one", "space-a", 5, 10)
    fill(folder / CACHE / "two", "space-b", 100, 12)
    found = real_vectors(folder, 0)
    assert found.real == 15, "each once, and no vector of another encoder"
    wanted = np.concatenate([vector_of(f"urn:{n}") for n in range(15)])
    assert ((found.vectors @ wanted.T).max(axis=0) > 0.999).all()


def test_an_archive_in_use_is_read_and_not_changed(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        item = make_item("urn:1")
        engine.put([PutItem(item, (vectors(vector_of("urn:1")),))])
        assert real_vectors(folder, 0).real == 1
        assert engine.item("urn:1", WIRE) is not None


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no archive with vectors"):
        real_vectors(tmp_path, 10)


def test_a_file_that_is_no_record(tmp_path: Path) -> None:
    (tmp_path / "record.sqlite3").write_bytes(b"not a database at all" * 100)
    with pytest.raises(CorruptError, match="can't be read"):
        real_vectors(tmp_path, 10)
