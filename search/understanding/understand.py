"""Understanding: turns the typed query into what each retriever is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from core.callers import NOBODY, Caller
from core.errors import QueryError
from core.ports.engine import Clock, Names
from core.ports.models import Tagger, TextAnalysis
from core.query_fields import FACT, ID
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
    Recorded,
    Word,
    all_of,
    scored_words,
    without_words,
)
from core.retrieval import VectorQuery
from core.threads import Threads
from core.tracing import Span
from search.answers import (
    MAX_QUERY_CHARACTERS,
    DateUse,
    EntityUse,
    SearchRequest,
    Understood,
)
from search.understanding.dated import as_ignored, parse_dated
from search.understanding.dates import Calendar, calendar_of
from search.understanding.editorial import Editorial, expanded
from search.understanding.encoder_languages import unread_language
from search.understanding.kinds import (
    asks_for_types,
    find_kinds,
    is_ignored,
    with_kinds,
    without_kinds,
)
from search.understanding.language import Parsed
from search.understanding.names import Found, NameFinder, name_filters, only_told, respelt

_TAGGER_THREADS = 2
_TELLING_CHARACTERS = 400  # characters of a query that show its language
_LONGEST_VALUE = 256  # characters of a query that may be a value of an item
_LINES = ("slugline", "byline")
_SIGNED = re.compile(r"(?i)^by:?\s+(?=\S)")
_LABELLED = re.compile(
    r"(?i)^(?:slug(?:line)?|by-?line|(?:photo )?credit(?: ?line)?|source|uri|item ?id):\s+(?=\S)"
)
_ENCLOSED = re.compile(r"\"([^\"]+)\"|“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»|\(([^()]+)\)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ue000\ue001]")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Likeness:
    """An item in place of a query: the number of its story, the request to each vector field, and
    the flags of what could not be asked.
    """

    story: int
    vectors: tuple[VectorQuery, ...]
    degraded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of a query: `tree` is scored by BM25, `filters` are facts for both retrievers,
    and `said` goes back to the user: what was made of the words, and the text that is embedded.
    Names that don't filter are found while retrieval runs (`names`). `told` adds them, and says
    which members of `ignore` are neither a date nor a name; `flags` says whether names could not be
    searched for. `like` is the item that replaces a query, and `passages` are those of a text that
    replaces it. Editors pinned the items with the uris `pinned` to the query; `exact` are the facts
    of items that have the whole query as a value, None for a query that can't be one. `typed` are
    the words that BM25 would score if none of them was a stop word, without synonyms: they say how
    long a question is.
    """

    tree: Node
    filters: Node
    said: Understood
    names: Future[Found] | None = None
    ignore: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    like: Likeness | None = None
    passages: tuple[str, ...] = ()
    pinned: tuple[str, ...] = ()
    exact: Node | None = None
    typed: tuple[Word, ...] = ()

    def flags(self) -> tuple[str, ...]:
        """Return flags of what could not be done for the answer; waits for the names."""
        return self.degraded if self.names is None else self.names.result().degraded

    def told(self) -> Understood:
        """Return what goes back to the user, names included; waits for them."""
        said = self.said
        if self.names is not None:
            found = self.names.result()
            said = replace(said, entities=found.names, notes=(*said.notes, *found.notes))
        texts = [one.text for one in said.dates] + [one.text for one in said.entities]
        understood = set(map(as_ignored, texts))
        strange = [
            text
            for text in self.ignore
            if as_ignored(text) not in understood
            and not any(is_ignored(one, (as_ignored(text),)) for one in said.kinds)
        ]
        notes = tuple(
            f"{text[:60]}: there is no such date, name or kind to ignore" for text in strange
        )
        return replace(said, notes=(*said.notes, *notes)) if notes else said

    def with_names(self, use: EntityUse, analysis: TextAnalysis, *, boosts: bool) -> Meaning:
        """Return the meaning with the names that were found while retrieval ran, in the archive's
        spelling. Names that neither boost nor filter are only shown.
        """
        said = self.told() if boosts else only_told(self.told())
        wanted = boosts or use is EntityUse.FILTER
        return replace(
            self,
            tree=respelt(self.tree, said.entities, analysis),
            said=said,
            names=None,
            degraded=self.flags() if wanted else (),
        )


