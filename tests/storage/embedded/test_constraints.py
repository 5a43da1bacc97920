"""What narrows the vectors' side is what each of its parts lets through, joined by AND, OR and NOT,
however much of it the index is asked at once.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.query_tree import Bool, Keyword, Node, Phrase, Prefix, Word
from core.writes import PutItem
from storage.embedded import retrieval
from storage.embedded.retrieval import Mask, Moment
from tests.conftest import new_folder
from tests.storage.conformance.engine_under_test import PROPERTY
from tests.storage.test_filter_equality import trees
from tests.storage.world import (
    SCANNED,
    WIRE,
    SetClock,
    make_item,
    nearest,
    opened,
    unit,
    vector_of,
    vectors,
)

WORDS = ("storm", "prime", "minister", "x-ray", "ray")
BODIES = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
WANTED = st.one_of(
    st.builds(Word, st.sampled_from((*WORDS, "absent")), st.sampled_from(("", "headline"))),
    st.just(Phrase("prime minister")),
    st.just(Prefix("sto")),
    st.builds(Keyword, st.just("urgency"), st.sampled_from((("1",), ("2",), ("1", "2")))),
)


@settings(PROPERTY, max_examples=60)
@given(st.lists(BODIES, min_size=1, max_size=6), st.lists(trees(WANTED), min_size=1, max_size=6))
def test_parts_together_are_as_each_alone(bodies: list[str], asked: list[Node]) -> None:
    folder = new_folder()
    try:
        with opened(folder, SetClock(), hnsw=SCANNED) as engine:
            items = [make_item(f"{n}", body=b, urgency=1 + n % 2) for n, b in enumerate(bodies)]
            engine.put([PutItem(item, ()) for item in items])
            engine.catch_up()
            moment = engine.moments.of(nearest(unit(1)))
            for tree in asked:
                visible = moment.view.visible
                together = visible & retrieval._mask(moment, tree)
                assert np.array_equal(together, visible & _alone(moment, tree)), tree
    finally:
        shutil.rmtree(folder)


@settings(PROPERTY, max_examples=40)
@given(st.lists(BODIES, min_size=1, max_size=12), st.lists(trees(WANTED), min_size=1, max_size=6))
def test_the_nearest_are_the_same_by_looking_them_up(bodies: list[str], asked: list[Node]) -> None:
    """As if each word had very many matches; some of the items are not indexed yet."""
    folder = new_folder()
    try:
        with opened(folder, SetClock(), hnsw=SCANNED) as engine:
            items = [make_item(f"{n}", body=b, urgency=1 + n % 2) for n, b in enumerate(bodies)]
            engine.put([PutItem(one, (vectors(vector_of(one.uri)),)) for one in items])
            engine.catch_up()
            engine.put([PutItem(make_item("new", body="storm"), (vectors(vector_of("new")),))])
            for tree in asked:
                request = replace(nearest(unit(1)), query=tree, vector_depth=2)
                whole = engine.retrieve(request)
                with patch.object(retrieval, "_MANY", -1):
                    looked_up = engine.retrieve(request)
                assert whole.ids.tolist() == looked_up.ids.tolist(), tree
                assert np.array_equal(whole.vectors[0].ranks, looked_up.vectors[0].ranks), tree
    finally:
        shutil.rmtree(folder)


@settings(PROPERTY, max_examples=30)
@given(st.lists(st.tuples(BODIES, st.booleans()), min_size=1, max_size=30), st.integers(1, 8))
def test_the_best_of_a_caller_are_the_same_out_of_all(
    stories: list[tuple[str, bool]], depth: int
) -> None:
    folder = new_folder()
    try:
        with opened(folder, SetClock(), hnsw=SCANNED) as engine:
            items = [
                make_item(f"{n}", body=body, products=("wire",) if wire else ("photos",))
                for n, (body, wire) in enumerate(stories)
            ]
            engine.put([PutItem(item, ()) for item in items])
            engine.catch_up()
            either = Bool(should=(Word("storm"), Word("ray")))
            request = replace(nearest(unit(1), WIRE), query=either, lexical_depth=depth)
            moment = engine.moments.of(request)
            within = retrieval._within_filters(moment, request)
            with patch.object(retrieval, "_WIDEST", 1000):
                out_of_all = retrieval._out_of_all(moment, request)
            if out_of_all is not None:
                assert out_of_all.ids.tolist() == within.ids.tolist()
                assert out_of_all.scores.tolist() == within.scores.tolist()
                assert out_of_all.bound == within.bound
    finally:
        shutil.rmtree(folder)


def _alone(moment: Moment, node: Node) -> Mask:
    """Leaf by leaf."""
    if not isinstance(node, Bool):
        return retrieval._mask(moment, node)
    mask = np.ones(len(moment.allowed), np.bool_)
    for child in node.must:
        mask &= _alone(moment, child)
    if node.should and not node.must:
        mask &= np.logical_or.reduce([_alone(moment, child) for child in node.should])
    for child in node.must_not:
        mask &= ~_alone(moment, child)
    return mask
