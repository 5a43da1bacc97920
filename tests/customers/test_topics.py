"""Followed topics: limits, their use in a query, and which items match."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from core.callers import Caller
from core.customers.transitions import Position, Told, Transition, TransitionKind
from core.errors import ConflictError, InputError, NotFoundError, QueryError
from core.items import Item, ItemType
from core.retrieval import Ids
from customers import topics as rules
from customers.topic_alerts import TopicAlerts
from customers.topics import FollowedTopics
from search.understanding.understand import Understanding
from storage.customers.topics import StoredTopics
from storage.databases import open_database
from storage.embedded.percolation import Percolator
from storage.embedded.topic_set import TopicSet
from storage.words.topics import Topics
from tests.conftest import new_folder

NOW = datetime(2026, 3, 18, 12, tzinfo=UTC)
GAZETTE = Caller("desk", frozenset({"wire"}), customer="gazette")
HERALD = Caller("herald", frozenset({"sport"}))


def new_index() -> TopicSet:
    return TopicSet(Percolator(Topics(), lambda: ("en",)))


@pytest.fixture
def topics(folder: Path) -> Iterator[FollowedTopics]:
    database = open_database(folder / "customers.sqlite", synced=False)
    yield FollowedTopics(StoredTopics(database), lambda: NOW, new_index)
    database.close()


def item(number: int, headline: str, *products: str, hours: int = 0) -> Item:
    at = NOW + timedelta(hours=hours)
    return Item(
        f"urn:{number}", 1, ItemType.TEXT, at, at, f"urn:{number}",
        headline=headline, products=products,
    )  # fmt: skip


def test_a_topic_is_its_account_s(topics: FollowedTopics) -> None:
    made = topics.create(GAZETTE, " Ferries ", "ferry accident")
    assert (made.account, made.name, made.query) == ("gazette", "Ferries", "ferry accident")
    colleague = Caller("editor", frozenset(), customer="gazette")
    assert topics.all(colleague) == (made,)
    assert topics.all(HERALD) == ()
    for call in (
        lambda: topics.one(HERALD, made.id),
        lambda: topics.change(HERALD, made.id, "x", "y"),
        lambda: topics.remove(HERALD, made.id),
    ):
        with pytest.raises(NotFoundError):
            call()
    assert topics.change(GAZETTE, made.id, query="boat").name == "Ferries"
    assert topics.change(GAZETTE, made.id, name="Boats").query == "boat"
    topics.remove(GAZETTE, made.id)
    assert topics.all(GAZETTE) == ()


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("", "ferry"),
        ("x" * 101, "ferry"),
        ("a\nb", "ferry"),
        ("x", ""),
        ("x", "*"),
        ("x", " OR ".join(f"word{n}" for n in range(65))),
        ("x", "a" * 2001),
        ("x", '"open'),
        ("x", "ferry AND followedtopics:7"),
    ],
)
def test_what_is_no_topic_is_refused(topics: FollowedTopics, name: str, query: str) -> None:
    with pytest.raises(InputError) as raised:
        topics.create(GAZETTE, name, query)
    assert raised.value.mend
    assert topics.all(GAZETTE) == ()


def test_the_longest_topic_is_one(topics: FollowedTopics) -> None:
    made = topics.create(GAZETTE, "x" * 100, " OR ".join(f"word{n}" for n in range(64)))
    assert topics.one(GAZETTE, made.id).name == "x" * 100


def test_an_account_has_a_limit(topics: FollowedTopics, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MOST_TOPICS", 1)
    topics.create(GAZETTE, "a", "b")
    with pytest.raises(ConflictError):
        topics.create(GAZETTE, "a", "b")


def test_items_name_the_topics_that_they_match(topics: FollowedTopics) -> None:
    ferry = topics.create(GAZETTE, "Ferries", "ferry")
    both = topics.create(GAZETTE, "Fires", "ferry fire")
    topics.create(HERALD, "Mine", "ferry")
    found = topics.matched([item(1, "A ferry"), item(2, "Fire on a ferry"), item(3, "x")], GAZETTE)
    assert found == [(ferry,), (ferry, both), ()]
    topics.change(GAZETTE, both.id, query="x")
    assert [
        len(some) for some in topics.matched([item(2, "ferry fire"), item(3, "x")], GAZETTE)
    ] == [1, 1]


def test_a_query_names_topics(topics: FollowedTopics) -> None:
    one = topics.create(GAZETTE, "Ferries", "ferry fire").id
    two = topics.create(GAZETTE, "Boats", "boat OR ship").id
    first, second = '("ferry" AND "fire")', '("boat" OR "ship")'
    for query, wanted in {
        f"followedtopics:{one}": f"+{first}",
        f"rescue FollowedTopics:{two}": f"rescue +{second}",
        f"a AND NOT followedtopics:{two}": f"a AND NOT +{second}",
        f"-followedtopics:{one} x": f"-{first} x",
        f"followedtopics:({one} OR {two})": f"+({first} OR {second})",
        f'"followedtopics:{one}"': f'"followedtopics:{one}"',
        f"(followedtopics:{one} OR a)": f"(+{first} OR a)",
    }.items():
        assert topics.written_out(query, GAZETTE) == wanted
    for query in (f"followedtopics:{one + 99}", "followedtopics:()"):
        with pytest.raises(QueryError):
            topics.written_out(query, GAZETTE)
    with pytest.raises(QueryError):
        topics.written_out(f"followedtopics:{one}", HERALD)
    meant = Understanding(None).understand(topics.written_out(f"followedtopics:{one}", GAZETTE))
    assert rules.topic_tree("ferry fire", NOW) in (meant.tree, *getattr(meant.tree, "must", ()))


@dataclass
class World:
    """A catalogue and transitions without a database."""

    items_: dict[int, Item] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    transitions: list[Transition] = field(default_factory=list)
    epoch: str = "one"

    def items(self, ids: Ids, caller: Caller) -> tuple[Item | None, ...]:
        found = [None if seq in self.hidden else self.items_[seq] for seq in ids.tolist()]
        return tuple(one if one and caller.products & {*one.products} else None for one in found)

    def after(self, n: int, limit: int, account: str) -> Sequence[Transition]:
        mine = [one for one in self.transitions if one.n > n and one.account in ("", account)]
        return mine[:limit]

    def last(self) -> Position:
        newest = self.transitions[-1] if self.transitions else None
        return Position(newest.n, newest.id) if newest else Position()

    def told(self, uris: Collection[str]) -> Mapping[str, Told]:
        return {}

    def owe(self, uris: Collection[str]) -> None:
        assert not uris

    def tell(self, seq: int, kind: TransitionKind, at: datetime) -> Transition:
        one = self.items_[seq]
        n = 3 * len(self.transitions) + 1
        made = Transition(n, f"t{n}", at, kind, one.chain, one.uri, one.version, seq)
        self.transitions.append(made)
        return made


WORDS = ("ferry", "fire", "boat", "storm")


def test_a_transition_whose_version_is_another_one_by_now_matches_nothing(
    topics: FollowedTopics,
) -> None:
    """A restored record gives the numbers of its versions again."""
    world = World()
    made = topics.create(GAZETTE, "Ferries", "ferry")
    for seq in (1, 2):
        world.items_[seq] = item(seq, "A bank" if seq == 1 else "A ferry", "wire")
        world.tell(seq, TransitionKind.SHOWN, NOW)
    world.items_[1] = item(9, "A ferry", "wire")
    follower = TopicAlerts(world, topics.store, new_index(), world, lambda _: GAZETTE.products)
    while follower.step():
        pass
    assert [(m.topic, m.uri) for m in topics.store.matches(0, 9)] == [(made.id, "urn:2")]


class TopicsMachine(RuleBasedStateMachine):
    """Topics, items, embargoes that lift, plans that change, and two followers, against a dict."""

    @initialize()
    def begin(self) -> None:
        self.database = open_database(new_folder() / "customers.sqlite", synced=False)
        self.store = StoredTopics(self.database)
        self.world = World()
        self.plans = {"gazette": frozenset({"wire"}), "herald": frozenset({"SPORT"})}
        self.now = NOW
        self.topics = FollowedTopics(self.store, lambda: self.now, new_index)
        self.followers = [self.follower(), self.follower()]
        self.model: dict[int, tuple[str, frozenset[str], datetime]] = {}
        self.wanted: set[str] = set()
        self.waiting: list[Transition] = []

    def follower(self) -> TopicAlerts:
        world: object = self.world
        return TopicAlerts(
            world,
            self.store,
            new_index(),
            world,
            lambda account: self.plans[account],
        )

    @rule(who=st.sampled_from([GAZETTE, HERALD]), words=st.sets(st.sampled_from(WORDS), min_size=1))
    def follow(self, who: Caller, words: set[str]) -> None:
        self.catch_up(0)
        self.now += timedelta(seconds=1)
        made = self.topics.create(who, "a topic", " ".join(sorted(words)))
        self.model[made.id] = (who.account, frozenset(words), self.now)

    @rule(data=st.data(), words=st.sets(st.sampled_from(WORDS), min_size=1))
    def change(self, data: st.DataObject, words: set[str]) -> None:
        if not self.model:
            return
        self.catch_up(1)
        number = data.draw(st.sampled_from(sorted(self.model)))
        account, _, created = self.model[number]
        who = GAZETTE if account == "gazette" else HERALD
        self.topics.change(who, number, query=" ".join(sorted(words)))
        self.model[number] = (account, frozenset(words), created)

    @rule(data=st.data())
    def unfollow(self, data: st.DataObject) -> None:
        if self.model:
            self.catch_up(0)
            number = data.draw(st.sampled_from(sorted(self.model)))
            account = self.model.pop(number)[0]
            self.topics.remove(GAZETTE if account == "gazette" else HERALD, number)

    @rule(
        words=st.sets(st.sampled_from(WORDS)),
        products=st.sets(st.sampled_from(["wire", "sport"])),
        kind=st.sampled_from(TransitionKind),
        hidden=st.booleans(),
    )
    def tell(self, words: set[str], products: set[str], kind: TransitionKind, hidden: bool) -> None:
        """Something becomes of a story; perhaps it is hidden by the time it is looked at."""
        seq = len(self.world.items_) + 1
        self.world.items_[seq] = item(seq, " ".join(words), *products)
        if hidden:
            self.world.hidden.add(seq)
        self.now += timedelta(seconds=1)
        self.waiting.append(self.world.tell(seq, kind, self.now))

    @rule(
        account=st.sampled_from(["gazette", "herald"]),
        codes=st.sets(st.sampled_from(["wire", "sport"])),
    )
    def sell(self, account: str, codes: set[str]) -> None:
        self.catch_up(1)
        self.plans[account] = frozenset(codes)

    @rule()
    def begin_anew(self) -> None:
        """The transitions are another history from now on, as after a restore."""
        self.world.epoch += "+"

    @rule(which=st.integers(0, 1))
    def restart(self, which: int) -> None:
        """A process ends and another begins."""
        self.followers[which] = self.follower()

    @rule(which=st.integers(0, 1))
    def catch_up(self, which: int) -> None:
        while self.followers[which].step():
            pass
        for one in self.waiting:
            if one.kind in (TransitionKind.SHOWN, TransitionKind.UPDATED):
                self.wanted |= self.expected(one)
        self.waiting.clear()
        assert [match.id for match in self.store.matches(0, 1000)] == sorted(
            self.wanted,
            key=lambda name: (int(name.partition(".t")[2]), int(name.partition(".")[0])),
        )

    def expected(self, one: Transition) -> set[str]:
        shown = self.world.items_[one.seq]
        if one.seq in self.world.hidden:
            return set()
        return {
            f"{number}.{one.id}"
            for number, (account, words, created) in self.model.items()
            if words <= {*shown.headline.split()}
            and created <= one.at
            and {code.casefold() for code in self.plans[account]} & {*shown.products}
        }

    @invariant()
    def lists_are_the_model(self) -> None:
        for who in (GAZETTE, HERALD):
            own = {topic.id for topic in self.topics.all(who)}
            assert own == {n for n, (account, *_) in self.model.items() if account == who.account}

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()


TestTopicsMachine = TopicsMachine.TestCase
