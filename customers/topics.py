"""Followed topics: an account's stored queries, their limits, and their use in a search."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from time import monotonic

from core.callers import Caller
from core.customers.topics import FollowedTopic
from core.errors import ConflictError, InputError, NotFoundError, QueryError
from core.items import Item
from core.ports.customers import TopicIndex, TopicStore
from core.ports.engine import Clock
from core.query_tree import Bool, Node
from customers.monitors import is_address
from customers.one_line import one_line
from search.understanding.strict_query import strict_query, strict_tree

log = logging.getLogger(__name__)
MOST_TOPICS = 500  # topics of an account
MOST_CLAUSES = 64
MOST_CHARACTERS = 2000  # of the strict form of a query
LONGEST_NAME = 100
MOST_EMAILS = 5
_NAMED = re.compile(
    r"(?P<sign>(?<!\S)[-+]|(?<=\()[-+])?\bfollowedtopics:(?:(?P<id>\d{1,18})\b|\((?P<ids>[^()]*)\))",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'("(?:\\.|[^"\\])*")')
_NUMBER = re.compile(r"\d{1,18}")
_CACHED = 256  # accounts
_RECENT_S = 1.0  # after this time, hits show what other processes changed


def topic_tree(query: str, now: datetime) -> Node:
    """Return the tree of a topic's query. Raises QueryError for a query that can't be a topic."""
    if named := _NAMED.search(_QUOTED.sub("", query)):
        raise QueryError(
            f"a topic can't name another topic ({named[0][:80]})",
            mend="write the query of that topic in its place",
        )
    tree = strict_tree(query, now)
    if len(strict_query(query)) > MOST_CHARACTERS:
        raise QueryError(
            f"the query is longer than {MOST_CHARACTERS:,} characters",
            mend="leave words out, or make two topics of it",
        )
    if (count := _clauses(tree)) > MOST_CLAUSES:
        raise QueryError(
            f"the query has {count} clauses",
            mend=f"a topic has at most {MOST_CLAUSES}: leave words out, or make two topics of it",
        )
    return tree


def _clauses(node: Node) -> int:
    if isinstance(node, Bool):
        return sum(map(_clauses, (*node.must, *node.should, *node.must_not)))
    return 1


def topic_trees(topics: Iterable[FollowedTopic]) -> dict[int, Node]:
    """Return the trees of stored topics by id. A topic that an older version accepted and this one
    refuses is reported, and matches nothing.
    """
    trees: dict[int, Node] = {}
    for topic in topics:
        try:
            trees[topic.id] = topic_tree(topic.query, topic.created)
        except QueryError as error:
            log.warning("followed topic %d matches nothing: %s", topic.id, error.code)
    return trees


@dataclass(frozen=True, slots=True)
class _Known:
    """The queries of an account's topics by id, and how they are matched."""

    queries: Mapping[int, str]
    index: TopicIndex


