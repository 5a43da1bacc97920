"""Two serve pods and a worker on one Postgres behind HAProxy, replaced one at a time; with their
indexes in each pod, or on OpenSearch.

RATE=50 python -m pytest -s tests/deploy/test_rolling.py -k each   # prints what came of it
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.containers import ROOT, container, need_image, podman
from tests.deploy.test_image import DESK, KEY, answered
from tests.free_ports import free_port
from tests.opensearch_node import new_name
from tests.pods import called, manifests, played, secret
from tests.postgres_server import Server
from tests.storage.opensearch_world import remove_index
from tests.storage.postgres_world import address_of

pytestmark = [pytest.mark.service, pytest.mark.cluster, pytest.mark.deep]

RATE = float(os.environ.get("RATE", "5"))
STORIES = ROOT / "datasets" / "demo" / "stories.jsonl"
HEADLINES = 20  # stories that are written, and searched for by their headlines
HEADERS = {"x-api-key": KEY}
SERVERS = ("one", "two", "three")  # of deploy/haproxy.cfg


@dataclass
class Archive:
    """A shared archive's pods: its release, the image, and settings for all of them."""

    image: str
    release: str
    folder: Path
    settings: Mapping[str, str | None]

    @contextmanager
    def pod(self, part: str, name: str, **settings: str) -> Iterator[str]:
        """A pod of a part of the chart, called by `name`. Gives its container's name."""
        (found,) = [
            each
            for each in manifests("shared", self.image, self.release)
            if each["metadata"]["name"] == f"{self.release}-{part}"
        ]
        called(found, f"{self.release}-{name}", {**self.settings, **settings})
        with played([found], self.folder / f"{name}.yaml"):
            yield f"{self.release}-{name}-pod-0-{part}"

    @contextmanager
    def service(self, port: int) -> Iterator[str]:
        """A serve pod on a port, once it is ready. It is stopped as a node does, by SIGTERM."""
        address = f"http://127.0.0.1:{port}"
        with (
            self.pod("serve", f"serve-{port}", DATELINE_PORT=str(port)) as name,
            httpx.Client(base_url=address, timeout=60) as client,
        ):
            answered(name, client, "/readyz")
            yield name
            podman("stop", "--time", "60", name)


@pytest.fixture(params=["indexes in each pod", "indexes on OpenSearch"])
def engine(request: pytest.FixtureRequest) -> Iterator[Mapping[str, str | None]]:
    """The settings of an engine."""
    if "OpenSearch" not in request.param:
        yield {"DATELINE_ENGINE": "embedded", "DATELINE_OPENSEARCH_URL": None}
        return
    address, index = request.getfixturevalue("opensearch"), new_name()
    yield {
        "DATELINE_OPENSEARCH_URL": address,
        "DATELINE_OPENSEARCH_INDEX": index,
        "DATELINE_OPENSEARCH_REPLICAS": "0",
    }
    remove_index(address, index)


@pytest.fixture
def archive(
    postgres: Server, engine: Mapping[str, str | None], tmp_path: Path
) -> Iterator[Archive]:
    """Its tables are there, made as the chart's job does, and so is its Secret."""
    image = need_image()
    if shutil.which("haproxy") is None:
        pytest.skip("haproxy is not here: apt-get install haproxy")
    address = address_of(postgres, tmp_path)
    release = f"t{free_port()}"
    settings = {
        "DATELINE_HOST": "127.0.0.1",
        "DATELINE_RUNTIMES": None,  # the models are in each pod
        "DATELINE_MEDIA_STORE": None,
        **engine,
        "DATELINE_TRUSTED_PROXIES": json.dumps(["127.0.0.1"]),
    }
    values = {
        "keys": json.dumps([DESK]),
        "record": address,
        "media_secret": "the same in each pod of the test",
    }
    with container("migrate", image=image, variables={"DATELINE_RECORD": address}) as name:
        assert podman("wait", name).strip() == "0", podman("logs", name)
    with secret(release, values, tmp_path):
        yield Archive(image, release, tmp_path, settings)