class Understanding:
    """Parses the query, reads dates in plain words, and finds names.

    If the tagger is missing or fails, names are left out, and notes and flags say so.
    `tagger_missing` says why a wanted tagger is missing, "" if none was wanted. `archive` says
    which names are known, `clock` what time it is, `languages` (ISO 639-1) what the encoder reads,
    and `told_by` the language of a query; without `languages` no mismatch is noted.
    """

    def __init__(
        self,
        tagger: Tagger | None,
        archive: Names | None = None,
        *,
        clock: Clock = _now,
        languages: Collection[str] = (),
        tagger_missing: str = "",
        told_by: Callable[[str], str] = lambda _text: "",
    ) -> None:
        self._names = NameFinder(tagger, archive, tagger_missing=tagger_missing)
        self._clock = clock
        self._languages = frozenset(languages)
        self._told_by = told_by
        self._pool = Threads(_TAGGER_THREADS, thread_name_prefix="tagger")

    def calendar(self, tz: str = "", locale: str = "") -> Calendar:
        """Return a caller's calendar at this moment. Raises QueryError for an unknown zone or
        locale.
        """
        return calendar_of(self._clock(), tz, locale)

    def language_of(self, text: str) -> str:
        """Return the language (ISO 639-1) of a query or a text, by its beginning; "" if not
        known.
        """
        return self._told_by(text[:_TELLING_CHARACTERS])

    def meaning(
        self,
        request: SearchRequest,
        caller: Caller,
        rules: Editorial,
        calendar: Calendar,
        read: Collection[str] | None,
        analysis: TextAnalysis,
    ) -> Meaning:
        """Return what the request's query means, with the synonyms and pins of the editors'
        `rules`; `read` is as in `understand`.

        Stop words of the query's language are left out of its optional words: the engine knows only
        those that are stop words in each main language of the archive.
        """
        exact = exact_value(request.q)
        meaning = self.understand(
            request.q,
            caller,
            request.entities,
            calendar=calendar,
            filters=request.filters,
            dates=request.dates,
            ignore=request.ignore,
            read=read,
            widened=request.widened,
        )
        tree, notes = expanded(meaning.tree, rules)
        said = replace(meaning.said, notes=(*meaning.said.notes, *notes))
        if language := said.language:
            tree = without_words(tree, lambda word: analysis.is_stop_word(word, language))
        pinned = rules.pinned(request.q)
        typed = tuple(scored_words(meaning.tree))
        return replace(meaning, tree=tree, said=said, pinned=pinned, exact=exact, typed=typed)

    def understand(
        self,
        query: str,
        caller: Caller = NOBODY,
        entities: EntityUse = EntityUse.BOOST,
        *,
        calendar: Calendar | None = None,
        filters: Node = EVERYTHING,
        dates: DateUse = DateUse.FILTER,
        ignore: Sequence[str] = (),
        read: Collection[str] | None = None,
        widened: bool = False,
    ) -> Meaning:
        """Return the meaning of `query` together with `filters`; dates are read by the caller's
        `calendar` (default: now and UTC). `read` are the languages that the profile's encoders
        read; None stands for the archive's.

        Dates and names in `ignore` are plain words. Kinds of item set no type where the search is
        `widened`. Raises QueryError for what can't be read and
        must not be guessed: a malformed date, or a query of more than 4,096 characters.
        """
        ignored = frozenset(map(as_ignored, ignore))
        # If one of the two is off, nobody can say what would have been found.
        asked = () if EntityUse.OFF is entities or dates is DateUse.OFF else tuple(ignore)
        languages = self._languages if read is None else read
        calendar = calendar or self.calendar()
        with Span("read query"):
            parsed, said = self._read(
                query, calendar, filters, dates, ignored, languages, widened=widened
            )
        find = partial(
            self._names.find,
            parsed.text,
            parsed.places,
            caller,
            entities,
            ignored,
            said.language,
        )
        if entities is EntityUse.BOOST and self._names.can_look and parsed.text:
            names = self._pool.submit(find)
            return Meaning(parsed.tree, parsed.filters, said, names, asked)
        found = find()
        said = replace(said, entities=found.names, notes=(*said.notes, *found.notes))
        filters = all_of(parsed.filters, name_filters(found.names))
        return Meaning(parsed.tree, filters, said, ignore=asked, degraded=found.degraded)

    def _read(
        self,
        query: str,
        calendar: Calendar,
        filters: Node,
        dates: DateUse,
        ignored: Collection[str],
        languages: Collection[str],
        *,
        widened: bool,
    ) -> tuple[Parsed, Understood]:
        """Return the parsed query and its explanation, still without names."""
        if len(query) > MAX_QUERY_CHARACTERS:
            raise QueryError(
                f"the query has {len(query)} characters",
                mend=f"at most {MAX_QUERY_CHARACTERS} are allowed",
            )
        clean = _CONTROL.sub(" ", query)
        notes = () if clean == query else ("control characters were left out",)
        language = self.language_of(clean)
        calendar = replace(calendar, language=language)
        kinds = () if asks_for_types(filters) else find_kinds(clean, calendar)
        if any(is_ignored(one, ignored) for one in kinds):
            kinds = tuple(replace(one, ignored=True) for one in kinds)
        elif widened:
            kinds = tuple(replace(one, widened=True) for one in kinds)
        dated = parse_dated(without_kinds(clean, kinds), calendar, dates, ignored)
        if kinds and asks_for_types(dated.parsed.filters):
            kinds, dated = (), parse_dated(clean, calendar, dates, ignored)
        parsed = with_kinds(dated.parsed, kinds)
        asked = all_of(parsed.filters, filters)
        unread = unread_language(parsed.text, language, asked, languages)
        said = Understood(
            vector_text=parsed.text,
            lexical=describe(all_of(parsed.tree, parsed.filters)),
            dates=dated.dates,
            kinds=kinds,
            notes=(*notes, *parsed.notes, *unread),
            language=language,
        )
        return parsed, said

    def recheck(self, said: Understood, caller: Caller) -> Understood:
        """Return `said` with the known names that the caller may see at this moment."""
        return self._names.recheck(said, caller)


