"""`dateline experiment`: from a change of a profile to its promotion, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.customers.use import Action, Event, LoggedQuery
from dateline.build.customers.accounts import CUSTOMERS_FILE
from dateline.build.service import profiles
from dateline.measuring.profile_changes import changed_profile, profile_settings
from dateline.settings import Settings
from eval.compare.gate_baseline import write_baseline
from eval.runs.results import write_result
from storage.customers.use_log import StoredUse
from storage.databases import Database, open_database
from tests.dateline.conftest import DOCUMENTS, Cli, write_lines
from tests.eval.made_results import MEASURE, made, realistic


@pytest.fixture
def archive(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setenv("DATELINE_USE_LOG_ACCOUNTS", "*")
    cli("ingest", write_lines(tmp_path / "wire.jsonl", *DOCUMENTS), "--products", "demo")
    database = open_database(cli.data / CUSTOMERS_FILE)
    yield database
    database.close()


def vote(database: Database, count: int, place: int, name: str = "words") -> None:
    """Queries of the experiment, each of another caller, who clicks the hit at this place."""
    store, now = StoredUse(database), datetime.now(UTC)
    for number in range(count):
        name_of, whose, shown = f"{place}-{number}", f"c{number}-{place}", ("u1", "u2")
        query = LoggedQuery(
            name_of, now, 1, whose, "k", "hybrid@0", shown, 2, 9.0, experiment=name, teams="ab"
        )
        store.add(query, "", 1)
        assert store.note(Event(query.id, f"u{place}", Action.CLICK, now), query.caller)


@pytest.fixture
def measured(tmp_path: Path) -> tuple[Path, Path]:
    """Judged results of the candidate, and the gate's baseline."""
    plain = profiles(Settings(second_encoder=""))["hybrid"]
    candidate = changed_profile(plain, {"lexical_weight": "0.7"})
    values = realistic(60)
    before = made(values, settings=profile_settings(plain))
    write_baseline([before], [MEASURE], tmp_path / "baseline.json")
    after = made(values, settings=profile_settings(candidate))
    write_result(after, tmp_path / "runs" / "cables-test")
    return tmp_path / "runs", tmp_path / "baseline.json"


def test_a_better_version_is_promoted_and_rolled_back(
    cli: Cli, archive: Database, measured: tuple[Path, Path]
) -> None:
    told = cli.json("experiment", "start", "words", "--set", "lexical_weight=0.7")
    assert (told["candidate"], told["base"], told["verdict"]) == ("hybrid@1", "hybrid@0", "open")
    assert "there is none yet" in told["said"][0]
    gate = ("--runs", measured[0], "--baseline", measured[1])
    vote(archive, 40, 2)
    told = cli.json("experiment", "status", "words")
    assert (told["candidate_units"], told["base_units"], told["verdict"]) == (40, 0, "candidate")
    cli("experiment", "promote", "words", code=2)  # no results, no promotion
    cli("experiment", "promote", "words", *gate)
    assert cli.json("search", "ferry")["data"]["profile"] == "hybrid@1"
    (row,) = cli.json("experiment", "versions")
    assert (row["in_force"], row["changes"]) == (True, "--set profile.lexical_weight=0.7")
    cli("experiment", "rollback")
    assert cli.json("search", "ferry")["data"]["profile"] == "hybrid"
    shown = cli.json("audit", "show", "--action", "profile")
    assert [one["detail"] for one in shown] == [
        "hybrid@0 rolled back",
        "hybrid@1 promoted by words, candidate",
    ]
    assert json.loads(cli("experiment", "status", "words").stdout)["verdict"] == "candidate"


def test_what_the_gate_or_callers_refuse_changes_nothing(
    cli: Cli, archive: Database, measured: tuple[Path, Path], tmp_path: Path
) -> None:
    cli("experiment", "start", "words", "--set", "lexical_weight=0.7")
    gate = ("--runs", measured[0], "--baseline", measured[1])
    vote(archive, 3, 2)
    refused = cli("experiment", "promote", "words", *gate, code=1)
    assert "hybrid@0 stays in force" in refused.stdout
    cli("experiment", "promote", "words", *gate, "--undecided")
    cli("experiment", "start", "other", "--set", "lexical_weight=0.8")
    vote(archive, 40, 1, "other")
    refused = cli("experiment", "promote", "other", *gate, code=2)  # results of another version
    assert "lexical_weight" in refused.stderr
    worse = made(realistic(60) * 0.5, settings=_settings("0.8"))
    write_result(worse, tmp_path / "worse" / "cables-test")
    flags = ("--runs", tmp_path / "worse", "--baseline", measured[1], "--undecided")
    assert "the gate says no" in cli("experiment", "promote", "other", *flags, code=1).stdout
    assert cli.json("search", "ferry")["data"]["profile"] == "hybrid@1"
    assert cli.json("experiment", "stop", "other")["verdict"] == "base"


def _settings(weight: str) -> dict[str, str | int | float | bool]:
    plain = profiles(Settings(second_encoder=""))["hybrid"]
    return profile_settings(changed_profile(plain, {"lexical_weight": weight}))


def test_bad_experiments_say_what_is_wrong(
    cli: Cli, archive: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*flags: str, name: str = "words") -> str:
        return cli("experiment", "start", name, *flags, code=None).stderr

    assert "no field 'weight'" in start("--set", "weight=1")
    assert "the same as what is in force" in start("--set", "lexical_weight=0.5")
    assert "phrase_boost" in start("--set", "phrase_boost=0.3")
    assert "no change" in start("--set", "lexical_weight")
    assert cli("experiment", "rollback", code=2).stderr
    assert cli("experiment", "status", "none", code=None).exit_code
    assert start("--set", "phrase_boost=0.3", "--ab") == ""
    assert "the experiment words runs" in start("--set", "lexical_weight=0.7", name="second")
    monkeypatch.delenv("DATELINE_USE_LOG_ACCOUNTS")
    assert "no account agreed" in start("--set", "lexical_weight=0.7")


def test_pages_of_an_experiment_and_of_drift_are_drawn(
    cli: Cli, archive: Database, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    cli("experiment", "start", "words", "--set", "lexical_weight=0.7")
    vote(archive, 12, 2)
    page = tmp_path / "page.html"
    cli("experiment", "status", "words", "--html", page)
    assert "hybrid@1 is better than hybrid@0" in page.read_text("utf-8")
    assert cli.json("use", "drift")[0]["queries"] == 12
    cli("use", "drift", "--html", page)
    assert page.read_text("utf-8").count("<svg") == 2
