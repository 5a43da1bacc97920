"""Transitions: what became of stories, in the order in which customers are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class TransitionKind(StrEnum):
    """What became of an item, as customers see it."""

    SHOWN = "shown"
    UPDATED = "updated"  # another version, or other products
    HIDDEN = "hidden"  # withheld, superseded, embargoed again, or in no product of the account now
    KILLED = "killed"
    EXPIRED = "expired"


ENDS = frozenset({TransitionKind.HIDDEN, TransitionKind.KILLED, TransitionKind.EXPIRED})
"""Kinds that take an item away. They are told by uri, itemid, version and pubstatus only."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One transition. `n` is its place in the order (rising, with gaps), `id` names it for good.

    `seq` is the number of the version in the record that is shown, or was shown last. `account` is
    "" for a transition that concerns everybody, else the only account that it concerns. One that
    `undoes` shows an item again whose kill was told: who received the kill is told of it.
    """

    n: int
    id: str
    at: datetime
    kind: TransitionKind
    story: str
    uri: str
    version: int
    seq: int
    account: str = ""
    undoes: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What customers were told of an item last. `kind` is SHOWN while the item is shown, else the
    kind that took it away. `products` are casefolded codes. `n` is the place of that transition.
    `undoes` is set only in what is to be told, as in `Transition`.
    """

    uri: str
    story: str
    kind: TransitionKind
    version: int
    seq: int
    products: frozenset[str] = frozenset()
    n: int = 0
    undoes: bool = False

    @property
    def shown(self) -> bool:
        """Whether the item was told as shown."""
        return self.kind not in ENDS


@dataclass(frozen=True, slots=True)
class Receipt:
    """That an account received an item by a channel: the newest version, and when it got that."""

    account: str
    channel: str
    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Position:
    """A place between transitions: after number `n`, whose transition has this `id` ("" for 0). The
    id shows whether the place is one of this history.
    """

    n: int = 0
    id: str = ""


START = Position()
"""The place before all transitions."""


@dataclass(frozen=True, slots=True)
class FeedSession:
    """A customer's reading of the transitions: its parameters are frozen when it starts, at
    `first`. `used` is when a page of it was asked for last, to some minutes.
    """

    id: str
    account: str
    label: str
    epoch: str
    started: datetime
    used: datetime
    first: Position = START
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def q(self) -> str:
        """The query; "" for everything."""
        return self.parameters.get("q", "")
