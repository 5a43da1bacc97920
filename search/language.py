"""The query language: Lucene's syntax, read by luqum, made into our tree.

    words "a phrase" "near words"~3   AND OR NOT  +must -not  (groups)  word*  word^2
    headline:word  place:france  subject:"central bank"  date:2024-03  date:[2024-01 TO 2024-03]

Bare words rank; `AND`, `+`, quotes and `field:value` narrow. What can't be read as this language is
taken as plain words, and a note says so; a date that can't be read is an error.
https://lucene.apache.org/core/10_0_0/queryparser/ is the syntax that luqum follows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, tzinfo

from luqum.exceptions import ParseError
from luqum.thread import parse as parse_lucene
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
from core.query_tree import (
    DATE_FIELDS,
    EVERYTHING,
    KEYWORD_FIELDS,
    TEXT_FIELDS,
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
    is_fact,
)
from search.dates import parse_span

ALIASES = {
    "date": "versioncreated",
    "title": "headline",
    "caption": "description",
    "text": "body",
    "name": "names",
    "topic": "subject",
    "org": "organisation",
    "lang": "language",
    "people": "person",
    "products": "product",
}
_SIGNS = re.compile(r"""["()\[\]{}^~*?:/\\!&|<>=]|(?<!\S)[-+]""")
# A dash between words is no NOT, and a mark at a sentence's end is no wildcard.
_PUNCTUATION = re.compile(r"(?<!\S)[-–—+]+(?!\S)|(?<=[)\]])-(?=\w)|(?<=\w)[?!]+(?!\S)")
_NAMES = "|".join((*TEXT_FIELDS, *KEYWORD_FIELDS, *DATE_FIELDS, *ALIASES))
_FIELD = re.compile(rf"(?<!\S)[-+(]*(?:{_NAMES}):\S", re.IGNORECASE)
# "Date: to be announced" is a heading: a field's value stands right after its colon.
_HEADING = re.compile(rf"(?<!\S)({_NAMES}):(?=\s+\S)", re.IGNORECASE)
_ADDRESS = re.compile(r"(?<!\S)\w+://\w")
_UNEXPECTED = re.compile(r"(?:unexpected|character)\s+'(.*)'")
_SENTENCE = re.compile(r"[.?!,;:…](?:\s|$)")
_PROSE_WORDS, _CAPITALS = 12, 5
_OPERATORS = re.compile(r"(?<!\S)(AND|OR|NOT|TO)(?!\S)")
_WORDS = re.compile(r"[^\s\"()\[\]{}^~*?:/\\+!&|<>=]+")
_MAX_NODES = 256


@dataclass(frozen=True, slots=True)
class Parsed:
    """A query: `tree` is scored, `filters` (facts) hold beside it, `text` is what to embed, and
    character i of it stands at `places[i]` in the query (a blank between words: right after one).
    """

    tree: Node
    filters: Node
    text: str
    notes: tuple[str, ...] = ()
    places: Sequence[int] = ()


def parse(query: str, zone: tzinfo = UTC) -> Parsed:
    """Reads a query whose dates are of `zone`. Raises QueryError for a date that is none and for
    more than 256 clauses.
    """
    if not query.strip():
        return Parsed(EVERYTHING, EVERYTHING, "")
    blanked = _PUNCTUATION.sub(lambda found: " " * len(found[0]), query)
    blanked = blanked if blanked.strip() else query
    headings = tuple(found[0] for found in _HEADING.finditer(blanked))
    parsed = _parse(_HEADING.sub(r"\1 ", blanked), zone)
    if not headings:
        return parsed
    said = f"{', '.join(headings)} taken as words: a field's value stands right after the colon"
    return replace(parsed, notes=(said, *parsed.notes))


def _parse(blanked: str, zone: tzinfo) -> Parsed:
    start, text = len(blanked) - len(blanked.lstrip()), blanked.strip()
    if not _SIGNS.search(text) and not _OPERATORS.search(text):
        return _plain(text, start, ())
    if _ADDRESS.search(text):
        return _plain(text, start, ("read as plain words: there is a web address in it",))
    if prose := _prose(text):
        return _plain(text, start, (f"read as plain words, operators and quotes too: {prose}",))
    try:
        root = parse_lucene(text)
    except (ParseError, AttributeError, ArithmeticError, ValueError) as error:
        return _plain(text, start, (f"read as plain words: {_reason(error)}",))
    reader = _Reader(start, zone)
    node = reader.node(root, "")
    if isinstance(root, Plus) and not is_fact(node):
        node = Bool(must=(node,))
    tree, filters = _without_facts(node)
    return Parsed(tree, filters, " ".join(reader.words), tuple(reader.notes), reader.places)


