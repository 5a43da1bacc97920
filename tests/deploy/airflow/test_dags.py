"""The DAGs as a real Airflow reads them: all are imported, and tasks wait in the right order."""

from __future__ import annotations

import ast
import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.airflow.environment import BIN, DEPLOYED, HERE, needs_airflow, variables

OURS = {"api", "core", "customers", "dateline", "eval", "indexing", "inference", "rerank"}
OURS |= {"search", "storage", "training", "benchmarks", "deploy", "tests"}
ORDERS = {
    "dateline_backfill": ["find", "shots", "captions", "embed", "check"],
    "dateline_reembedding": ["start", "catch_up", "evaluate", "gate"],
    "dateline_nightly_evaluation": ["evaluate", "gate"],
    "dateline_hnsw_sweep": ["sweep", "recommend"],
}


@pytest.mark.parametrize("path", sorted(DEPLOYED.glob("*/*.py")), ids=lambda path: path.name)
def test_what_airflow_imports_knows_of_us_the_client_only(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    named = [n.name for node in ast.walk(tree) if isinstance(node, ast.Import) for n in node.names]
    named += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not {name.partition(".")[0] for name in named} & OURS


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    command = [BIN / "python", HERE / "bag.py", DEPLOYED / "dags"]
    home = tmp_path_factory.mktemp("airflow")
    done = subprocess.run(
        command, env=variables(home), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.service
@needs_airflow
def test_every_dag_is_imported(bag: dict[str, Any]) -> None:
    assert bag["errors"] == {}
    assert set(bag["dags"]) == set(ORDERS)


@pytest.mark.service
@needs_airflow
@pytest.mark.parametrize("dag", ORDERS)
def test_the_tasks_of_a_dag_follow_each_other(bag: dict[str, Any], dag: str) -> None:
    tasks, order = bag["dags"][dag]["tasks"], ORDERS[dag]
    for before, after in itertools.pairwise(order):
        assert before in tasks[after]["after"]
    ends = set(tasks) - set(order)
    assert ends == ({"flip", "stop"} if dag == "dateline_reembedding" else set())
    assert all("gate" in tasks[end]["after"] for end in ends)


@pytest.mark.service
@needs_airflow
def test_the_stages_of_a_backfill_wait_for_one_job(bag: dict[str, Any]) -> None:
    tasks = bag["dags"]["dateline_backfill"]["tasks"]
    waits = [tasks[name]["job"] for name in ("find", "shots", "captions", "embed")]
    assert {(kind, job) for kind, job, _ in waits} == {("ingest", "backfill")}
    assert [until for *_, until in waits] == ["sources-read", "shots", "describe", "finished"]


@pytest.mark.service
@needs_airflow
def test_what_is_made_is_an_asset(bag: dict[str, Any]) -> None:
    made = {
        dag: [name for task in told["tasks"].values() for name in task["outlets"]]
        for dag, told in bag["dags"].items()
    }
    assert made == {
        "dateline_backfill": ["dateline-media"],
        "dateline_reembedding": ["dateline-index"],
        "dateline_nightly_evaluation": ["dateline-evaluation"],
        "dateline_hnsw_sweep": ["dateline-graph"],
    }
    assert bag["dags"]["dateline_nightly_evaluation"]["schedule"] == "0 3 * * *"


@pytest.mark.service
@needs_airflow
@pytest.mark.parametrize(
    ("connection", "named"),
    [
        (None, "connection 'dateline' is missing"),
        ({"conn_type": "generic", "password": "a-secret-key"}, "no address"),
        ({"conn_type": "generic", "host": "http://127.0.0.1:9"}, "no key"),
    ],
)
def test_a_missing_connection_or_key_is_named_and_never_printed(
    tmp_path: Path, connection: dict[str, str] | None, named: str
) -> None:
    path = f"{DEPLOYED / 'plugins'}:{DEPLOYED.parents[1] / 'client'}"
    done = subprocess.run(
        [BIN / "python", HERE / "key_check.py", json.dumps(connection)],
        env=variables(tmp_path) | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert named in done.stderr
    assert "a-secret-key" not in done.stderr + done.stdout
