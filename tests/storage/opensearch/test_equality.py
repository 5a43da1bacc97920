"""The two engines side by side: the same archive and the same requests, whatever the tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.callers import Caller
from core.items import Concept, Item, Shot
from core.media_words import Look, SeenText, Utterance
from core.ports.engine import Engine
from core.query_tree import APART, Bool, Keyword, Node, Phrase, Prefix, Word
from core.retrieval import LexicalWeights, Retrieval, Retrieved
from core.writes import PutItem
from tests.conftest import new_folder
from tests.storage.conformance.engine_under_test import PROPERTY
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.world import (
    SCANNED,
    SetClock,
    by_vector,
    make_item,
    opened,
    vector_of,
    vectors,
)

STEMS = ("ferry", "storm", "flood", "minister", "prime", "harbour", "night", "union", "the", "of")
PHOTOS = Caller("both", frozenset({"wire", "photos"}))
WIRE = Caller("wire", frozenset({"wire"}))


def found_in_media(number: int) -> dict[str, Any]:
    """Words that are heard, read or seen in every fourth item, and the agency's script in some."""
    kind, heard = number % 16, (Utterance(0, 1, "the storm at night"), Utterance(1, 2, "a ferry"))
    found: dict[int, dict[str, Any]] = {
        0: {"speech": heard, "speech_by": "m"},
        4: {"speech": heard},
        8: {"seen": (SeenText("UNION FERRY", (0, 0, 1, 1)),), "seen_by": "m"},
        12: {"looks": (Look("harbour", 0.5), Look("ferry", 0.9)), "looks_by": "m"},
    }
    return found.get(kind, {})


def archive() -> list[Item]:
    """Stories that have every text field, so that both engines reckon with equal averages."""
    rng = np.random.default_rng(11)

    def words(count: int) -> str:
        return " ".join(rng.choice(STEMS, count)) + "s x-rays"

    return [
        make_item(
            f"urn:{number}",
            headline=words(5),
            description=words(9),
            body=words(int(rng.integers(10, 90))),
            person=(Concept(f"Ana {STEMS[number % 7]}"),),
            language="de" if number % 13 == 0 else "en",
            urgency=1 + number % 4,
            products=("photos",) if number % 5 == 0 else ("wire",),
            shots=(Shot(0, 1, 0, 24, description="a ferry at night", described_by="m"),)
            if number % 6 == 0
            else (),
            **found_in_media(number),
        )
        for number in range(60)
    ]


@pytest.fixture(scope="module")
def both(opensearch: str) -> Iterator[tuple[Engine, Engine]]:
    folder = new_folder()
    with lending(opensearch), _filled(folder) as engines:
        yield engines


@contextmanager
def _filled(folder: Path) -> Iterator[tuple[Engine, Engine]]:
    (folder / "one").mkdir()
    (folder / "two").mkdir()
    with opened(folder / "one", SetClock(), hnsw=SCANNED) as embedded:
        cluster = open_opensearch(folder / "two", SetClock())
        try:
            for engine in (embedded, cluster):
                engine.put([PutItem(i, (vectors(vector_of(i.uri)),)) for i in archive()])
                engine.catch_up()
            yield embedded, cluster
        finally:
            cluster.close()


_words = st.sampled_from((*STEMS, "floods", "x-ray", "the-ferry", "of-the", "ministers", "nowhere"))
_fields = st.sampled_from(("", "", "", "headline", "description", "body", "names", *APART))
_texts: st.SearchStrategy[Node] = st.one_of(
    st.builds(Word, _words, _fields, st.sampled_from((1.0, 1.0, 2.5))),
    st.builds(Phrase, st.lists(_words, min_size=2, max_size=3).map(" ".join), _fields, st.just(0)),
    # Of one word: where words go before the beginning, Lucene takes another average length for
    # fields without frequencies than tantivy, which moves the score in the third place.
    st.builds(Prefix, st.sampled_from(STEMS).map(lambda word: word[:3]), _fields),
    st.builds(Keyword, st.just("urgency"), st.sampled_from((("1",), ("2", "3"), ()))),
)


def _branches(children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    few = st.lists(children, max_size=3).map(tuple)
    return st.builds(Bool, few, few, few)


TREES = st.recursive(_texts, _branches, max_leaves=6)
WEIGHTS = st.sampled_from(
    (
        LexicalWeights(),
        LexicalWeights(apart={}),
        LexicalWeights({"headline": 0.5, "names": 0.2}, phrase=0.4),
    )
)


@settings(PROPERTY, max_examples=120)
@given(TREES, WEIGHTS, st.sampled_from((WIRE, PHOTOS)), st.booleans())
def test_the_same_request_gets_the_same_answer(
    both: tuple[Engine, Engine],
    query: Node,
    weights: LexicalWeights,
    caller: Caller,
    narrowed: bool,
) -> None:
    near = (by_vector(vector_of("query"), 0.5),)
    filters = Keyword("urgency", ("1", "2"))
    request = Retrieval(query, caller, vectors=near, lexical=weights, vector_depth=30)
    if narrowed:
        request = replace(request, filters=filters)
    ours, theirs = (engine.retrieve(request) for engine in both)
    _are_equal(ours, theirs)


def _are_equal(ours: Retrieved, theirs: Retrieved) -> None:
    assert theirs.degraded == ours.degraded == ()
    assert theirs.lexical_matches == ours.lexical_matches
    assert sorted(theirs.ids.tolist()) == sorted(ours.ids.tolist())
    order, same = np.argsort(ours.ids), np.argsort(theirs.ids)
    scores, others = ours.bm25[order], theirs.bm25[same]
    assert others == pytest.approx(scores, rel=1e-3, abs=1e-3, nan_ok=True)
    assert theirs.lexical_bound == pytest.approx(ours.lexical_bound, rel=1e-3)
    assert theirs.lexical_seen == pytest.approx(ours.lexical_seen, rel=1e-3)
    for mine, yours in zip(ours.vectors, theirs.vectors, strict=True):
        assert yours.cosines[same] == pytest.approx(mine.cosines[order], abs=1e-6)
        assert yours.ranks[same].tolist() == mine.ranks[order].tolist()
        assert yours.passages[same].tolist() == mine.passages[order].tolist()
        assert yours.background == pytest.approx(mine.background, abs=1e-5)
