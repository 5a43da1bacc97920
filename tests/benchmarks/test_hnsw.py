"""The graph's benchmark: that it compares like with like, and says what it lacks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import orjson
import pytest

pytest.importorskip("hnswlib", reason="needs the extra [hnswlib]")

from benchmarks.search import hnsw
from core.retrieval import Ids
from core.writes import PutItem
from dateline.build.engine import build_graphs
from dateline.settings import Settings
from tests.storage.conformance.graphs import VECTORS
from tests.storage.world import SetClock, make_item, opened, vectors

pytestmark = pytest.mark.hnswlib

ROOT = Path(__file__).parents[2]


def run(*given: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.search.hnsw", *given]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=480, check=False
    )


def test_without_vectors_it_says_what_to_do(tmp_path: Path) -> None:
    ended = run("--data", str(tmp_path))
    assert ended.returncode == 1
    assert "no archive with vectors" in ended.stderr
    assert "dateline eval run" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_figure_is_there(folder: Path) -> None:
    with opened(folder, SetClock()) as engine:
        rows = [vectors(VECTORS[n : n + 1]) for n in range(400)]
        engine.put([PutItem(make_item(f"urn:{n}"), (row,)) for n, row in enumerate(rows)])
    ended = run(
        *("--data", str(folder), "--count", "600", "--queries", "20", "--rounds", "2"),
        *("--threads", "1", "--json"),
    )
    assert ended.stderr == ""
    figures = orjson.loads(ended.stdout)["figures"]
    assert figures["vectors"].startswith("620 vectors, 400 of them real")
    assert figures["ours recall@10 %"] == figures["faiss recall@10 %"] >= 99
    assert figures["hnswlib recall@10 %"] >= 99
    assert figures["self_recall %"] > 99
    assert figures["ours time of faiss"] > 0
    reached = figures["ours of hnswlib"] >= 1 and figures["ours time of faiss"] <= 1.1
    assert ended.returncode == int(not reached)


def test_the_least_width_is_the_least() -> None:
    graph = build_graphs(Settings(hnsw_m=4, hnsw_ef_construction=8)).build(VECTORS[:3000], 1)
    queries = VECTORS[3000:3060]
    truth = hnsw.exact(VECTORS[:3000], queries)
    way = hnsw._ours(graph)

    def at(ef: int) -> float:
        return hnsw.recall(way.many(queries, ef), truth)

    ef = hnsw.least_ef(way, queries, truth, 0.95)
    assert at(ef) >= 0.95 > at(ef - 1)
    with pytest.raises(ValueError, match="no ef up to 1024"):
        hnsw.least_ef(hnsw.Way(lambda q, ef: nothing(len(q)), way.one), queries, truth, 0.95)


def nothing(queries: int) -> Ids:
    return np.full((queries, hnsw.K), -1)
