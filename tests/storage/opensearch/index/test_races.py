"""An old state never wins, whoever writes it and when: on a real node."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import orjson
import pytest

from core.errors import StorageError
from storage.opensearch.index.body import IndexSettings, VectorSpace
from storage.opensearch.index.bulk import BulkSettings, BulkWriter, Operation
from storage.opensearch.index.documents import hidden
from storage.opensearch.index.family import IndexFamily
from storage.opensearch.nodes.connection import Cluster, ClusterSettings
from tests.opensearch_node import new_name

SPACES = {"text": VectorSpace("space-a", 8)}
OFTEN = BulkSettings(start_bytes=2_000, pause_s=0.05, tries=30)


@pytest.fixture
def family(opensearch: str) -> Iterator[IndexFamily]:
    cluster = Cluster(ClusterSettings((opensearch,)))
    found = IndexFamily(cluster, new_name(), IndexSettings(replicas=0), SPACES)
    found.open()
    forgetful = {"index.gc_deletes": "0ms"}  # a deletion would keep nothing out
    cluster.ask("PUT", f"/{found.concrete}/_settings", forgetful)
    yield found
    for name in (found.concrete, found.meta):
        with suppress(StorageError):
            cluster.ask("DELETE", f"/{name}", timeout_s=30)
    cluster.close()


def held(family: IndexFamily, seqs: list[int]) -> dict[int, int]:
    """The version of each document that holds an item."""
    family.refresh()
    body = {"ids": [str(seq) for seq in seqs]}
    found = family.cluster.ask("POST", f"/{family.concrete}/_mget", body)
    return {
        int(each["_id"]): each["_version"]
        for each in found["docs"]
        if each["found"] and "uri" in each["_source"]
    }


def document(seq: int, version: int) -> bytes:
    return orjson.dumps({"seq": seq, "uri": f"urn:{seq}/{version}", "chain": f"urn:{seq}"})


@pytest.mark.parametrize("seed", [1, 2])
def test_projectors_that_race_end_in_the_newest_state(family: IndexFamily, seed: int) -> None:
    """Three write the same changes, each in batches and at moments of its own; some are late by
    far, in some states the item is hidden. The model is a dict.
    """
    chance = random.Random(seed)
    changes: list[Operation] = []
    for version in range(1, 400):
        seq = chance.randrange(25)
        is_hidden = chance.random() < 0.25
        shown = Operation(seq, version, document(seq, version))
        changes.append(hidden(seq, version) if is_hidden else shown)
    newest = {each.id: each for each in changes}
    errors: list[Exception] = []

    def project(number: int) -> None:
        own = random.Random(seed * 10 + number)
        writer = BulkWriter(family.cluster, family.writes_to, OFTEN)
        batches = [changes[start : start + 20] for start in range(0, len(changes), 20)]
        if number:
            own.shuffle(batches)
        try:
            for batch in batches:
                time.sleep(own.random() * 0.05)
                assert not writer.write(batch).refused
        except Exception as error:  # noqa: BLE001 - judged below
            errors.append(error)

    threads = [threading.Thread(target=project, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    shown_last = {
        seq: each.version
        for seq, each in newest.items()
        if each.document == document(seq, each.version)
    }
    assert held(family, sorted(newest)) == shown_last
