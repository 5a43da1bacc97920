"""Reads the names of fields in a query, and finds names that are meant as fields and are none.

The fields themselves are rows of `core/query_fields.py`.
"""

from __future__ import annotations

import re
from difflib import get_close_matches

from core.errors import QueryError
from core.query_fields import NAMED, FieldKind

FIELD_NAMES = tuple(sorted(NAMED, key=len, reverse=True))
_EXACT = "|".join(re.escape(n) for n in FIELD_NAMES if NAMED[n].kind is not FieldKind.TEXT)
# A value of a field of facts: to the next blank, or a range in brackets.
_VALUE = re.compile(
    rf"(?<![\w.])(?:{_EXACT}):(?:[\[{{(][^\]}})]*[\]}})]|[<>]?=?[^\s()\"\[\]{{}}]+)", re.IGNORECASE
)
# Signs in such a value that mean something to the parser, and their stand-ins.
_STAND_INS = {ord(sign): 0xE100 + place for place, sign in enumerate(":/+")}
_IN_GROUPS = {sign: place for sign, place in _STAND_INS.items() if sign != ord("+")}
_SIGNS = {stand_in: sign for sign, stand_in in _STAND_INS.items()}
_NAME = re.compile(r"(?<!\S)[-+(]*([A-Za-z_][\w.]*):(?=(\S))")
_QUOTED = re.compile(r'"[^"]*"')
_LOOKS_NAMED = re.compile(r"[a-z][a-z0-9_.]{2,}")
_ADDRESSES = frozenset(
    ("http", "https", "ftp", "ftps", "file", "data", "mailto", "tel", "sms", "urn", "doi", "isbn")
)
_OPENS = '([{<>"'
_SIMILAR, _MISSPELT = 0.75, 0.85  # ratios of difflib: "update" is .8 like "date"
_LIST = "docs/query-language.md#fields"


def with_stand_ins(query: str) -> str:
    """Return `query` with stand-ins for signs that the parser would misread in values of facts,
    such as the colons of a time or a uri. The length stays the same.
    """
    return _VALUE.sub(_protected, query)


def _protected(found: re.Match[str]) -> str:
    name, _, value = found[0].partition(":")
    signs = _IN_GROUPS if value.startswith("(") else _STAND_INS
    return f"{name}:{value.translate(signs)}"


def without_stand_ins(text: str) -> str:
    """Return `text` with the signs that were typed."""
    return text.translate(_SIGNS)


def check_names(query: str, *, has_operators: bool) -> None:
    """Raise QueryError for a `name:value` that is meant as a field and is none.

    Times, web addresses and words with a colon stay words. A name is meant as a field if a value, a
    bracket, a quote or a sign follows directly, and if it is spelled nearly like a field, has a
    dot, is the whole query, or stands beside fields or operators.
    """
    query = _QUOTED.sub(lambda quoted: f'"{"x" * (len(quoted[0]) - 2)}"', query)
    found = [one for one in _NAME.finditer(query) if one[1].casefold() not in _ADDRESSES]
    known = [one for one in found if one[1].casefold() in NAMED]
    for one in found:
        name = one[1]
        if name.casefold() in NAMED or query[one.end() : one.end() + 2] == "//":
            continue
        near = get_close_matches(name.casefold(), FIELD_NAMES, 1, _SIMILAR)
        named = bool(_LOOKS_NAMED.fullmatch(name))
        whole = len(query.split()) == 1 and query.count(":") == 1
        beside = bool(known) or has_operators or one[2] in _OPENS
        meant = named and ("." in name.strip(".") or whole or beside)
        if meant or get_close_matches(name.casefold(), near, 1, _MISSPELT):
            raise unknown_field(name, near[0] if near else "")


def unknown_field(name: str, near: str) -> QueryError:
    """Return the error for a field that does not exist; `near` is a field with a similar name."""
    nearest = f"perhaps {near} is meant; " if near else ""
    return QueryError(
        f"there is no field {name!r}",
        where="q",
        mend=f"{nearest}{_LIST} lists the fields; put a text with a colon into quotes",
    )
