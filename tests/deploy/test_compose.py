"""compose.yaml, brought up by podman-compose: the migration, the service and a worker. There may be
no images of Postgres and OpenSearch here: both run beside it, as in other tests.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.containers import ROOT, need_image, podman, podman_settings
from tests.deploy.test_image import FERRY, answered, uris
from tests.deploy.test_manifests import tool
from tests.free_ports import free_port
from tests.opensearch_node import new_name
from tests.postgres_server import Server
from tests.storage.opensearch_world import remove_index
from tests.storage.postgres_world import address_of

pytestmark = [pytest.mark.service, pytest.mark.cluster, pytest.mark.deep]

# On this machine's network, without the services whose images are not here.
OVERRIDE = """\
services:
  migrate: {{network_mode: host, depends_on: !reset {{}}}}
  service:
    network_mode: host
    ports: !reset []
    depends_on: !override {{migrate: {{condition: service_completed_successfully}}}}
    environment: {settings}
  worker:
    network_mode: host
    depends_on: !override {{migrate: {{condition: service_completed_successfully}}}}
    environment: {settings}
"""


@contextmanager
def up(folder: Path, project: str, settings: dict[str, str]) -> Iterator[None]:
    """The parts of compose.yaml that are ours, with these settings more."""
    (folder / "override.yaml").write_text(OVERRIDE.format(settings=json.dumps(settings)), "utf-8")
    files = ("-f", "compose.yaml", "-f", "override.yaml")
    compose = [tool("podman-compose"), "--project-name", project, *files]
    environment = {**podman_settings(), "DATELINE_IMAGE": need_image()}

    def run(*words: str) -> None:
        command = [*compose, *words]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr[-3000:]

    try:
        run("up", "--detach", "migrate", "service", "worker")
        yield
    finally:
        run("down", "--volumes")


def test_compose_brings_up_the_service_and_a_worker(
    postgres: Server, opensearch: str, tmp_path: Path
) -> None:
    folder = tmp_path / "deploy"
    shutil.copytree(ROOT / "deploy", folder, ignore=shutil.ignore_patterns("secrets.d"))
    subprocess.run([folder / "compose" / "secrets"], check=True, capture_output=True)
    secrets = folder / "compose" / "secrets.d"
    (secrets / "record").write_text(address_of(postgres, tmp_path), "utf-8")
    (folder / "media").mkdir()
    port, index = free_port(), new_name()
    project = f"t{port}"
    settings = {
        "DATELINE_HOST": "127.0.0.1",
        "DATELINE_PORT": str(port),
        "DATELINE_OPENSEARCH_URL": opensearch,
        "DATELINE_OPENSEARCH_INDEX": index,
        "DATELINE_OTEL": "false",
    }
    headers = {"x-api-key": (secrets / "desk_key").read_text("utf-8")}
    with (
        up(folder, project, settings),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client,
    ):
        answered(f"{project}_service_1", client, "/readyz")
        client.post("/content", json=FERRY).raise_for_status()
        assert uris(client, "ferry") == ["urn:ferry"]
        state = podman("inspect", f"{project}_worker_1", "--format", "{{.State.Status}}")
        assert state.strip() == "running"
        shown = podman("inspect", f"{project}_service_1")
        assert not [each for each in secrets.iterdir() if each.read_text("utf-8").strip() in shown]
    remove_index(opensearch, index)
