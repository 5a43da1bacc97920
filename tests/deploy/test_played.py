"""Kubernetes' manifests, run for real by `podman play kube`: the ones of deploy/kubernetes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.containers import need_image, podman
from tests.deploy.test_image import DESK, FERRY, KEY, PATIENCE_S, answered, uris
from tests.free_ports import free_port

pytestmark = pytest.mark.service

MANIFESTS = Path(__file__).parents[2] / "deploy" / "kubernetes"
KINDS = {"PersistentVolumeClaim", "Deployment"}  # what podman knows of those


@contextmanager
def secret(name: str, values: dict[str, str], folder: Path) -> Iterator[None]:
    """A Secret that pods mount. By `play kube` its values would arrive in base64 (podman 4.3)."""
    file = folder / "secret.yaml"
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": values}
    file.write_text(yaml.safe_dump(made), "utf-8")
    podman("secret", "create", name, file)
    try:
        yield
    finally:
        podman("secret", "rm", name, check=False)


def embedded(image: str, release: str, port: int) -> list[dict[str, Any]]:
    """The manifests of an embedded archive under another name, on a port of this machine."""
    text = (MANIFESTS / "embedded.yaml").read_text("utf-8")
    text = text.replace("localhost/dateline:latest", image).replace("dateline-", f"{release}-")
    found = [each for each in yaml.safe_load_all(text) if each and each["kind"] in KINDS]
    (deployment,) = [each for each in found if each["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    container["env"] += [
        {"name": "DATELINE_HOST", "value": "127.0.0.1"},
        {"name": "DATELINE_PORT", "value": str(port)},
    ]
    # Kubernetes' node asks; podman would do it by curl, inside. The network is this machine's.
    for member in ("startupProbe", "livenessProbe", "readinessProbe", "lifecycle", "ports"):
        del container[member]
    for volume in pod["volumes"]:
        if "secret" in volume:
            volume["secret"]["secretName"] = release
    return found


@contextmanager
def played(manifests: list[dict[str, Any]], file: Path) -> Iterator[None]:
    """Pods that run, on the network of this machine; gone afterwards, with their volumes."""
    file.write_text(yaml.safe_dump_all(manifests), "utf-8")
    podman("play", "kube", "--network", "host", file)
    try:
        yield
    finally:
        podman("play", "kube", "--down", file, check=False)
        for each in manifests:
            name = each["metadata"]["name"]
            if each["kind"] == "PersistentVolumeClaim":
                podman("volume", "rm", "--force", name, check=False)


def begun(name: str) -> str:
    """When a container began, as podman says it."""
    return str(json.loads(podman("inspect", name))[0]["State"]["StartedAt"])


def brought_back(pod: str, name: str, client: httpx.Client, *, before: str) -> None:
    """Does as a kubelet: asks for the pod again until a container younger than `before` answers.

    Podman ends the pod's first container some time after the last other one, and refuses or undoes
    what is asked for in between.
    """
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if json.loads(podman("pod", "inspect", pod))["State"] != "Running":
            podman("pod", "start", pod, check=False)
        try:
            if client.get("/readyz").status_code == 200 and begun(name) != before:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(f"{pod} did not come back: {podman('logs', name)[-3000:]}")


def test_a_killed_pod_comes_back_with_what_was_written(tmp_path: Path) -> None:
    image, port = need_image(), free_port()
    release = f"t{port}"
    pod = f"{release}-serve-pod-0"
    name = f"{pod}-serve"
    manifests = embedded(image, release, port)
    headers = {"x-api-key": KEY}
    with (
        secret(release, {"keys": json.dumps([DESK])}, tmp_path),
        played(manifests, tmp_path / "pod.yaml"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client,
    ):
        answered(name, client, "/readyz")
        assert client.post("/content", json=FERRY).status_code == 201
        assert uris(client, "ferry") == ["urn:ferry"]
        for signal in ("KILL", "TERM"):
            before = begun(name)
            podman("kill", "--signal", signal, name)
            brought_back(pod, name, client, before=before)
            assert uris(client, "ferry") == ["urn:ferry"]
