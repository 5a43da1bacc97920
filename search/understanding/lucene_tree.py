"""Turns luqum's tree of a query into ours.

https://lucene.apache.org/core/10_0_0/queryparser/ is the syntax that luqum follows.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from luqum.tree import (
    AndOperation,
    BaseGroup,
    BoolOperation,
    Boost,
    From,
    Fuzzy,
    Item,
    Not,
    OrOperation,
    Plus,
    Prohibit,
    Proximity,
    Range,
    SearchField,
    To,
    UnknownOperation,
)
from luqum.tree import Phrase as LucenePhrase
from luqum.tree import Word as LuceneWord

from core.errors import QueryError
from core.query_fields import NAMED, FieldKind, QueryField, field_called
from core.query_tree import (
    EVERYTHING,
    Bool,
    Everything,
    Node,
    Nothing,
    Phrase,
    Prefix,
    Word,
    is_fact,
)
from search.answers import MAX_CLAUSES
from search.understanding.accidental_operators import plain_words
from search.understanding.field_values import Bound, Times, range_node, value_node
from search.understanding.query_fields import without_stand_ins

# The limit of a query's cost, in bare words: about half a second over 100,000 stories. A prefix
# stands for all words with this beginning. A phrase compares the places of its words, which takes
# longest for two frequent short words; with a distance, each additional word makes it slower. A
# negated clause is looked up as well.
MAX_COST = 512
_BEGINNING_COSTS = {2: 32, 3: 16}  # by number of letters
_LONG_BEGINNING_COSTS = 8
_PHRASE_WORD_COSTS = 4
_SHORT_WORD_COSTS = 8  # extra, for each of a phrase's first two words
_SHORT = 4  # letters
_NEAR_COSTS = 10  # times the square of the number of words
_NEGATED = 2  # factor
MAX_NEAR_WORDS = 5
_DATED = (FieldKind.DATE, FieldKind.SINCE, FieldKind.UNTIL)
_WORD = re.compile(r"[^\W_]+")


@dataclass(slots=True)
class TreeReader:
    """Turns luqum's tree into ours, and collects the words to embed, the places of their
    characters, and the notes. The text begins at `start` of the query, and dates are read by
    `times`.
    """

    start: int
    times: Times
    words: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    nodes: int = 0
    cost: int = 0
    negated: int = 0

    def node(self, item: Item, name: str) -> Node:
        """Return the node for `item` inside field `name` ("" outside any field)."""
        self.nodes += 1
        if self.nodes > MAX_CLAUSES:
            raise too_long(self.nodes)
        for kinds, read in _READERS:
            if isinstance(item, kinds):
                return read(self, item, name)
        self.notes.append(f"not understood and taken as words: {item!s}")
        return self._word(str(item), name, item.pos)

    def operation(self, item: Item, name: str) -> Node:
        """Read AND, OR, and the implicit operator, under which bare words rank and other clauses
        narrow.
        """
        children = [(child, self.node(child, name)) for child in item.children]
        if isinstance(item, OrOperation):
            return Bool(should=tuple(node for _, node in children))
        every = isinstance(item, AndOperation)
        must: list[Node] = []
        should: list[Node] = []
        must_not: list[Node] = []
        for child, node in children:
            if isinstance(child, Not | Prohibit) and isinstance(node, Bool):
                must_not.extend(node.must_not)
            elif every or isinstance(child, Plus) or _narrows(node):
                must.append(node)
            else:
                should.append(node)
        return Bool(tuple(must), tuple(should), tuple(must_not))

    def negation(self, item: Item, name: str) -> Node:
        """Read NOT x and -x."""
        self.negated += 1
        node = self.node(item.children[0], name)
        self.negated -= 1
        return Bool(must_not=(node,))

    def inner(self, item: Item, name: str) -> Node:
        """Read groups and +x: the clause inside."""
        return self.node(item.children[0], name)

    def fielded(self, item: Item, name: str) -> Node:
        """Read field:value; an unknown field is a word with a colon."""
        if known := field_called(item.name):
            return self.node(item.expr, known.name)
        self.notes.append(f"there is no field {item.name!r}: its name is taken as a word")
        word = self._word(item.name, "", item.pos)
        return Bool(should=(word, self.node(item.expr, name)))

    def boosted(self, item: Item, name: str) -> Node:
        """Return a clause with a boost: x^2."""
        node = self.node(item.expr, name)
        boost = min(100.0, max(0.01, float(item.force)))
        match node:
            case Word(text, into, _):
                return Word(text, into, boost)
            case Phrase(text, into, slop, _):
                return Phrase(text, into, slop, boost)
            case Prefix(text, into, _):
                return Prefix(text, into, boost)
        self.notes.append(f"a weight on {item.expr!s} has no effect")
        return node

    def near(self, item: Item, name: str) -> Node:
        """Return a phrase with a distance: "a b"~3."""
        node = self.node(item.term, name)
        slop = min(50, max(0, int(item.degree)))
        if not isinstance(node, Phrase):
            return node
        words = len(_WORD.findall(node.text))
        if slop and words > MAX_NEAR_WORDS:
            raise QueryError(
                f"a phrase with a distance has {words} words",
                mend=f"at most {MAX_NEAR_WORDS} are allowed; leave the ~ or words out",
            )
        self._spend(words**2 * _NEAR_COSTS if slop else 0)
        return Phrase(node.text, node.field, slop)

    def fuzzy(self, item: Item, name: str) -> Node:
        """Read word~ as the plain word."""
        self.notes.append(f"{item!s}: similar spellings are not searched, the word itself is")
        return self.node(item.term, name)

    def word(self, item: Item, name: str) -> Node:
        """Return one word, perhaps with * at its end."""
        return self._word(item.value, name, item.pos)

    def phrase(self, item: Item, name: str) -> Node:
        """Return words in quotes."""
        text = item.value[1:-1].replace('\\"', '"')
        if known := _of_facts(name):
            return value_node(known, without_stand_ins(text), self.times)
        if not _has_word(text):
            return self._nothing(item.value)
        self._embed(text, item.value[1:-1], item.pos + 1)
        words = _WORD.findall(text)
        short = sum(len(word) <= _SHORT for word in words)
        self._spend(len(words) * _PHRASE_WORD_COSTS + min(2, short) * _SHORT_WORD_COSTS)
        return Phrase(text, name)

    def range(self, item: Item, name: str) -> Node:
        """Read [a TO b] and {a TO b}."""
        known = NAMED.get(name)
        if known is None:
            return self._signs_as_words(item)
        ends = ((item.low, item.include_low), (item.high, item.include_high))
        low, high = (
            None if (said := without_stand_ins(str(end)).strip()) == "*" else Bound(said, included)
            for end, included in ends
        )
        return range_node(known, low, high, self.times)

    def open_range(self, item: Item, name: str) -> Node:
        """Read date:>a and date:<=a."""
        known = NAMED.get(name)
        if known is None:
            return self._signs_as_words(item)
        bound = Bound(without_stand_ins(str(item.a)).strip(), item.include)
        if isinstance(item, From):
            return range_node(known, bound, None, self.times)
        return range_node(known, None, bound, self.times)

    def _signs_as_words(self, item: Item) -> Node:
        """Read signs of a range without a field ("<IBM>") as plain words."""
        words = " ".join(plain_words(str(item)))
        self.notes.append(f"{str(item).strip()}: no field is named, so it is taken as words")
        return self._word(words, "", item.pos + len(str(item)) - len(str(item).lstrip("<>= ")))

    def _word(self, value: str, name: str, place: int) -> Node:
        """Return a word of field `name` at `place` of the text."""
        text = re.sub(r"\\(.)", r"\1", without_stand_ins(value))
        if known := _of_facts(name):
            if "*" in text and known.kind not in _DATED:
                self.notes.append(f"{text}: facts are compared whole, * is no wildcard there")
            return value_node(known, text, self.times)
        if text == "*":
            return EVERYTHING
        if len(text) > 2 and text.endswith("*") and text[:-1].isalnum():
            self._embed(text[:-1], value, place)
            self._spend(_BEGINNING_COSTS.get(len(text) - 1, _LONG_BEGINNING_COSTS))
            return Prefix(text[:-1], name)
        if "*" in text or "?" in text:
            self.notes.append(f"{text}: only a * at a word's end is a wildcard")
            text = text.replace("*", " ").replace("?", " ").strip()
        if not text:
            return self._nothing(value)
        self._embed(text, value, place)
        self._spend(words_in(text))
        return Word(text, name)

    def _spend(self, words: int) -> None:
        """Add the cost of a clause."""
        self.cost += words * (_NEGATED if self.negated else 1)
        check_cost(self.cost)

    def _nothing(self, written: str) -> Node:
        self.notes.append(f"{written}: there is no word in it")
        return Nothing()

    def _embed(self, text: str, written: str, place: int) -> None:
        """Add `text` to the text that is embedded; the query has it as `written`, at `place`."""
        if self.negated:
            return
        if self.words:
            self.places.append(self.places[-1] + 1)
        self.words.append(text)
        at = 0
        for character in text:  # `written` also has backslashes and wildcards
            found = written.find(character, at)
            at = found + 1 if found >= 0 else at
            self.places.append(self.start + place + max(0, at - 1))


def _of_facts(name: str) -> QueryField | None:
    """Return the field if its values are facts; None for text, and outside any field."""
    known = NAMED.get(name)
    return None if known is None or known.kind is FieldKind.TEXT else known


def _narrows(node: Node) -> bool:
    """Return whether a clause without an operator narrows: phrases, wildcards, facts and fielded
    words.
    """
    match node:
        case Word(_, name, _):
            return bool(name)
        case Bool(must, _, must_not):
            return bool(must or must_not) or is_fact(node)
        case _:
            return not isinstance(node, Everything | Nothing)


def _has_word(text: str) -> bool:
    return any(character.isalnum() for character in text)


def words_in(text: str) -> int:
    """Return the cost of one word of a query: "time-sharing" counts as two."""
    return max(1, len(_WORD.findall(text)))


def check_cost(words: int) -> None:
    """Raise QueryError for a query that costs more than allowed."""
    if words > MAX_COST:
        raise QueryError(
            "the query's phrases and wildcards would take too long",
            mend="leave some out, or write more letters before each *",
        )


def too_long(count: int) -> QueryError:
    """Return the error for a query of `count` or more clauses."""
    return QueryError(
        f"the query has {count} or more clauses",
        mend=f"at most {MAX_CLAUSES} are allowed; leave words out",
    )


_READERS: tuple[tuple[tuple[type, ...], Callable[[TreeReader, Item, str], Node]], ...] = (
    ((LuceneWord,), TreeReader.word),
    ((LucenePhrase,), TreeReader.phrase),
    ((AndOperation, OrOperation, UnknownOperation, BoolOperation), TreeReader.operation),
    ((Not, Prohibit), TreeReader.negation),
    ((SearchField,), TreeReader.fielded),
    ((BaseGroup, Plus), TreeReader.inner),
    ((Boost,), TreeReader.boosted),
    ((Proximity,), TreeReader.near),
    ((Fuzzy,), TreeReader.fuzzy),
    ((Range,), TreeReader.range),
    ((From, To), TreeReader.open_range),
)
