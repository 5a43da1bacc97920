"""A real node that takes little at once refuses the rest (429), and gets it in smaller requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.dev_cluster.cluster import Shape
from storage.opensearch.index.body import IndexSettings
from storage.opensearch.index.bulk import BulkSettings, BulkWriter, Operation
from storage.opensearch.nodes.connection import Cluster
from tests.faults.cluster.world import ThreeNodes, is_whole, opened, put, search, until, uris_of
from tests.opensearch_node import need_opensearch, running_cluster

pytestmark = [pytest.mark.cluster, pytest.mark.deep, pytest.mark.timeout(1200)]

# Twice the least request of a writer: what a node is at work on counts several times.
_PRESSED = {"indexing_pressure.memory.limit": "64kb"}
_URIS = [f"urn:{n}" for n in range(600)]


def test_a_node_under_pressure_gets_everything_in_the_end(tmp_path: Path) -> None:
    need_opensearch()
    with running_cluster(Shape(settings=_PRESSED)) as (cluster, shape):
        nodes = ThreeNodes(cluster, shape)
        with opened(nodes, tmp_path, index=IndexSettings(replicas=0)) as engine:
            put(engine, *_URIS)
            until(lambda: is_whole(engine), "it gets all")
            assert uris_of(engine, search(engine)) == set(_URIS)
            refused = rejections(engine.cluster)
            writer = BulkWriter(engine.cluster, engine.family.writes_to, BulkSettings())
            writer.write([Operation(10**6 + n, 1) for n in range(5_000)])
            print(f"\npressed: {refused} refused; a request is {writer.bytes:,} bytes by now")
            assert refused > 0
            assert writer.bytes < 128_000, "it began with a million"


def rejections(cluster: Cluster) -> int:
    """How many bulk requests the nodes have refused."""
    nodes = cluster.ask("GET", "/_nodes/stats/indexing_pressure")["nodes"].values()
    totals = [node["indexing_pressure"]["memory"]["total"] for node in nodes]
    kinds = ("coordinating_rejections", "primary_rejections")
    return int(sum(total[kind] for total in totals for kind in kinds))
