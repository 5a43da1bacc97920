"""A model is judged only on sets that it did not learn from."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InputError
from dateline.measuring.unseen import Learned, learned_texts, seen_of
from dateline.settings import Settings
from eval.sets.datasets import JudgedSet, read_judged_set
from inference.models.manifest import TrainingData
from inference.models.store import ModelStore
from tests.dateline.conftest import Cli, write_lines


def text(start: int, count: int = 60) -> str:
    return " ".join(f"word{start}x{n}" for n in range(count))


def folder_of(tmp_path: Path, name: str, documents: int = 200) -> Path:
    folder = tmp_path / name
    (folder / "qrels").mkdir(parents=True)
    rows = [
        {"_id": f"d{n}", "title": f"Title {n}", "text": f"{text(n, 120)}"} for n in range(documents)
    ]
    write_lines(folder / "corpus.jsonl", *rows)
    write_lines(folder / "queries.jsonl", {"_id": "q1", "text": "word1x1 word1x2 of title"})
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    return folder


@pytest.fixture
def judged(tmp_path: Path) -> JudgedSet:
    return read_judged_set(str(folder_of(tmp_path, "storm_claims2020")))


def documents(judged: JudgedSet) -> list[str]:
    lines = judged.corpus.read_text("utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def test_a_set_that_the_card_names_is_seen_however_it_is_written(judged: JudgedSet) -> None:
    manifest = ModelStore(Settings().models).open("all-MiniLM-L6-v2").manifest
    assert seen_of(judged, manifest, None).refused == ""
    for name in ("Storm Claims 2020, train", "the storm-claims2020 headlines"):
        card = replace(manifest, training_data=(TrainingData(name, "", ""),))
        assert name in seen_of(judged, card, None).refused


def test_one_near_duplicate_in_a_hundred_is_allowed_and_more_are_not(judged: JudgedSet) -> None:
    manifest = ModelStore(Settings().models).open("all-MiniLM-L6-v2").manifest
    own = [f"{each} and an end of its own" for each in documents(judged)]  # near, not equal
    unlike = ["a quite different text about gardens and the weather in spring"]
    for count, refused in ((2, False), (3, True)):
        seen = seen_of(judged, manifest, Learned([*unlike, *own[:count]]))
        assert seen.documents == count / 200
        assert bool(seen.refused) is refused


def test_a_learned_beginning_of_a_document_is_a_near_duplicate(judged: JudgedSet) -> None:
    first = documents(judged)[0]
    assert Learned([first[: len(first) // 3]]).share([first]) == 1.0


def test_a_learned_query_is_seen_too(judged: JudgedSet) -> None:
    manifest = ModelStore(Settings().models).open("all-MiniLM-L6-v2").manifest
    seen = seen_of(judged, manifest, Learned(["Word1x1 word1x2 of TITLE"]))
    assert (seen.documents, seen.queries) == (0.0, 1.0)
    assert seen.refused


def test_texts_are_read_from_members_and_lines_packed_or_not(tmp_path: Path) -> None:
    packed = tmp_path / "pairs.jsonl.gz"
    packed.write_bytes(gzip.compress(b'{"query": "a b", "grade": 1, "positive": "c d"}\n'))
    assert list(learned_texts(packed)) == ["a b", "c d"]
    plain = tmp_path / "lines.txt"
    plain.write_text("one\n\ntwo\n")
    assert list(learned_texts(plain)) == ["one", "two"]
    plain.write_text("\n")
    with pytest.raises(InputError):
        list(learned_texts(plain))


@pytest.mark.service
def test_a_seen_set_ends_with_an_error_and_an_unseen_one_has_its_figure(
    cli: Cli, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path, "storms", documents=8)
    learned = write_lines(tmp_path / "learned.txt", "nothing of it is in the documents at all")
    arguments = ("eval", "unseen", "all-MiniLM-L6-v2", folder, "--texts", learned)
    (row,) = cli.json(*arguments)
    assert row["refused"] == ""
    assert 0 <= row["figure"] <= 1
    write_lines(learned, json.loads((folder / "corpus.jsonl").read_text().splitlines()[0])["text"])
    (row,) = cli.json(*arguments, code=2)
    assert row["figure"] is None
    assert row["near_duplicate_documents"] > 0.01


@pytest.mark.service
def test_the_second_encoder_is_judged_as_the_only_one(cli: Cli, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "storms", documents=8)
    (row,) = cli.json("eval", "unseen", Settings().second_encoder, folder)
    assert row["figure"] == 1.0
