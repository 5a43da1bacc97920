"""Segments and tail of a field change in one step: a row that became visible while a segment was
built without it is found at every moment, not only once somebody has looked for what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.embedded.vectors.segments import MANIFEST, VectorField
from storage.embedded.vectors.vector_view import ItemRows
from storage.graphs.faiss_hnsw import FaissLinks
from storage.graphs.graph import HnswGraph
from tests.storage.world import (
    ENCODER,
    SCANNED,
    SMALL,
    WALKED,
    SetClock,
    make_item,
    nearest,
    opened,
    vector_of,
    write,
)

SEQS = range(1, 7)


@pytest.fixture
def field(folder: Path) -> VectorField:
    return VectorField(folder / "field", ENCODER, SCANNED)


def fill(field: VectorField, seqs: Sequence[int]) -> None:
    field.append([(seq, np.concatenate([vector_of(f"{seq}/{n}") for n in (0, 1)])) for seq in seqs])


def live(*hidden: int) -> npt.NDArray[np.bool_]:
    mask = np.ones(max(SEQS) + 1, np.bool_)
    mask[[0, *hidden]] = False
    return mask


def seal(field: VectorField, then: npt.NDArray[np.bool_], now: npt.NDArray[np.bool_]) -> None:
    rows = field.tail_size
    field.adopt(field.seal(rows, 1, then), [], rows, now)


def found(field: VectorField) -> list[tuple[int, int]]:
    """Every row, each by its own vector."""
    view, every = field.view(), live()
    rows = [
        (seq, n, view.search(vector_of(f"{seq}/{n}"), 1, every)) for seq in SEQS for n in (0, 1)
    ]
    return [(seq, n) for seq, n, hits in rows if (hits.ids[0], hits.numbers[0]) == (seq, n)]


EVERY = [(seq, n) for seq in SEQS for n in (0, 1)]


def test_what_was_shown_during_the_build_stays_in_the_tail(field: VectorField) -> None:
    fill(field, SEQS)
    seal(field, then=live(3, 5), now=live(5))
    assert found(field) == [row for row in EVERY if row[0] != 5]
    assert field.segment_sizes == (8,)
    assert field.tail_size == 2
    assert field.view().count == 10


def test_what_was_written_during_the_build_stays_in_the_tail(field: VectorField) -> None:
    fill(field, SEQS[:4])
    rows = field.tail_size
    segment = field.seal(rows, 1, live())
    fill(field, SEQS[4:])
    field.adopt(segment, [], rows, live())
    assert found(field) == EVERY
    assert field.tail_size == 4


def test_what_was_hidden_meanwhile_does_not_stay_in_the_tail(field: VectorField) -> None:
    fill(field, SEQS[:4])
    rows = field.tail_size
    segment = field.seal(rows, 1, live())
    fill(field, SEQS[4:])
    field.adopt(segment, [], rows, live(6))
    assert found(field) == [row for row in EVERY if row[0] != 6]
    assert field.tail_size == len([row for row in EVERY if row[0] in SEQS[4:] and row[0] != 6])


def test_what_was_shown_during_a_merge_comes_from_the_segments_that_go(field: VectorField) -> None:
    for some in (SEQS[:3], SEQS[3:]):
        fill(field, some)
        seal(field, live(), live())
    both = field.view().segments
    merged = field.merge(both, 1, live(2, 5))
    field.adopt(merged, both, 0, live(5))
    assert found(field) == [row for row in EVERY if row[0] != 5]
    assert (field.segment_sizes, field.tail_size) == ((8,), 2)


def test_a_reader_keeps_what_the_owners_segments_lack(field: VectorField) -> None:
    """The owner merged an item away that it saw hidden; for the reader it is visible."""
    fill(field, SEQS)
    seal(field, live(), live())
    reader = VectorField(field.folder, ENCODER, SCANNED)
    fill(reader, [6])  # a version that this reader has from the record, and the owner sealed
    before = field.view().segments
    field.adopt(field.merge(before, 1, live(4)), before, 0, live(4))
    assert reader.load(live())
    assert found(reader) == EVERY
    assert (reader.segment_sizes, reader.tail_size) == ((10,), 2)


def test_views_that_searches_hold_stay_as_they_were(field: VectorField) -> None:
    fill(field, SEQS)
    view = field.view()
    seal(field, live(3), live(3))
    assert view.count == 12
    assert view.search(vector_of("3/1"), 1, live()).ids[0] == 3


def test_a_bitmap_is_looked_at_by_itself_not_by_its_place_in_memory(field: VectorField) -> None:
    fill(field, SEQS)
    seal(field, then=live(), now=live())
    view = field.view()
    for hidden in (*SEQS, *SEQS):  # each bitmap is gone before the next is made
        hits = view.search(vector_of(f"{hidden}/0"), 12, live(hidden))
        assert hidden not in hits.ids
        assert len(hits.ids) == 10


ROWS = st.lists(st.integers(1, 80) | st.integers(1, 5_000), max_size=60)


@given(seqs=ROWS, ids=ROWS)
def test_the_table_says_where_an_items_rows_lie(seqs: list[int], ids: list[int]) -> None:
    rows, asked = np.sort(np.array(seqs, np.int64)), np.array(ids, np.int64)
    starts, lengths = ItemRows.of(rows).find(asked)
    assert lengths.tolist() == [seqs.count(one) for one in ids]
    held = lengths > 0
    assert rows[starts[held]].tolist() == asked[held].tolist()
    assert starts[held].tolist() == np.searchsorted(rows, asked[held]).tolist()


def test_a_segment_is_mapped_and_keeps_the_sum_of_its_vectors(folder: Path) -> None:
    walked = VectorField(folder / "field", ENCODER, WALKED)
    fill(walked, SEQS)
    seal(walked, then=live(), now=live())
    for before in (walked.view().total, _opened(folder).view().total):
        assert np.allclose(_opened(folder).view().total, before, atol=1e-5)
        _forget_totals(walked.folder / MANIFEST)
    (segment,) = _opened(folder).view().segments
    assert isinstance(segment.graph, HnswGraph)
    assert isinstance(segment.graph.links, FaissLinks)
    assert not segment.graph.links.index.hnsw.neighbors.is_owned


def _opened(folder: Path) -> VectorField:
    return VectorField(folder / "field", ENCODER, WALKED)


def _forget_totals(manifest: Path) -> None:
    """Make a manifest as older versions wrote it."""
    read = json.loads(manifest.read_bytes())
    for entry in read["segments"]:
        entry.pop("total", None)
    manifest.write_text(json.dumps(read))


def test_a_long_tail_is_sealed_in_parts(folder: Path) -> None:
    few = replace(SMALL, most_rows=20)
    with opened(folder / "archive", SetClock(), projections=few) as engine:
        for n in range(50):
            write(engine, make_item(f"urn:{n}"))
        engine.compact()
        assert sorted(engine.projections.fields["text"].segment_sizes) == [10, 20, 20]
        assert len(engine.retrieve(nearest(vector_of("urn:7/1"))).ids) == 50
