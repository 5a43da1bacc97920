"""`dateline tune hnsw` and `dateline tune growth` from vectors to a setting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from dateline.cli import app
from dateline.settings import configure

SMALL = (
    *("--queries", "40", "--m", "4,8", "--ef-construction", "40", "--ef", "16,64,160"),
    *("--k", "10,50", "--seconds", "0", "--threads", "1"),
)


def tune(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["tune", *(str(each) for each in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def tree_of(*arguments: str | Path, code: int = 0) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(tune(*arguments, "--json", code=code).stdout)
    return tree


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 vectors in 20 clusters, not of unit length."""
    chance = np.random.default_rng(1)
    middles = chance.standard_normal((20, 32), np.float32)
    found = middles[chance.integers(20, size=2000)]
    found = found + 0.5 * chance.standard_normal(found.shape, np.float32)
    path = tmp_path_factory.mktemp("vectors") / "vectors.npy"
    np.save(path, found)
    return path


def test_a_sweep_ends_in_a_setting(vectors: Path, tmp_path: Path) -> None:
    (tmp_path / "dateline.toml").write_text(
        '# ours\nprofile = "lexical"  # for now\nhnsw_m = 64 # too many\n\n[runtimes]\nx = "onnx"\n'
    )
    work = tmp_path / "sweep"
    options = ("--vectors", vectors, *SMALL, "--output", work)
    shown = tune("hnsw", *options, "--target", "recall .95", "--apply").stdout
    for part in ("50 nearest", "10 nearest", "cluster 0.02", "walked", "served", "churn 0.8"):
        assert part in shown
    assert "meets recall .95 (recall of the 50 nearest): faiss fp32" in shown
    assert "+hnsw_ef_search = " in shown
    assert "-hnsw_m = 64 # too many" in shown
    text = (tmp_path / "dateline.toml").read_text()
    for kept in (
        "# ours\n",
        'profile = "lexical"  # for now\n',
        " # too many\n",
        "[runtimes]\nx = ",
    ):
        assert kept in text
    settings = configure().settings
    assert (settings.profile, settings.hnsw_ef_construction) == ("lexical", 40)
    tree = json.loads((work / "sweep.json").read_text())
    chosen = tree["recommendation"]["cell"]
    assert (settings.hnsw_m, settings.hnsw_ef_search) == (chosen["m"], chosen["ef"])
    assert chosen["recall@50"] >= 0.95
    assert not (work / "graphs").exists()


def test_json_has_all_and_a_second_run_measures_nothing(vectors: Path, tmp_path: Path) -> None:
    options = ("hnsw", "--vectors", vectors, *SMALL, "--output", tmp_path / "sweep")
    first = tree_of(*options, "--target", "recall@10 .9, under 1 GB")
    lines = (tmp_path / "sweep" / "log.jsonl").read_bytes()
    again = tree_of(*options, "--target", "recall@10 .9, under 1 GB")
    assert again == first
    assert (tmp_path / "sweep" / "log.jsonl").read_bytes() == lines
    assert first["about"]["rows"] == 1960
    assert [(cell["m"], cell["k"], cell["ef"]) for cell in first["cells"]] == [
        *((m, 10, ef) for m in (4, 8) for ef in (16, 64, 160)),
        *((m, 50, ef) for m in (4, 8) for ef in (50, 64, 160)),
    ]
    for k in (10, 50):
        mine = [cell for cell in first["cells"] if cell["k"] == k]
        fastest = max(mine, key=lambda cell: cell["qps"])
        assert fastest["pareto"]
    assert first["recommendation"]["met"]
    assert sum(cell["recommended"] for cell in first["cells"]) == 1
    served = [row for row in first["conditions"] if row["way"] == "served"]
    assert {row["recall"] for row in served} == {1.0}  # so few rows are scanned
    assert any("held-out" in line for line in first["notes"])


def test_what_nothing_meets_is_said_and_not_applied(vectors: Path, tmp_path: Path) -> None:
    options = ("--vectors", vectors, *SMALL, "--no-filters", "--no-churn", "--apply")
    shown = tune("hnsw", *options, "--target", "recall .9, under 1 KB", code=1).stdout
    assert "nothing meets recall .9, memory under 1 KB" in shown
    assert "misses memory under 1 KB: it has memory" in shown
    assert not (tmp_path / "dateline.toml").exists()
    assert (tmp_path / "data" / "hnsw-sweeps" / "sweep.json").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--target", "fast"), "'fast' is no target"),
        (("--target", "recall@20 .9"), "add 20 to --k"),
        (("--m", "2"), "m can't be 2"),
        (("--precision", "int4"), "there is no precision 'int4'"),
        (("--k", "1000"), "lower --k"),
    ],
)
def test_mistakes_are_named(vectors: Path, arguments: tuple[str, ...], why: str) -> None:
    options = ("--vectors", vectors, "--count", "500", "--queries", "10", "--ef", "16")
    assert why in tune("hnsw", *options, *arguments, code=2).stderr


