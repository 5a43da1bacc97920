"""The cache's key changes with what an index depends on, and half an index is not a whole one."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from eval.sets.cache import CachedIndex, CacheKey, documents_to_index
from eval.sets.datasets import Conventions, read_judged_set
from tests.eval.conftest import DOCUMENTS, MakeFolder

SETTINGS: Mapping[str, str | int | float | bool] = {"hnsw_m": 16}


@pytest.fixture
def key(make_folder: MakeFolder) -> CacheKey:
    return CacheKey.of(read_judged_set(str(make_folder())), "encoder-1", SETTINGS)


def test_the_same_is_the_same(make_folder: MakeFolder) -> None:
    judged = read_judged_set(str(make_folder()))
    first = CacheKey.of(judged, "encoder-1", {"a": 1, "b": 2})
    assert CacheKey.of(judged, "encoder-1", {"b": 2, "a": 1}).digest == first.digest


@pytest.mark.parametrize(
    "change",
    [
        {"corpus_sha256": "0" * 64},
        {"collection": "other"},
        {"encoder": "encoder-2"},
        {"body_only": True},
        {"settings": {"hnsw_m": 32}},
        {"format": 0},
    ],
)
def test_every_part_counts(key: CacheKey, change: dict[str, object]) -> None:
    assert replace(key, **change).digest != key.digest  # type: ignore[arg-type]


def test_the_content_counts(make_folder: MakeFolder, key: CacheKey) -> None:
    changed = make_folder(name="tiny2", documents=DOCUMENTS[:2])
    other = CacheKey.of(read_judged_set(str(changed)), "encoder-1", SETTINGS)
    assert other.corpus_sha256 != key.corpus_sha256


def test_judgements_do_not_count(make_folder: MakeFolder) -> None:
    folder = make_folder(splits=("dev", "test"))
    keys = [
        CacheKey.of(read_judged_set(f"{folder}:{split}"), "encoder-1", SETTINGS)
        for split in ("dev", "test")
    ]
    assert keys[0].digest == keys[1].digest


def test_only_a_finished_index_is_complete(tmp_path: Path, key: CacheKey) -> None:
    cached = CachedIndex(tmp_path, key)
    assert cached.report() is None
    cached.folder.mkdir()
    assert cached.report() is None
    cached.complete({"read": 3})
    assert cached.report() == {"read": 3}
    marker = cached.folder / "eval.json"
    marker.write_bytes(marker.read_bytes()[:20])
    assert cached.report() is None


def test_a_marker_of_another_key_does_not_count(tmp_path: Path, key: CacheKey) -> None:
    cached = CachedIndex(tmp_path, key)
    cached.folder.mkdir()
    CachedIndex(tmp_path, key).complete({"read": 3})
    marker = cached.folder / "eval.json"
    kept = orjson.loads(marker.read_bytes())
    kept["key"]["encoder"] = "encoder-2"
    marker.write_bytes(orjson.dumps(kept))
    assert cached.report() is None


def test_titles_are_left_out_of_the_copy_only(tmp_path: Path, make_folder: MakeFolder) -> None:
    folder = make_folder()
    plain = read_judged_set(str(folder))
    cached = CachedIndex(tmp_path / "cache", CacheKey.of(plain, "e", SETTINGS))
    assert documents_to_index(plain, cached) == plain.corpus
    bare = read_judged_set(str(folder), Conventions(body_only=True))
    path = documents_to_index(bare, cached)
    assert path.parent.name == "tiny"
    rows = [orjson.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert rows == [{k: v for k, v in row.items() if k != "title"} for row in DOCUMENTS]
    assert documents_to_index(bare, cached) == path
