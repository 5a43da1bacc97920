"""Finds the followed topics that match what was shown or updated, and records the matches.

It follows the transitions with a position of its own, so a story whose embargo lifts matches, too.
Matches and the position are recorded in one transaction: nothing is lost when a process ends, and
any number of processes may run this at the same time. The position names its history of
transitions: after a restore the follower forgets what it knows, and continues in the new history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.callers import Caller, folded
from core.customers.topics import FollowedTopic, TopicMatch
from core.customers.transitions import ENDS, Transition
from core.items import Item
from core.ports.customers import TopicIndex, TopicStore, TransitionLog
from core.ports.engine import Catalogue
from customers.topics import topic_trees

BATCH = 50  # transitions in one step
_CHANGES = 1000  # topics in one look
Products = Callable[[str], frozenset[str]]


@dataclass(slots=True)
class TopicAlerts:
    """One follower. `index` is an empty index of queries, `products` returns what an account reads.
    Only an item that the account may see at this moment is a match; whoever sends it asks the guard
    again.
    """

    log: TransitionLog
    store: TopicStore
    index: TopicIndex
    catalogue: Catalogue
    products: Products
    _topics: dict[int, FollowedTopic] = field(default_factory=dict)
    _changes: int = 0
    _epoch: str = ""

    def step(self) -> bool:
        """Look at the next transitions; return whether there were some."""
        before, epoch, last = self.store.position(), self.log.epoch, self.log.last().n
        if epoch != self._epoch:
            self._forget()
            self._epoch = epoch
        if epoch != before[0]:
            self.store.note(before, (), (epoch, min(before[1], last)))
            return True
        transitions = self.log.after(before[1], BATCH, "")
        if not transitions:
            return False
        self._follow()
        if not self._topics:  # a topic that is followed from now on needs no earlier matches
            self.store.note(before, (), (epoch, max(last, transitions[-1].n)))
            return True
        matches = self._matches([one for one in transitions if one.kind not in ENDS])
        self.store.note(before, matches, (epoch, transitions[-1].n))
        return True

    def _forget(self) -> None:
        """Forget the topics: a restore may have taken some back."""
        self.index.change(dict.fromkeys(self._topics, None))
        self._topics, self._changes = {}, 0

    def _follow(self) -> None:
        """Take in the topics that were changed since the last look."""
        while changed := self.store.since(self._changes, _CHANGES):
            kept = [topic for topic in changed if not topic.gone]
            self.index.change(dict.fromkeys((topic.id for topic in changed), None))
            self.index.change(topic_trees(kept))
            for topic in changed:
                self._topics.pop(topic.id, None)
            self._topics |= {topic.id: topic for topic in kept}
            self._changes = changed[-1].changed

    def _matches(self, transitions: Sequence[Transition]) -> list[TopicMatch]:
        if not transitions:
            return []
        held = {account: folded(self.products(account)) for account in self._accounts()}
        sold = frozenset[str]().union(*held.values())
        seqs = np.array([one.seq for one in transitions])
        found = self.catalogue.items(seqs, Caller("topics", sold))
        pairs = [*zip(transitions, found, strict=True)]
        self._owe([one for one, item in pairs if item is None], sold)
        shown = [(one, item) for one, item in pairs if item and _is_of(one, item)]
        numbers = self.index.matching([item for _, item in shown])
        return [
            _match(topic, transition)
            for (transition, item), matched in zip(shown, numbers, strict=True)
            for topic in map(self._topics.__getitem__, sorted(matched))
            if topic.created <= transition.at and _reads(held[topic.account], item)
        ]

    def _owe(self, away: Sequence[Transition], sold: frozenset[str]) -> None:
        """Have what is away at this moment told once more, unless its end was told: it may come
        back before the maker of transitions looks, which then has nothing to tell.
        """
        places = {one.uri: one.n for one in away}
        told = self.log.told(places) if places else {}
        newest = [each for uri, each in told.items() if each.shown and each.n == places[uri]]
        self.log.owe([each.uri for each in newest if not sold.isdisjoint(each.products)])

    def _accounts(self) -> set[str]:
        return {topic.account for topic in self._topics.values()}


def _is_of(transition: Transition, item: Item) -> bool:
    """Return whether the item is the one that the transition was about: after a restore the record
    gives numbers of versions a second time.
    """
    return (transition.uri, transition.version) == (item.uri, item.version)


def _reads(products: frozenset[str], item: Item) -> bool:
    return not products.isdisjoint(folded(item.products))


def _match(topic: FollowedTopic, transition: Transition) -> TopicMatch:
    return TopicMatch(
        f"{topic.id}.{transition.id}",
        topic.id,
        topic.account,
        transition.at,
        transition.kind,
        transition.story,
        transition.uri,
        transition.version,
        transition.seq,
    )
