"""Sets of ir_datasets, by the library itself over files of this machine; nothing is downloaded."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from core.errors import InputError
from eval.sets import ir_sets
from eval.sets.datasets import read_judged_set

pytest.importorskip("ir_datasets", reason="needs the extra [irds]")

Register = Callable[..., str]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "irds"))


@pytest.fixture
def register(tmp_path: Path) -> Register:
    """Registers a set of three files under a new name."""
    import ir_datasets

    def make(
        docs: str = "d1\tThe ferry sails.\nd2\tA storm.\n",
        queries: str = "q1\tferry\nq2\tstorm\n",
        qrels: str = "q1 0 d1 2\nq1 0 d2 -1\nq2 0 d9 1\n",
        **parts: Any,
    ) -> str:
        for name, text in (("docs", docs), ("queries", queries), ("qrels", qrels)):
            (tmp_path / name).write_text(text)
        found = ir_datasets.create_dataset(
            docs_tsv=tmp_path / "docs",
            queries_tsv=tmp_path / "queries",
            qrels_trec=None if parts.get("unjudged") else tmp_path / "qrels",
        )
        name = f"here/{uuid4().hex}"
        ir_datasets.registry.register(name, found)
        return f"irds:{name}"

    return make


def test_a_set_of_the_library(register: Register) -> None:
    name = register()
    judged = read_judged_set(name)
    assert judged.name == "irds-" + name.removeprefix("irds:").replace("/", "-")
    assert (judged.split, judged.documents) == ("all", 2)
    assert judged.queries == {"q1": "ferry", "q2": "storm"}
    assert judged.qrels == {"q1": {"d1": 2, "d2": 0}, "q2": {"d9": 1}}
    assert judged.doubts.absent_documents == 1
    assert judged.doubts.junk_judgements == 1
    assert judged.corpus.parent.name == judged.name
    assert judged.document_id(f"urn:beir:{judged.name}:d1") == "d1"


def test_documents_are_counted_while_they_are_converted(register: Register) -> None:
    told: list[int] = []
    name = register()
    read_judged_set(name, said=told.append)
    read_judged_set(name, said=told.append)
    assert told == [2]


def test_nothing_is_downloaded_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    import ir_datasets
    from ir_datasets.util import download

    def tripped(*_: object, **__: object) -> None:
        raise AssertionError("asked the network")

    monkeypatch.setattr(ir_datasets.lazy_libs, "requests", tripped)
    stream = download.RequestsDownload.stream
    with pytest.raises(InputError, match="not on this machine") as caught:
        read_judged_set("irds:nfcorpus/test")
    assert caught.value.mend == "dateline eval datasets irds:nfcorpus/test --download"
    assert download.RequestsDownload.stream is stream
    with pytest.raises(AssertionError, match="asked the network"):
        read_judged_set("irds:nfcorpus/test", download=True)


def test_a_name_that_is_none() -> None:
    with pytest.raises(InputError, match="no 'nothing/like/it'"):
        read_judged_set("irds:nothing/like/it")


def test_a_set_without_judgements(register: Register) -> None:
    with pytest.raises(InputError, match="the set has no qrels"):
        read_judged_set(register(unjudged=True))


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ({"qrels": "q9 0 d1 1\n"}, "unknown query 'q9'"),
        ({"qrels": "q1 0 d1 1\nq1 0 d1 1\n"}, "judged twice"),
        ({"qrels": "q1 0 d1 -7\n"}, "-7 is no grade"),
        ({"qrels": ""}, "no judgements"),
        ({"docs": "d1\tx\nd1\ty\n"}, "'d1' stands there twice"),
    ],
)
def test_mistakes(register: Register, parts: dict[str, str], what: str) -> None:
    with pytest.raises(InputError, match=what):
        read_judged_set(register(**parts))


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ir_sets, "find_spec", lambda _: None)
    assert importlib.util.find_spec("ir_datasets") is not None
    with pytest.raises(InputError, match="not installed") as caught:
        read_judged_set("irds:vaswani")
    assert "[irds]" in caught.value.mend
