"""Segments of every kind in one archive: each is read by what wrote it, or made anew."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.ports.engine import Clock, Engine
from core.writes import PutItem
from storage.embedded.engine import EmbeddedEngine
from storage.graphs import builders
from storage.graphs.settings import HnswSettings
from tests.conftest import new_folder
from tests.storage.conformance.engine import EngineConformance
from tests.storage.world import (
    WALKED,
    WIRE,
    SetClock,
    make_item,
    nearest,
    open_embedded,
    opened,
    unit,
    vector_of,
    vectors,
    versions,
)

ITEMS = 40
INT8 = replace(WALKED, precision="int8")
HNSWLIB = replace(WALKED, implementation="hnswlib")
LISTS = replace(WALKED, implementation="faiss-ivf", precision="pq")
KINDS = [WALKED, replace(WALKED, precision="fp16"), INT8, HNSWLIB, LISTS]
every_kind = pytest.mark.parametrize(
    "hnsw",
    [pytest.param(kind, marks=pytest.mark.hnswlib) if kind is HNSWLIB else kind for kind in KINDS],
    ids=lambda kind: kind.kind,
)


class TestEmbeddedSealedInBytes(EngineConformance):
    """What every engine promises, from segments whose vectors are on disk and rescored."""

    def open(self, folder: Path, clock: Clock) -> Engine:
        return open_embedded(folder, clock, hnsw=INT8)

    def settle(self, engine: Engine) -> None:
        assert isinstance(engine, EmbeddedEngine)
        engine.catch_up()
        engine.compact()
        assert engine.status()["vectors"]["text"]["tail"] == 0

    def open_live(self, folder: Path, clock: Clock) -> Engine:
        return open_embedded(folder, clock, background=True, hnsw=INT8)


def fill(folder: Path, hnsw: HnswSettings) -> None:
    """Three segments of ten items each, and a tail."""
    with opened(folder, SetClock(), hnsw=hnsw) as engine:
        for first in range(0, ITEMS, 10):
            batch = [make_item(f"urn:{n}", body=f"zebra w{n}x") for n in range(first, first + 10)]
            engine.put([PutItem(item, (vectors(vector_of(item.uri)),)) for item in batch])
            if first < 30:
                engine.projections.projector.seal("text", 1)
        engine.catch_up()


def answers(engine: EmbeddedEngine) -> list[Any]:
    found = engine.retrieve(nearest(unit(1, 2, 3)))
    return [versions(engine, found, WIRE), found.vectors[0].cosines.round(3).tolist()]


@pytest.fixture(scope="module")
def expected() -> list[Any]:
    folder = new_folder()
    fill(folder, WALKED)
    with opened(folder, SetClock(), hnsw=WALKED) as engine:
        found = answers(engine)
    shutil.rmtree(folder)
    assert len(found[0]) == ITEMS
    return found


def manifest(folder: Path) -> Path:
    return folder / "projections" / "vectors" / "text" / "manifest.json"


def kinds(folder: Path) -> set[str]:
    entries = json.loads(manifest(folder).read_bytes())["segments"]
    return {entry["kind"] for entry in entries}


@every_kind
def test_every_kind_gives_the_same_items(
    folder: Path, expected: list[Any], hnsw: HnswSettings
) -> None:
    fill(folder, hnsw)
    assert kinds(folder) == {hnsw.kind}
    with opened(folder, SetClock(), hnsw=hnsw) as engine:
        assert engine.projections.repairs == []
        assert answers(engine) == expected


@every_kind
def test_another_setting_reads_what_is_there_and_writes_its_own(
    folder: Path, expected: list[Any], hnsw: HnswSettings
) -> None:
    fill(folder, INT8)
    before = manifest(folder).read_bytes()
    with opened(folder, SetClock(), hnsw=hnsw) as engine:
        assert answers(engine) == expected
        assert manifest(folder).read_bytes() == before
        engine.catch_up()
        engine.compact()
        assert answers(engine) == expected
    assert hnsw.kind in kinds(folder)
    with opened(folder, SetClock(), hnsw=WALKED) as engine:
        assert engine.projections.repairs == []
        assert answers(engine) == expected


def test_a_manifest_from_before_there_were_kinds(folder: Path, expected: list[Any]) -> None:
    fill(folder, WALKED)
    data = json.loads(manifest(folder).read_bytes())
    for entry in data["segments"]:
        del entry["kind"], entry["beside"]
    manifest(folder).write_text(json.dumps(data))
    with opened(folder, SetClock(), hnsw=INT8) as engine:
        assert engine.projections.repairs == []
        assert engine.status()["vectors"]["text"]["segments"] == [10, 10, 10]
        assert answers(engine) == expected


@pytest.mark.hnswlib
def test_segments_of_a_library_that_is_gone_are_made_anew(
    folder: Path,
    expected: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(folder, HNSWLIB)
    monkeypatch.setattr(builders, "is_installed", lambda library: False)
    with caplog.at_level(logging.WARNING), opened(folder, SetClock(), hnsw=WALKED) as engine:
        assert engine.projections.repairs == []
        assert "hnswlib:fp32 is left out" in caplog.text
        assert answers(engine) == expected
        engine.catch_up()
        engine.compact()
        assert answers(engine) == expected
    assert kinds(folder) == {"faiss:fp32"}


def test_a_kind_of_a_later_version_is_made_anew(folder: Path, expected: list[Any]) -> None:
    fill(folder, WALKED)
    data = json.loads(manifest(folder).read_bytes())
    data["segments"][0]["kind"] = "faiss:fp4"
    manifest(folder).write_text(json.dumps(data))
    with opened(folder, SetClock(), hnsw=WALKED) as engine:
        assert engine.status()["vectors"]["text"]["segments"] == [10, 10]
        assert answers(engine) == expected


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def delete(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [flip, cut, delete])
@pytest.mark.parametrize(
    ("hnsw", "file"),
    [
        (INT8, "vectors.npy"),
        (INT8, "graph.faiss"),
        pytest.param(HNSWLIB, "graph.hnswlib", marks=pytest.mark.hnswlib),
        pytest.param(HNSWLIB, "vectors.npy", marks=pytest.mark.hnswlib),
    ],
)
def test_a_damaged_file_is_seen_before_it_is_opened(
    folder: Path, expected: list[Any], hnsw: HnswSettings, file: str, damage: Callable[[Path], None]
) -> None:
    fill(folder, hnsw)
    damage(next(manifest(folder).parent.glob(f"*/{file}")))
    with opened(folder, SetClock(), hnsw=hnsw) as engine:
        assert len(engine.projections.repairs) == 1
        assert file in engine.projections.repairs[0]
        assert answers(engine) == expected
    with opened(folder, SetClock(), hnsw=hnsw) as engine:
        assert engine.projections.repairs == []


def test_vectors_that_the_manifest_does_not_vouch_for_are_not_opened(
    folder: Path, expected: list[Any]
) -> None:
    fill(folder, INT8)
    data = json.loads(manifest(folder).read_bytes())
    data["segments"][0]["beside"] = {}
    manifest(folder).write_text(json.dumps(data))
    with opened(folder, SetClock(), hnsw=INT8) as engine:
        assert "vectors.npy" in engine.projections.repairs[0]
        assert answers(engine) == expected


@pytest.mark.parametrize("beside", [7, None, [1], "x"])
def test_a_manifest_of_nonsense_is_made_anew(
    folder: Path, expected: list[Any], beside: object
) -> None:
    fill(folder, INT8)
    data = json.loads(manifest(folder).read_bytes())
    data["segments"][1]["beside"] = beside
    manifest(folder).write_text(json.dumps(data))
    with opened(folder, SetClock(), hnsw=INT8) as engine:
        assert "manifest.json" in engine.projections.repairs[0]
        assert answers(engine) == expected
