"""The strict form of a query: every word counts, so that it says yes or no to each item.

In a search, words beside each other only rank. In the strict form each of them must occur, so
`ferry accident NOT drill` becomes `"ferry" AND "accident" AND NOT "drill"`. It is a query of the
same language: a search for it, by any profile, finds what the tree of it matches.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from core.errors import QueryError
from core.query_tree import (
    ARRIVED,
    Bool,
    DateRange,
    Everything,
    Node,
    Nothing,
    Phrase,
    Word,
    all_of,
)
from search.answers import MAX_QUERY_CHARACTERS, DateUse
from search.understanding.dated import parse_dated
from search.understanding.dates import calendar_of

_FAR = timedelta(days=400)  # after this time, a time relative to now has changed
_FIELD = r"(?:[\w.]+:)?"
_TOKEN = re.compile(
    rf"""(?P<operator>(?:AND|OR|NOT)(?=[\s(]|$))
      |(?P<open>[+-]*{_FIELD}\()
      |(?P<close>\)(?:\^[\d.]+)?)
      |(?P<whole>[+-]*{_FIELD}(?:"(?:\\.|[^"\\])*"(?:[~^][\d.]*)*|[<>=]*[\[{{][^\]}}]*[\]}}]))
      |(?P<term>[^\s()]+)""",
    re.VERBOSE,
)
_WORD = re.compile(
    r"(?P<sign>[+-]*)(?P<word>[^\W_](?:[^\s:\"*?~^\\/\[\]{}<>=]*[^\W_])?)[.,;!?…’']*"
)
_WHAT_CAN = (
    'a feed, a topic and a webhook say yes or no to each item: write words, "phrases", field:value '
    "and spans of time with dates, joined by AND, OR and NOT"
)


def strict_query(query: str) -> str:
    """Return the strict form of a query; "" for a query without anything in it."""
    parts: list[str] = []
    joins = False  # whether an operand stands before, without an operator behind it
    for token in _TOKEN.finditer(query):
        kind, text = token.lastgroup, token[0]
        if kind == "term" and text != "*" and not any(map(str.isalnum, text)):
            continue  # a dash between words, say
        begins = kind != "close" and (kind != "operator" or text == "NOT")
        if joins and begins:
            parts.append("AND")
        parts.append(_quoted(text) if kind == "term" else text)
        joins = kind not in ("operator", "open")
    return re.sub(r"(?<=\() | (?=\))", "", " ".join(parts))


def _quoted(term: str) -> str:
    """Return a bare word in quotes; anything else as it is."""
    found = _WORD.fullmatch(term)
    return f'{found["sign"]}"{found["word"]}"' if found else term


def strict_tree(query: str, now: datetime) -> Node:
    """Return the tree that each match of a stored query satisfies. Raises QueryError for a query
    that is not a filter, or that changes with time.
    """
    tree = frozen_tree(query, now)
    if not _asks(tree):
        raise QueryError("the query has no word and no fact in it", mend=_WHAT_CAN)
    if tree != _read(strict_query(query), now + _FAR):
        raise QueryError(
            "the query names a time relative to now, which would change its meaning every day",
            mend="name dates, such as versioncreated:>2026-03-01, or none",
        )
    return tree


def frozen_tree(query: str, now: datetime) -> Node:
    """Return the tree that each match of a query satisfies; times relative to now are read at
    `now`. An empty query is Everything. Raises QueryError for one that is not a filter.
    """
    if len(query) > MAX_QUERY_CHARACTERS:
        raise QueryError(
            f"the query has {len(query):,} characters",
            mend=f"at most {MAX_QUERY_CHARACTERS:,} are allowed",
        )
    tree = _read(strict_query(query), now)
    if _asks_arrival(tree):
        raise QueryError(
            "`arrived` is for searches: a feed, a topic and a webhook tell each item when it comes",
            mend="leave it out",
        )
    if loose := _bare_word(tree):
        raise QueryError(
            f"{loose[:40]!r} stands with a sign that a filter can't have, such as ^ or a backslash",
            mend='leave the sign out, or put the text in quotes, as in "C++"',
        )
    return tree


def _read(strict: str, now: datetime) -> Node:
    parsed = parse_dated(strict, calendar_of(now, ""), DateUse.OFF).parsed
    if parsed.notes:
        raise QueryError(
            f"a part of the query says no clear yes or no: {parsed.notes[0]}", mend=_WHAT_CAN
        )
    return all_of(parsed.tree, parsed.filters)


def _asks_arrival(node: Node) -> bool:
    match node:
        case Bool(must, should, must_not):
            return any(map(_asks_arrival, (*must, *should, *must_not)))
        case DateRange(field):
            return field == ARRIVED
        case _:
            return False


def _asks(node: Node) -> bool:
    """Return whether a tree asks for anything at all."""
    match node:
        case Everything() | Nothing():
            return False
        case Bool(must, should, must_not):
            return any(map(_asks, (*must, *should, *must_not)))
        case Word(text) | Phrase(text):
            return bool(text.strip())
        case _:
            return True


def _bare_word(node: Node) -> str:
    """Return a word that would only rank in a search, "" if there is none."""
    match node:
        case Word(text, field="") if text:
            return text
        case Bool(must, should, must_not):
            return next(filter(None, map(_bare_word, (*must, *should, *must_not))), "")
        case _:
            return ""
