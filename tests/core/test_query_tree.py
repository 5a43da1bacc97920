from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.query_tree import (
    EVERYTHING,
    Bool,
    DateRange,
    Everything,
    Keyword,
    Node,
    Nothing,
    Phrase,
    Prefix,
    Word,
    all_of,
    constraint,
    is_fact,
)

WORD, OTHER = Word("ferry"), Word("quay")
FIELDED = Word("ferry", "headline")
PHRASE, PREFIX = Phrase("cold furnaces"), Prefix("solv")
FACT = Keyword("type", ("picture",))
DATES = DateRange("versioncreated", datetime(2024, 1, 1, tzinfo=UTC), None)


@pytest.mark.parametrize(
    ("node", "needed"),
    [
        (WORD, EVERYTHING),
        (EVERYTHING, EVERYTHING),
        (FIELDED, FIELDED),
        (PHRASE, PHRASE),
        (PREFIX, PREFIX),
        (FACT, FACT),
        (DATES, DATES),
        (Nothing(), Nothing()),
        (Bool(), EVERYTHING),
        (Bool(should=(WORD, OTHER)), EVERYTHING),
        (Bool(should=(WORD, PHRASE)), EVERYTHING),
        (Bool(should=(PHRASE, FACT)), Bool(should=(PHRASE, FACT))),
        (Bool(should=(FIELDED, FIELDED)), Bool(should=(FIELDED, FIELDED))),
        (Bool(should=(FACT, EVERYTHING)), EVERYTHING),
        (Bool(must=(WORD,)), WORD),
        (Bool(must=(WORD, OTHER)), Bool(must=(WORD, OTHER))),
        (Bool(must=(WORD,), should=(OTHER,)), WORD),
        (Bool(must=(PHRASE,), should=(PHRASE, FACT)), PHRASE),
        (Bool(must=(EVERYTHING,), should=(WORD,)), EVERYTHING),
        (Bool(must_not=(WORD,)), Bool(must_not=(WORD,))),
        (Bool(should=(OTHER,), must_not=(WORD,)), Bool(must_not=(WORD,))),
        (
            Bool(should=(PHRASE,), must_not=(WORD,)),
            Bool(must=(Bool(should=(PHRASE,)), Bool(must_not=(WORD,)))),
        ),
        (
            Bool(must=(FACT,), must_not=(WORD,)),
            Bool(must=(FACT, Bool(must_not=(WORD,)))),
        ),
        (
            Bool(should=(Bool(must=(WORD, OTHER)), PHRASE)),
            Bool(should=(Bool(must=(WORD, OTHER)), PHRASE)),
        ),
        (Bool(should=(Bool(must=(WORD, OTHER)), WORD)), EVERYTHING),
    ],
    ids=repr,
)
def test_what_an_answer_must_satisfy(node: Node, needed: Node) -> None:
    assert constraint(node) == needed


@pytest.mark.parametrize(
    ("node", "fact"),
    [
        (FACT, True),
        (DATES, True),
        (EVERYTHING, True),
        (WORD, False),
        (FIELDED, False),
        (PHRASE, False),
        (PREFIX, False),
        (Nothing(), False),
        (Bool(), True),
        (Bool(must=(FACT, DATES)), True),
        (Bool(should=(FACT, DATES), must_not=(FACT,)), True),
        (Bool(must=(FACT, WORD)), False),
        (Bool(must=(FACT,), should=(WORD,)), False),
        (Bool(must_not=(WORD,)), False),
        (Bool(must=(Bool(should=(Bool(must_not=(FACT,)),)),)), True),
        (Bool(must=(Bool(should=(Bool(must_not=(WORD,)),)),)), False),
    ],
    ids=repr,
)
def test_what_asks_for_facts_only(node: Node, fact: bool) -> None:
    assert is_fact(node) is fact


@pytest.mark.parametrize(
    ("nodes", "together"),
    [
        ((), EVERYTHING),
        ((EVERYTHING, Everything()), EVERYTHING),
        ((FACT,), FACT),
        ((FACT, EVERYTHING), FACT),
        ((FACT, WORD), Bool(must=(FACT, WORD))),
        ((Nothing(), FACT), Bool(must=(Nothing(), FACT))),
    ],
)
def test_conjunctions_are_flat(nodes: tuple[Node, ...], together: Node) -> None:
    assert all_of(*nodes) == together


def test_trees_are_keys() -> None:
    """Masks are cached by node: equal trees must be one key, and others must not."""
    tree = Bool(must=(FACT,), must_not=(Phrase("a", slop=1),))
    same = Bool(must=(Keyword("type", ("picture",)),), must_not=(Phrase("a", slop=1),))
    other = Bool(must=(FACT,), must_not=(Phrase("a", slop=2),))
    assert len({tree, same, other}) == 2
