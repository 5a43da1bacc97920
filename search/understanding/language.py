"""The query language: Lucene's syntax, which luqum parses, turned into our tree.

    words "a phrase" "near words"~3   AND OR NOT  +must -not  (groups)  word*  word^2
    headline:word  place:france  subject:"central bank"  date:2024-03  date:[2024-01 TO 2024-03]

Bare words rank; `AND`, `+`, quotes and `field:value` narrow. A text that can't be parsed is taken
as plain words, with a note; a date that can't be read is an error.
https://lucene.apache.org/core/10_0_0/queryparser/ is the syntax that luqum follows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo

from luqum.exceptions import ParseError
from luqum.tree import Item, Plus

from core.query_tree import EVERYTHING, Bool, Node, Word, all_of, is_fact
from search.answers import MAX_CLAUSES
from search.understanding import accidental_operators
from search.understanding.field_values import Times
from search.understanding.lucene_parser import parse_lucene
from search.understanding.lucene_tree import TreeReader, check_cost, too_long, words_in
from search.understanding.query_fields import check_names, with_stand_ins

_UNEXPECTED = re.compile(r"(?:unexpected|character)\s+'(.*)'")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A query: `tree` is scored, `filters` (facts) hold beside it, and `text` is embedded.
    Character i of `text` stands at `places[i]` in the query (a blank between words: right after a
    word).
    """

    tree: Node
    filters: Node
    text: str
    notes: tuple[str, ...] = ()
    places: Sequence[int] = ()


def parse(query: str, zone: tzinfo = UTC, now: datetime | None = None) -> Parsed:
    """Read a query whose dates are in `zone`; `now` is the time of "now-2d", the clock's without
    it. Raises QueryError for an impossible date, for a `name:value` of no field, and for more than
    256 clauses.
    """
    if not query.strip():
        return Parsed(EVERYTHING, EVERYTHING, "")
    blanked = accidental_operators.without_punctuation(query)
    headings = accidental_operators.headings(blanked)
    times = Times(now or datetime.now(UTC), zone)
    parsed = _parse(accidental_operators.without_headings(blanked), times)
    if not headings:
        return parsed
    said = f"{', '.join(headings)} taken as words: a field's value stands right after the colon"
    return replace(parsed, notes=(said, *parsed.notes))


def _parse(blanked: str, times: Times) -> Parsed:
    start, text = len(blanked) - len(blanked.lstrip()), blanked.strip()
    if not accidental_operators.has_operators(text) or accidental_operators.is_urn(text):
        return _plain(text, start, ())
    if why := accidental_operators.why_plain(text):
        return _plain(text, start, (why,))
    root = _root(text)
    if isinstance(root, str):
        return _plain(text, start, (f"read as plain words: {root}",))
    check_names(text, has_operators=accidental_operators.has_named_operators(text))
    reader = TreeReader(start, times)
    node = reader.node(root, "")
    if isinstance(root, Plus) and not is_fact(node):
        node = Bool(must=(node,))
    tree, filters = _without_facts(node)
    return Parsed(tree, filters, " ".join(reader.words), tuple(reader.notes), reader.places)


def why_unreadable(query: str) -> str:
    """Return why `parse` takes a text as plain words although it is written as a query, such as an
    open quote; "" if it does not.
    """
    blanked = accidental_operators.without_punctuation(query)
    text = accidental_operators.without_headings(blanked).strip()
    if not accidental_operators.has_operators(text) or accidental_operators.why_plain(text):
        return ""
    root = _root(text)
    return root if isinstance(root, str) else ""


def _root(text: str) -> Item | str:
    """Return luqum's tree of a text, or why it is not a query."""
    try:
        return parse_lucene(with_stand_ins(text))
    except (ParseError, AttributeError, ArithmeticError, ValueError) as error:  # luqum raises all
        return _reason(error)


def _reason(error: Exception) -> str:
    """Return why a text is not a query, in our words for luqum's error."""
    said = str(error)
    if "end of expression" in said:
        return "something is missing at its end, such as a bracket or a word after an operator"
    if "Illegal character '\"" in said:
        return "a quotation mark has no partner"
    if found := _UNEXPECTED.search(said):
        sign = found[1].split()[0] if found[1].strip() else "a sign"
        return f"{sign} has no meaning where it stands"
    return "a sign in it has no meaning where it stands"


def _plain(text: str, start: int, notes: tuple[str, ...]) -> Parsed:
    words = tuple(Word(word.strip(".,'’-")) for word in accidental_operators.plain_words(text))
    words = tuple(word for word in words if word.text)
    if len(words) > MAX_CLAUSES:
        raise too_long(len(words))
    check_cost(sum(words_in(word.text) for word in words))
    places = range(start, start + len(text))
    if not words:
        return Parsed(Word(text), EVERYTHING, text, notes, places)
    tree = words[0] if len(words) == 1 else Bool(should=words)
    return Parsed(tree, EVERYTHING, text, notes, places)


def _without_facts(node: Node) -> tuple[Node, Node]:
    """Take the facts that everything must satisfy out of the tree: they filter and never score."""
    if is_fact(node):
        return EVERYTHING, node
    if not isinstance(node, Bool):
        return node, EVERYTHING
    facts = [child for child in node.must if is_fact(child)]
    facts += [Bool(must_not=(child,)) for child in node.must_not if is_fact(child)]
    must = tuple(child for child in node.must if not is_fact(child))
    must_not = tuple(child for child in node.must_not if not is_fact(child))
    if not must and not must_not and len(node.should) == 1:
        return node.should[0], all_of(*facts)
    return Bool(must, node.should, must_not), all_of(*facts)