def exact_value(query: str) -> Node | None:
    """Return the facts of an item of which the whole query is a slugline, byline, credit, source,
    uri or AP item id; None for a query that can't be one. Quotes or brackets around it, a label
    such as "Credit: " before it, and the form of its apostrophes make no difference.
    """
    value = " ".join(query.split())
    if not 0 < len(value) <= _LONGEST_VALUE:
        return None
    values = _written(value)
    ids = [f"{name}:{one}" for one in values for name in ("uri", "itemid", *_LINES)]
    ids += [f"byline:{_SIGNED.sub('', one)}" for one in values if _SIGNED.search(one)]
    named = (Keyword(name, values) for name in ("source", "credit"))
    return Bool(should=(Keyword(ID, tuple(ids)), *named))


def _written(value: str) -> tuple[str, ...]:
    """Return the ways in which an item may write a value, first the one that was typed."""
    bare = _LABELLED.sub("", value)
    enclosed = _ENCLOSED.fullmatch(bare)
    inner = next(filter(None, enclosed.groups()), "").strip() if enclosed else ""
    ways = [one for one in (value, bare, inner) if one]
    ways += [one.replace("’", "'") for one in ways] + [one.replace("'", "’") for one in ways]
    return tuple(dict.fromkeys(ways))


def describe(node: Node) -> str:
    """Return a tree as one readable line."""
    match node:
        case Word(text, field) | Prefix(text, field):
            star = "*" if isinstance(node, Prefix) else ""
            return f"{field}:{text}{star}" if field else f"{text}{star}"
        case Phrase(text, field, slop):
            near = f"~{slop}" if slop else ""
            return f'{field}:"{text}"{near}' if field else f'"{text}"{near}'
        case Keyword(field, values) if field in (FACT, ID):
            names, _, told = values[0].partition(":")
            return f"{names} is {told}"
        case Keyword(field, values):
            return f"{field} is {' or '.join(values)}"
        case DateRange(field, since, until):
            start = since.isoformat() if since else "…"
            end = until.isoformat() if until else "…"
            return f"{field} in [{start}, {end})"
        case Recorded(after, upto):
            return f"recorded in ({after}, {upto}]"
        case Everything():
            return "everything"
        case Nothing():
            return "nothing"
        case Bool(must, should, must_not):
            parts = [f"+{describe(child)}" for child in must]
            parts += [describe(child) for child in should]
            parts += [f"-{describe(child)}" for child in must_not]
            return f"({' '.join(parts)})"
