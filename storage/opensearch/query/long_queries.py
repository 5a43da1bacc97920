"""Shortens queries that have more words than Lucene takes.

A query may have 1,024 clauses in all (the node's `indices.query.bool.max_clause_count`). A word is
one clause for each field, language and kind of text, so a pasted page exceeds that. Its commonest
words say least (Robertson's idf) and are left out; the answer names that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from core.errors import QueryError
from core.query_tree import Bool, Node, Phrase, Prefix, Word
from storage.words.apart_words import EVERY_TEXT, Held
from storage.words.query_readings import read_beside, text_readings

MOST_CLAUSES = 1_000  # fewer than 1,024, because Lucene adds some of its own
_LEAVES: Mapping[str, int] = {
    "exists": 1,
    "knn": 1,
    "match_all": 1,
    "match_none": 1,
    "match_phrase": 1,
    "prefix": 1,
    "range": 2,  # Lucene makes two: by points and by columns
    "regexp": 1,
    "term": 1,
    "terms": 1,
}
Optional = Word | Phrase | Prefix
Size = Callable[[Node], int]
Counts = Callable[[Sequence[Optional]], Sequence[int]]


def clauses(query: Any) -> int:
    """Return how many clauses Lucene counts in a compiled query or a list of them."""
    if isinstance(query, dict):
        return sum(
            _LEAVES[name] if name in _LEAVES else clauses(part) for name, part in query.items()
        )
    return sum(map(clauses, query)) if isinstance(query, list) else 0


def folded(query: Node, size: Size, counts: Counts) -> tuple[Node, int, int]:
    """Leave out optional words until `size` counts at most MOST_CLAUSES; return the query, how many
    optional words are left, and how many there were. `counts` returns in how many items each is.
    Words of no item go first, then the commonest, then beginnings of words, the shortest first.
    Raises QueryError if the words that are not optional are too many.
    """
    optional = list(_optional(query))
    worth = list(map(_worth, optional, counts(optional)))
    order = sorted(range(len(optional)), key=worth.__getitem__)

    def fits(count: int) -> bool:
        return size(_without(query, frozenset(order[:count]))) <= MOST_CLAUSES

    least = bisect_left(range(len(order) + 1), True, key=fits)
    if least > len(order):
        raise QueryError(
            "the query asks for more than an index can look for at once",
            where="q",
            mend="leave out some of the words or beginnings that it requires or excludes",
        )
    left = _without(query, frozenset(order[:least]))
    return left, sum(1 for _ in _optional(left)), len(optional)


def count_of(node: Optional, languages: Sequence[str], held: Held) -> int:
    """Return in how many items the rarest term of a node is, for its commonest reading; 0 for a
    prefix, which has no count.
    """
    if isinstance(node, Prefix):
        return 0
    fields = (node.field, *read_beside(node.field)) if node.field else EVERY_TEXT
    return max(
        (
            min(held(field, term) for term in terms)
            for terms in text_readings(node.text, languages)
            for field in fields
        ),
        default=0,
    )


def _worth(node: Optional, count: int) -> tuple[bool, float]:
    """Return the sort key of a node; nodes with the smallest key are left out first."""
    if isinstance(node, Prefix):
        return True, len(node.text)
    return False, 1 / count if count else 0.0


def _optional(node: Node) -> Iterator[Optional]:
    """Yield the words, phrases and prefixes in lists of alternatives (`should`), in order."""
    if isinstance(node, Bool):
        for child in node.must:
            yield from _optional(child)
        for child in node.should:
            if isinstance(child, Word | Phrase | Prefix):
                yield child
            else:
                yield from _optional(child)


def _without(query: Node, left_out: frozenset[int]) -> Node:
    """Return the query without the optional nodes at the places `left_out`; no list gets empty."""
    places = iter(range(len(list(_optional(query)))))

    def kept(node: Node) -> Node:
        if not isinstance(node, Bool):
            return node
        must = tuple(map(kept, node.must))
        should = tuple(
            (next(places) in left_out, child)
            if isinstance(child, Word | Phrase | Prefix)
            else (False, kept(child))
            for child in node.should
        )
        stay = tuple(child for out, child in should if not out)
        return Bool(must, stay or node.should[:1], node.must_not)

    return kept(query)
