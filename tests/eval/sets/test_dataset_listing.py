"""`dateline eval datasets`: what is listed, and that one broken set hides no other."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core.errors import InputError
from dateline.cli import app
from dateline.commands.eval.datasets import WIDTH, default_places
from eval.sets.dataset_listing import names_in, read_listed
from tests.eval.conftest import MakeFolder

ROOT = Path(__file__).resolve().parents[3]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["eval", "datasets", *arguments])


def tree_of(result: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(result.stdout)
    return found


def test_the_figures_of_a_set(make_folder: MakeFolder) -> None:
    folder = make_folder(splits=("test", "train"))
    (folder / "SOURCE.txt").write_text("what: tests\nlicence as stated: CC0\n")
    (folder / "dataset.json").write_text('{"languages": ["en", "de"]}')
    assert names_in(str(folder)) == (f"{folder}:test", f"{folder}:train")
    listed = read_listed(f"{folder}:train")
    assert (listed.label, listed.documents, listed.queries) == ("tiny:train", 3, 2)
    assert (listed.least, listed.mean, listed.most) == (1, 1.5, 2)
    assert (listed.grades, listed.languages, listed.licence) == ((1, 2), ("en", "de"), "CC0")
    assert (listed.doubts, listed.error) == ((), "")


def test_a_folder_of_sets_with_a_broken_one(make_folder: MakeFolder, tmp_path: Path) -> None:
    make_folder(name="sound")
    broken = make_folder(name="broken", judgements=("q9\td1\t1",))
    (make_folder(name="gone") / "qrels" / "test.tsv").unlink()
    (tmp_path / "beside").mkdir()
    result = call(str(tmp_path))
    assert result.exit_code == 1, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines if line[:1].strip()][1:] == [
        "broken:test",
        "gone",
        "sound:test",
    ]
    assert "q9" in result.stderr
    assert f"{broken}/qrels/test.tsv:2" in result.stderr.replace("\n", "")
    assert "no judgements" in result.stderr


def test_the_table_fits_and_says_the_doubts(make_folder: MakeFolder, tmp_path: Path) -> None:
    long = "an-archive-of-letters-with-a-long-name"
    folder = make_folder(name=long, judgements=("q1\td1\t3", "q1\tgone\t1"))
    (folder / "SOURCE.txt").write_text("licence as stated: " + "research use only, " * 9)
    result = call(str(tmp_path))
    assert result.exit_code == 0, result.output
    table = result.stdout.splitlines()
    assert max(len(line) for line in table if long not in line) <= WIDTH
    assert f"{long}:test: 1 judged documents are not in the corpus" in table
    assert f"{long}:test: grades used are 1, 3: nothing has 2" in table
    assert f"{long}:test: 1 queries have no judgement and are left out" in table
    assert f"{long}:test: a single query is judged: nothing can be said about others" in table
    assert "not stated" in result.stdout


def test_json(make_folder: MakeFolder) -> None:
    good = make_folder(name="good")
    result = call(str(good), f"{good}:tset", "--json")
    assert result.exit_code == 1
    first, second = tree_of(result)
    assert first["judgements_per_query"] == {"least": 1, "mean": 1.5, "most": 2}
    assert first["languages"] is None
    assert len(first["corpus_sha256"]) == 64
    assert {"facet": "words", "value": "4-8", "queries": 1} in first["slices"]
    assert "no split 'tset'" in second["error"]


def test_a_set_of_the_library_that_is_not_here_is_a_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ir_datasets", reason="needs the extra [irds]")
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path / "irds"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tree,) = tree_of(call("irds:nfcorpus/dev", "--json"))
    assert tree["name"] == "irds:nfcorpus/dev"
    assert "--download" in tree["error"]


def test_agreement_is_listed(make_folder: MakeFolder) -> None:
    folder = make_folder()
    (folder / "qrels" / "test.tsv").unlink()
    rows = [
        {"query_id": query, "document_id": document, "judge": judge, "grade": grade}
        for query, document, grade in (("q1", "d1", 2), ("q2", "d2", 1))
        for judge in ("ada", "ben")
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "judgements.jsonl").write_text(text)
    assert "tiny:test: 2 judges, ordinal alpha 1.00" in call(str(folder)).stdout


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_a_place_without_sets(tmp_path: Path, place: str) -> None:
    with pytest.raises(InputError, match=r"no such folder|no judged set"):
        names_in(str(tmp_path / place))
    result = call(str(tmp_path / place))
    assert result.exit_code == 2
    assert "mend:" in result.stderr


def test_by_default_the_shared_sets_and_the_demo(
    make_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(name="shared/datasets/tiny")
    monkeypatch.setenv("DATELINE_SHARED", str(tmp_path / "shared"))
    found = [tree["name"] for tree in tree_of(call("--json"))]
    assert found == ["tiny", "demo"]
    monkeypatch.setenv("DATELINE_SHARED", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="no such folder"):
        default_places()


def test_the_sets_beside_the_checkout_are_sound(shared_datasets: Path) -> None:
    names = names_in(str(shared_datasets))
    listed = [read_listed(name) for name in names if "reuters" not in name]
    assert {each.error for each in listed} == {""}
    cacm = next(each for each in listed if each.name == "cacm")
    assert (cacm.documents, cacm.queries, cacm.most) == (3204, 52, 51)
    assert next(each for each in listed if each.name == "scifact").licence.startswith("CC BY-NC")


@pytest.fixture
def shared_datasets() -> Path:
    beside = ROOT.parent / "shared"
    folder = Path(os.environ.get("DATELINE_SHARED", beside)) / "datasets"
    if not folder.is_dir():
        pytest.skip(f"no judged sets at {folder}; set DATELINE_SHARED")
    return folder
