"""What narrows the vectors' side is what each of its parts lets through, joined by AND, OR and NOT,
however much of it the index is asked at once.
"""

from __future__ import annotations

import shutil

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
from tests.storage.world import SCANNED, SetClock, make_item, nearest, opened, unit

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
