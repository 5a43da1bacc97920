"""Candidate lists say what a reranker would read, with every judgement."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError
from dateline.measuring.evaluate import candidates_of
from dateline.settings import Settings
from eval.runs.candidates import known_items
from eval.sets.datasets import read_judged_set
from tests.eval.conftest import MakeFolder

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data=tmp_path / "data", models=ROOT / "models", tagger="", second_encoder="", threads=1
    )


def written(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_lists_hold_what_is_read_and_every_grade(
    settings: Settings, make_folder: MakeFolder, tmp_path: Path
) -> None:
    output = tmp_path / "lists.jsonl.gz"
    seen: list[tuple[int, int]] = []
    count = candidates_of(
        settings,
        str(make_folder()),
        output,
        profile="hybrid",
        depth=2,
        said=lambda done, total: seen.append((done, total)),
    )
    first, second = written(output)
    assert count == 2
    assert seen[-1] == (2, 2)
    assert (second["query"], second["ideal"]) == ("storm harbour", [2, 1])
    best = second["candidates"][0]
    assert (best["id"], best["grade"]) == ("d2", 2)
    assert best["text"].splitlines() == [
        "Storm closes port",
        "A storm closed the harbour on Monday.",
    ]
    assert len(first["candidates"]) <= 2
    scores = [one["fused"] for one in second["candidates"]]
    assert scores == sorted(scores, reverse=True)


def test_titles_ask_for_documents_that_no_query_has(make_folder: MakeFolder) -> None:
    judged = known_items(read_judged_set(str(make_folder())), 10, seed=1)
    assert judged.queries == {"d3": "Central bank holds rates"}
    assert judged.qrels == {"d3": {"d3": 1}}


def test_a_corpus_without_titles_says_so(make_folder: MakeFolder) -> None:
    rows = [{"_id": "d1", "title": "", "text": "Rain."}, {"_id": "d2", "text": "Sun."}]
    folder = make_folder(documents=rows, judgements=("q1\td1\t1", "q2\td2\t1"))
    with pytest.raises(InputError, match="no titled documents"):
        known_items(read_judged_set(str(folder)), 10, seed=1)
