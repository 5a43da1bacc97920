"""The image that `make image` built, run as in service: another user, a root that is read-only."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.containers import UID, container, inspected, need_image, podman
from tests.free_ports import free_port

pytestmark = pytest.mark.service

KEY = "a-desk-of-the-test"
DESK = {
    "name": "desk",
    "sha256": hashlib.sha256(KEY.encode()).hexdigest(),
    "products": ["news"],
    "write": True,
    "models": True,
}
FERRY = {"uri": "urn:ferry", "headline": "Ferry sinks off the coast", "products": ["news"]}
MOST_BYTES, MOST_PACKED = 1_200_000_000, 500_000_000
PATIENCE_S = 300.0
SITE = "lib/python3*/site-packages"


@pytest.fixture(scope="module")
def image() -> str:
    return need_image()


@pytest.fixture
def data() -> Iterator[str]:
    """A volume for /data."""
    name = podman("volume", "create").strip()
    yield name
    podman("volume", "rm", "--force", name, check=False)


def told_by(image: str, script: str) -> str:
    """What a script of the shell writes in a container of its own."""
    return podman("run", "--rm", "--entrypoint", "/bin/sh", image, "-c", script)


@contextmanager
def served(image: str, *words: str, data: str) -> Iterator[tuple[str, httpx.Client]]:
    """A service in a container, and a client with the key of the desk."""
    port = free_port()
    variables = {
        "DATELINE_KEYS": json.dumps([DESK]),
        "DATELINE_HOST": "127.0.0.1",
        "DATELINE_PORT": str(port),
    }
    volume = ("--volume", f"{data}:/data")
    with (
        container("serve", *words, image=image, variables=variables, options=volume) as name,
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"x-api-key": KEY}, timeout=60
        ) as client,
    ):
        yield name, client


def answered(name: str, client: httpx.Client, path: str) -> httpx.Response:
    """The first answer with 200 to a path."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            response = client.get(path)
            if response.status_code == 200:
                return response
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail(f"no answer to {path}: {podman('logs', name)[-3000:]}")


def logged(name: str) -> str:
    """What a container has written on both streams."""
    command = ["podman", "logs", name]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def uris(client: httpx.Client, query: str) -> list[str]:
    found = client.get("/content/search", params={"q": query}).json()
    return [item["item"]["uri"] for item in found["data"]["items"]]


def test_it_holds_neither_compilers_nor_caches_nor_rights(image: str) -> None:
    """Its user can write to the archive's folder and to /tmp, and to nothing else."""
    tools = "for tool in gcc cc g++ make pip pip3; do command -v $tool; done; true"
    assert told_by(image, tools).split() == []
    caches = "find / -xdev \\( -path '*/.cache/*' -o -name '*.whl' -o -name '*.deb' \\) -type f"
    lists = "find /var/lib/apt/lists /var/cache/apt /root -type f ! -name lock 2>/dev/null"
    assert told_by(image, f"{caches} 2>/dev/null; true").split() == []
    assert told_by(image, f"{lists} | grep -v '/root/.bashrc\\|/root/.profile'; true").split() == []
    assert told_by(image, "id -u; id -g; id -G").split() == [str(UID)] * 3
    writable = "find / -xdev -writable ! -type l ! -path '/proc/*' ! -path '/dev/*' 2>/dev/null"
    found = [path for path in told_by(image, f"{writable}; true").split() if path != "/run/lock"]
    assert set(found) <= {"/data", "/tmp", "/var/tmp"}
    marked = told_by(
        image, "find / -xdev -perm /6000 -newer /opt/dateline -type f 2>/dev/null; true"
    )
    assert marked.split() == []


def test_its_modules_are_compiled_and_their_sources_not_looked_at(image: str) -> None:
    """The root may be read-only, so what is not compiled would be at every start."""
    headers = (
        "import glob, importlib.util as u, os; os.chdir('/opt/dateline'); "
        f"files = glob.glob('{SITE}/dateline/**/*.py', recursive=True); "
        "print(*{open(u.cache_from_source(file), 'rb').read(8)[4] for file in files})"
    )
    assert told_by(image, f'python3 -c "{headers}"').split() == ["1"]  # by hash, unchecked


