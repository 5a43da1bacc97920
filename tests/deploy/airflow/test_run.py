"""The DAGs run by a real Airflow against a running service: what passes, what the gate stops, what
a second try repeats, and what a killed process costs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.demo_service import STORIES
from tests.deploy.airflow.environment import needs_airflow
from tests.deploy.airflow.running import KEY, Airflow, Archive, newsroom, wait_until

pytestmark = [pytest.mark.service, pytest.mark.deep, pytest.mark.timeout(3600), needs_airflow]
NIGHTLY, BACKFILL = "dateline_nightly_evaluation", "dateline_backfill"
SWEEP = "dateline_hnsw_sweep"
PHOTOS = 5


@pytest.fixture(scope="module")
def running(
    demo_archive: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Archive, Airflow]]:
    with newsroom(tmp_path_factory.mktemp("newsroom")) as (archive, airflow):
        shutil.copytree(demo_archive, archive.folder / "data")
        shutil.copytree(STORIES.parent, archive.sources / "demo")
        (archive.sources / "photos").mkdir()
        for number in range(PHOTOS):
            colour = (50 * number, 90, 200 - 40 * number)
            Image.new("RGB", (320, 200), colour).save(archive.sources / f"photos/{number}.jpg")
        archive.configure()
        archive.serve()
        archive.work()
        airflow.start()
        yield archive, airflow


def nightly(archive: Archive, airflow: Airflow, run: str, profile: str) -> str:
    baseline = archive.folder / "sources/baseline.json"
    if not baseline.exists():
        output = str(archive.folder / "out")
        archive.command("eval", "run", str(archive.sources / "demo"), "--output", output)
        archive.command("eval", "gate", output, "--baseline", str(baseline), "--write")
    conf = {"sets": [str(archive.sources / "demo")], "baseline": str(baseline)}
    airflow.run(NIGHTLY, run, profile=profile, **conf)
    return airflow.ended(NIGHTLY, run)


def jobs(archive: Archive, names: list[str]) -> list[Any]:
    with archive.client() as client:
        return [client.job(name) for name in names]


def test_a_night_passes_the_gate_or_is_stopped_by_it(running: tuple[Archive, Airflow]) -> None:
    archive, airflow = running
    assert nightly(archive, airflow, "same", "") == "success"
    assert nightly(archive, airflow, "worse", "lexical") == "failed"
    assert airflow.tasks(NIGHTLY, "worse") == {"evaluate": ("success", 1), "gate": ("failed", 1)}
    assert "nDCG@10 fell" in airflow.log(NIGHTLY, "worse")
    made = airflow.returned(NIGHTLY, "same", "evaluate")
    told = {"job": made["name"], "digest": made["digest"]}
    assert airflow.events("same") == [("dateline-evaluation", told)]
    assert "DEFERRED" in airflow.log(NIGHTLY, "same")
    assert KEY not in airflow.log(NIGHTLY, "same") + airflow.log(NIGHTLY, "worse")


def test_a_task_that_runs_again_repeats_nothing(running: tuple[Archive, Airflow]) -> None:
    archive, airflow = running
    conf = {"paths": [str(archive.sources / "photos")], "products": ["demo"]}
    airflow.run(BACKFILL, "photos", **conf)
    assert airflow.ended(BACKFILL, "photos") == "success"
    made = airflow.returned(BACKFILL, "photos", "check")
    assert (made["found"], made["done"], made["failed"]) == (PHOTOS, PHOTOS, 0)
    before = archive.command("jobs", "list", "--json")
    airflow.clear(BACKFILL, "photos", ["find", "shots", "captions", "embed", "check"])
    wait_until(
        lambda: {tries for _, tries in airflow.tasks(BACKFILL, "photos").values()} == {2}, "again"
    )
    assert airflow.ended(BACKFILL, "photos") == "success"
    assert archive.command("jobs", "list", "--json") == before
    first, second = airflow.events("photos")
    assert first == second


def test_files_that_can_not_be_read_fail_the_check(running: tuple[Archive, Airflow]) -> None:
    archive, airflow = running
    (archive.sources / "damaged").mkdir()
    (archive.sources / "damaged/1.jpg").write_bytes(b"no picture")
    airflow.run(BACKFILL, "damaged", paths=[str(archive.sources / "damaged")])
    assert airflow.ended(BACKFILL, "damaged") == "failed"
    assert airflow.tasks(BACKFILL, "damaged")["check"] == ("failed", 1)


def test_killed_processes_go_on_where_they_were(running: tuple[Archive, Airflow]) -> None:
    archive, airflow = running
    grid = {"m": [8, 12, 16, 24, 32], "ef_construction": [40, 80, 100], "ef": [16, 32], "k": [10]}
    conf = {"set": str(archive.sources / "demo"), "target": "recall .95", "queries": 50}
    airflow.run(SWEEP, "killed", **conf, **grid)
    wait_until(lambda: airflow.tasks(SWEEP, "killed")["sweep"][0] == "deferred", "it waits")
    airflow.processes.kill("triggerer")
    archive.processes.kill("worker")
    airflow.begin("triggerer")
    archive.work()
    assert airflow.ended(SWEEP, "killed") == "success"
    assert airflow.tasks(SWEEP, "killed")["sweep"] == ("success", 1)
    assert airflow.returned(SWEEP, "killed", "recommend")["met"]


def test_a_place_that_jobs_may_not_read_fails_the_task(running: tuple[Archive, Airflow]) -> None:
    _, airflow = running
    airflow.run(SWEEP, "outside", set="/etc")
    wait_until(lambda: airflow.tasks(SWEEP, "outside")["sweep"][1] > 0, "it was tried")
    wait_until(lambda: "job_sources" in airflow.log(SWEEP, "outside"), "the log says why")
