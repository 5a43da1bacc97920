"""Candidate lists are read as written, and their nDCG is the one that evaluation gives."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [torch] extra")

from eval.runs.measures import parse_measure, per_query
from training.rerank.candidates import CandidateList, ndcg, ndcgs, read_lists

pytestmark = pytest.mark.torch


def candidate_list(grades: list[int], ideal: list[int]) -> CandidateList:
    """Candidates whose fused scores fall from 1 in even steps."""
    fused = np.linspace(1.0, 0.1, len(grades), dtype=np.float32)
    texts = tuple(f"headline {n}\nbody {n}" for n in range(len(grades)))
    return CandidateList("q", fused, tuple(grades), texts, tuple(ideal))


def test_reading_a_packed_file(tmp_path: Path) -> None:
    row = {
        "query_id": "1",
        "query": "who won",
        "ideal": [1, 3],
        "candidates": [
            {"id": "a", "fused": 0.9, "grade": 0, "text": "Cup\nlost"},
            {"id": "b", "fused": 0.4, "grade": 3, "text": "won"},
        ],
    }
    path = tmp_path / "set.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(row).encode() + b"\n"))
    (found,) = read_lists(path)
    assert (found.query, found.found, found.others, found.ideal) == ("who won", (1,), (0,), (3, 1))
    assert found.without_headlines().texts == ("lost", "won")


def test_the_mix_reorders_the_top_only() -> None:
    given = candidate_list([0, 0, 1], [1])
    scores = np.array([0.0, 1.0], np.float32)
    assert ndcg(given, scores, 1.0, 2) == ndcg(given, scores, 0.0, 2) == pytest.approx(0.5)
    best = np.array([0.0, 0.1, 5.0], np.float32)
    assert ndcg(given, best, 1.0, 3) == 1.0
    assert ndcg(given, best, 0.2, 3) == pytest.approx(0.5)


def test_ndcg_is_what_evaluation_computes() -> None:
    chance = np.random.default_rng(3)
    lists, qrels, runs = [], {}, {}
    for number in range(20):
        grades = chance.integers(0, 3, 30).tolist()
        extra = [2, 1]  # relevant, and not found
        ideal = sorted([grade for grade in grades if grade] + extra, reverse=True)
        lists.append(candidate_list(grades, ideal))
        name = f"q{number}"
        qrels[name] = {f"d{n}": g for n, g in enumerate(grades)} | {"x": 2, "y": 1}
        runs[name] = [f"d{n}" for n in range(30)]
    ours = ndcgs(lists, [np.zeros(20, np.float32)] * 20, 0.0, 20)
    measure = parse_measure("nDCG@10")
    theirs = per_query([measure], qrels, runs)
    assert list(ours) == pytest.approx([theirs[f"q{n}"]["nDCG@10"] for n in range(20)], abs=1e-6)
