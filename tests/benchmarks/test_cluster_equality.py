"""Both engines answer judged sets equally well, on a real node; the benchmark's own sums."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import orjson
import pytest

from benchmarks.opensearch.equality import MOST, PROFILES, Compared, compared, on_cluster, wrong
from dateline.measuring.evaluate import open_indexed
from dateline.settings import configure
from eval.sets.corpus_place import shared_sets
from eval.sets.datasets import JudgedSet, read_judged_set

DEMO = Path(__file__).parents[2] / "datasets/demo"


def test_the_demo_corpus(folder: Path, opensearch: str) -> None:
    found = _asked(folder, opensearch, read_judged_set(f"{DEMO}"))
    assert [*wrong(found, MOST)] == []
    assert found[0].values.shape == (2, 30)
    assert found[0].values.mean() > 0.8


@pytest.mark.deep
def test_judged_abstracts(folder: Path, opensearch: str) -> None:
    """CACM's judged documents, and no others: that many can be embedded in the time of a test."""
    sets = shared_sets()
    if sets is None or not (sets / "cacm").is_dir():
        pytest.skip("no judged set cacm beside the checkout; set DATELINE_SHARED")
    found = _asked(folder, opensearch, read_judged_set(f"{_judged_alone(sets / 'cacm', folder)}"))
    assert [*wrong(found, MOST)] == []
    assert all(one.values.mean() > 0.3 for one in found)


def _judged_alone(whole: Path, folder: Path) -> Path:
    """A judged set in `folder` with the judged documents of `whole`."""
    own = folder / "cacm"
    shutil.copytree(whole / "qrels", own / "qrels")
    shutil.copy(whole / "queries.jsonl.gz", own)
    judged = {line.split("\t")[1] for line in (own / "qrels/test.tsv").read_text().splitlines()}
    with gzip.open(whole / "corpus.jsonl.gz") as lines, (own / "corpus.jsonl").open("wb") as kept:
        kept.writelines(line for line in lines if orjson.loads(line)["_id"] in judged)
    return own


def _asked(folder: Path, url: str, judged: JudgedSet) -> list[Compared]:
    flags = {"data": str(folder), "engine": "embedded", "tagger": ""}
    settings = configure(flags).settings
    with open_indexed(settings, judged) as embedded, on_cluster(embedded, url) as cluster:
        return [compared(embedded, cluster, judged, profile) for profile in PROFILES]


def test_what_is_wrong_is_named() -> None:
    equal, apart = np.full((2, 10), 0.5), np.full((2, 10), 0.5)
    apart[1, :2] = 0.4
    rows = [
        Compared("one:test", "hybrid", equal, 0, 0),
        Compared("two:test", "hybrid", apart, 3, 0),
        Compared("three:test", "vector", equal, 0, 1),
    ]
    assert [*wrong(rows, 0.005)] == [
        "two:test, hybrid: the means differ by -0.0200",
        "three:test, vector: 1 answers were flagged, or refused by one alone",
    ]
    assert [*wrong(rows[:2], 0.03)] == []
    assert rows[1].row() == (
        "| two:test | hybrid | 10 | 0.5000 | 0.4800 | -0.0200 | 0.100 | 2 | 3 |"
    )
