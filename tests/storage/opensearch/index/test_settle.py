"""Settling an index on a real node: what was replaced is gone, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.opensearch.index.settle import leases_are_past, settle
from tests.storage.opensearch_world import SPACES, lending, open_opensearch
from tests.storage.world import WIRE, SetClock, make_item, nearest, vector_of, write


@pytest.fixture(autouse=True)
def _on_the_node(opensearch: str) -> Iterator[None]:
    with lending(opensearch):
        yield


def test_what_was_replaced_leaves_and_the_rest_stays(folder: Path) -> None:
    engine = open_opensearch(folder, SetClock())
    try:
        name, cluster = engine.family.concrete, engine.cluster
        for version in (1, 2, 3):
            for number in range(40):
                body = f"The ferry {number} is aground. " * 20
                write(engine, make_item(f"urn:{number}", version, body=body))
            engine.catch_up()
        said: list[str] = []
        before = engine.retrieve(nearest(vector_of("urn:7/3"), WIRE))
        found = settle(cluster, name, SPACES, said.append, searches=4)
        assert found.released
        assert found.segments == 1
        assert found.bytes_after < 0.7 * found.bytes_before  # of 120 versions 40 are left
        stats = cluster.ask("GET", f"/{name}/_stats/docs")["_all"]["primaries"]["docs"]
        assert stats["deleted"] == 0
        after = engine.retrieve(nearest(vector_of("urn:7/3"), WIRE))
        assert after.ids.tolist() == before.ids.tolist()
        assert len(after.ids) == 40
    finally:
        engine.close()


def test_a_shard_that_needs_an_operation_is_waited_for() -> None:
    def stats(*copies: tuple[int, list[int]]) -> dict[str, object]:
        told = [
            {
                "seq_no": {"max_seq_no": newest},
                "retention_leases": {"leases": [{"retaining_seq_no": each} for each in leases]},
            }
            for newest, leases in copies
        ]
        return {"indices": {"a": {"shards": {"0": told}}}}

    assert leases_are_past(stats((9, [10, 10])))
    assert leases_are_past(stats((-1, [0])))
    assert not leases_are_past(stats((9, [10]), (9, [10, 9])))
