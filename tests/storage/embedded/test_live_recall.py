"""Served searches that are compared with the exact scan: whole and damaged graphs, filters, rights,
and that no search waits for a comparison.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest

from core.callers import Caller
from core.items import PubStatus
from core.query_tree import Keyword
from core.writes import PutItem
from storage.embedded.engine import EmbeddedEngine
from storage.embedded.live_recall import RecallChecks
from storage.embedded.vectors.merge_plan import ProjectionSettings
from storage.graphs.builders import FAISS_FILE
from storage.graphs.faiss_hnsw import FaissLinks
from storage.graphs.graph import HnswGraph
from tests.storage.world import (
    FIELD,
    WALKED,
    WIRE,
    SetClock,
    change,
    lexical,
    make_item,
    nearest,
    open_embedded,
    vector_of,
    vectors,
)

ITEMS = 1000
LONG_S = 60.0
WHOLE = ProjectionSettings(seal_rows=10**6, build_threads=1)
GRAPH = replace(WALKED, exact_below=0)


@pytest.fixture
def engine(folder: Path) -> Iterator[EmbeddedEngine]:
    """One graph of items on the wire, of which every fiftieth is in another product too."""
    engine = open_embedded(folder, SetClock(), projections=WHOLE, hnsw=GRAPH)
    for start in range(0, ITEMS, 500):
        engine.put([_put(number) for number in range(start, start + 500)])
    engine.compact()
    yield engine
    engine.close()


def _put(number: int) -> PutItem:
    products = ("wire", "rare") if number % 50 == 0 else ("wire",)
    item = make_item(f"urn:{number}", products=products, rights=(f"key {number % 250}",))
    return PutItem(item, (vectors(vector_of(f"urn:{number}")),))


def _damage(engine: EmbeddedEngine, folder: Path) -> None:
    """Cut most links of the graph, as a defect of a build would."""
    (segment,) = engine.projections.fields[FIELD].view().segments
    graph = segment.graph
    assert isinstance(graph, HnswGraph)
    (file,) = folder.glob(f"projections/vectors/{FIELD}/*/{FAISS_FILE}")
    index = faiss.read_index(str(file))  # owned, where the segment's own is mapped
    links = faiss.vector_to_array(index.hnsw.neighbors).copy()
    links[np.random.default_rng(1).random(len(links)) < 0.9] = -1
    faiss.copy_array_to_vector(links, index.hnsw.neighbors)
    graph.links = FaissLinks(index)


def _mean_recall(engine: EmbeddedEngine) -> float:
    found = [one for n in range(40) for one in engine.recall(nearest(vector_of(f"query {n}")))]
    assert {one.wanted for one in found} == {10}
    return float(np.mean([one.found / one.wanted for one in found]))


def test_a_whole_graph_finds_nearly_all_and_a_damaged_one_is_found_out(
    engine: EmbeddedEngine, folder: Path
) -> None:
    assert _mean_recall(engine) > 0.97
    _damage(engine, folder)
    assert _mean_recall(engine) < 0.8


def test_only_what_the_caller_may_see_within_the_filters_counts(engine: EmbeddedEngine) -> None:
    few = Caller("few", frozenset({"rare"}))
    request = nearest(vector_of("urn:0"), few, Keyword("rights", ("key 0",)))
    (one,) = engine.recall(request)
    assert (one.found, one.wanted) == (4, 4)
    change(engine, "urn:0", pubstatus=PubStatus.WITHHELD)
    (one,) = engine.recall(request)
    assert (one.found, one.wanted) == (3, 3)
    nobody = Caller("nobody", frozenset())
    assert engine.recall(nearest(vector_of("urn:0"), nobody)) == ()


class Observer:
    """Keeps what it is told, and lets a test hold a check."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []
        self.come = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, field: str, found: int, wanted: int) -> None:
        self.told.append((field, found, wanted))
        self.come.set()
        assert self.go_on.wait(LONG_S)


def test_searches_go_on_while_one_is_checked(engine: EmbeddedEngine) -> None:
    observer = Observer()
    checks = RecallChecks(1.0, observer, most=1.0)
    engine.check_recall(checks)
    engine.retrieve(lexical(Keyword("rights", ("key 1",))))  # has no vectors
    request = nearest(vector_of("urn:7"))
    first = engine.retrieve(request)
    assert observer.come.wait(LONG_S)
    assert checks.chosen(request) is None  # one at a time
    again = engine.retrieve(request)
    assert np.array_equal(first.ids, again.ids)
    assert observer.told == [(FIELD, 10, 10)]
    observer.go_on.set()


def test_a_failed_check_harms_no_search(engine: EmbeddedEngine) -> None:
    come = threading.Event()

    def failing(*_: object) -> None:
        come.set()
        raise ValueError

    checks = RecallChecks(1.0, failing, most=1.0)
    engine.check_recall(checks)
    for _ in range(2):  # the thread goes on after a failure
        come.clear()
        while checks.chosen(nearest(vector_of("urn:7"))) is None:
            time.sleep(0.001)  # the check before it rests
        assert len(engine.retrieve(nearest(vector_of("urn:7"))).ids)
        assert come.wait(LONG_S)


def test_none_is_chosen_without_a_share(engine: EmbeddedEngine) -> None:
    assert RecallChecks(0.0, lambda *_: None).chosen(nearest(vector_of("a"))) is None
    chosen = RecallChecks(1.0, lambda *_: None).chosen(nearest(vector_of("a"), WIRE))
    assert chosen is not None
    assert chosen.vectors[0].encode() is chosen.vectors[0].encode()
