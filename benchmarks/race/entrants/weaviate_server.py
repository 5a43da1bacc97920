"""Weaviate's server and its `hybrid` operator (options: the server's program)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.race.entrant import HITS, Document, FloatMatrix, bytes_below, run
from benchmarks.race.http_json import JsonServer

_CLASS = "Race"
_BATCH = 500
_PORTS = (
    *("GRPC_PORT", "CLUSTER_GOSSIP_BIND_PORT", "CLUSTER_DATA_BIND_PORT", "RAFT_PORT"),
    *("RAFT_INTERNAL_RPC_PORT", "GO_PROFILING_PORT"),
)


class Weaviate:
    """A node of its own on loopback, with a text property and vectors from outside, and the
    defaults of everything else.
    """

    def __init__(self, place: Path, options: Sequence[str]) -> None:
        self._place = place
        own, *others = free_ports(1 + len(_PORTS))
        environment = {
            **os.environ,
            **dict(zip(_PORTS, map(str, others), strict=True)),
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "true",
            "CLUSTER_HOSTNAME": "race",
            "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
            "CLUSTER_BIND_ADDR": "127.0.0.1",
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "DEFAULT_VECTORIZER_MODULE": "none",
            "DISABLE_TELEMETRY": "true",
            "LOG_LEVEL": "fatal",
            "PERSISTENCE_DATA_PATH": str(place),
        }
        command = [*options, "--scheme", "http", "--host", "127.0.0.1", "--port", str(own)]
        self._process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        self.servers = [self._process.pid]
        self._server = JsonServer(f"http://127.0.0.1:{own}")
        self._server.await_ready("/v1/.well-known/ready")

    @property
    def versions(self) -> Mapping[str, str]:
        """Versions by name."""
        return {"weaviate": self._server.ask("GET", "/v1/meta")["version"]}

    def ingest(self, documents: Sequence[Document], vectors: FloatMatrix) -> None:
        """Write everything in batches."""
        self._server.ask("POST", "/v1/schema", _class())
        for start in range(0, len(documents), _BATCH):
            some = zip(documents[start : start + _BATCH], vectors[start:], strict=False)
            objects = [
                {
                    "class": _CLASS,
                    "id": str(UUID(int=start + n + 1)),
                    "properties": {"key": document.id, "text": document.text},
                    "vector": vector.tolist(),
                }
                for n, (document, vector) in enumerate(some)
            ]
            replies = self._server.ask("POST", "/v1/batch/objects", {"objects": objects})
            assert all(reply["result"].get("status") == "SUCCESS" for reply in replies)

    def search(self, text: str, vector: FloatMatrix) -> list[str]:
        """Return the ids of the ten best."""
        near = json.dumps(vector[0].tolist())
        asked = f'query: {json.dumps(text)}, properties: ["text"], vector: {near}'
        query = f"{{ Get {{ {_CLASS}(limit: {HITS}, hybrid: {{ {asked} }}) {{ key }} }} }}"
        reply = self._server.ask("POST", "/v1/graphql", {"query": query})
        return [found["key"] for found in reply["data"]["Get"][_CLASS]]

    def disk(self) -> int:
        """Return the bytes of its folder."""
        return bytes_below(self._place)

    def close(self) -> None:
        """End the server."""
        self._process.terminate()
        self._process.wait()


def free_ports(count: int) -> list[int]:
    """Return different ports of loopback that nobody listens on."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _class() -> dict[str, Any]:
    key = {"name": "key", "dataType": ["text"], "indexSearchable": False, "indexFilterable": False}
    text = {"name": "text", "dataType": ["text"]}
    return {"class": _CLASS, "vectorizer": "none", "properties": [key, text]}


if __name__ == "__main__":
    run(Weaviate)