def test_it_is_small(image: str) -> None:
    assert inspected(image)["Size"] <= MOST_BYTES


@pytest.mark.deep
def test_it_is_small_where_it_travels(image: str) -> None:
    """As registries keep it: each layer by gzip."""
    packer = zlib.compressobj(6, wbits=31)
    with subprocess.Popen(["podman", "save", image], stdout=subprocess.PIPE) as saved:
        assert saved.stdout is not None
        packed = sum(
            len(packer.compress(part)) for part in iter(lambda: saved.stdout.read(1 << 20), b"")
        )
    assert 0 < packed + len(packer.flush()) <= MOST_PACKED


def test_its_papers_name_each_package_and_its_licence(image: str) -> None:
    papers = "/usr/share/doc/dateline"
    listed = json.loads(told_by(image, f"cat {papers}/sbom.cdx.json"))
    assert listed["bomFormat"] == "CycloneDX"
    inside = told_by(image, f"ls -d /opt/dateline/{SITE}/*.dist-info")
    installed = {re.sub(r".*/([^/]+)-([^-]+)\.dist-info", r"\1 \2", one) for one in inside.split()}

    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    ours = {plain(one.split()[0]): one.split()[1] for one in installed}
    named = {plain(one["name"]): one.get("version") for one in listed["components"]}
    own = listed["metadata"]["component"]["name"]
    assert {**named, own: ours[own]} == ours
    kept = told_by(image, f"cd {papers}/licences && ls; ls ../LICENSE")
    assert "LICENSE" in kept
    without = [one for one in inside.split() if one.rpartition("/")[2] not in kept]
    # They ship no text of a licence; their metadata name one, which the list has.
    unnamed = {plain(one["name"]) for one in listed["components"] if not one.get("licenses")}
    bare = {plain(re.sub(r"-[^-]+\.dist-info", "", one.rpartition("/")[2])) for one in without}
    assert bare & unnamed <= {"ply"}  # BSD, as the head of its files says


def test_what_was_written_is_found_after_it_was_killed_and_stopped(image: str, data: str) -> None:
    with served(image, data=data) as (name, client):
        answered(name, client, "/content/search?q=ferry")
        assert client.post("/content", json=FERRY).status_code == 201
        assert uris(client, "ferry") == ["urn:ferry"]
        podman("kill", name)
    with served(image, data=data) as (name, client):
        answered(name, client, "/readyz")
        assert uris(client, "ferry") == ["urn:ferry"]
        podman("healthcheck", "run", name)
        began = time.monotonic()
        podman("stop", "--time", "60", name)
        assert time.monotonic() - began < 30
        state = json.loads(podman("inspect", name))[0]["State"]
        assert (state["ExitCode"], state["OOMKilled"]) == (143, False)  # by SIGTERM


def test_it_ends_at_once_if_it_is_stopped_while_it_starts(image: str, data: str) -> None:
    """The first process of a container gets no signal that it has no handler for."""
    with served(image, data=data) as (name, _):
        until = time.monotonic() + PATIENCE_S
        while "there was no archive" not in " ".join(logged(name).split()):  # models come next
            assert time.monotonic() < until
            time.sleep(0.02)
        podman("stop", "--time", "60", name)
        state = json.loads(podman("inspect", name))[0]["State"]
        assert state["ExitCode"] in (0, 143), logged(name)


def test_models_alone(image: str, data: str) -> None:
    with served(image, "--models-only", data=data) as (name, client):
        answered(name, client, "/healthz")
        asked = {"model": "all-MiniLM-L6-v2", "input": "ferry"}
        answer = client.post("/v1/embeddings", json=asked).json()
        assert len(answer["data"][0]["embedding"]) == 384


def test_a_worker_reads_pictures_and_ends(image: str, data: str) -> None:
    """With a read-only root and without capabilities."""
    with container(
        "worker", "--until-done", image=image, variables={}, options=("--volume", f"{data}:/data")
    ) as name:
        assert podman("wait", name).strip() == "0", podman("logs", name)
