"""Kinds of item in plain words: "photos of the ferry", "ferry accident video", "audio".

They set the type and leave the words, as dates do, where people put them: before "of" or "about" at
the beginning, or at the end of a few words. Elsewhere they are words: "video games", "photos show
damage", and in headlines.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace

from core.items import ItemType
from core.query_tree import Bool, Keyword, Node, all_of
from search.answers import KindSpan
from search.understanding import accidental_operators
from search.understanding.dated import as_ignored, pasted, stands_alone
from search.understanding.dates import Calendar, find_dates
from search.understanding.language import Parsed

_TYPES = {
    ItemType.PICTURE: "photos? photographs? pictures? images? pics?",
    ItemType.VIDEO: "videos? footage clips?",
    ItemType.AUDIO: "audio recordings?",
    ItemType.GRAPHIC: "graphics infographics?",
}
_PATTERNS = {
    kind: re.compile(f"(?i)(?:{'|'.join(words.split())})$") for kind, words in _TYPES.items()
}
_KIND = rf"\b(?:{'|'.join(' '.join(_TYPES.values()).split())})\b"
_KINDS = rf"{_KIND}(?:\s*(?:,|/|&|and|or)\s*{_KIND}){{0,3}}"
_ASKED = r"(?:(?:please\s+)?(?:show\s+me|find(?:\s+me)?|get(?:\s+me)?|i\s+need|looking\s+for)\s+)?"
_WHICH = r"(?:(?:all|any|some|the|new|latest|recent)\s+){0,2}"
_BEFORE = re.compile(
    rf"(?i)^\s*{_ASKED}{_WHICH}(?P<kinds>{_KINDS})\s+(?:of|about|showing|depicting)(?=\s+\S)"
)
_ALONE = re.compile(rf"(?i)^\s*{_ASKED}{_WHICH}(?P<kinds>{_KINDS})\s*$")
_AFTER = re.compile(rf"(?i)(?<=\S)\s+(?P<kinds>{_KINDS})\s*$")
_HINT = re.compile(rf"(?i){_KIND}")
# With these before it, the last word names a subject and not a kind of item.
_SUBJECTS = re.compile(
    r"(?i)\b(?:music|viral|deepfake|stock|body|moving|satellite|movie|film|court|tv|nude)\s*$"
)


_MOST_WORDS = 5  # of a query with kinds at its end
_SINGULAR = re.compile(r"(?i)^(?:photo|video)$")
_NO_PLURAL = re.compile(r"(?i)^(?:photograph|picture|image|pic|clip|recording|infographic)$")
_MOST_SINGULAR = 3  # words of a query with one at its end


def find_kinds(query: str, calendar: Calendar) -> tuple[KindSpan, ...]:
    """The kinds of item that `query` asks for in plain words: one span, or none. Dates at its end
    may follow.
    """
    if not _HINT.search(query) or accidental_operators.is_prose(query) or pasted(query):
        return ()
    bare = query
    for date in find_dates(query, calendar)[0]:
        bare = _blanked(bare, date.start, date.end)
    found = _BEFORE.search(bare) or _ALONE.search(bare) or _AFTER.search(bare)
    if found is None:
        return ()
    start = len(query) - len(query.lstrip()) if found.start() == 0 else found.start("kinds")
    end = found.start() + len(found[0].rstrip())
    if found.re is _AFTER and not _may_end(bare[:start], found["kinds"]):
        return ()
    if not stands_alone(query, start, end):
        return ()
    types = tuple(
        kind
        for kind, pattern in _PATTERNS.items()
        if any(pattern.match(word) for word in re.findall(r"\w+", found["kinds"]))
    )
    return (KindSpan(query[start:end], start, end, types),)


def _may_end(before: str, kinds: str) -> bool:
    """Whether words for kinds at a query's end may be meant as such: after `before` a headline may
    end with one ("withdraws her video").
    """
    last = kinds.split()[-1]
    words = len(before.split()) + 1
    if _SUBJECTS.search(before) or _NO_PLURAL.match(last) or words > _MOST_WORDS:
        return False
    return not _SINGULAR.match(last) or words <= _MOST_SINGULAR


def is_ignored(span: KindSpan, ignore: Collection[str]) -> bool:
    """Whether the span, or the words for the kinds in it, are in `ignore`."""
    words = [as_ignored(span.text), *map(as_ignored, re.findall(_KINDS, span.text, re.IGNORECASE))]
    return any(word in ignore for word in words)


def without_kinds(query: str, spans: tuple[KindSpan, ...]) -> str:
    """`query` with blanks for the spans that are not ignored, of the same length."""
    for span in spans:
        if not span.ignored:
            query = _blanked(query, span.start, span.end)
    return query


def with_kinds(parsed: Parsed, spans: tuple[KindSpan, ...]) -> Parsed:
    """The parsed query, filtered by the types that its words set."""
    types = [str(kind) for span in spans if not span.ignored for kind in span.types]
    if not types:
        return parsed
    return replace(parsed, filters=all_of(parsed.filters, Keyword("type", tuple(types))))


def asks_for_types(node: Node) -> bool:
    """Whether a tree of facts filters by type already."""
    if isinstance(node, Bool):
        return any(map(asks_for_types, (*node.must, *node.should, *node.must_not)))
    return isinstance(node, Keyword) and node.field == "type"


def _blanked(text: str, start: int, end: int) -> str:
    return text[:start] + " " * (end - start) + text[end:]
