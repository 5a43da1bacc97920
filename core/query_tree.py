"""The tree that a query and its filters become. Both engines compile it.

    node ──┬─ Word, Phrase, Prefix     text, in one field or in all of them; scored by BM25
           ├─ Keyword, DateRange       exact facts of an item; never scored
           ├─ Recorded                 when the archive took a version in, as numbers of versions
           ├─ Everything, Nothing
           └─ Bool(must, should, must_not)   Lucene's three kinds of clause

A node's *constraint* is what an answer must satisfy whatever its score: everything but bare words.
The constraint of a Bool is its `must` and `must_not` clauses. Its `should` clauses only rank beside
a `must`; without a `must`, one of them has to hold, unless one is satisfied by any item.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from core.query_fields import FACT, ID

MACHINE, SPEECH, SCRIPT = "machine", "speech", "script"
# Fields that are no part of an item's text, and are weighed apart from it: what machines say of
# pictures and shots, what is heard, read and seen in media, and the name of a file.
APART = (MACHINE, SPEECH, "seen", "looks", "filename")
# SCRIPT is the agency's own words of what is said; a query for the field SPEECH reads both.
TEXT_FIELDS = ("headline", "description", "body", "names", SCRIPT, *APART)
KEYWORD_FIELDS = (
    "type",
    "subject",
    "person",
    "organisation",
    "place",
    "language",
    "product",
    "rights",
    "source",
    "credit",
    "orientation",
    "size",
    "urgency",
    FACT,
    ID,
)
DATE_FIELDS = ("versioncreated", "firstcreated")
ARRIVED = "arrived"  # a field of a DateRange only until an engine makes it a Recorded


@dataclass(frozen=True, slots=True)
class Word:
    """One bare word; `field` "" means all text fields."""

    text: str
    field: str = ""
    boost: float = 1.0


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words in order, at most `slop` positions apart from that order."""

    text: str
    field: str = ""
    slop: int = 0
    boost: float = 1.0


@dataclass(frozen=True, slots=True)
class Prefix:
    """Words that begin with `text` (written `text*`)."""

    text: str
    field: str = ""
    boost: float = 1.0


@dataclass(frozen=True, slots=True)
class Keyword:
    """`field` has one of `values`, compared casefolded and whole."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DateRange:
    """`field` lies in [since, until); None leaves that side open. Times are aware, in UTC."""

    field: str
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A version with a number above `after` and up to `upto`; None leaves that side open. Numbers
    rise in the order of recording, so an engine makes this of times of arrival (`with_arrivals`).
    """

    after: int | None
    upto: int | None


@dataclass(frozen=True, slots=True)
class Everything:
    """Matches every item, with score 0."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Matches no item. It replaces words that the analyzer drops."""


@dataclass(frozen=True, slots=True)
class Bool:
    """All of `must` and none of `must_not`; without a `must`, at least one of `should`."""

    must: tuple[Node, ...] = ()
    should: tuple[Node, ...] = ()
    must_not: tuple[Node, ...] = ()


Node = Word | Phrase | Prefix | Keyword | DateRange | Recorded | Everything | Nothing | Bool
EVERYTHING = Everything()
NOTHING: Node = Bool(must_not=(EVERYTHING,))  # a fact that no item has


def all_of(*nodes: Node) -> Node:
    """Return the conjunction of `nodes`, flat; Everything if there are no nodes."""
    kept = tuple(node for node in nodes if not isinstance(node, Everything))
    if len(kept) == 1:
        return kept[0]
    return Bool(must=kept) if kept else EVERYTHING


def constraint(node: Node) -> Node:
    """Return the constraint that an answer must satisfy, whatever its score; `Everything` for a
    node that only ranks.
    """
    match node:
        case Everything() | Word(field=""):
            return EVERYTHING
        case Word() | Phrase() | Prefix() | Keyword() | DateRange() | Recorded() | Nothing():
            return node
        case Bool(must, should, must_not):
            needed = must or (_one_of(should),)
            return all_of(*needed, *((Bool(must_not=must_not),) if must_not else ()))


def _one_of(nodes: tuple[Node, ...]) -> Node:
    """Return the constraint of alternatives: Everything if there are no alternatives or one of them
    only ranks.
    """
    needed = tuple(constraint(node) for node in nodes)
    return Bool(should=needed) if needed and EVERYTHING not in needed else EVERYTHING


def with_leaves(node: Node, fresh: Callable[[Node], Node]) -> Node:
    """Return the tree with `fresh(leaf)` for each leaf, a node that is not a Bool; the same object
    if nothing changes.
    """
    if not isinstance(node, Bool):
        return fresh(node)
    parts = (node.must, node.should, node.must_not)
    made = tuple(tuple(with_leaves(child, fresh) for child in part) for part in parts)
    return node if made == parts else Bool(*made)


def within_products(node: Node, products: Collection[str]) -> Node:
    """Return the tree without product codes outside `products` (casefolded), so that no caller
    learns which items are in products of others. A filter without any other code finds nothing.
    """

    def held(leaf: Node) -> Node:
        if not isinstance(leaf, Keyword) or leaf.field != "product":
            return leaf
        values = tuple(value for value in leaf.values if value.casefold() in products)
        return Keyword("product", values) if values else NOTHING

    return with_leaves(node, held)


def without_field(node: Node, field: str) -> Node:
    """Return the tree without the facts beside others that only choose values of `field`; the same
    object if there are none.
    """
    parts = tuple(_conjuncts(node))
    kept = tuple(part for part in parts if not _is_of(part, field))
    return node if len(kept) == len(parts) else all_of(*kept)


def _conjuncts(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Bool) and node.must and not node.should and not node.must_not:
        return tuple(part for child in node.must for part in _conjuncts(child))
    return (node,)


def _is_of(node: Node, field: str) -> bool:
    return isinstance(node, Keyword | DateRange) and node.field == field


def scored_words(node: Node) -> Iterator[Word]:
    """Yield the words of a tree that BM25 scores, in order: no word of a phrase, and none after
    NOT.
    """
    match node:
        case Word():
            yield node
        case Bool(must, should, _):
            for child in (*must, *should):
                yield from scored_words(child)


def without_words(node: Node, left_out: Callable[[str], bool]) -> Node:
    """Return the query without the optional words without a field that are `left_out`, unless all
    optional words are.
    """
    if not isinstance(node, Bool) or not node.should:
        return node
    kept = tuple(
        child
        for child in node.should
        if not (isinstance(child, Word) and not child.field and left_out(child.text))
    )
    return Bool(node.must, kept or node.should, node.must_not)


def is_fact(node: Node) -> bool:
    """Return whether a node asks for facts only (no text): such a node filters and never scores."""
    match node:
        case Keyword() | DateRange() | Recorded() | Everything():
            return True
        case Bool(must, should, must_not):
            return all(is_fact(child) for child in (*must, *should, *must_not))
        case _:
            return False


def is_text(node: Node) -> bool:
    """Return whether a node asks for text only, no fact."""
    match node:
        case Word() | Phrase() | Prefix():
            return True
        case Bool(must, should, must_not):
            return all(is_text(child) for child in (*must, *should, *must_not))
        case _:
            return False
