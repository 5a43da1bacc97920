"""`dateline index` on an archive whose index is on a real node."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.callers import Caller
from dateline.build.migration import opened_migration
from dateline.commands.options import archive_settings
from eval.runs.answering import PipelineAnswers
from tests.dateline.conftest import DOCUMENTS, Cli, write_lines
from tests.opensearch_node import new_name

WIRE = Caller("test", frozenset({"demo"}))


@pytest.fixture
def name(
    opensearch: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """The name of an index that the settings ask for, on the node; it is removed afterwards."""
    made = new_name()
    monkeypatch.setenv("DATELINE_ENGINE", "opensearch")
    monkeypatch.setenv("DATELINE_OPENSEARCH_URL", opensearch)
    monkeypatch.setenv("DATELINE_OPENSEARCH_INDEX", made)
    monkeypatch.setenv("DATELINE_OPENSEARCH_REPLICAS", "0")
    yield made
    asked(opensearch, "DELETE", f"/{made}-000001,{made}-meta?ignore_unavailable=true")


def asked(url: str, method: str, path: str, body: Any = None) -> Any:
    with httpx.Client(base_url=url, trust_env=False, timeout=240) as client:
        return client.request(method, path, json=body).raise_for_status().json()


def test_create_diff_and_apply(
    cli: Cli,
    name: str,
    opensearch: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "no such index" in cli("index", "diff", code=4).output
    assert "made" in cli("index", "create").output
    assert "is there already" in cli("index", "create").output
    assert "as wanted" in cli("index", "diff").output
    asked(opensearch, "PUT", f"/{name}/_settings", {"index.refresh_interval": "-1"})
    (found,) = cli.json("index", "diff", code=1)
    assert (found["name"], found["live"]) == ("index.refresh_interval", "-1")
    assert "1 changed in place" in cli("index", "apply").output
    assert cli.json("index", "diff") == []
    monkeypatch.setenv("DATELINE_OPENSEARCH_SHARDS", "2")
    assert "takes another index" in cli("index", "apply", code=1).output


def test_check_and_repair(
    cli: Cli,
    folder: Path,
    name: str,
    opensearch: str,
) -> None:
    cli("ingest", write_lines(folder / "wire.jsonl", *DOCUMENTS), "--products", "demo")
    sound = cli.json("index", "check")
    assert (sound["sound"], sound["wanted"], sound["held"], sound["sampled"]) == (True, 3, 3, 3)
    lose = {"query": {"term": {"seq": 2}}}
    asked(opensearch, "POST", f"/{name}/_delete_by_query?refresh=true", lose)
    drift = cli.json("index", "check", code=1)
    assert (drift["missing"], drift["held"], drift["mended"]) == ([2], 2, 0)
    mended = cli.json("index", "check", "--repair")
    assert (mended["sound"], mended["mended"], mended["held"]) == (True, 1, 3)
    assert "sound: 3 documents" in cli("index", "check").output


def test_a_wrong_setting_is_drift_too(
    cli: Cli,
    folder: Path,
    name: str,
    opensearch: str,
) -> None:
    cli("ingest", write_lines(folder / "wire.jsonl", *DOCUMENTS), "--products", "demo")
    asked(opensearch, "PUT", f"/{name}/_settings", {"index.search.idle.after": "1s"})
    found = cli.json("index", "check", code=1)
    assert found["sound"]
    assert [each["name"] for each in found["settings"]] == ["index.search.idle.after"]


@pytest.mark.timeout(1200)
def test_between_a_flip_and_its_end(
    cli: Cli,
    folder: Path,
    name: str,
    opensearch: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATELINE_RERANKER", "")
    cli("ingest", write_lines(folder / "wire.jsonl", *DOCUMENTS), "--products", "demo")
    monkeypatch.setenv("DATELINE_NEXT_ENCODER", "bge-small-en-v1.5")
    try:
        cli("migration", "start")
        cli("migration", "step")
        assert _compared(cli) == (f"{name}-000001", f"{name}-000002", 1.0)
        cli("migration", "flip", "--unevaluated")
        # The index before is what the served one is compared with, as its own model asks for it.
        assert _compared(cli) == (f"{name}-000002", f"{name}-000001", 1.0)
        assert "is there already" in cli("index", "create").output
        assert cli.json("index", "diff") == []
        found = cli.json("index", "check")
        assert (found["sound"], found["held"], found["settings"]) == (True, 3, [])
        assert "settings as wanted" in doctor(cli)["cluster's index"]["says"]
    finally:
        asked(opensearch, "DELETE", f"/{name}-000002?ignore_unavailable=true")


def _compared(cli: Cli) -> tuple[str, str, float]:
    """The served index, the one that an evaluation compares it with, and what that has embedded."""
    with opened_migration(archive_settings(data=cli.data)) as moving:
        migration = moving.mover.state()
        with moving.served() as served, moving.shadow(migration) as shadow:
            answer = PipelineAnswers(shadow.pipeline, "hybrid", WIRE).answer("ferry", 10)
            assert (len(answer.uris), answer.degraded) == (3, ())
            names = [each.engine.status()["index"]["concrete"] for each in (served, shadow)]
        share = moving.mover.coverage(moving.mover.opened(migration, names[1])).share
    return names[0], names[1], share


def test_plan_needs_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from dateline.cli import app

    monkeypatch.setenv("DATELINE_OPENSEARCH_URL", "http://127.0.0.1:1")
    asked_for = ["index", "plan", "1000000", "--nodes", "3", "--memory", "32", "--json"]
    result = CliRunner().invoke(app, asked_for)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["shards"], found["replicas"], found["fits"]) == (1, 1, True)
    corrected = CliRunner().invoke(app, [*asked_for, "--hidden", "10"])
    assert json.loads(corrected.stdout)["primary_bytes"] > found["primary_bytes"]
    tight = CliRunner().invoke(app, ["index", "plan", "100000000", "--memory", "8"])
    assert tight.exit_code == 1
    assert "does not hold" in tight.output


def doctor(cli: Cli, code: int | None = 0) -> dict[str, Any]:
    """What it says of the cluster and the index, by what it looked at."""
    return {row["what"]: row for row in cli.json("doctor", code=code)}


def test_doctor_tells_of_the_cluster(
    cli: Cli,
    folder: Path,
    name: str,
    opensearch: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "none by the name" in doctor(cli)["cluster's index"]["says"]
    cli("ingest", write_lines(folder / "wire.jsonl", *DOCUMENTS), "--products", "demo")
    well = doctor(cli)
    assert all(row["ok"] for row in well.values())
    assert well["cluster"]["says"] == "1 of 1 nodes of opensearch_url answer"
    assert well["opensearch"]["says"].startswith("2.19.")
    assert well["k-NN plugin"]["says"] == "on every node"
    assert "flood_stage" in well["cluster's disks"]["says"]
    assert "% of" in well["cluster's heap"]["says"]
    index = f"{name}-000001: settings as wanted; 3 of 3 visible items; 0 changes behind"
    assert well["cluster's index"]["says"] == index
    lose = {"query": {"term": {"seq": 2}}}
    asked(opensearch, "POST", f"/{name}/_delete_by_query?refresh=true", lose)
    drift = doctor(cli, code=1)["cluster's index"]
    assert (drift["ok"], "2 of 3 visible" in drift["says"]) == (False, True)
    assert "index check --repair" in drift["mend"]
    cli("index", "check", "--repair")
    asked(opensearch, "PUT", f"/{name}/_settings", {"index.refresh_interval": "-1"})
    assert "index apply" in doctor(cli, code=1)["cluster's index"]["mend"]
    cli("index", "apply")
    monkeypatch.setenv("DATELINE_OPENSEARCH_URL", f"{opensearch},http://127.0.0.1:9")
    half = doctor(cli, code=1)
    assert "1 of 2 nodes" in half["cluster"]["says"]
    assert "127.0.0.1:9 does not" in half["cluster"]["says"]
    assert half["cluster's index"]["ok"]
    assert "127.0.0.1:9" in cli("doctor", code=1).stdout


def test_doctor_tells_that_no_node_answers(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATELINE_ENGINE", "opensearch")
    monkeypatch.setenv("DATELINE_OPENSEARCH_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("DATELINE_OPENSEARCH_PASSWORD", "secret")
    found = doctor(cli, code=1)
    assert not found["cluster"]["ok"]
    assert "take them out of opensearch_url" in found["cluster"]["mend"]
    assert "cluster's index" not in found
    assert "secret" not in str(found)
