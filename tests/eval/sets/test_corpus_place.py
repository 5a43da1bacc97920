"""A judged set over another set's documents: where they are looked for, and what both share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError
from eval.sets.cache import CacheKey
from eval.sets.corpus_place import corpus_folder, shared_sets
from eval.sets.datasets import Conventions, read_judged_set
from search.answers import DateUse
from tests.eval.conftest import MakeFolder


@pytest.fixture
def folder(make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A set of judgements only, over the documents of `tiny` beside it."""
    monkeypatch.setenv("DATELINE_SHARED", str(tmp_path / "shared"))
    (tmp_path / "shared/datasets").mkdir(parents=True)
    make_folder(name="tiny")
    judged = make_folder(name="ours")
    (judged / "corpus.jsonl").unlink()
    return state(judged, corpus="tiny")


def state(folder: Path, **about: object) -> Path:
    known: Mapping[str, Any] = {}
    if (folder / "dataset.json").exists():
        known = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**known, **about}))
    return folder


def test_beside_the_set(folder: Path) -> None:
    judged = read_judged_set(str(folder))
    assert (judged.name, judged.documents) == ("ours", 3)
    assert judged.corpus == folder.parent / "tiny" / "corpus.jsonl"
    assert judged.document_id("urn:beir:tiny:d1") == "d1"
    assert judged.doubts.lines() == ()


@pytest.mark.parametrize("stated", ["../elsewhere/tiny", "{tmp}/elsewhere/tiny"])
def test_by_a_path(folder: Path, stated: str) -> None:
    tmp = folder.parent
    (tmp / "elsewhere").mkdir()
    (tmp / "tiny").rename(tmp / "elsewhere/tiny")
    judged = read_judged_set(str(state(folder, corpus=stated.format(tmp=tmp))))
    assert judged.documents == 3
    assert judged.uri_prefix == "urn:beir:tiny:"


def test_among_the_shared_sets(folder: Path) -> None:
    shutil.move(folder.parent / "tiny", folder.parent / "shared/datasets/tiny")
    assert read_judged_set(str(folder)).corpus.parent == folder.parent / "shared/datasets/tiny"


def test_documents_that_are_not_there_say_where_to_put_them(folder: Path) -> None:
    shutil.rmtree(folder.parent / "tiny")
    with pytest.raises(InputError, match="'tiny', which is not there") as caught:
        read_judged_set(str(folder))
    assert caught.value.where == str(folder / "dataset.json")
    assert "DATELINE_SHARED" in caught.value.mend


def test_a_folder_without_documents(folder: Path) -> None:
    (folder.parent / "tiny/corpus.jsonl").unlink()
    with pytest.raises(InputError, match=r"no corpus\.jsonl") as caught:
        read_judged_set(str(folder))
    assert caught.value.where == str(folder.parent / "tiny")


def test_documents_of_both_kinds_are_a_mistake(folder: Path) -> None:
    shutil.copy(folder.parent / "tiny/corpus.jsonl", folder)
    with pytest.raises(InputError, match=r"corpus\.jsonl is there") as caught:
        read_judged_set(str(folder))
    assert caught.value.mend == "keep one of the two"


def test_trec_files_have_their_own_documents(tmp_path: Path) -> None:
    (tmp_path / "topics.txt").write_text("1\tferry\n")
    (tmp_path / "qrels.txt").write_text("1 0 d1 1\n")
    with pytest.raises(InputError, match="another set's documents"):
        read_judged_set(str(state(tmp_path, corpus="tiny")))


def test_another_version_of_the_documents_is_an_error(folder: Path) -> None:
    state(folder, corpus_version="0" * 64)
    with pytest.raises(InputError, match="sha256"):
        read_judged_set(str(folder))


def test_both_sets_share_one_index(folder: Path) -> None:
    ours, tiny = (read_judged_set(str(folder.parent / name)) for name in ("ours", "tiny"))
    assert CacheKey.of(ours, "encoder", {}) == CacheKey.of(tiny, "encoder", {})
    bodies = replace(ours, conventions=Conventions(body_only=True))
    assert CacheKey.of(bodies, "encoder", {}) != CacheKey.of(tiny, "encoder", {})


@pytest.mark.parametrize(
    ("about", "dates"),
    [({}, DateUse.OFF), ({"dated": False}, DateUse.OFF), ({"dated": True}, DateUse.FILTER)],
)
def test_dates_filter_documents_that_are_said_to_be_dated(
    folder: Path, about: dict[str, bool], dates: DateUse
) -> None:
    assert read_judged_set(str(state(folder, **about))).dates is dates


def test_no_shared_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATELINE_SHARED", str(tmp_path))
    assert shared_sets() is None
    with pytest.raises(InputError, match="not there"):
        corpus_folder(tmp_path, "tiny")
    monkeypatch.setenv("DATELINE_SHARED", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no such folder"):
        shared_sets()
