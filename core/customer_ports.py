"""The ports of the tables about customers. SQLite and Postgres have one text for both, in
`storage/customers/`; the rooms above know these protocols only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from core.accounts import AccountBook
from core.items import Item
from core.query_tree import Node
from core.transitions import Transition

BoolMatrix = npt.NDArray[np.bool_]


class AccountStore(Protocol):
    """The accounts, their plans, entitlements and keys."""

    def version(self) -> int:
        """The number of changes so far; cheap."""
        ...

    def book(self) -> AccountBook:
        """All accounts now."""
        ...

    def change(self, rule: Callable[[AccountBook], AccountBook]) -> tuple[AccountBook, AccountBook]:
        """Runs a rule on the accounts and keeps its result, durable when it returns. Returns the
        accounts before and after. An error of the rule changes nothing.
        """
        ...


class TransitionLog(Protocol):
    """The transitions, in their order."""

    @property
    def epoch(self) -> str:
        """The name of this history of transitions; a restore begins another one."""
        ...

    def last(self) -> int:
        """The place of the newest transition, 0 without any."""
        ...

    def after(self, n: int, limit: int, account: str) -> Sequence[Transition]:
        """At most `limit` transitions after place `n` that concern the account, in order."""
        ...


class Receipts(Protocol):
    """Which account received which item, and by which channel: it must hear of a kill."""

    def add(self, account: str, channel: str, versions: Collection[tuple[str, int]]) -> None:
        """Records that the account received these (uri, version). It returns before the first byte
        of the answer leaves; it costs next to nothing for what is recorded already.
        """
        ...

    def received(self, account: str, uris: Collection[str]) -> frozenset[str]:
        """The uris among `uris` of which the account received some version."""
        ...

    def receivers(self, uris: Collection[str]) -> Mapping[str, frozenset[str]]:
        """By uri, the accounts that received some version of the item."""
        ...


class TopicMatcher(Protocol):
    """Says which stored queries match which items, by the compiler that searches use."""

    def matches(self, items: Sequence[Item], trees: Sequence[Node]) -> BoolMatrix:
        """Whether item i matches tree j: bool [n, m]. Facts and words only; no entitlement, no
        guard, no vectors: the caller asks these at the moment of sending.
        """
        ...


class TopicIndex(Protocol):
    """Many stored queries, each compiled once. The same items match as by `TopicMatcher`."""

    def change(self, changed: Mapping[int, Node | None]) -> None:
        """Replaces the queries with these numbers; None takes one out."""
        ...

    def matching(self, items: Sequence[Item]) -> Sequence[frozenset[int]]:
        """The numbers of the queries that each item matches."""
        ...
