"""Exact cosines from the record: as plain arithmetic has them, whatever is kept of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.items import FloatMatrix
from storage.opensearch.query import exact as exact_cosines
from storage.opensearch.query.exact import ExactCosines
from storage.record.port import RecordReads
from tests.storage.conformance.engine_under_test import PROPERTY
from tests.storage.world import ENCODER, FIELD, WIDTH, unit, vector_of

COUNT = 40
# The first passages are not the best ones; every seventh version has none, every fifth isn't there.
MATRICES: dict[int, FloatMatrix] = {
    seq: np.concatenate([vector_of(f"{seq}/{n}") for n in range(1 + seq % 4)])
    .astype(np.float16)
    .astype(np.float32)
    if seq % 7
    else np.zeros((0, 0), np.float32)
    for seq in range(1, COUNT)
    if seq % 5
}
ROW = WIDTH * 4  # bytes


class Reads:
    """The vectors of a record, and which of them were asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def vectors_by_seq(
        self, field: str, encoder: str, seqs: Sequence[int]
    ) -> Iterator[tuple[int, FloatMatrix]]:
        assert (field, encoder) == (FIELD, ENCODER)
        self.asked += seqs
        return ((seq, MATRICES[seq]) for seq in seqs if seq in MATRICES)


def over(reads: Reads, most_bytes: int) -> ExactCosines:
    return ExactCosines(lambda: cast("RecordReads", reads), FIELD, ENCODER, most_bytes)


@PROPERTY
@given(
    st.lists(st.lists(st.integers(1, COUNT + 5), unique=True, max_size=12), max_size=12),
    st.sampled_from((0, ROW, 20 * ROW, 10**6)),
)
def test_the_best_passage_of_each_version(searches: list[list[int]], most_bytes: int) -> None:
    reads, query = Reads(), vector_of("query")
    exact = over(reads, most_bytes)
    for seqs in searches:
        cosines, numbers = exact.best_passages(query, np.array(seqs, np.int64))
        for place, seq in enumerate(seqs):
            values = MATRICES[seq] @ query[0] if len(MATRICES.get(seq, ())) else []
            if not len(values):
                assert np.isnan(cosines[place])
                assert numbers[place] == -1
            else:
                assert cosines[place] == pytest.approx(float(max(values)), abs=1e-5)
                assert numbers[place] == int(np.argmax(values))


def test_what_was_asked_for_lately_is_not_read_again() -> None:
    reads = Reads()
    exact = over(reads, 10**6)
    some = np.array([1, 2, 3, 4], np.int64)
    first = exact.best_passages(unit(1), some)
    assert exact.best_passages(unit(1), some[::-1].copy())[0].tolist() == first[0][::-1].tolist()
    assert reads.asked == [1, 2, 3, 4]


def test_no_more_is_kept_than_may_be() -> None:
    reads = Reads()
    exact = over(reads, 4 * ROW)
    for _ in range(2):
        for seq in MATRICES:
            exact.best_passages(unit(1), np.array([seq], np.int64))
    assert len(reads.asked) > 1.5 * len(MATRICES), "what was long ago is read again"


PAGE = 4


@pytest.fixture
def in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_cosines, "_PAGE", PAGE)


@pytest.mark.usefixtures("in_pages")
def test_the_newest_are_read_before_they_are_asked_for() -> None:
    reads = Reads()
    exact = over(reads, 10**6)
    while exact.read_ahead(lambda: COUNT):
        pass
    assert reads.asked[:PAGE] == [37, 38, 39, 40], "the newest first"
    assert sorted(reads.asked) == [*range(1, COUNT + 1)]
    reads.asked.clear()
    with_vectors = [seq for seq, matrix in MATRICES.items() if len(matrix)]
    cosines, _ = exact.best_passages(vector_of("query"), np.array(with_vectors, np.int64))
    assert not np.isnan(cosines).any()
    assert not reads.asked


@pytest.mark.usefixtures("in_pages")
@pytest.mark.parametrize(("rows", "pages"), [(0, 1), (1, 1), (24, 4), (10**6, 10)])
def test_no_more_is_read_ahead_than_there_is_room_for(rows: int, pages: int) -> None:
    reads = Reads()
    exact = over(reads, 2 * rows * ROW)
    while exact.read_ahead(lambda: COUNT):
        pass
    assert len(reads.asked) == pages * PAGE
    cosines, _ = exact.best_passages(vector_of("query"), np.array([1, 2], np.int64))
    assert cosines[0] == pytest.approx(float((MATRICES[1] @ vector_of("query")[0]).max()), abs=1e-5)
