"""Reads the health of a cluster's nodes: version, plugins, heap, disk, and passed watermarks.

Above the low watermark a node gets no new shard. Above the high one the cluster moves shards away
from it. Above the flood stage no index with a shard on it takes writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from storage.opensearch.nodes.connection import Cluster

LEVELS = ("flood_stage", "high", "low")  # watermarks, the worst first
_PREFIX = "cluster.routing.allocation.disk"
_SIZE = re.compile(r"([\d.]+)(b|kb|mb|gb|tb|pb)")
_UNITS = ("b", "kb", "mb", "gb", "tb", "pb")
_SHARE = re.compile(r"([\d.]+)(%?)")


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """The health of a node; sizes in bytes. `holds_data` says whether it may have shards."""

    name: str
    version: str
    plugins: frozenset[str]
    holds_data: bool
    heap_used: int
    heap_most: int
    disk_free: int
    disk_all: int


def nodes_of(cluster: Cluster) -> list[NodeHealth]:
    """Return every node of the cluster that reports its health, by name. Raises StorageError."""
    told = cluster.ask("GET", "/_nodes/plugins")["nodes"]
    stats = cluster.ask("GET", "/_nodes/stats/jvm,fs")["nodes"]
    found = [_node(told[id_], stats[id_]) for id_ in told.keys() & stats.keys()]
    return sorted(found, key=lambda node: node.name)


def _node(told: Mapping[str, Any], stats: Mapping[str, Any]) -> NodeHealth:
    memory, disk = stats["jvm"]["mem"], stats["fs"]["total"]
    return NodeHealth(
        told["name"],
        told["version"],
        frozenset(each["name"] for each in told["plugins"]),
        "data" in told["roles"],
        memory["heap_used_in_bytes"],
        memory["heap_max_in_bytes"],
        disk.get("available_in_bytes", 0),
        disk.get("total_in_bytes", 0),
    )


def watermarks_of(cluster: Cluster) -> dict[str, str]:
    """Return the watermarks by level, as they are set; none if they are switched off. Raises
    StorageError.
    """
    path = "/_cluster/settings"
    found = cluster.ask("GET", path, include_defaults="true", flat_settings="true")
    flat: dict[str, Any] = {}
    for kind in ("defaults", "persistent", "transient"):  # later ones override earlier ones
        flat |= found.get(kind, {})
    if flat.get(f"{_PREFIX}.threshold_enabled") != "true":
        return {}
    return {level: str(flat[f"{_PREFIX}.watermark.{level}"]) for level in LEVELS}


def passed(watermarks: Mapping[str, str], node: NodeHealth) -> str:
    """Return the worst watermark that the node's disk has passed, "" if none."""
    reached = (level for level in LEVELS if level in watermarks)
    return next((level for level in reached if _is_passed(watermarks[level], node)), "")


def _is_passed(watermark: str, node: NodeHealth) -> bool:
    if size := _SIZE.fullmatch(watermark):
        return node.disk_free < float(size[1]) * 1024.0 ** _UNITS.index(size[2])
    if share := _SHARE.fullmatch(watermark):
        most = float(share[1]) / (100 if share[2] else 1)
        return node.disk_all > 0 and 1 - node.disk_free / node.disk_all > most
    return False
