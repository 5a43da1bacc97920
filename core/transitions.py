"""Transitions: what became of stories, in the order in which it is told to customers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class TransitionKind(StrEnum):
    """What became of an item, as customers see it."""

    SHOWN = "shown"
    UPDATED = "updated"  # another version, or other products
    HIDDEN = "hidden"  # withheld, embargoed again, or no longer in a product of the account
    KILLED = "killed"
    EXPIRED = "expired"


ENDS = frozenset({TransitionKind.HIDDEN, TransitionKind.KILLED, TransitionKind.EXPIRED})
"""Kinds that take an item away. They are told by uri, itemid, version and pubstatus only."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One transition. `n` is its place in the order (rising, with gaps), `id` names it for good.

    `seq` is the number of the version in the record that is shown, or was shown last. `account` is
    "" for a transition that concerns everybody, else the only account that it concerns.
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