def _reason(error: Exception) -> str:
    """Why a text is no query, from what luqum says."""
    said = str(error)
    if "end of expression" in said:
        return "something is missing at its end, such as a bracket or a word after an operator"
    if "Illegal character '\"" in said:
        return "a quotation mark has no partner"
    if found := _UNEXPECTED.search(said):
        sign = found[1].split()[0] if found[1].strip() else "a sign"
        return f"{sign} has no meaning where it stands"
    return "a sign in it has no meaning where it stands"


def is_prose(query: str) -> bool:
    """Whether a query is pasted prose, in which nothing is meant to narrow."""
    return bool(_prose(query.strip()))


def _prose(text: str) -> str:
    """Why a text is no query but pasted prose, "" where it may be one. People paste sentences and
    headlines, and neither a quotation in them nor a capital NOT is meant to narrow.
    """
    if _FIELD.search(text):
        return ""
    words = len(text.split())
    if words >= _CAPITALS and text.isupper() and not _SIGNS.search(text):
        return "it is all in capitals"
    if words >= _PROSE_WORDS and _SENTENCE.search(text):
        return "it is a sentence"
    return ""


def _plain(text: str, start: int, notes: tuple[str, ...]) -> Parsed:
    words = tuple(Word(word.strip(".,'’-")) for word in _WORDS.findall(text))
    words = tuple(word for word in words if word.text)
    if len(words) > _MAX_NODES:
        raise _too_long(len(words))
    places = range(start, start + len(text))
    if not words:
        return Parsed(Word(text), EVERYTHING, text, notes, places)
    tree = words[0] if len(words) == 1 else Bool(should=words)
    return Parsed(tree, EVERYTHING, text, notes, places)


def _without_facts(node: Node) -> tuple[Node, Node]:
    """Takes the facts that everything must satisfy out of the tree: they filter, never score."""
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


