"""Pools keep what judges apart from what is learned, and the served pipeline reads them."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from eval.sets.datasets import read_judged_set
from training.beir import read_lines
from training.rerank import pools

Rows = Sequence[Mapping[str, str]]
TOLD = "the harbour master closed the northern pier after the storm broke its mooring posts"


def written(folder: Path, sources: Mapping[str, Rows]) -> Path:
    folder.mkdir()
    every = {*pools.JUDGING, *pools.CHOOSING, *pools.ALL}
    every |= {name for names in pools.OTHERS.values() for name in names}
    for name in every:
        rows = sources.get(name, [{"query": f"{name} asks", "positive": f"{name} answers"}])
        data = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(data.encode()))
    return folder


@pytest.mark.parametrize("judge", [pools.JUDGING[0], pools.CHOOSING[0]])
def test_a_near_duplicate_of_a_judging_text_is_not_learned(tmp_path: Path, judge: str) -> None:
    near = [
        {"query": "storm at sea", "positive": f"{TOLD} on Sunday"},
        {"query": f"{TOLD} again", "positive": "something else"},
        {"query": "a ferry", "positive": "The ferry went to the island with forty people."},
    ]
    pairs = written(
        tmp_path / "pairs", {judge: [{"query": "pier", "positive": TOLD}], pools.ALL[0]: near}
    )
    sizes = pools.write_pools(pairs, None, tmp_path / "out", 10)
    assert sizes[f"learn/en {pools.ALL[0]}"] == 1
    asked = [row["text"] for row in read_lines(tmp_path / "out" / "learn" / "en", "queries")]
    assert "a ferry" in asked
    assert not {"storm at sea", f"{TOLD} again"} & {*asked}


def test_a_judged_set_is_kept_apart_too(tmp_path: Path) -> None:
    pairs = written(tmp_path / "pairs", {pools.ALL[0]: [{"query": "storm", "positive": TOLD}]})
    for name in pools.JUDGED_SETS:
        (tmp_path / "sets" / name).mkdir(parents=True)
        for kind in ("corpus", "queries"):
            row = {"_id": "1", "title": "", "text": TOLD if kind == "corpus" else "pier"}
            (tmp_path / "sets" / name / f"{kind}.jsonl").write_text(json.dumps(row) + "\n")
    sizes = pools.write_pools(pairs, tmp_path / "sets", tmp_path / "out", 10)
    assert sizes[f"learn/en {pools.ALL[0]}"] == 0


def test_equal_passages_and_queries_are_one(tmp_path: Path) -> None:
    rows = [
        {"query": "who sank", "positive": "A ferry.", "title": "Sea"},
        {"query": "who sank", "positive": "A tanker.", "title": "Sea"},
        {"query": "what sank", "positive": "A ferry.", "title": "Sea"},
    ]
    pairs = written(tmp_path / "pairs", {pools.JUDGING[1]: rows})
    pools.write_pools(pairs, None, tmp_path / "out", 10)
    judged = read_judged_set(str(tmp_path / "out" / "judge" / pools.JUDGING[1]))
    assert dict(judged.qrels) == {"q0": {"d0": 1, "d1": 1}, "q1": {"d0": 1}}
    assert judged.documents == 2


def test_what_judges_is_in_no_pool() -> None:
    others = {name for names in pools.OTHERS.values() for name in names}
    assert not {*pools.JUDGING, *pools.CHOOSING} & ({*pools.ALL} | others)
    assert not {*pools.JUDGING} & {*pools.CHOOSING}
