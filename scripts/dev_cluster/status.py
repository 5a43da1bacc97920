"""The status of a development cluster: health, memory, disk, and documents."""

from __future__ import annotations

from typing import Any

import httpx

from scripts.dev_cluster.node import Node
from scripts.dev_cluster.state import ClusterState

_SHORT_S = 5.0


def cluster_health(node: Node) -> dict[str, Any]:
    """Return the node's view of its cluster's health; nothing while it has none."""
    try:
        with _client(node) as client:
            found: dict[str, Any] = _asked(client, "/_cluster/health")
            return found
    except (httpx.HTTPError, ValueError):
        return {}


def cluster_status(state: ClusterState) -> dict[str, Any]:
    """Tell `folder`, `health` ("" if nothing answers), `nodes` (name, url, pid, run, and of one
    that answers heap and disk in bytes) and `indices` (name, health, documents, bytes).
    """
    rows = [{"name": n.name, "url": n.url, "pid": n.pid, "runs": n.runs} for n in state.nodes]
    found: dict[str, Any] = {"folder": str(state.folder), "health": "", "nodes": rows}
    found["indices"] = []
    for node in state.running:
        try:
            with _client(node) as client:
                _add(found, client)
        except (httpx.HTTPError, ValueError):
            continue  # it is starting, or hangs: the next one may answer
        break
    return found


def _add(found: dict[str, Any], client: httpx.Client) -> None:
    stats = _asked(client, "/_nodes/stats/jvm,fs")["nodes"].values()
    by_name = {each["name"]: each for each in stats}
    for row in found["nodes"]:
        each = by_name.get(row["name"])
        if each is not None:
            memory, disk = each["jvm"]["mem"], each["fs"]["total"]
            row["heap_used"] = memory["heap_used_in_bytes"]
            row["heap_most"] = memory["heap_max_in_bytes"]
            row["disk_free"] = disk["available_in_bytes"]
            row["disk_all"] = disk["total_in_bytes"]
    indices = _asked(client, "/_cat/indices", format="json", bytes="b", s="index")
    found["indices"] = [
        {
            "name": each["index"],
            "health": each["health"],
            "documents": int(each["docs.count"] or 0),
            "bytes": int(each["store.size"] or 0),
        }
        for each in indices
    ]
    found["health"] = _asked(client, "/_cluster/health")["status"]


def _client(node: Node) -> httpx.Client:
    # A proxy can't reach the loopback.
    return httpx.Client(base_url=node.url, timeout=_SHORT_S, trust_env=False)


def _asked(client: httpx.Client, path: str, **parameters: str) -> Any:
    return client.get(path, params=parameters).raise_for_status().json()