@dataclass(slots=True)
class _Reader:
    """Turns luqum's tree into ours; collects the words to embed, where their characters stand, and
    the notes. What is read begins at `start` of the query, and dates are of `zone`.
    """

    start: int
    zone: tzinfo
    words: list[str] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    nodes: int = 0
    negated: int = 0

    def node(self, item: Item, name: str) -> Node:
        """The node for `item` inside field `name` ("" outside of any)."""
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            raise _too_long(self.nodes)
        for kinds, read in _READERS:
            if isinstance(item, kinds):
                return read(self, item, name)
        self.notes.append(f"not understood and taken as words: {item!s}")
        return self._word(str(item), name, item.pos)

    def operation(self, item: Item, name: str) -> Node:
        """AND, OR, and the unsaid operator, under which words rank and the rest narrows."""
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
        """NOT x and -x."""
        self.negated += 1
        node = self.node(item.children[0], name)
        self.negated -= 1
        return Bool(must_not=(node,))

    def inner(self, item: Item, name: str) -> Node:
        """Groups and +x: what is inside."""
        return self.node(item.children[0], name)

    def fielded(self, item: Item, name: str) -> Node:
        """field:value; an unknown field is a word with a colon."""
        known = ALIASES.get(item.name.casefold(), item.name.casefold())
        if known in (*TEXT_FIELDS, *KEYWORD_FIELDS, *DATE_FIELDS):
            return self.node(item.expr, known)
        self.notes.append(f"there is no field {item.name!r}: its name is taken as a word")
        word = self._word(item.name, "", item.pos)
        return Bool(should=(word, self.node(item.expr, name)))

    def boosted(self, item: Item, name: str) -> Node:
        """x^2."""
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
        """A phrase with a distance: "a b"~3."""
        node = self.node(item.term, name)
        slop = min(50, max(0, int(item.degree)))
        return Phrase(node.text, node.field, slop) if isinstance(node, Phrase) else node

    def fuzzy(self, item: Item, name: str) -> Node:
        """word~ is read as the word itself."""
        self.notes.append(f"{item!s}: similar spellings are not searched, the word itself is")
        return self.node(item.term, name)

    def word(self, item: Item, name: str) -> Node:
        """One word, perhaps with * at its end."""
        return self._word(item.value, name, item.pos)

    def phrase(self, item: Item, name: str) -> Node:
        """Words in quotes."""
        text = item.value[1:-1].replace('\\"', '"')
        if name in DATE_FIELDS:
            return self._dates(name, text)
        if name in KEYWORD_FIELDS:
            return Keyword(name, (text,))
        if not _has_word(text):
            return self._nothing(item.value)
        self._embed(text, item.value[1:-1], item.pos + 1)
        return Phrase(text, name)

    def range(self, item: Item, name: str) -> Node:
        """[a TO b], of dates only."""
        if name not in DATE_FIELDS:
            return self._not_a_date(item, name)
        low, high = str(item.low), str(item.high)
        since = None if low == "*" else parse_span(low, self.zone)[0 if item.include_low else 1]
        until = None if high == "*" else parse_span(high, self.zone)[1 if item.include_high else 0]
        return DateRange(name, since, until)

    def open_range(self, item: Item, name: str) -> Node:
        """date:>a and date:<=a."""
        if name not in DATE_FIELDS:
            return self._not_a_date(item, name)
        start, end = parse_span(str(item.a), self.zone)
        if isinstance(item, From):
            return DateRange(name, start if item.include else end, None)
        return DateRange(name, None, end if item.include else start)

    def _not_a_date(self, item: Item, name: str) -> Node:
        """A range of something else is an error; signs without a field ("<IBM>") are just that."""
        if name:
            raise QueryError(f"{name}:{item!s} is a range", mend="ranges are for dates only")
        words = " ".join(_WORDS.findall(str(item)))
        self.notes.append(f"{str(item).strip()}: no field is named, so it is taken as words")
        return self._word(words, "", item.pos + len(str(item)) - len(str(item).lstrip("<>= ")))

    def _dates(self, name: str, text: str) -> Node:
        since, until = parse_span(text, self.zone)
        return DateRange(name, since, until)

    def _word(self, value: str, name: str, place: int) -> Node:
        """A word of field `name` that stands at `place` of what is read."""
        text = re.sub(r"\\(.)", r"\1", value)
        if name in DATE_FIELDS:
            return self._dates(name, text)
        if name in KEYWORD_FIELDS:
            if "*" in text:
                self.notes.append(f"{text}: facts are compared whole, * is no wildcard there")
            return Keyword(name, (text,))
        if text == "*":
            return EVERYTHING
        if len(text) > 2 and text.endswith("*") and text[:-1].isalnum():
            self._embed(text[:-1], value, place)
            return Prefix(text[:-1], name)
        if "*" in text or "?" in text:
            self.notes.append(f"{text}: only a * at a word's end is a wildcard")
            text = text.replace("*", " ").replace("?", " ").strip()
        if not text:
            return self._nothing(value)
        self._embed(text, value, place)
        return Word(text, name)

    def _nothing(self, written: str) -> Node:
        self.notes.append(f"{written}: there is no word in it")
        return Nothing()

    def _embed(self, text: str, written: str, place: int) -> None:
        """Takes `text` into what is embedded; it was `written` so, at `place` of what is read."""
        if self.negated:
            return
        if self.words:
            self.places.append(self.places[-1] + 1)
        self.words.append(text)
        at = 0
        for character in text:  # in `written` there may be backslashes and wildcards before it
            found = written.find(character, at)
            at = found + 1 if found >= 0 else at
            self.places.append(self.start + place + max(0, at - 1))


def _narrows(node: Node) -> bool:
    """Whether a clause without an operator narrows: phrases, wildcards, facts and fielded words."""
    match node:
        case Word(_, name, _):
            return bool(name)
        case Bool(must, _, must_not):
            return bool(must or must_not) or is_fact(node)
        case _:
            return not isinstance(node, Everything | Nothing)


def _has_word(text: str) -> bool:
    return any(character.isalnum() for character in text)


def _too_long(count: int) -> QueryError:
    return QueryError(
        f"the query has {count} or more clauses",
        mend=f"at most {_MAX_NODES} are allowed; leave words out",
    )


_READERS: tuple[tuple[tuple[type, ...], Callable[[_Reader, Item, str], Node]], ...] = (
    ((LuceneWord,), _Reader.word),
    ((LucenePhrase,), _Reader.phrase),
    ((AndOperation, OrOperation, UnknownOperation, BoolOperation), _Reader.operation),
    ((Not, Prohibit), _Reader.negation),
    ((SearchField,), _Reader.fielded),
    ((BaseGroup, Plus), _Reader.inner),
    ((Boost,), _Reader.boosted),
    ((Proximity,), _Reader.near),
    ((Fuzzy,), _Reader.fuzzy),
    ((Range,), _Reader.range),
    ((From, To), _Reader.open_range),
)
