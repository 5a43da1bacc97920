"""One filter, three readings: of the index of words, of the facts, of the search of vectors, and
plain Python over the items. In the embedded engine these are tantivy, the columns and the exact
scan behind them; in the cluster engine a query, what is read from the record, and filtered k-NN.

`conformance.py` proves the same through whole searches; here the parts are asked by themselves and
with deeper trees, so that a difference names the part that differs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.callers import Caller
from core.items import Item
from core.query_tree import (
    DATE_FIELDS,
    KEYWORD_FIELDS,
    Bool,
    DateRange,
    Keyword,
    Node,
    all_of,
)
from core.writes import PutItem
from storage.embedded.engine import EmbeddedEngine
from storage.opensearch.engine import OpenSearchEngine
from tests.conftest import new_folder
from tests.storage import model
from tests.storage.conformance.engine_under_test import PROPERTY
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.world import (
    FIELD,
    SCANNED,
    SetClock,
    nearest,
    opened,
    unit,
    vector_of,
    vectors,
)


def asked_of(items: Iterable[Item]) -> st.SearchStrategy[Node]:
    """Facts that some of the items have, so that trees of them seldom hold nothing or all."""
    leaves: list[st.SearchStrategy[Node]] = []
    for field in KEYWORD_FIELDS:
        values = sorted({key for item in items for key in model.keys_of(item, field)}) or ["none"]
        some = st.lists(st.sampled_from([*values, "nobody"]), min_size=1, max_size=2).map(tuple)
        leaves.append(st.builds(Keyword, st.just(field), some))
    for field in DATE_FIELDS:
        moments = sorted({getattr(item, field) for item in items})
        edges = st.none() | st.sampled_from(
            [moment + step for moment in moments for step in (timedelta(0), timedelta.resolution)]
        )
        leaves.append(st.builds(DateRange, st.just(field), edges, edges))
    return st.one_of(leaves)


def trees(leaves: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    """AND, OR, NOT and clauses of all three kinds, at any depth."""

    def grown(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        few = st.lists(inner, min_size=1, max_size=3).map(tuple)
        some = st.lists(inner, max_size=2).map(tuple)
        return st.one_of(
            few.map(lambda nodes: all_of(*nodes)),
            few.map(lambda nodes: Bool(should=nodes)),
            inner.map(lambda node: Bool(must_not=(node,))),
            st.builds(Bool, some, some, some),
        )

    return st.recursive(leaves, grown, max_leaves=12)


@settings(PROPERTY, max_examples=30)
@given(st.data())
def test_words_vectors_and_a_dict_agree_on_every_filter(data: st.DataObject) -> None:
    items = data.draw(model.items_with_facts())
    folder = new_folder()
    try:
        with opened(folder, SetClock(), hnsw=SCANNED) as engine:
            engine.put([PutItem(item, (vectors(vector_of(item.uri)),)) for item in items])
            engine.catch_up()
            for _ in range(5):
                _agree(engine, items, data.draw(trees(asked_of(items))))
    finally:
        shutil.rmtree(folder)


def _agree(engine: EmbeddedEngine, items: list[Item], tree: Node) -> None:
    """Who may see what plays no part here: items of no product count, too."""
    wanted = {item.uri for item in items if model.matches(tree, item)}
    moment = engine.moments.of(nearest(unit(1), filters=tree))
    mask = moment.view.visible & moment.view.columns.facts_mask(tree, len(moment.allowed))
    hits = moment.fields[FIELD].search(unit(1), len(items), mask)
    uris = dict(engine.record.reader.execute("SELECT seq, uri FROM items").fetchall())
    readings = {
        "tantivy": moment.lexical.matching(tree),
        "columns": np.flatnonzero(mask),
        "vectors": hits.ids,
    }
    found = {name: {uris[seq] for seq in ids.tolist()} for name, ids in readings.items()}
    assert found == dict.fromkeys(readings, wanted), tree


@pytest.fixture(scope="module")
def node(opensearch: str) -> Iterator[None]:
    with lending(opensearch):
        yield


@pytest.mark.usefixtures("node")
def test_a_node_agrees_on_every_filter() -> None:
    @settings(PROPERTY, max_examples=8)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        items = data.draw(model.items_with_facts())
        folder = new_folder()
        engine = open_opensearch(folder, SetClock())
        try:
            engine.put([PutItem(item, (vectors(vector_of(item.uri)),)) for item in items])
            engine.catch_up()
            for _ in range(5):
                _agree_on_a_node(engine, items, data.draw(trees(asked_of(items))))
        finally:
            engine.close()
            shutil.rmtree(folder)

    check()


def _agree_on_a_node(engine: OpenSearchEngine, items: list[Item], tree: Node) -> None:
    """Vectors are asked for by callers only, so an item of no product is not among them."""
    matching = [item for item in items if model.matches(tree, item)]
    wanted = {item.uri for item in matching}
    reads, view = engine.record.reads, engine._views.current
    uris = {reads.seq_of(item.uri, item.version) or 0: item.uri for item in items}
    query = {"bool": {"filter": [view.condition(tree)]}}
    (reply,) = view.searcher.ask([{"size": len(items), "query": query}])
    everything = np.array(sorted(uris), np.int64)
    readings = {
        "query": {uris[int(hit["_id"])] for hit in reply["hits"]["hits"]},
        "facts": {uris[seq] for seq in view.catalogue.facts.satisfying(everything, tree)},
    }
    assert readings == dict.fromkeys(readings, wanted), tree
    caller = Caller("all", frozenset(code for item in items for code in item.products))
    found = engine.retrieve(nearest(unit(1), caller, tree)).ids.tolist()
    assert {uris[seq] for seq in found} == {item.uri for item in matching if item.products}, tree
