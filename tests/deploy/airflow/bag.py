"""Prints the DAGs of a folder as a real Airflow reads them. For Airflow's own Python:

.venv-airflow/bin/python tests/deploy/airflow/bag.py deploy/airflow/dags
"""

from __future__ import annotations

import json
import sys

from airflow.dag_processing.dagbag import DagBag

bag = DagBag(sys.argv[1])
told = {
    "errors": bag.import_errors,
    "dags": {
        dag.dag_id: {
            "schedule": getattr(dag.timetable, "expression", None),
            "params": sorted(dag.params),
            "tasks": {
                task.task_id: {
                    "after": sorted(task.upstream_task_ids),
                    "outlets": [outlet.name for outlet in task.outlets],
                    "job": [getattr(task, name, "") for name in ("kind", "job", "until")],
                }
                for task in dag.tasks
            },
        }
        for dag in bag.dags.values()
    },
}
print(json.dumps(told))
