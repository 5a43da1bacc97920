"""compose.yaml, brought up by podman-compose: the migration, the service and a worker. There may be
no images of Postgres and OpenSearch here: both run beside it, as in other tests.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tests.containers import ROOT, need_image, podman, podman_settings
from tests.deploy.test_image import FERRY, answered, uris
from tests.deploy.test_manifests import tool
from tests.free_ports import free_port
from tests.opensearch_node import new_name
from tests.postgres_server import Server
from tests.storage.opensearch_world import remove_index
from tests.storage.postgres_world import address_of

pytestmark = [pytest.mark.service, pytest.mark.cluster, pytest.mark.deep]

OURS = ("migrate", "service", "worker")


def without_others(folder: Path, settings: dict[str, str]) -> None:
    """Leaves what is ours in compose.yaml, on this machine's network and with these settings."""
    file = folder / "compose.yaml"
    compose = yaml.safe_load(file.read_text("utf-8"))
    services = {name: compose["services"][name] for name in OURS}
    for name, service in services.items():
        service["network_mode"] = "host"
        service.pop("ports", None)
        needs = service["depends_on"].items()
        service["depends_on"] = {other: how for other, how in needs if other in OURS}
        if name != "migrate":
            service["environment"] |= settings
    file.write_text(yaml.safe_dump({**compose, "services": services}), "utf-8")


@contextmanager
def up(folder: Path, project: str) -> Iterator[None]:
    """What compose.yaml of the folder has."""
    compose = [tool("podman-compose"), "--project-name", project, "-f", "compose.yaml"]
    environment = {**podman_settings(), "DATELINE_IMAGE": need_image()}

    def run(*words: str) -> None:
        done = subprocess.run(
            [*compose, *words],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    try:
        run("up", "--detach")
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
    without_others(folder, settings)
    with (
        up(folder, project),
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
