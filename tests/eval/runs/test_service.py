"""A judged folder through the real service: indexed once, scored as served."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dateline.build.models.served import load_models
from dateline.measuring.evaluate import cached_index, evaluate_folder
from dateline.settings import Settings
from eval.runs.run_summary import degraded, refused
from eval.sets.datasets import Conventions, read_judged_set
from indexing.ingest import Progress
from tests.eval.conftest import MakeFolder

ROOT = Path(__file__).resolve().parents[3]


class Watching:
    """Counts what an ingest reports."""

    def __init__(self) -> None:
        self.documents = 0

    def advance(self, progress: Progress) -> None:
        self.documents = progress.documents


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data=tmp_path / "data", models=ROOT / "models", tagger="", second_encoder="", threads=1
    )


def test_from_a_folder_to_figures_once_and_again(
    settings: Settings, make_folder: MakeFolder
) -> None:
    folder = str(make_folder())
    first, second = Watching(), Watching()
    found = evaluate_folder(settings, folder, "hybrid", first)
    assert first.documents == 3
    assert found.mean("RR@10") == 1.0
    assert found.rows[1].documents[0] == "d2"
    assert (refused(found), degraded(found), found.notes) == ({}, {}, ())
    again = evaluate_folder(settings, folder, "lexical", second)
    assert second.documents == 0
    # The first query shares no word with its story.
    assert again.values("RR@10").tolist() == [0.0, 1.0]


def test_a_half_built_index_is_finished(settings: Settings, make_folder: MakeFolder) -> None:
    folder = str(make_folder())
    evaluate_folder(settings, folder, "hybrid")
    judged = read_judged_set(folder)
    cached = cached_index(settings, judged, load_models(settings))
    (cached.folder / "eval.json").unlink()
    shutil.rmtree(cached.folder / "projections")
    found = evaluate_folder(settings, folder, "hybrid")
    assert found.mean("RR@10") == 1.0
    report = cached.report()
    assert report is not None
    assert (report["created"], report["unchanged"]) == (0, 3)


def test_titles_are_not_found_where_only_bodies_are_indexed(
    settings: Settings, make_folder: MakeFolder
) -> None:
    queries = ({"_id": "q1", "text": "resumes service"},)
    folder = str(make_folder(queries=queries, judgements=("q1\td1\t1",)))
    whole = evaluate_folder(settings, folder, "lexical")
    bare = evaluate_folder(settings, folder, "lexical", conventions=Conventions(body_only=True))
    assert whole.mean("RR@10") == 1.0
    assert bare.mean("RR@10") == 0.0
    left_out = "titles are left out of the index"
    assert (left_out in whole.notes, left_out in bare.notes) == (False, True)
    assert whole.system.index != bare.system.index


def test_documents_that_cannot_be_indexed_are_noted(
    settings: Settings, make_folder: MakeFolder
) -> None:
    documents = (
        {"_id": "d1", "title": "Ferry service resumes", "text": "The ferry sails again."},
        {"_id": "d2", "title": ["not", "a", "text"], "text": "x"},
    )
    folder = make_folder(documents=documents, judgements=("q1\td1\t1",))
    found = evaluate_folder(settings, str(folder), "hybrid")
    assert "1 documents could not be indexed" in found.notes


def test_the_demo_corpus_is_found(settings: Settings) -> None:
    found = evaluate_folder(settings, str(ROOT / "datasets" / "demo"), "hybrid")
    assert len(found.rows) == 30
    assert found.mean("nDCG@10") > 0.6
    everything = {uri for row in found.rows for uri in row.documents}
    assert not any("analysis-rates" in uri for uri in everything)  # product demo-premium only
