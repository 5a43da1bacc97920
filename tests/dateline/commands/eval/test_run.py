"""`dateline eval run` and `score`, as they are typed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import dateline
from dateline.cli import app
from eval.runs.measures import DEFAULT_MEASURES, VIEWS
from eval.runs.results import read_result
from tests.conftest import new_folder
from tests.dateline.conftest import Cli, write_lines

pytestmark = pytest.mark.service

ROOT = Path(dateline.__file__).parent.parent
DEMO = ROOT / "datasets" / "demo"


@dataclass(frozen=True)
class Ran:
    """The demo set, run once: its data folder, its results, and what was printed as JSON."""

    cli: Cli
    output: Path
    tree: dict[str, Any]


@pytest.fixture(scope="module")
def ran() -> Iterator[Ran]:
    folder = new_folder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATELINE_TAGGER", "")
        patch.setenv("DATELINE_SECOND_ENCODER", "")
        cli = Cli(folder / "data")
        tree = cli.json("eval", "run", DEMO, "--output", folder / "out", "--profile", "lexical")
    yield Ran(cli, folder / "out", tree)
    shutil.rmtree(folder)


def test_the_json_says_what_the_written_result_says(ran: Ran) -> None:
    (told,) = ran.tree["sets"]
    written = read_result(ran.output / "demo-test")
    assert told["collection"]["queries"] == len(written.rows) == 30
    assert (
        told["system"] == json.loads((ran.output / "demo-test/result.json").read_text())["system"]
    )
    assert tuple(told["measures"]) == written.measures == (*DEFAULT_MEASURES, *VIEWS)
    for name, estimate in told["measures"].items():
        assert estimate["mean"] == written.mean(name)
        assert estimate["low"] <= estimate["mean"] <= estimate["high"]
        assert ran.tree["mean"][name] == estimate
    assert told["unjudged"] == sum(row.unjudged for row in written.rows)
    assert ran.tree["output"] == str(ran.output)


def test_circumstances_are_kept(ran: Ran) -> None:
    system = read_result(ran.output / "demo-test").system
    assert (system.name, system.profile, system.place) == ("lexical", "lexical", "here")
    assert system.settings["profile.lexical_weight"] == 1.0
    assert system.models["encoder"].startswith("all-MiniLM-L6-v2 ")
    assert set(system.models) == {"encoder"}  # no tagger here, and the profile does not rerank
    assert (ran.cli.data / "eval-cache" / system.index).is_dir()
    assert system.version.startswith("0.")


def test_a_table_with_intervals_and_where_the_results_are(ran: Ran) -> None:
    page = ran.output.parent / "page.html"
    arguments = ("--profile", "lexical", "--measures", "P@5,RR", "--html", page)
    said = ran.cli("eval", "run", DEMO, *arguments).stdout
    assert "P@5" in page.read_text("utf-8")
    assert "P@5" in said
    assert "nDCG@10 condensed" in said
    folder = next((ran.cli.data / "eval-runs").iterdir())
    assert folder.name.endswith("-lexical")
    assert str(folder) in said.replace("\n", "")
    assert read_result(folder / "demo-test").measures == ("P@5", "RR", *VIEWS)


def test_several_sets_in_one_command(ran: Ran, tmp_path: Path) -> None:
    tiny = tmp_path / "tiny"
    (tiny / "qrels").mkdir(parents=True)
    write_lines(tiny / "corpus.jsonl", {"_id": "d1", "title": "Ferry", "text": "It sails."})
    write_lines(tiny / "queries.jsonl", {"_id": "q1", "text": "ferry"})
    (tiny / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    output = tmp_path / "out"
    said = ran.cli("eval", "run", DEMO, tiny, "--profile", "lexical", "--output", output).stdout
    sets = [read_result(output / name) for name in ("demo-test", "tiny-test")]
    assert sets[1].mean("RR@10") == 1.0
    (line,) = (line for line in said.splitlines() if line.startswith("mean of sets"))
    mean = (sets[0].mean("nDCG@10") + 1) / 2
    assert f"{mean:.4f}".removeprefix("0") in line
    assert "a single query is judged" in said


def test_a_changed_profile_answers_otherwise_and_says_so(ran: Ran, tmp_path: Path) -> None:
    changes = ("--set", "profile.lexical_depth=1", "--set", "entity_boost=0")
    ran.cli("eval", "run", DEMO, "--profile", "lexical", *changes, "--output", tmp_path, "--json")
    found = read_result(tmp_path / "demo-test")
    assert max(len(row.documents) for row in found.rows) == 1
    assert found.system.name == "lexical,lexical_depth=1,entity_boost=0"
    assert found.system.settings["profile.lexical_depth"] == 1
    assert found.system.settings["entity_boost"] == 0.0


def test_a_file_of_settings_is_what_runs(ran: Ran, tmp_path: Path) -> None:
    config = tmp_path / "candidate.toml"
    config.write_text('profile = "lexical"\nentity_boost = 0.7\n')
    (tmp_path / "dateline.toml").write_text("entity_boost = 0.2\n")  # in force, and not meant
    ran.cli("eval", "run", DEMO, "--config", config, "--output", tmp_path / "out", "--json")
    system = read_result(tmp_path / "out" / "demo-test").system
    assert system.name == "lexical@candidate"
    assert system.settings["entity_boost"] == 0.7


def test_a_written_run_scores_the_same(ran: Ran, tmp_path: Path) -> None:
    run = ran.output / "demo-test" / "run.trec"
    arguments = ["eval", "score", run, DEMO, "--output", tmp_path, "--name", "theirs", "--json"]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    tree = json.loads(result.stdout)
    ours = read_result(ran.output / "demo-test")
    theirs = read_result(tmp_path / "demo-test")
    assert [row.values for row in theirs.rows] == [row.values for row in ours.rows]
    assert [row.documents for row in theirs.rows] == [row.documents for row in ours.rows]
    assert tree["sets"][0]["system"]["name"] == theirs.system.name == "theirs"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--set", "nope=1"), 3, "there is no setting 'nope'"),
        (("--set", "entity_boost=much"), 3, "entity_boost"),
        (("--set", "profile.nope=1"), 3, "no field 'nope'"),
        (("--config", "nowhere.toml"), 3, "no such file"),
        (("--profile", "hybird"), 3, "no profile 'hybird'"),
        (("--measures", "nDGC@10"), 2, "no measure 'nDGC@10'"),
        (("--depth", "5"), 2, "looks deeper than 5"),
        (("--url", "http://there", "--set", "threads=1"), 2, "not a service"),
        (("--url", "http://there", "--key-env", "NO_SUCH_KEY"), 2, "NO_SUCH_KEY is not set"),
        ((str(DEMO),), 2, "demo-test is named twice"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(
    cli: Cli, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = cli("eval", "run", DEMO, *arguments, code=code)
    assert said in result.stderr
    assert not cli.data.exists()


def test_an_output_that_is_a_file_is_said_before_the_run(ran: Ran, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("")
    arguments = ("--output", taken / "in", "--profile", "lexical")
    result = ran.cli("eval", "run", DEMO, *arguments, code=2)
    assert "no folder can be made there" in result.stderr


def test_a_running_service_is_asked_by_its_address(
    service: str, ran: Ran, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("READER", "demo-ingest")  # the reader may not ask for models
    there = ("--url", service, "--key-env", "READER", "--profile", "lexical")
    tree = ran.cli.json("eval", "run", DEMO, *there, "--output", tmp_path)
    remote, local = read_result(tmp_path / "demo-test"), read_result(ran.output / "demo-test")
    assert remote.system.place == service
    assert remote.system.models["encoder"] == local.system.models["encoder"]
    assert (remote.system.index, remote.system.version) == ("", "")
    assert "demo-ingest" not in (tmp_path / "demo-test" / "result.json").read_text()
    assert remote.mean("nDCG@10") == pytest.approx(local.mean("nDCG@10"), abs=0.02)
    assert any("not known" in note for note in tree["sets"][0]["notes"])


def test_a_service_without_the_right_key_is_an_error(service: str, ran: Ran) -> None:
    result = ran.cli("eval", "run", DEMO, "--url", service, code=2)
    assert "--key-env" in result.stderr


def test_where_products_hide_everything_the_run_fails_and_names_them(
    ran: Ran, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    (own / "qrels").mkdir(parents=True)
    story = {"uri": "urn:x:1", "version": "1", "type": "text", "headline": "Ferry sails"}
    story |= {"versioncreated": "2026-03-15T10:00:00Z", "pubstatus": "usable"}
    write_lines(own / "stories.jsonl", {**story, "products": ["wire"]})
    write_lines(own / "queries.jsonl", {"_id": "q1", "text": "ferry"})
    (own / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\turn:x:1\t1\n")
    arguments = ("--profile", "lexical", "--output", tmp_path / "out", "--json")
    tree = json.loads(ran.cli("eval", "run", own, *arguments, code=1).stdout)
    (note,) = (note for note in tree["sets"][0]["notes"] if "product" in note)
    assert "wire (1)" in note
    assert " eval," in note
    (own / "dataset.json").write_text('{"products": ["wire"]}')
    tree = ran.cli.json("eval", "run", own, *arguments[:-1])
    assert tree["sets"][0]["measures"]["RR@10"]["mean"] == 1.0
