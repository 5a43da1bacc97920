"""Airflow as it is deployed: its own environment, our folders, and the client beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
DEPLOYED = ROOT / "deploy/airflow"
BIN = ROOT / ".venv-airflow/bin"
needs_airflow = pytest.mark.skipif(
    not (BIN / "airflow").exists(), reason="no Airflow: make .venv-airflow/.installed"
)


def variables(
    home: Path, connection: dict[str, str] | None = None, port: int = 0
) -> dict[str, str]:
    """Airflow's settings in `home`: what docs/airflow.md sets, on this machine only."""
    plain = {
        k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "DATELINE", "PYTEST"))
    }
    core = {
        "CORE__DAGS_FOLDER": str(DEPLOYED / "dags"),
        "CORE__PLUGINS_FOLDER": str(DEPLOYED / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "2",
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__WORKERS": "1",
        "API_AUTH__JWT_SECRET": "a secret of one test, which is long enough for a token" * 2,
        "WORKERS__EXECUTION_API_TIMEOUT": "90",  # a busy machine answers late
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
    }
    told = {} if connection is None else {"AIRFLOW_CONN_DATELINE": json.dumps(connection)}
    return {
        **plain,
        **{f"AIRFLOW__{name}": value for name, value in core.items()},
        **told,
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": str(ROOT / "client"),
        "PATH": f"{BIN}:{plain['PATH']}",
    }
