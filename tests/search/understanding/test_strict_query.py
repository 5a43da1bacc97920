"""The strict form of queries, and which queries are no filters."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import QueryError
from core.query_tree import Bool, Keyword, Node, Phrase, Prefix, Word, constraint
from search.understanding.language import parse
from search.understanding.strict_query import strict_query, strict_tree

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "strict"),
    [
        ("ferry", '"ferry"'),
        ("ferry accident", '"ferry" AND "accident"'),
        ("ferry, U.S. don't 3.5 x-y.", '"ferry" AND "U.S" AND "don\'t" AND "3.5" AND "x-y"'),
        ("a NOT b", '"a" AND NOT "b"'),
        ("-a +b", '-"a" AND +"b"'),
        ("ferry (a b) OR c", '"ferry" AND ("a" AND "b") OR "c"'),
        ('"a b"~3 c*', '"a b"~3 AND c*'),
        ("headline:(a b) c", 'headline:("a" AND "b") AND "c"'),
        ('subject:"central bank" date:[2024-01 TO 2024-02] x',
         'subject:"central bank" AND date:[2024-01 TO 2024-02] AND "x"'),
        ("a - b && c", '"a" AND "b" AND "c"'),
        ('say "x AND (y" z', '"say" AND "x AND (y" AND "z"'),
        ("  ", ""),
    ],
)  # fmt: skip
def test_the_strict_form(query: str, strict: str) -> None:
    assert strict_query(query) == strict
    assert strict_query(strict) == strict


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("ferry", Phrase("ferry")),
        ("ferry fire", Bool(must=(Phrase("ferry"), Phrase("fire")))),
        ("ferry OR fire", Bool(should=(Phrase("ferry"), Phrase("fire")))),
        ("fer*", Prefix("fer")),
        ("headline:ferry", Word("ferry", "headline")),
        ("language:de", Keyword("language", ("de",))),
        ("NOT ferry", Bool(must_not=(Phrase("ferry"),))),
        ("last week", Bool(must=(Phrase("last"), Phrase("week")))),
    ],
)
def test_the_tree_of_it(query: str, tree: Node) -> None:
    assert strict_tree(query, NOW) == tree


@pytest.mark.parametrize(
    "query",
    ["", "  ", "*", "- !", '"ferry', "fery~", "a AND", "x" * 5000, "a?b", "a\\:b", "x:y"],
)
def test_what_is_no_filter_is_refused(query: str) -> None:
    with pytest.raises(QueryError) as raised:
        strict_tree(query, NOW)
    assert raised.value.mend


@given(st.text(st.sampled_from('ab "()+-*:~^ANDORT.[]'), max_size=30))
def test_any_text_is_read_or_refused(query: str) -> None:
    try:
        tree = strict_tree(query, NOW)
    except QueryError:
        return
    assert parse(strict_query(query)).notes == ()
    assert is_whole(tree)


def is_whole(node: Node) -> bool:
    """Whether a tree constrains in each of its parts, also in a search that ranks."""
    if isinstance(node, Bool):
        return all(map(is_whole, (*node.must, *node.should, *node.must_not)))
    return constraint(node) == node
