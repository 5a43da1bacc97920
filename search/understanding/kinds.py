"""Kinds of item in plain words: "photos of the ferry", "vídeo del incendio", "Hochwasser Bilder".

They set the type and are removed from the words, as dates are, if they stand before "of" or "about"
at the beginning, or at the end of a short query. Elsewhere they are words: "video games", "photos
show damage", and in headlines. Each language declares its words (`core.languages`).

"Find where she says thank you" asks for a moment of a recording: it sets video and audio, and what
is said is left.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from core.items import ItemType
from core.languages import LANGUAGES, KindWords
from core.query_tree import Bool, Keyword, Node, all_of
from search.answers import KindSpan, types_of
from search.understanding import accidental_operators
from search.understanding.dated import as_ignored, pasted, stands_alone
from search.understanding.dates import Calendar, find_dates
from search.understanding.language import Parsed
from search.understanding.templates import ENDED, any_of, any_template, pattern, spelt, words_of

_MOST_WORDS = 5  # words of a query with kinds at its end
_MOST_SHORT = 3  # words; a longer query that ends with a kind may be a headline
_MOST_SHOUTED = 6  # words in capitals that may ask for a kind; more are a headline
_MOST_NAME = 4  # words of the name of who speaks
_RECORDED = (ItemType.VIDEO, ItemType.AUDIO)


@dataclass(frozen=True, slots=True)
class _Asking:
    """How one language asks for kinds: patterns of the ways, and the type of each word."""

    types: dict[str, ItemType]
    kinds: str
    before: re.Pattern[str]
    alone: re.Pattern[str]
    after: re.Pattern[str]
    many: frozenset[str]
    short: frozenset[str]
    moment: re.Pattern[str]
    things: frozenset[str]


def _asking(words: KindWords) -> _Asking:
    types = {
        spelling: ItemType(name)
        for name, forms in words.forms.items()
        for group in (forms.many, forms.short, forms.one)
        for spelling in spelt(group)
    }
    kind = rf"(?<!\w)(?:{any_of(types)})(?!\w)"
    joined = rf"(?<!\w)(?:{any_of(words.joined.split())})(?!\w)"
    kinds = rf"{kind}(?:(?:\s*(?:[,/&]|{joined})\s*|\s+){kind}){{0,3}}"
    asked = rf"(?:(?:{any_template(words.asked)})\s+)?"
    which = rf"(?:(?:{any_of(words_of(words.which))})\s+){{0,2}}"
    begun = rf"^\s*{asked}{which}(?P<kinds>{kinds})"
    of = rf"\s+(?:{any_template(words.before)}){ENDED}"
    forms = words.forms.values()
    return _Asking(
        types,
        kinds,
        re.compile(rf"(?i){begun}{of}(?=\s*\S)"),
        re.compile(rf"(?i){begun}\s*$"),
        re.compile(rf"(?i)(?<=\S)\s+(?P<kinds>{kinds})\s*$"),
        frozenset(spelt(" ".join(one.many for one in forms))),
        frozenset(spelt(" ".join(one.short for one in forms))),
        _moment(words),
        frozenset(spelt(words.things)),
    )


def _moment(words: KindWords) -> re.Pattern[str]:
    """Return the pattern of what asks for a moment, up to the word that says that somebody
    speaks.
    """
    asked = {"asked": rf"(?:{any_template(words.asked)})"}
    opening = "|".join(pattern(template, asked) for template in words.moments)
    who, says = any_of(spelt(words.who)), any_of(spelt(words.says))
    return re.compile(
        rf"(?i)^\s*(?P<opening>(?:{opening}){ENDED}(?:\s+(?:{who})(?!\w))?)"
        rf"(?P<between>.*?)(?<!\w)(?P<says>(?:{says})(?!\w)(?:\s*[:,])?)"
    )


_DECLARED = {code: one.kinds for code, one in LANGUAGES.items() if one.kinds is not None}
_ASKING = {code: _asking(kinds) for code, kinds in _DECLARED.items()}
# Languages share words for kinds ("video"), so a word that is not a kind in one language is not a
# kind in the others.
_NOT_KINDS = any_template(name for one in _DECLARED.values() for name in one.names)
_NAMES = re.compile(rf"(?i)(?<!\w)(?:{_NOT_KINDS})(?!\w)")
_SUBJECT_WORDS = any_of(word for one in _DECLARED.values() for word in one.subjects.split())
_SUBJECTS = re.compile(rf"(?i)\b(?:{_SUBJECT_WORDS})\s*$")
_WORDS = any_of(word for one in _ASKING.values() for word in one.types)
_HINT = re.compile(rf"(?i)(?<!\w)(?:{_WORDS})(?!\w)")


def find_kinds(query: str, calendar: Calendar) -> tuple[KindSpan, ...]:
    """Return the kinds of item that `query` asks for in plain words: one span, or none; two where a
    moment is asked for and the name of who speaks stands between. Dates at its end may follow. The
    language of the query goes first (`calendar.language`).
    """
    if moment := _moment_spans(query, calendar.language):
        return moment
    if not _HINT.search(query) or _NAMES.search(query):
        return ()
    headline = accidental_operators.is_prose(query) or bool(pasted(query, calendar.language))
    if headline and not (query.isupper() and len(query.split()) <= _MOST_SHOUTED):
        return ()
    bare = query
    for date in find_dates(query, calendar)[0]:
        bare = _blanked(bare, date.start, date.end)
    found = (_span(query, bare, way, headline=headline) for way in _ways(calendar.language))
    return next(((span,) for span in found if span is not None), ())


def _ways(language: str) -> list[_Asking]:
    """Return how each language asks, that of the query first."""
    return [way for _, way in sorted(_ASKING.items(), key=lambda way: way[0] != language)]


def _moment_spans(query: str, language: str) -> tuple[KindSpan, ...]:
    """Return the words that ask for a moment in which somebody speaks; what is said may stand
    before the word for speaking, at the end, as in German.
    """
    for way in _ways(language):
        found = way.moment.search(query)
        if found is None or not stands_alone(query, found.start("opening"), found.end()):
            continue
        name, rest = found["between"].split(), query[found.end() :].strip(" :,.?!")
        if name and name[-1].casefold() in way.things:
            return ()
        if rest and not name:
            return (_recorded(query, found.start("opening"), found.end()),)
        if (rest and len(name) <= _MOST_NAME) or (name and not rest):
            return tuple(_recorded(query, *found.span(part)) for part in ("opening", "says"))
    return ()


def _recorded(query: str, start: int, end: int) -> KindSpan:
    return KindSpan(query[start:end], start, end, _RECORDED)


def _span(query: str, bare: str, way: _Asking, *, headline: bool) -> KindSpan | None:
    """Return the words for kinds in one language; `bare` is the query without its dates. What may
    be a headline asks for kinds at its beginning only.
    """
    found = way.before.search(bare)
    if not headline:
        found = found or way.alone.search(bare) or way.after.search(bare)
    if found is None:
        return None
    start = len(query) - len(query.lstrip()) if found.start() == 0 else found.start("kinds")
    end = found.start() + len(found[0].rstrip())
    if found.re is way.after and not _may_end(bare[:start], found["kinds"], way):
        return None
    if not stands_alone(query, start, end):
        return None
    asked = [" ".join(word.split()) for word in _HINT.findall(found["kinds"].casefold())]
    types = dict.fromkeys(way.types[word] for word in asked if word in way.types)
    ordered = tuple(kind for kind in _ORDER if kind in types)
    return KindSpan(query[start:end], start, end, ordered)


_ORDER = (ItemType.PICTURE, ItemType.VIDEO, ItemType.AUDIO, ItemType.GRAPHIC)


def _may_end(before: str, kinds: str, way: _Asking) -> bool:
    """Return whether words for kinds at a query's end may be meant as such: after `before` a
    headline may end with one ("withdraws her video").
    """
    last = kinds.split()[-1].casefold()
    words = len(before.split()) + 1
    if _SUBJECTS.search(before) or words > _MOST_WORDS:
        return False
    return last in way.many or (last in way.short and words <= _MOST_SHORT)


def is_ignored(span: KindSpan, ignore: Collection[str]) -> bool:
    """Return whether the span, or the words for the kinds in it, are in `ignore`."""
    inner = (
        found for way in _ASKING.values() for found in re.findall(f"(?i){way.kinds}", span.text)
    )
    return any(as_ignored(words) in ignore for words in (span.text, *inner))


def without_kinds(query: str, spans: tuple[KindSpan, ...]) -> str:
    """Return `query` with blanks for the spans that are not ignored, of the same length."""
    for span in spans:
        if not span.ignored:
            query = _blanked(query, span.start, span.end)
    return query


def with_kinds(parsed: Parsed, spans: tuple[KindSpan, ...]) -> Parsed:
    """Return the parsed query, filtered by the types that its words set."""
    types = types_of(spans)
    if not types:
        return parsed
    return replace(parsed, filters=all_of(parsed.filters, Keyword("type", types)))


def asks_for_types(node: Node) -> bool:
    """Return whether a tree of facts filters by type already."""
    if isinstance(node, Bool):
        return any(map(asks_for_types, (*node.must, *node.should, *node.must_not)))
    return isinstance(node, Keyword) and node.field == "type"


def _blanked(text: str, start: int, end: int) -> str:
    return text[:start] + " " * (end - start) + text[end:]