def test_files_that_hold_no_vectors_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "zero.npy", np.zeros((5, 4), np.float32))
    np.save(tmp_path / "flat.npy", np.ones(5, np.float32))
    (tmp_path / "text.npy").write_text("no array")
    for name, why in (
        ("zero.npy", "zero or not finite"),
        ("flat.npy", "no matrix"),
        ("text.npy", "can't be read"),
        ("absent.npy", "can't be read"),
    ):
        assert why in tune("hnsw", "--vectors", tmp_path / name, code=2).stderr
    assert "no archive with vectors" in tune("hnsw", "--m", "8", code=2).stderr


def test_growth_says_what_it_predicts(vectors: Path, tmp_path: Path) -> None:
    options = (
        *("--vectors", vectors, "--sizes", "500,1000,3000", "--queries", "20", "--k", "10"),
        *("--m", "8", "--ef-construction", "40", "--seconds", "0", "--threads", "1"),
        *("--ef", "16,32,64,128,256", "--target", "recall .95, p95 under 50 ms, under 1 GB"),
    )
    work = ("--output", tmp_path / "growth")
    shown = tune("growth", *options, *work).stdout
    for part in ("a n ln n", "a + b n", "100,000,000", "far beyond", "shards"):
        assert part in shown
    tree = tree_of("growth", *options, *work)
    sizes = tree["growth"]["sizes"]
    assert [size["rows"] for size in sizes] == [500, 1000, 3000]
    assert sizes[2]["real"] < 3000
    assert sizes[2]["memory"] > sizes[0]["memory"]
    assert abs(tree["growth"]["memory"]["residuals"][2]) < 0.05
    ten, hundred = tree["predictions"]
    assert hundred["memory"] == pytest.approx(10 * ten["memory"], rel=0.01)
    assert hundred["shards"] >= hundred["memory"] / 1e9
    assert "two sizes" in tune("growth", *options, "--sizes", "500", code=2).stderr


WORDS = "ferry storm harbour bank rates strike vote flood fire trial budget border".split()  # noqa: SIM905


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """A judged set of 24 stories and 4 queries."""
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    stories = [
        {"_id": f"d{n}", "title": f"{WORDS[n % 12]} news {n}", "text": f"The {WORDS[n % 12]} {n}."}
        for n in range(24)
    ]
    queries = [{"_id": f"q{n}", "text": f"the {WORDS[n]}"} for n in range(4)]
    for name, rows in (("corpus", stories), ("queries", queries)):
        lines = [json.dumps(row) for row in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    judgements = ["query-id\tcorpus-id\tscore", *(f"q{n}\td{n}\t1" for n in range(4))]
    (folder / "qrels" / "test.tsv").write_text("\n".join(judgements))
    return folder


def test_a_judged_set_is_asked_its_queries_and_measured_through_the_pipeline(
    judged: Path, tmp_path: Path
) -> None:
    data = ("--data", tmp_path / "data")
    options = (
        *("--m", "4", "--ef-construction", "8", "--ef", "10", "--k", "10", "--threads", "1"),
        *("--seconds", "0", "--no-filters", "--no-churn"),
    )
    tree = tree_of("hnsw", judged, *options, *data, "--queries", "10", "--target", "recall .5")
    assert tree["about"]["queries"] == "4 judged queries and 6 titles"
    assert tree["about"]["rows"] == 24
    losses = {(row["profile"], row["measure"]): row for row in tree["pipeline"]}
    assert set(losses) == {(p, m) for p in ("hybrid", "vector") for m in ("nDCG@10", "R@100")}
    for row in losses.values():
        assert row["exact"] > 0.5
        assert (row["queries"], row["scanned"]) == (4, True)
        assert abs(row["loss"]) < 0.2
    assert not (tmp_path / "data" / "hnsw-sweeps" / "pipeline").exists()
    (archive,) = (tmp_path / "data" / "eval-cache").iterdir()
    found = tree_of("hnsw", archive, *options, *data, "--queries", "4", "--target", "recall .5")
    assert (found["about"]["queries"], found["pipeline"]) == ("4 vectors held out", [])
