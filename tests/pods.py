"""Kubernetes' manifests for tests: those of deploy/kubernetes, played by podman on the network of
this machine, under other names.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.containers import podman

MANIFESTS = Path(__file__).parents[1] / "deploy" / "kubernetes"
KINDS = {"PersistentVolumeClaim", "Deployment"}  # what podman knows of those
PATIENCE_S = 300.0
# Kubernetes' node asks; podman would do it by curl, inside. The network is this machine's.
_OF_THE_NODE = ("startupProbe", "livenessProbe", "readinessProbe", "lifecycle", "ports")


def manifests(name: str, image: str, release: str) -> list[dict[str, Any]]:
    """Those of `name`.yaml that podman knows, for an image, each called by `release`."""
    text = (MANIFESTS / f"{name}.yaml").read_text("utf-8")
    text = text.replace("localhost/dateline:latest", image).replace("dateline-", f"{release}-")
    found = [each for each in yaml.safe_load_all(text) if each and each["kind"] in KINDS]
    for each in found:
        for volume in _pod(each).get("volumes", ()):
            if "secret" in volume:
                volume["secret"]["secretName"] = release
        for container in _pod(each).get("containers", ()):
            for member in _OF_THE_NODE:
                container.pop(member, None)
    return found


def called(deployment: dict[str, Any], name: str, settings: Mapping[str, str | None]) -> None:
    """Gives it a name, and variables to its only container; one that is None is taken out."""
    deployment["metadata"]["name"] = name
    (container,) = _pod(deployment)["containers"]
    kept = [each for each in container["env"] if each["name"] not in settings]
    given = [{"name": key, "value": value} for key, value in settings.items() if value]
    container["env"] = kept + given
    # Podman 4.3 makes one volume for all pods of what has the same name.
    for member in (*_pod(deployment)["volumes"], *container["volumeMounts"]):
        member["name"] = f"{name}-{member['name']}"


def _pod(manifest: dict[str, Any]) -> dict[str, Any]:
    """The template of a pod, if the manifest has one."""
    pod: dict[str, Any] = manifest["spec"].get("template", {}).get("spec", {})
    return pod


def _volumes(manifest: dict[str, Any]) -> Iterator[str]:
    """Those that podman makes for it."""
    if manifest["kind"] == "PersistentVolumeClaim":
        yield manifest["metadata"]["name"]
    for volume in _pod(manifest).get("volumes", ()):
        yield volume.get("secret", {}).get("secretName", volume["name"])


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
            for volume in _volumes(each):
                podman("volume", "rm", volume, check=False)  # another pod may have the secret's


def begun(name: str) -> str:
    """When a container began, as podman says it."""
    return str(json.loads(podman("inspect", name))[0]["State"]["StartedAt"])


def is_ready(client: httpx.Client) -> bool:
    """As a kubelet's probe."""
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def brought_back(pod: str, name: str, client: httpx.Client, *, before: str) -> None:
    """Does as a kubelet: asks for the pod again until a container younger than `before` is ready.

    Podman ends the pod's first container some time after the last other one, and refuses or undoes
    what is asked for in between.
    """
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if json.loads(podman("pod", "inspect", pod))["State"] != "Running":
            podman("pod", "start", pod, check=False)
        if is_ready(client) and begun(name) != before:
            return
        time.sleep(0.2)
    pytest.fail(f"{pod} did not come back: {podman('logs', name)[-3000:]}")
