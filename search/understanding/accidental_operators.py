"""Finds signs in a query that are not meant as operators: a dash between words, a mark at a
sentence's end, the colon of a heading or an address, quotes and capitals in pasted prose.
"""

from __future__ import annotations

import re

from search.answers import MAX_CLAUSES, MAX_QUERY_CHARACTERS
from search.understanding.query_fields import FIELD_NAMES

_SIGNS = re.compile(r"""["()\[\]{}^~*?:/\\!&|<>=]|(?<!\S)[-+]""")
# A dash between words is not a NOT, and a mark at a sentence's end is not a wildcard.
_PUNCTUATION = re.compile(r"(?<!\S)[-–—+]+(?!\S)|(?<=[)\]])-(?=\w)|(?<=\w)[?!]+(?!\S)")
_NAMES = "|".join(map(re.escape, FIELD_NAMES))
_FIELD = re.compile(rf"(?<!\S)[-+(]*(?:{_NAMES}):\S", re.IGNORECASE)
# "Date: to be announced" is a heading: a field's value stands right after its colon.
_HEADING = re.compile(rf"(?<!\S)({_NAMES}):(?=\s+\S)", re.IGNORECASE)
_ADDRESS = re.compile(r"(?<!\S)\w+://\w")
_URN = re.compile(r"(?i)urn:[a-z0-9][a-z0-9-]*:[^\s\"]+")
_SENTENCE = re.compile(r"[.?!,;:…](?:\s|$)")
_PROSE_WORDS, _CAPITALS = 12, 5
_OPERATORS = re.compile(r"(?<!\S)(AND|OR|NOT|TO)(?!\S)")
_WORD = re.compile(r"[^\W_]+")
_WORDS = re.compile(r"[^\s\"()\[\]{}^~*?:/\\+!&|<>=]+")


def without_punctuation(query: str) -> str:
    """Return `query` with blanks in place of punctuation that only looks like operators, of the
    same length; unchanged if it has nothing else.
    """
    blanked = _PUNCTUATION.sub(lambda found: " " * len(found[0]), query)
    return blanked if blanked.strip() else query


def headings(query: str) -> tuple[str, ...]:
    """Return the names of fields with a colon and a blank after it, which are not `field:value`."""
    return tuple(found[0] for found in _HEADING.finditer(query))


def without_headings(query: str) -> str:
    """Return `query` with a blank in place of each heading's colon, of the same length."""
    return _HEADING.sub(r"\1 ", query)


def has_operators(text: str) -> bool:
    """Return whether `text` has any sign or word of the query language."""
    return bool(_SIGNS.search(text) or _OPERATORS.search(text))


def is_urn(text: str) -> bool:
    """Return whether the whole of `text` is a uri such as urn:newsml:…, whose colons are no
    fields.
    """
    return bool(_URN.fullmatch(text))


def has_named_operators(text: str) -> bool:
    """Return whether `text` has AND, OR or NOT."""
    return any(found[1] != "TO" for found in _OPERATORS.finditer(text))


def why_plain(text: str) -> str:
    """Return the note on why the operators in `text` are not meant; "" if they may be."""
    if _ADDRESS.search(text):
        return "read as plain words: there is a web address in it"
    if prose := _prose(text):
        return f"read as plain words, operators and quotes too: {prose}"
    return ""


def plain_words(text: str) -> list[str]:
    """Return the words of `text` between its signs."""
    return _WORDS.findall(text)


def is_prose(query: str) -> bool:
    """Return whether a query is pasted prose, in which no sign is meant to narrow."""
    return bool(_prose(query.strip()))


def is_text(query: str) -> bool:
    """Return whether a query counts as a pasted text: it has more than 4,096 characters, or it is
    prose of more than 256 words.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        return True
    many = len(query) > 2 * MAX_CLAUSES and len(_WORD.findall(query)) > MAX_CLAUSES
    return many and is_prose(query)


def _prose(text: str) -> str:
    """Return why a text is pasted prose and no query; "" if it may be a query. People paste
    sentences and headlines, and mean neither a quotation nor a capital NOT in them to narrow.
    """
    if _FIELD.search(text):
        return ""
    words = len(text.split())
    if words >= _CAPITALS and text.isupper() and not _SIGNS.search(text):
        return "it is all in capitals"
    if words >= _PROSE_WORDS and _SENTENCE.search(text):
        return "it is a sentence"
    return ""
