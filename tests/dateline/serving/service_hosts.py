"""Two services as on two hosts: processes and data folders of their own behind one port, over one
record on Postgres. They have nothing else in common but their settings.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.dateline.serving.test_serve import served
from tests.round_robin import RoundRobin, round_robin

KEYS = (
    {"name": "desk", "key": "desk", "products": ["wire"], "write": True, "models": True},
    {"name": "photos", "key": "photos", "products": ["photos"], "inspect": True},
)
SECRET = "the same on every host"


@dataclass
class Host:
    """A service, a client that asks it alone, and how it is ended."""

    process: subprocess.Popen[str]
    client: httpx.Client
    life: ExitStack = field(default_factory=ExitStack)

    def kill(self) -> None:
        """As by kill -9."""
        self.process.kill()
        self.life.close()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.client.base_url.port or 0


def start(folder: Path) -> Host:
    """A service that answers, its data in `folder`; its settings are the environment's."""
    life = ExitStack()
    process, client = life.enter_context(served(folder))
    return Host(process, client, life)


@contextmanager
def two_hosts(folder: Path) -> Iterator[tuple[Host, Host]]:
    """Ended at the end, as far as a test has not done that."""
    with ExitStack() as stack:
        with ThreadPoolExecutor(2) as pool:
            starting = [pool.submit(start, folder / name) for name in ("one", "other")]
        for each in starting:
            if each.exception() is None:
                stack.callback(each.result().kill)
        one, other = (each.result() for each in starting)
        yield one, other


@contextmanager
def one_port(*hosts: Host) -> Iterator[tuple[RoundRobin, httpx.Client]]:
    """A client that has a connection for each request, so that hosts answer by turns."""
    with round_robin(*(host.port for host in hosts)) as balancer:
        limits = httpx.Limits(max_keepalive_connections=0)
        address = f"http://127.0.0.1:{balancer.port}"
        with httpx.Client(base_url=address, limits=limits, timeout=120) as client:
            yield balancer, client


def search(client: httpx.Client, key: str = "desk", **params: Any) -> dict[str, Any]:
    """The answer's data."""
    answer = client.get("/content/search", params=params, headers={"x-api-key": key})
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def uris(data: Mapping[str, Any]) -> list[str]:
    """Of the hits, in order."""
    return [entry["item"]["uri"] for entry in data["items"]]


def write(client: httpx.Client, *documents: Mapping[str, Any]) -> None:
    """Acknowledged when it returns."""
    answer = client.post("/content", json=list(documents), headers={"x-api-key": "desk"})
    assert answer.is_success, answer.text


def change(client: httpx.Client, uri: str, **members: object) -> None:
    """A change of status, acknowledged when it returns."""
    address, headers = f"/content/{uri}/status", {"x-api-key": "desk"}
    answer = client.patch(address, json=members, headers=headers)
    assert answer.is_success, answer.text


def environment(record: str, **more: object) -> dict[str, str]:
    """The settings of every host."""
    settings: dict[str, object] = {
        "record": record,
        "keys": json.dumps(KEYS),
        "media_secret": SECRET,
        "tagger": "",
        "reranker": "",
        "threads": 1,
        **more,
    }
    return {f"DATELINE_{name.upper()}": str(value) for name, value in settings.items()}
