"""Understanding: from what was typed to what each retriever is asked."""

from __future__ import annotations

import re
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from core.callers import NOBODY, Caller
from core.errors import QueryError
from core.ports import Names, Tagger
from core.query_tree import (
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
)
from search import language
from search.answers import MAX_QUERY_CHARACTERS, DateSpan, EntityUse, Understood
from search.dates import FoundDate, find_month
from search.names import Found, NameFinder, name_filters

_OPENED = re.compile(r"(?:(?<!\S)(?:AND|OR|NOT|TO)\s+|[:+\-!<>=/\\]\s*)$")
_GOES_ON = re.compile(r"\s+(?:AND|OR|TO)(?!\S)|[\^~*?)\]}/\\]")
_TAGGER_THREADS = 2
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ue000\ue001]")


@dataclass(frozen=True, slots=True)
class Meaning:
    """`tree` is scored by BM25, `filters` are facts for both retrievers, and `said` goes back to
    the user: what was made of the words, and the text that is embedded. Names that don't filter are
    being looked for meanwhile (`names`) and come with `told`.
    """

    tree: Node
    filters: Node
    said: Understood
    names: Future[Found] | None = None

    def told(self) -> Understood:
        """What goes back to the user, names included; waits for them."""
        if self.names is None:
            return self.said
        entities, notes = self.names.result()
        return replace(self.said, entities=entities, notes=(*self.said.notes, *notes))


class Understanding:
    """Parses the query, reads a month and year in plain words, and finds names.

    A tagger that is missing or fails leaves names out; the response says so. `archive` says which
    names are known.
    """

    def __init__(self, tagger: Tagger | None, archive: Names | None = None) -> None:
        self._names = NameFinder(tagger, archive)
        self._pool = ThreadPoolExecutor(_TAGGER_THREADS, thread_name_prefix="tagger")

    def understand(
        self, query: str, caller: Caller = NOBODY, entities: EntityUse = EntityUse.BOOST
    ) -> Meaning:
        """What `query` asks for. Raises QueryError for what can't be read and must not be guessed:
        a malformed date, or a query of more than 4,096 characters.
        """
        if len(query) > MAX_QUERY_CHARACTERS:
            raise QueryError(
                f"the query has {len(query)} characters",
                mend=f"at most {MAX_QUERY_CHARACTERS} are allowed",
            )
        clean = _CONTROL.sub(" ", query)
        notes = () if clean == query else ("control characters were left out",)
        parsed, dates = _parse(clean)
        said = Understood(
            vector_text=parsed.text,
            lexical=describe(all_of(parsed.tree, parsed.filters)),
            dates=dates,
            notes=(*notes, *parsed.notes),
        )
        if entities is EntityUse.BOOST and self._names.can_look and parsed.text:
            names = self._pool.submit(
                self._names.find, parsed.text, parsed.places, caller, entities
            )
            return Meaning(parsed.tree, parsed.filters, said, names)
        found, failed = self._names.find(parsed.text, parsed.places, caller, entities)
        said = replace(said, entities=found, notes=(*said.notes, *failed))
        return Meaning(parsed.tree, all_of(parsed.filters, name_filters(found)), said)

    def recheck(self, said: Understood, caller: Caller) -> Understood:
        """`said` with the known names that the caller may see at this moment."""
        return self._names.recheck(said, caller)


def _parse(query: str) -> tuple[language.Parsed, tuple[DateSpan, ...]]:
    """The parsed query; a month and year in plain words becomes a filter and leaves the text. Where
    it is part of an operator's clause it stays what was written: words.
    """
    found = find_month(query)
    if found is None or not _stands_alone(query, found):
        return language.parse(query), ()
    rest = f"{query[: found.start]} {query[found.end :]}"
    parsed = language.parse(rest)
    span = DateRange("versioncreated", found.since, found.until)
    left_out = found.end - found.start - 1
    places = [place + left_out if place > found.start else place for place in parsed.places]
    filters = all_of(parsed.filters, span)
    return replace(parsed, filters=filters, places=places), (_said(found),)


def _stands_alone(query: str, found: FoundDate) -> bool:
    """Whether a date is outside of quotes and groups, and no operator has it for an operand."""
    before, after = query[: found.start], query[found.end :]
    if '"' in query or any(before.count(a) != before.count(b) for a, b in ("()", "[]", "{}")):
        return False
    return not _OPENED.search(before) and not _GOES_ON.match(after)


def _said(found: FoundDate) -> DateSpan:
    since, until = found.since.isoformat(), found.until.isoformat()
    return DateSpan(found.text, found.start, found.end, since, until)


def describe(node: Node) -> str:
    """A tree as one readable line."""
    match node:
        case Word(text, field) | Prefix(text, field):
            star = "*" if isinstance(node, Prefix) else ""
            return f"{field}:{text}{star}" if field else f"{text}{star}"
        case Phrase(text, field, slop):
            near = f"~{slop}" if slop else ""
            return f'{field}:"{text}"{near}' if field else f'"{text}"{near}'
        case Keyword(field, values):
            return f"{field} is {' or '.join(values)}"
        case DateRange(field, since, until):
            start = since.isoformat() if since else "…"
            end = until.isoformat() if until else "…"
            return f"{field} in [{start}, {end})"
        case Everything():
            return "everything"
        case Nothing():
            return "nothing"
        case Bool(must, should, must_not):
            parts = [f"+{describe(child)}" for child in must]
            parts += [describe(child) for child in should]
            parts += [f"-{describe(child)}" for child in must_not]
            return f"({' '.join(parts)})"
