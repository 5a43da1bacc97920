"""RSS feeds of an account: one for each of its followed topics, and one for each of its products.

A feed is a search for the newest items, asked when it is read. So it has what the caller may see at
that moment, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.callers import Caller
from core.errors import NotFoundError
from core.items import Item
from core.query_tree import EVERYTHING, Keyword, Node
from core.retrieval import SortOrder
from customers.topics import FollowedTopics
from search.answers import Searches, SearchRequest
from search.understanding.strict_query import strict_query

TOPICS_FROM = 1_000_000_000  # ids of feeds of topics; those of products are their codes
_MOST_NUMBER = 2**31 - 1
MOST_ITEMS = 100


@dataclass(frozen=True, slots=True)
class RssFeed:
    """A feed: a query or filters, with the number that clients read it by."""

    id: int
    title: str
    description: str
    query: str = ""
    filters: Node = EVERYTHING


def numbered_products(caller: Caller) -> tuple[RssFeed, ...]:
    """Return a feed for each product of the caller that has a number for a code."""
    codes = sorted(
        int(code)
        for code in caller.products
        if code.isascii() and code.isdigit() and 0 < int(code[:12]) < TOPICS_FROM
    )
    return tuple(
        RssFeed(
            code, f"Product {code}", f"The newest items of product {code}",
            filters=Keyword("product", (str(code),)),
        )
        for code in codes
    )  # fmt: skip


def followed(caller: Caller, topics: FollowedTopics) -> tuple[RssFeed, ...]:
    """Return a feed for each topic of the caller."""
    return tuple(
        RssFeed(
            TOPICS_FROM + topic.id,
            topic.name,
            f"The newest items of the followed topic {topic.name}",
            strict_query(topic.query),
        )
        for topic in topics.all(caller)
        if TOPICS_FROM + topic.id <= _MOST_NUMBER
    )


def feed_of(feeds: Iterable[RssFeed], number: int) -> RssFeed:
    """Return the feed with this number. Raises NotFoundError."""
    for feed in feeds:
        if feed.id == number:
            return feed
    raise NotFoundError(f"this key has no RSS feed {number}", mend="/content/rss lists its feeds")


def newest(feed: RssFeed, search: Searches, caller: Caller, count: int) -> tuple[Item, ...]:
    """Return the newest items of a feed that the caller may see now."""
    request = SearchRequest(
        q=feed.query,
        filters=feed.filters,
        order=SortOrder.NEWEST,
        page_size=max(1, min(count, MOST_ITEMS)),
        profile="lexical",
        highlight=False,
    )
    return tuple(hit.item for hit in search.search(request, caller).hits)
