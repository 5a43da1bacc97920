"""Queries of more clauses than Lucene takes: what is left of them, and what is said."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import QueryError
from core.query_tree import EVERYTHING, Bool, Keyword, Node, Phrase, Prefix, Word
from core.retrieval import LexicalWeights, Retrieval
from storage.opensearch.query.long_queries import MOST_CLAUSES, Optional, clauses, folded
from storage.opensearch.query.query_dsl import Compiler
from storage.words.query_readings import PLAIN
from tests.storage.conformance.engine_under_test import PROPERTY
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.world import WIRE, SetClock, by_vector, make_item, vector_of, write

EVERY_FIELD = LexicalWeights(
    dict.fromkeys(("headline", "description", "body", "names"), 0.5), phrase=0.3, proximity=0.3
)
COMPILER = Compiler(("en",), ("en",), EVERY_FIELD)
MANY = 400


def some(chance: random.Random, count: int, beginnings: float) -> list[Node]:
    """Words, and so many beginnings among them."""
    return [
        Prefix("begins"[: chance.randint(2, 6)])
        if chance.random() < beginnings
        else Word(f"word{chance.randrange(1000)}")
        for _ in range(count)
    ]


def size(query: Node) -> int:
    return clauses(COMPILER.scored(query))


def held(nodes: Sequence[Optional]) -> list[int]:
    """A word is in as many items as its number says; beginnings are nobody's to count."""
    return [0 if isinstance(node, Prefix) else int(node.text[4:]) for node in nodes]


@settings(PROPERTY, max_examples=20)
@given(st.integers(0, 999), st.integers(1, MANY), st.sampled_from((0.0, 0.1, 1.0)))
def test_what_is_left_fits_and_is_the_rarest(seed: int, count: int, beginnings: float) -> None:
    chance = random.Random(seed)
    typed, required = some(chance, count, beginnings), some(chance, seed % 9, 0.0)
    query = Bool(must=(*required, Bool(should=tuple(typed))), must_not=(Word("word7"),))
    left, here, every = folded(query, size, held)
    assert size(left) <= MOST_CLAUSES
    assert isinstance(left, Bool)
    *kept, inner = left.must
    assert (kept, left.must_not) == (required, query.must_not)
    assert isinstance(inner, Bool)
    assert (len(inner.should), len(typed)) == (here, every)
    places = iter(typed)
    assert all(child in places for child in inner.should), "in the order that they were typed"
    if size(query) <= MOST_CLAUSES:
        assert left == query
        return
    gone = [node for node in typed if isinstance(node, Word) and node not in inner.should]
    kept_words = [node for node in inner.should if isinstance(node, Word)]
    most = max(held(kept_words), default=0)
    assert all(number == 0 or number >= most for number in held(gone))


def test_what_is_required_is_never_left_out() -> None:
    with pytest.raises(QueryError, match="more than an index can look for"):
        folded(Bool(must=tuple(Prefix(f"{n:04}") for n in range(MANY))), size, held)


@pytest.fixture(scope="module")
def _node(opensearch: str) -> Iterator[None]:
    with lending(opensearch):
        yield


@pytest.mark.cluster
@pytest.mark.usefixtures("_node")
def test_a_long_query_is_answered_by_its_rarest_words(folder: Path) -> None:
    engine = open_opensearch(folder, SetClock())
    try:
        write(engine, make_item("common", body=" ".join(f"word{n}" for n in range(MANY))))
        write(engine, make_item("rare", headline="zebra", body="a zebra"))
        write(engine, make_item("other", headline="harbour", urgency=1))
        near = (by_vector(vector_of("query")),)
        words = (*(Word(f"word{n}") for n in range(MANY)), Word("zebra"), Word("nowhere"))

        def ask(query: Node, weights: LexicalWeights = EVERY_FIELD) -> tuple[set[int], str]:
            request = Retrieval(query, WIRE, Keyword("type", ("text",)), near, lexical=weights)
            found = engine.retrieve(request)
            return {*found.ids[found.lexical_ranks > 0].tolist()}, "; ".join(found.degraded)

        assert ask(Bool(should=words[:150])) == ({1}, "")
        found, flag = ask(Bool(should=words))
        assert found == {1, 2}
        assert flag.startswith("lexical: the query is too long: ")
        assert flag.endswith(" of its 402 words are looked for, the rarest")
        assert 150 < int(flag.split()[6]) < 250, "as many as fit"
        assert ask(Bool(should=words), PLAIN)[0] == {1, 2}
        assert ask(Bool(must=(Word("zebra"),), should=words))[0] == {2}
        begun = Bool(should=tuple(Prefix(f"zeb{n}") for n in range(MANY)))
        assert engine.retrieve(Retrieval(begun, WIRE, vectors=near)).degraded
        phrases = Bool(must=tuple(Phrase(f"word{n} word{n + 1}") for n in range(MANY)))
        with pytest.raises(QueryError):
            engine.retrieve(Retrieval(phrases, WIRE, EVERYTHING, near, lexical=EVERY_FIELD))
    finally:
        engine.close()
