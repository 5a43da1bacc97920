"""Vector graphs by measurement: builds them, asks them, and recommends one that meets a target."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, Param, task
from airflow.sdk.exceptions import AirflowFailException
from dateline_jobs import JobOperator

GRAPH = Asset("dateline-graph", uri="x-dateline://graph")

with DAG(
    "dateline_hnsw_sweep",
    description=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    render_template_as_native_obj=True,
    tags=["dateline"],
    params={
        "set": Param("/srv/dateline/sets/ours", type="string"),
        "target": Param("recall .99", type="string"),
        "queries": Param(500, type="integer", minimum=1),
        "m": Param([16, 32, 48], type="array", items={"type": "integer"}),
        "ef_construction": Param([100, 200], type="array", items={"type": "integer"}),
        "ef": Param([32, 64, 128, 256], type="array", items={"type": "integer"}),
        "k": Param([10, 100], type="array", items={"type": "integer"}),
    },
) as dag:
    sweep = JobOperator(
        task_id="sweep",
        kind="sweep",
        options={
            name: f"{{{{ params.{name} }}}}"
            for name in ("set", "target", "queries", "m", "ef_construction", "ef", "k")
        },
        outlets=[GRAPH],
    )

    @task
    def recommend(job: dict[str, Any]) -> dict[str, Any]:
        """Returns the settings of the graph, and fails the run if none meets the target."""
        chosen: dict[str, Any] = job["result"]["recommendation"]
        if not chosen["met"]:
            raise AirflowFailException("; ".join(chosen["misses"]))
        return chosen

    recommend(sweep.output)
