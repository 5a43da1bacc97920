"""The plan of an index: its sums add up, and it says when something does not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import InputError, SettingsError
from storage.opensearch.index.body import ENCODERS
from storage.opensearch.index.plan import (
    HIDDEN_BYTES,
    MEASURED,
    MOST_DOCUMENTS,
    REPLACED,
    SHARD_BYTES,
    Archive,
    Graphs,
    Hardware,
    link_bytes,
    plan,
    sizes_of,
)

_GIBI = 2**30


def test_a_plan_that_a_person_can_check() -> None:
    """10 million items: 20 million vectors of 384 numbers are 30.72 GB by themselves."""
    found = plan(Archive(10**7), Hardware(3, 64 * _GIBI), Graphs())
    shown = {line.name: line.value for line in found.lines}
    assert shown["vectors"] == "30.72 GB"
    assert "vectors in columns" not in shown  # Lucene has them once
    assert shown["text"] == "22.27 GB"  # 10 million x 2,000 x 1.09 + 20 million x 23.5
    assert shown["links"] == "3.84 GB"  # 20 million x 64 links x 3 bytes
    assert (found.shards % 3, found.replicas) == (0, 1)
    assert found.shards * SHARD_BYTES >= found.primary_bytes
    assert found.fits


def test_a_small_archive_is_one_shard() -> None:
    found = plan(Archive(100_000), Hardware(3), Graphs())
    assert (found.shards, found.replicas, found.fits) == (1, 1, True)


def test_what_does_not_fit_is_told() -> None:
    small, large = (Hardware(2, gib * _GIBI) for gib in (16, 256))
    assert not plan(Archive(10**8), small, Graphs()).fits
    coarse = plan(Archive(10**7), large, Graphs(precision="int8"))
    exact = plan(Archive(10**7), large, Graphs())
    assert coarse.memory_of_node < exact.memory_of_node  # searches read the coarse vectors
    assert coarse.primary_bytes > exact.primary_bytes  # which lie beside the exact ones


def test_hidden_versions_take_their_room_for_good() -> None:
    """Ten a item: of each a document, and the bytes that were measured; no search reads them."""
    none, ten = (
        plan(Archive(10**8, hidden=hidden), Hardware(16, 64 * _GIBI), Graphs())
        for hidden in (0, 10)
    )
    more = ten.primary_bytes - none.primary_bytes
    assert more == pytest.approx(10**9 * HIDDEN_BYTES * (1 + REPLACED))
    assert ten.memory_of_node == none.memory_of_node
    shown = {line.name: line for line in ten.lines}
    assert shown["hidden versions"].value == f"{HIDDEN_BYTES:,.2f} GB"
    documents = (10**8 * (1 + 10) + 2 * 10**8) * (1 + REPLACED)  # Lucene has a limit of them
    assert f"{documents:,.0f} documents" in shown["shards"].why


def test_copies_need_nodes() -> None:
    with pytest.raises(InputError, match="3 copies of a shard need as many nodes"):
        plan(Archive(1000), Hardware(2), Graphs(), replicas=2)


def test_every_precision_that_an_index_can_have_is_known() -> None:
    assert {(row.library, row.precision) for row in MEASURED} == {*ENCODERS}
    with pytest.raises(SettingsError, match="lucene int4 are not known"):
        sizes_of("lucene", "int4")


@settings(deadline=None)
@given(
    items=st.integers(1, 10**9),
    passages=st.floats(0.1, 50),
    nodes=st.integers(1, 50),
    memory=st.integers(4, 512),
)
def test_more_is_never_planned_smaller(
    items: int, passages: float, nodes: int, memory: int
) -> None:
    archive, hardware = Archive(items, passages=passages), Hardware(nodes, memory * _GIBI)
    found = plan(archive, hardware, Graphs())
    larger = plan(replace(archive, items=2 * items), hardware, Graphs())
    assert larger.primary_bytes > found.primary_bytes
    assert larger.shards >= found.shards
    assert larger.memory_of_node >= found.memory_of_node
    assert items * (1 + passages) <= found.shards * MOST_DOCUMENTS


@settings(deadline=None)
@given(vectors=st.floats(1, 1e9), links=st.sampled_from([4, 16, 64]))
def test_links_are_whole_bytes_of_seven_bits(vectors: float, links: int) -> None:
    each = link_bytes("lucene", links, vectors) / (2 * links)
    gap = max(1.0, vectors / (2 * links))
    assert each in (1, 2, 3, 4)
    assert int(gap) < 128**each
    assert each == 1 or int(gap) >= 128 ** (each - 1)
