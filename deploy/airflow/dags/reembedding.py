"""To another encoder without a pause: the next index is made beside the one that is served, brought
up to the record and compared with it. Then searches go to it, or the run stops and says why.

The service and its worker name both encoders (`encoder`, `next_encoder`).
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, Asset, Param, chain, task
from airflow.sdk.exceptions import AirflowFailException
from dateline_jobs import JobOperator

INDEX = Asset("dateline-index", uri="x-dateline://index")


def _step(step: str, outlets: list[Asset] | None = None, **options: Any) -> JobOperator:
    return JobOperator(
        task_id=step.replace("-", "_"),
        kind="migrate",
        options={"step": step, **options},
        outlets=outlets or [],
    )


with DAG(
    "dateline_reembedding",
    description=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    render_template_as_native_obj=True,
    tags=["dateline"],
    params={
        "sets": Param([], type="array", items={"type": "string"}),
        "again": Param(False, type="boolean"),
    },
) as dag:
    start = _step("start", again="{{ params.again }}")
    catch_up = _step("catch-up")
    evaluate = _step("evaluate", sets="{{ params.sets }}")
    flip = _step("flip", [INDEX])

    @task.branch
    def gate(job: dict[str, Any]) -> str:
        """Chooses by the verdict; the service itself flips for no other than a passed one."""
        return "flip" if job["result"]["passed"] else "stop"

    @task
    def stop(job: dict[str, Any]) -> None:
        """Fails the run. The next index stays for a look, and the former one is served."""
        lost = [
            f"{each['name']}: nDCG@10 {each['served']:.4f} served, {each['following']:.4f} next"
            for each in job["result"]["sets"]
        ]
        raise AirflowFailException(f"the next index is worse ({'; '.join(lost)})")

    chain(start, catch_up, evaluate, gate(evaluate.output), [flip, stop(evaluate.output)])
