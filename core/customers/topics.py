"""Followed topics: queries that an account has stored, and what matched them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.customers.transitions import TransitionKind


@dataclass(frozen=True, slots=True)
class FollowedTopic:
    """A stored query of an account. `id` is never given again. `changed` is the number of its last
    change among all topics' changes; `gone` says that it was deleted. What matches is mailed to
    `emails`.
    """

    id: int
    account: str
    name: str
    query: str
    created: datetime
    last_match: datetime | None = None
    changed: int = 0
    gone: bool = False
    emails: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TopicMatch:
    """A transition that matched a topic. `n` is its place in the order of matches (0 before it is
    recorded) and `id` names it for good. The other members are those of the transition.

    A match shows nothing by itself: whoever sends it asks for the item by `uri` at that moment.
    """

    id: str
    topic: int
    account: str
    at: datetime
    kind: TransitionKind
    story: str
    uri: str
    version: int
    seq: int
    n: int = 0
