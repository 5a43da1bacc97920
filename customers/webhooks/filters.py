"""The filters of endpoints: their queries and followed topics."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from core.callers import Caller
from core.customers.webhooks import Endpoint
from core.errors import QueryError
from core.query_tree import EVERYTHING, Bool, Node, Nothing
from customers.topics import FollowedTopics, topic_tree

log = logging.getLogger(__name__)
_KEPT = 1000
_Key = tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class EndpointFilters:
    """Filters transitions by the queries and followed topics of endpoints; trees of queries are
    kept.
    """

    topics: FollowedTopics
    _trees: dict[_Key, Node] = field(default_factory=dict)

    def check(self, endpoint: Endpoint, caller: Caller) -> None:
        """Raise QueryError for a query that can't be a filter, NotFoundError for a topic that the
        caller's account does not have.
        """
        for each in endpoint.topics:
            self.topics.one(caller, each)
        if endpoint.query:
            self._compiled(endpoint)

    def tree(self, endpoint: Endpoint) -> Node:
        """Return what an item must match: one of the query and the topics. A topic that was deleted
        matches nothing.
        """
        if not (endpoint.query or endpoint.topics):
            return EVERYTHING
        parts = [self._kept(endpoint)] if endpoint.query else []
        if endpoint.topics:
            parts += self._topics(endpoint)
        return parts[0] if len(parts) == 1 else Bool(should=tuple(parts)) if parts else Nothing()

    def _topics(self, endpoint: Endpoint) -> Sequence[Node]:
        theirs = self.topics.store.of(endpoint.account)
        return [
            _or_nothing(endpoint, lambda t=topic: topic_tree(t.query, t.created))  # type: ignore[misc]
            for topic in theirs
            if topic.id in endpoint.topics
        ]

    def _kept(self, endpoint: Endpoint) -> Node:
        key = endpoint.id, endpoint.query, endpoint.created
        if key not in self._trees:
            if len(self._trees) >= _KEPT:
                self._trees.clear()
            self._trees[key] = _or_nothing(endpoint, lambda: self._compiled(endpoint))
        return self._trees[key]

    def _compiled(self, endpoint: Endpoint) -> Node:
        owner = Caller(endpoint.account, frozenset())
        written = self.topics.written_out(endpoint.query, owner)
        return topic_tree(written, datetime.fromtimestamp(endpoint.created, UTC))


def _or_nothing(endpoint: Endpoint, compile_: Callable[[], Node]) -> Node:
    """Return a tree; one that matches nothing for a query that an older version took."""
    try:
        return compile_()
    except QueryError as error:
        log.warning("webhook %s matches nothing: %s", endpoint.id, error.code)
        return Nothing()
