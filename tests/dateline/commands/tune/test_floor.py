"""`dateline tune floor` over a few of the demo's queries: what it prints, writes and refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import dateline.commands.tune.floor
from dateline.default_folders import demo_folder
from eval.sets.absent_queries import Kind
from search.floor import feature_names, read_floors
from tests.conftest import new_folder
from tests.dateline.conftest import Cli

QUERIES = 6


@pytest.fixture(scope="module")
def small() -> Iterator[Path]:
    """A folder with a judged set: the demo's first queries, and the stories judged for them."""
    folder = new_folder()
    (folder / "small" / "qrels").mkdir(parents=True)
    queries = (demo_folder() / "queries.jsonl").read_text("utf-8").splitlines(True)[:QUERIES]
    named = {json.loads(line)["_id"] for line in queries}
    head, *rows = (demo_folder() / "qrels" / "test.tsv").read_text("utf-8").splitlines(True)
    rows = [row for row in rows if row.split("\t")[0] in named]
    judged = {row.split("\t")[1] for row in rows}
    lines = (demo_folder() / "stories.jsonl").read_text("utf-8").splitlines(True)
    stories = [line for line in lines if json.loads(line)["uri"] in judged]
    for name, texts in (
        ("queries.jsonl", queries),
        ("qrels/test.tsv", [head, *rows]),
        ("stories.jsonl", stories),
    ):
        (folder / "small" / name).write_text("".join(texts), "utf-8")
    (folder / "small" / "dataset.json").write_text(json.dumps({"products": ["demo"]}))
    yield folder
    shutil.rmtree(folder)


def elsewhere(folder: Path) -> Path:
    """A judged set of one document that has nothing to do with the demo."""
    made = folder / "elsewhere"
    (made / "qrels").mkdir(parents=True)
    (made / "corpus.jsonl").write_text('{"_id": "d", "text": "A proof that a lattice is finite."}')
    queries = ("finite lattices", "a proof by induction")
    lines = [json.dumps({"_id": str(n), "text": text}) for n, text in enumerate(queries)]
    (made / "queries.jsonl").write_text("\n".join(lines))
    (made / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n0\td\t1\n1\td\t1\n")
    return made


def test_a_floor_is_learned_written_and_used(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli, asked = Cli(small / "data"), ("tune", "floor", small / "small", "--sample", "5")
    path = tmp_path / "made" / "floor.json"
    deep = ("--deep", small / "small")
    told = cli.json(*asked, *deep, "--output", path, "--elsewhere", elsewhere(tmp_path))
    (floor,) = read_floors(path)
    names = feature_names(len(floor.encoders))
    assert tuple(told["floor"]["encoders"]) == floor.encoders
    assert told["floor"]["weights"] == pytest.approx(floor.weights[: len(names)], abs=1e-6)
    assert json.loads(path.read_bytes())["floors"][0]["learned_from"] == ["small:test"]
    (row,) = told["sets"]
    assert set(row["quiet"]) == {kind.value for kind in Kind} | {"elsewhere"}
    assert row["first_10"] > 0.5
    assert told["left_out"] == []
    (calibrated,) = told["calibration"]
    assert 0 <= calibrated["brier"] <= 1
    cli("ingest", small / "small" / "stories.jsonl", "--products", "demo")
    monkeypatch.setenv("DATELINE_FLOOR", str(path))
    for least, strong in ((0.0, True), (1.0, False)):  # all hits are strong, or none is
        tree = json.loads(path.read_bytes())
        tree["floors"][0] |= {"least": least, "bias": 0.0, "weights": dict.fromkeys(names, 0.0)}
        path.write_text(json.dumps(tree))
        data = cli.json("search", "ferry accident")["data"]
        assert {hit["meta"]["relevance"] == "strong" for hit in data["items"]} == {strong}


def test_products_that_hide_every_document_are_told(small: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    shutil.copytree(small / "small", hidden)
    (hidden / "dataset.json").write_text(json.dumps({"products": ["other"]}))
    told = Cli(tmp_path / "data")("tune", "floor", hidden, "--sample", "1", code=2).stderr
    assert "demo" in told


def test_mistakes_are_refused_before_anything_is_asked(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli, judged = Cli(tmp_path / "data"), small / "small"
    assert "not among" in cli("tune", "floor", judged, "--deep", "other", code=2).stderr
    assert "named twice" in cli("tune", "floor", judged, judged, code=2).stderr
    cli("tune", "floor", "nowhere", code=2)
    bare = tmp_path / "bare"
    shutil.copytree(judged, bare)
    shutil.rmtree(bare / "qrels")
    cli("tune", "floor", bare, code=2)
    monkeypatch.setattr(dateline.commands.tune.floor, "tune_floor", None)
    (tmp_path / "file").write_text("")
    told = cli("tune", "floor", judged, "--output", tmp_path / "file" / "floor.json", code=None)
    assert told.exit_code not in (0, 1)
    assert "can't be written" in told.stderr
    assert not (tmp_path / "data" / "eval-cache").exists()
