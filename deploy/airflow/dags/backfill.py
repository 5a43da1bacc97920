"""Photos and videos of an archive: found, cut into shots, described, embedded, checked. Each task
waits until every file of one ingest is past a stage, so what is slow can be seen.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, Param, chain, task
from airflow.sdk.exceptions import AirflowFailException
from dateline_jobs import FINISHED, SOURCES_READ, JobOperator

MEDIA = Asset("dateline-media", uri="x-dateline://media")


def _past(task_id: str, until: str, outlets: list[Asset] | None = None) -> JobOperator:
    return JobOperator(
        task_id=task_id,
        kind="ingest",
        job="backfill",
        options={
            "paths": "{{ params.paths }}",
            "manifests": "{{ params.manifests }}",
            "products": "{{ params.products }}",
        },
        until=until,
        outlets=outlets or [],
    )


with DAG(
    "dateline_backfill",
    description=__doc__,
    schedule=None,
    catchup=False,
    render_template_as_native_obj=True,
    tags=["dateline"],
    params={
        "paths": Param([], type="array", items={"type": "string"}),
        "manifests": Param([], type="array", items={"type": "string"}),
        "products": Param([], type="array", items={"type": "string"}),
    },
) as dag:
    find = _past("find", SOURCES_READ)
    shots = _past("shots", "shots")
    captions = _past("captions", "describe")
    embed = _past("embed", FINISHED, [MEDIA])

    @task
    def check(job: dict[str, Any]) -> dict[str, Any]:
        """Fails the run for files that could not be read: `dateline jobs failed` lists them."""
        told: dict[str, Any] = job["result"]
        if not told["found"]:
            raise AirflowFailException("no photo or video was found")
        if told["failed"]:
            raise AirflowFailException(f"{told['failed']} of {told['found']} files failed")
        return told

    chain(find, shots, captions, embed, check(embed.output))
