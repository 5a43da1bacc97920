"""A real Airflow and a real Dateline beside each other: the processes of both, and what is asked of
Airflow over its API.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from dateline_client import Client

from tests.deploy.airflow.environment import BIN, variables
from tests.free_ports import free_port, ports_in_a_row

KEY = "the key of a test's scheduler"
PATIENCE_S = 900.0
MAIN = "from dateline.cli import main; main()"
STEPS = ("api-server", "scheduler", "dag-processor", "triggerer")
Value = str | int | float | bool


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.2)


@dataclass
class Processes:
    """Processes by name, each with a log in `folder`; a killed one may be started again."""

    folder: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: list[str], env: Mapping[str, str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, cwd=self.folder, env=dict(env), stdout=log, stderr=log
            )

    def kill(self, name: str) -> None:
        """Ends a process without warning."""
        process = self.running.pop(name)
        process.kill()
        process.wait(120)

    def close(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text("utf-8", errors="replace")


@dataclass
class Archive:
    """An archive in a folder with its service and its worker."""

    folder: Path
    processes: Processes
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sources(self) -> Path:
        return self.folder / "sources"

    def configure(self, **settings: Value) -> None:
        """Writes dateline.toml; commands and processes that begin later read it."""
        told = {"data": str(self.folder / "data"), "work_poll_s": 0.2, **settings}
        lines = [f"{name} = {json.dumps(value)}" for name, value in told.items()]
        lines += [f"job_sources = [{json.dumps(str(self.sources))}]"]
        lines += ["[[keys]]", 'name = "airflow"', f"key = {json.dumps(KEY)}", "administer = true"]
        (self.folder / "dateline.toml").write_text("\n".join(lines) + "\n")

    def command(self, *words: str) -> str:
        """Runs a command of `dateline` to its end; returns what it prints."""
        done = subprocess.run(
            [sys.executable, "-P", "-c", MAIN, *words],
            cwd=self.folder,
            env=self._plain(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def serve(self) -> None:
        self._begin("serve", "--port", str(self.port))
        wait_until(self._is_ready, "the service is ready")

    def work(self) -> None:
        self._begin("worker")

    def restart(self) -> None:
        """Ends service and worker, and starts them with the settings of now."""
        for name in ("serve", "worker"):
            self.processes.running[name].terminate()
            self.processes.running.pop(name).wait(120)
        self.serve()
        self.work()

    def client(self) -> Client:
        return Client(self.url, KEY)

    def _begin(self, name: str, *words: str) -> None:
        command = [sys.executable, "-P", "-c", MAIN, name, *words]
        self.processes.start(name, command, self._plain())

    def _is_ready(self) -> bool:
        assert self.processes.running["serve"].poll() is None, self.processes.log("serve")[-3000:]
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def _plain(self) -> dict[str, str]:
        return {name: v for name, v in os.environ.items() if not name.startswith("DATELINE_")}


@dataclass
class Airflow:
    """Airflow's four processes over SQLite, and its API."""

    home: Path
    processes: Processes
    env: Mapping[str, str]
    port: int
    _api: httpx.Client | None = None

    def start(self) -> None:
        migrated = subprocess.run(
            [BIN / "airflow", "db", "migrate"], env=self.env, capture_output=True, check=False
        )
        assert migrated.returncode == 0, migrated.stderr.decode()[-3000:]
        self.begin("api-server")
        wait_until(self._answers, "Airflow's API answers")
        for name in STEPS[1:]:
            self.begin(name)
        wait_until(lambda: len(self._get("/dags")["dags"]) == 4, "the DAGs are read")

    def close(self) -> None:
        """Closes the connection to its API."""
        if self._api is not None:
            self._api.close()

    def begin(self, name: str) -> None:
        self.processes.start(name, [str(BIN / "airflow"), name], self.env)

    def run(self, dag: str, run: str, **conf: Any) -> None:
        """Begins a run of a DAG."""
        self._ask("PATCH", f"/dags/{dag}", {"is_paused": False})
        body = {"dag_run_id": run, "conf": conf, "logical_date": None}
        self._ask("POST", f"/dags/{dag}/dagRuns", body)

    def ended(self, dag: str, run: str) -> str:
        """Waits until a run has ended; returns its state."""
        wait_until(lambda: self._state(dag, run) in ("success", "failed"), f"{dag} {run}")
        return self._state(dag, run)

    def tasks(self, dag: str, run: str) -> dict[str, tuple[str, int]]:
        """The state and the number of tries of each task of a run."""
        told = self._get(f"/dags/{dag}/dagRuns/{run}/taskInstances")["task_instances"]
        return {task["task_id"]: (str(task["state"]), task["try_number"]) for task in told}

    def returned(self, dag: str, run: str, task: str) -> Any:
        """What a task returned."""
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/return_value"
        value = self._get(path)["value"]
        return json.loads(value) if isinstance(value, str) else value

    def clear(self, dag: str, run: str, tasks: list[str]) -> None:
        """Lets tasks of a run run again."""
        body = {"dag_run_id": run, "task_ids": tasks, "dry_run": False, "only_failed": False}
        self._ask("POST", f"/dags/{dag}/clearTaskInstances", body | {"reset_dag_runs": True})

    def events(self, run: str) -> list[tuple[str, dict[str, Any]]]:
        """The asset events of a run: the asset's name and what the event tells."""
        told = self._get("/assets/events", limit=100)["asset_events"]
        return [(each["name"], each["extra"]) for each in told if each["source_run_id"] == run]

    def log(self, dag: str, run: str) -> str:
        """What the tasks of a run logged, and their triggers."""
        folder = self.home / f"logs/dag_id={dag}/run_id={run}"
        return "\n".join(path.read_text("utf-8") for path in sorted(folder.rglob("*.log")))

    def _state(self, dag: str, run: str) -> str:
        return str(self._get(f"/dags/{dag}/dagRuns/{run}")["state"])

    def _answers(self) -> bool:
        base = f"http://127.0.0.1:{self.port}"
        try:
            token = httpx.get(f"{base}/auth/token", timeout=60)
        except httpx.TransportError:
            return False
        headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
        self._api = httpx.Client(base_url=f"{base}/api/v2", headers=headers, timeout=120)
        return True

    def _get(self, path: str, **params: Any) -> Any:
        return self._ask("GET", path, params=params)

    def _ask(self, method: str, path: str, body: Any = None, params: Any = None) -> Any:
        assert self._api is not None
        answer = self._api.request(method, path, json=body, params=params)
        assert answer.is_success, answer.text
        return answer.json()


@contextmanager
def newsroom(folder: Path) -> Iterator[tuple[Archive, Airflow]]:
    """An archive without processes, and an Airflow that runs and knows it."""
    folder.mkdir(parents=True, exist_ok=True)
    processes = Processes(folder)
    archive = Archive(folder, processes)
    archive.sources.mkdir()
    connection = {"conn_type": "generic", "host": archive.url, "password": KEY}
    port, logs, triggers = ports_in_a_row(3)
    own = {
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(logs),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(triggers),
    }
    env = variables(folder / "airflow", connection, port) | own
    airflow = Airflow(folder / "airflow", processes, env, port)
    try:
        yield archive, airflow
    finally:
        airflow.close()
        processes.close()