@dataclass(slots=True)
class FollowedTopics:
    """The followed topics of every account. `new_index` makes an empty index of queries.
    Thread-safe.
    """

    store: TopicStore
    clock: Clock
    new_index: Callable[[], TopicIndex]
    _known: dict[str, _Known] = field(default_factory=dict)
    _recent: dict[str, tuple[float, tuple[FollowedTopic, ...]]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def create(
        self, caller: Caller, name: str, query: str, emails: Sequence[str] = ()
    ) -> FollowedTopic:
        """Create a topic of the caller's account. Raises InputError, QueryError, ConflictError."""
        title = one_line(name, "name of a topic", LONGEST_NAME)
        now = self.clock()
        topic_tree(query, now)
        to = _addresses(emails)
        made = self.store.add(caller.account, title, query, now, MOST_TOPICS, to)
        self._recent.pop(caller.account, None)
        if made is None:
            raise ConflictError(
                f"this account has {MOST_TOPICS} followed topics already",
                mend="delete one first",
            )
        return made

    def change(
        self,
        caller: Caller,
        id_: int,
        name: str | None = None,
        query: str | None = None,
        emails: Sequence[str] | None = None,
    ) -> FollowedTopic:
        """Give a topic of the caller's account another name, query or addresses, where they are
        given; return it.
        """
        topic = self.one(caller, id_)
        title = topic.name if name is None else one_line(name, "name of a topic", LONGEST_NAME)
        if query is not None:
            topic_tree(query, self.clock())
        to = topic.emails if emails is None else _addresses(emails)
        changed = self.store.change(
            caller.account, id_, title, topic.query if query is None else query, to
        )
        self._recent.pop(caller.account, None)
        if changed is None:
            raise _unknown(id_)
        return changed

    def remove(self, caller: Caller, id_: int) -> None:
        """Delete a topic of the caller's account. Raises NotFoundError."""
        removed = self.store.remove(caller.account, id_)
        self._recent.pop(caller.account, None)
        if not removed:
            raise _unknown(id_)

    def all(self, caller: Caller) -> tuple[FollowedTopic, ...]:
        """Return the topics of the caller's account, the oldest first."""
        return tuple(self.store.of(caller.account))

    def one(self, caller: Caller, id_: int) -> FollowedTopic:
        """Return a topic of the caller's account. Raises NotFoundError."""
        for topic in self.all(caller):
            if topic.id == id_:
                return topic
        raise _unknown(id_)

    def has_some(self, caller: Caller) -> bool:
        """Return whether the caller's account follows topics."""
        return bool(self._recent_of(caller))

    def matched(self, items: Sequence[Item], caller: Caller) -> list[tuple[FollowedTopic, ...]]:
        """Return, for each item, the topics of the caller's account that it matches."""
        topics = self._recent_of(caller)
        if not topics:
            return [() for _ in items]
        found = self._index(caller.account, topics).matching(items)
        return [tuple(topic for topic in topics if topic.id in numbers) for numbers in found]

    def _recent_of(self, caller: Caller) -> tuple[FollowedTopic, ...]:
        """Return topics that are at most _RECENT_S old, because reading them takes longer than most
        searches.
        """
        until, topics = self._recent.get(caller.account, (0.0, ()))
        if monotonic() >= until:
            topics = self.all(caller)
            if len(self._recent) >= _CACHED:
                self._recent.clear()
            self._recent[caller.account] = (monotonic() + _RECENT_S, topics)
        return topics

    def written_out(self, query: str, caller: Caller) -> str:
        """Return the query with the query of each `followedtopics:ID` in its place, so that it
        narrows. Raises QueryError for a topic that the caller's account does not have.
        """

        def clause(found: re.Match[str]) -> str:
            numbers = _NUMBER.findall(found["id"] or found["ids"])
            if not numbers:
                raise QueryError(
                    f"{found[0][:60]!r} names no topic", mend="write followedtopics:123"
                )
            each = [f"({strict_query(self._asked(int(n), caller).query)})" for n in numbers]
            whole = each[0] if len(each) == 1 else f"({' OR '.join(each)})"
            return f"{found['sign'] or '+'}{whole}"

        parts = _QUOTED.split(query)  # what stands in quotes is text
        return "".join(
            part if number % 2 else _NAMED.sub(clause, part) for number, part in enumerate(parts)
        )

    def _asked(self, id_: int, caller: Caller) -> FollowedTopic:
        try:
            return self.one(caller, id_)
        except NotFoundError as error:
            raise QueryError(error.what, mend=error.mend) from None

    def _index(self, account: str, topics: Sequence[FollowedTopic]) -> TopicIndex:
        queries = {topic.id: topic.query for topic in topics}
        known = self._known.get(account)
        if known is None or known.queries != queries:
            known = _Known(queries, self.new_index())
            known.index.change(topic_trees(topics))
            with self._lock:
                if len(self._known) >= _CACHED:
                    self._known.clear()
                self._known[account] = known
        return known.index


def _addresses(emails: Sequence[str]) -> tuple[str, ...]:
    for address in emails:
        if not is_address(address):
            raise InputError(f"{address[:80]!r} is no mail address", mend="write desk@example.com")
    if len(emails) > MOST_EMAILS:
        raise InputError("the topic has many addresses", mend=f"use {MOST_EMAILS} at most")
    return tuple(dict.fromkeys(emails))


def _unknown(id_: int) -> NotFoundError:
    return NotFoundError(
        f"this account has no followed topic {id_}", mend="the list of topics has their ids"
    )