@contextmanager
def proxied(folder: Path, ports: Mapping[str, int]) -> Iterator[str]:
    """HAProxy as in deploy/haproxy.cfg before services on these ports. Gives its address."""
    own = free_port()
    text = (ROOT / "deploy" / "haproxy.cfg").read_text("utf-8")
    text = text.replace("127.0.0.1:8080", f"127.0.0.1:{own}")
    for number, name in enumerate(SERVERS, 1):
        assert f"server {name} 127.0.0.1:800{number}" in text
        text = text.replace(f"127.0.0.1:800{number}", f"127.0.0.1:{ports[name]}")
    file = folder / "haproxy.cfg"
    file.write_text(text, "utf-8")
    process = subprocess.Popen(["haproxy", "-db", "-f", file])
    try:
        yield f"http://127.0.0.1:{own}"
    finally:
        process.terminate()
        process.wait(30)


@dataclass
class Load:
    """So many searches a second, whether those before were answered or not, until it is over."""

    address: str
    rate: float
    answers: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    is_over: bool = False

    def told(self, calm: int) -> str:
        """What came of it; `calm` searches were before anything was replaced."""
        took = sorted(self.seconds)
        alone, all_of_it, most = (
            1000 * each
            for each in (
                statistics.median(self.seconds[:calm]),
                statistics.median(took),
                took[int(len(took) * 0.99)],
            )
        )
        return (
            f"{len(took)} searches, {self.rate:g} a second, {dict(self.answers)}; p50 before "
            f"{alone:.0f} ms; all: p50 {all_of_it:.0f}, p99 {most:.0f}, "
            f"most {took[-1] * 1000:.0f} ms"
        )

    async def run(self) -> None:
        queries = [story["headlines"][0]["value"] for story in stories()]
        began, sent = time.monotonic(), 0
        async with (
            httpx.AsyncClient(base_url=self.address, headers=HEADERS, timeout=60) as client,
            asyncio.TaskGroup() as group,
        ):
            while not self.is_over:
                group.create_task(self._ask(client, queries[sent % len(queries)]))
                sent += 1
                await asyncio.sleep(max(0.0, began + sent / self.rate - time.monotonic()))

    async def _ask(self, client: httpx.AsyncClient, query: str) -> None:
        began = time.monotonic()
        try:
            answer = await client.get("/content/search", params={"q": query})
            found = "hits" if answer.status_code == 200 and answer.json()["data"]["items"] else ""
            self.answers[found or f"{answer.status_code}: {answer.text[:200]}"] += 1
        except httpx.TransportError as error:
            self.answers[repr(error)] += 1
        self.seconds.append(time.monotonic() - began)


@contextmanager
def searched(address: str) -> Iterator[Load]:
    """Searches beside what is done inside."""
    load = Load(address, RATE)
    with ThreadPoolExecutor(1) as pool:
        running: Future[None] = pool.submit(lambda: asyncio.run(load.run()))
        try:
            yield load
        finally:
            load.is_over = True
            running.result()


def stories() -> list[dict[str, Any]]:
    """Return some stories of the demo, in the product that the desk reads."""
    lines = STORIES.read_text("utf-8").splitlines()[:HEADLINES]
    return [{**json.loads(line), "products": DESK["products"]} for line in lines]


def write(address: str) -> None:
    """Puts the stories into the archive."""
    with httpx.Client(base_url=address, headers=HEADERS, timeout=120) as client:
        for story in stories():
            client.post("/content", json=story).raise_for_status()


def test_pods_are_replaced_under_load_without_a_failed_search(
    archive: Archive, tmp_path: Path
) -> None:
    """As the chart has it: a new pod is ready before an old one ends."""
    ports = {name: free_port() for name in SERVERS}
    with ExitStack() as stack, proxied(tmp_path, ports) as address:
        running = {name: stack.enter_context(ExitStack()) for name in SERVERS}
        for name in ("one", "two"):
            running[name].enter_context(archive.service(ports[name]))
        worker = stack.enter_context(archive.pod("worker", "worker"))
        write(address)
        with searched(address) as load:
            time.sleep(5)  # for as long as searches are compared with
            calm = len(load.seconds)
            for new, old in (("three", "one"), ("one", "two")):
                running[new].enter_context(archive.service(ports[new]))
                running[old].close()
            time.sleep(5)
        state = podman("inspect", worker, "--format", "{{.State.Status}}")
        assert state.strip() == "running"
    print(load.told(calm))
    assert set(load.answers) == {"hits"}
