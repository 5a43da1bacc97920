"""What customers are shown beside the feed: matches of topics, RSS feeds and downloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

from api.access.callers import Surface
from api.access.services import Services
from api.customers.ordering import order_rendition
from api.customers.topic_routes import _shown
from core.callers import Caller
from core.customers.accounts import AccountBook, Download, Entitlement
from core.customers.topics import FollowedTopic
from core.errors import NotFoundError
from core.items import Item
from customers import rss
from customers.accounts import rules
from customers.accounts.downloads import Downloads
from customers.topic_alerts import TopicAlerts
from customers.topics import FollowedTopics
from search.kept_candidates import CandidateStore
from search.pipeline import Parts, SearchPipeline
from search.profiles import standard_profiles
from search.understanding.understand import Understanding
from storage.customers.downloads import StoredDownloads
from storage.customers.topics import StoredTopics
from storage.embedded.percolation import Percolator
from storage.embedded.topic_set import TopicSet
from storage.words.text_analysis import Analysis
from storage.words.topics import Topics
from tests.customers.feed_world import FeedWorld

COST = Decimal(2)  # of each download of which the account has not paid yet


class OtherSurfaces:
    """The surfaces of one process over a world. `plans` tells the products of each account."""

    def __init__(self, world: FeedWorld, plans: Callable[[], Mapping[str, frozenset[str]]]) -> None:
        self.world = world
        self.plans = plans
        percolator = Percolator(Topics(), world.engine.languages)
        store = StoredTopics(world.database)
        self.topics = FollowedTopics(store, world.clock, lambda: TopicSet(percolator))
        self.alerts = self.follower()
        self.downloads = Downloads(StoredDownloads(world.database), self._book, world.clock)
        self.search = SearchPipeline(
            Parts(
                engine=world.engine,
                encoders={},
                understanding=Understanding(None, world.engine),
                analysis=Analysis(),
                profiles=standard_profiles(("text",)),
                default_profile="lexical",
                reranker=None,
                reranker_missing="",
                candidates=CandidateStore(),
            )
        )

    def follower(self) -> TopicAlerts:
        """One that finds the matches of topics."""
        index = TopicSet(Percolator(Topics(), self.world.engine.languages))
        engine, store = self.world.engine, StoredTopics(self.world.database)
        return TopicAlerts(self.world.book, store, index, engine, lambda name: self.plans()[name])

    def _book(self) -> AccountBook:
        """A plan of each account, for its products."""
        book, now = AccountBook(), self.world.clock()
        for number, (name, products) in enumerate(sorted(self.plans().items()), start=1):
            book = rules.create_account(book, name, "", now)
            sold = Entitlement(number, name, tuple(sorted(products)), cost=COST)
            book = rules.put_entitlement(book, sold)
            book = rules.add_plan(book, name, name, [number], now)
        return book

    def matches(self, caller: Caller) -> list[dict[str, Any]]:
        """The matches that the route of topics tells."""
        surface = SimpleNamespace(services=SimpleNamespace(library=self.world.engine))
        found = self.topics.store.matches(0, 10_000, caller.account)
        return _shown(cast("Surface", surface), found, caller)

    def rss(self, caller: Caller, number: int) -> dict[str, int]:
        """The versions in an RSS feed, by uri; what was written is found by words."""
        self.world.engine.catch_up()
        feeds = *rss.numbered_products(caller), *rss.followed(caller, self.topics)
        feed = rss.feed_of(feeds, number)
        items = rss.newest(feed, self.search, caller, rss.MOST_ITEMS)
        return {item.uri: item.version for item in items}

    def rss_of(self, topic: FollowedTopic) -> int:
        """The number of a topic's RSS feed."""
        return rss.TOPICS_FROM + topic.id

    def order(self, caller: Caller, item: Item, meanwhile: Callable[[], object]) -> Download | None:
        """Orders an item, to which something happens `meanwhile`; None if it was not sent."""

        def look(uri: str, who: Caller) -> Item | None:
            meanwhile()
            return self.world.engine.item(uri, who)

        services = SimpleNamespace(
            accounts=SimpleNamespace(downloads=self.downloads), library=SimpleNamespace(item=look)
        )
        price = str(COST), "USD"
        try:
            return order_rendition(cast("Services", services), caller, item, "nitf", *price)
        except NotFoundError:
            return None
