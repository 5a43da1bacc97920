"""An archive on OpenSearch moves to another encoder by a real Airflow: it flips where nothing is
lost, and stops, with the former index served, where something is.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.demo_service import STORIES
from tests.deploy.airflow.environment import needs_airflow
from tests.deploy.airflow.running import Airflow, Archive, newsroom, wait_until
from tests.opensearch_node import new_name

pytestmark = [pytest.mark.cluster, pytest.mark.deep, pytest.mark.timeout(3600), needs_airflow]
DAG = "dateline_reembedding"
FIRST, SECOND = "all-MiniLM-L6-v2", "bge-small-en-v1.5"


def encoders(archive: Archive, opensearch: str, index: str, served: str, following: str) -> None:
    archive.configure(
        engine="opensearch",
        opensearch_url=opensearch,
        opensearch_index=index,
        opensearch_replicas=0,
        opensearch_timeout_s=120,
        opensearch_search_timeout_s=60,
        encoder=served,
        second_encoder="",
        profile="vector",
        tagger="",
        reranker="",
        migration_loss=0.0,
        **({"next_encoder": following} if following else {}),
    )


def moved(archive: Archive, airflow: Airflow, run: str) -> str:
    airflow.run(DAG, run, sets=[str(archive.sources / "demo")])
    return airflow.ended(DAG, run)


def test_it_flips_to_the_better_encoder_and_stops_before_the_worse(
    opensearch: str, tmp_path: Path
) -> None:
    index = new_name()
    with newsroom(tmp_path / "newsroom") as (archive, airflow):
        shutil.copytree(STORIES.parent, archive.sources / "demo")
        encoders(archive, opensearch, index, FIRST, "")
        archive.command("ingest", str(archive.sources / "demo/stories.jsonl"))
        encoders(archive, opensearch, index, FIRST, SECOND)
        archive.serve()
        archive.work()
        airflow.start()

        assert moved(archive, airflow, "better") == "success"
        verdict = airflow.returned(DAG, "better", "evaluate")["result"]
        assert verdict["passed"]
        assert airflow.returned(DAG, "better", "catch_up")["result"]["covered"] == 1.0
        assert airflow.tasks(DAG, "better")["stop"][0] == "skipped"
        assert [name for name, _ in airflow.events("better")] == ["dateline-index"]
        flipped = airflow.returned(DAG, "better", "flip")["result"]
        assert flipped["served"] == flipped["target"] == f"{index}-000002"

        archive.command("migration", "clean", "--wait", "0")
        encoders(archive, opensearch, index, SECOND, FIRST)
        archive.restart()
        assert moved(archive, airflow, "worse") == "failed"
        tasks = airflow.tasks(DAG, "worse")
        assert (tasks["stop"][0], tasks["flip"][0]) == ("failed", "skipped")
        assert "the next index is worse" in airflow.log(DAG, "worse")
        with archive.client() as client:
            client.order_job("flip-anyway", "migrate", {"step": "flip"})
            wait_until(lambda: client.job("flip-anyway").state != "running", "it is refused")
            assert client.job("flip-anyway").state == "failed"
        assert index in archive.command("migration", "status")
        assert f"served   {index}-000002" in archive.command("migration", "status")
