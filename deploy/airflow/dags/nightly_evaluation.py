"""Every night: judged sets through the pipeline that serves, held against a committed baseline."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, Param, task
from airflow.sdk.exceptions import AirflowFailException
from dateline_jobs import JobOperator

EVALUATION = Asset("dateline-evaluation", uri="x-dateline://evaluation")

with DAG(
    "dateline_nightly_evaluation",
    description=__doc__,
    schedule="0 3 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    render_template_as_native_obj=True,
    tags=["dateline"],
    params={
        "sets": Param(["/srv/dateline/sets/ours"], type="array", items={"type": "string"}),
        "profile": Param("", type="string"),
        "baseline": Param("/srv/dateline/sets/baseline.json", type="string"),
        "rule": Param("", type="string"),
    },
) as dag:
    evaluate = JobOperator(
        task_id="evaluate",
        kind="evaluate",
        options={
            "sets": "{{ params.sets }}",
            "profile": "{{ params.profile }}",
            "baseline": "{{ params.baseline }}",
            "rule": "{{ params.rule }}",
        },
        outlets=[EVALUATION],
    )

    @task
    def gate(job: dict[str, Any]) -> dict[str, Any]:
        """Fails the run for a verdict that did not pass, and for an evaluation without one."""
        verdict: dict[str, Any] | None = job["result"]["gate"]
        if verdict is None:
            raise AirflowFailException("no baseline was named, so there is no verdict")
        if not verdict["passed"]:
            raise AirflowFailException("; ".join(verdict["reasons"]))
        return verdict

    gate(evaluate.output)
