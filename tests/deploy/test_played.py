"""Kubernetes' manifests, run for real by `podman play kube`: the ones of deploy/kubernetes."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.containers import need_image, podman
from tests.deploy.test_image import DESK, FERRY, KEY, answered, uris
from tests.free_ports import free_port
from tests.pods import begun, brought_back, called, manifests, played, secret

pytestmark = pytest.mark.service


def test_a_killed_pod_comes_back_with_what_was_written(tmp_path: Path) -> None:
    image, port = need_image(), free_port()
    release = f"t{port}"
    pod = f"{release}-serve-pod-0"
    name = f"{pod}-serve"
    embedded = manifests("embedded", image, release)
    (deployment,) = [each for each in embedded if each["kind"] == "Deployment"]
    settings = {"DATELINE_HOST": "127.0.0.1", "DATELINE_PORT": str(port)}
    called(deployment, f"{release}-serve", settings)
    headers = {"x-api-key": KEY}
    with (
        secret(release, {"keys": json.dumps([DESK])}, tmp_path),
        played(embedded, tmp_path / "pod.yaml"),
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
