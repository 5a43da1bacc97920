"""Followed topics where they meet searches: in a query, and beside each item of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from api.access.services import Services
from core.callers import Caller
from core.items import Item
from customers.topics import FollowedTopics
from search.answers import Searches, SearchRequest, SearchResponse


@dataclass(frozen=True, slots=True)
class TopicSearch:
    """A search in which `followedtopics:ID` stands for the query of that topic."""

    search_port: Searches
    topics: FollowedTopics

    def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
        """Return one page of the answer. Raises QueryError for a topic that the account does not
        have.
        """
        written = self.topics.written_out(request.q, caller)
        return self.search_port.search(replace(request, q=written), caller)


def named_topics(services: Services, items: Sequence[Item], caller: Caller) -> list[dict[str, Any]]:
    """Return, for each item, the member `followed_topics` with the topics of the caller's account
    that it matches; nothing for none.
    """
    return names_of(services.topics, items, caller)


def names_of(
    topics: FollowedTopics | None, items: Sequence[Item], caller: Caller
) -> list[dict[str, Any]]:
    """Return that member for each item; a service may have no followed topics."""
    if topics is None or not items:
        return [{} for _ in items]
    return [
        {"followed_topics": [{"id": topic.id, "name": topic.name} for topic in matched]}
        if matched
        else {}
        for matched in topics.matched(items, caller)
    ]
