"""Webhooks: the addresses that customers name, and the messages that are sent there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from core.customers.transitions import TransitionKind

TEST = "test"
RESTARTED = "restarted"
"""Events that are no transition: a test, and a restore that ended the history of transitions."""


class EndpointState(StrEnum):
    """Whether messages are sent to an endpoint."""

    ACTIVE = "active"
    PAUSED = "paused"  # messages wait
    DISABLED = "disabled"  # the receiver answered 410: nothing is queued any more


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of an account, and the transitions that are sent there. Without `query` and
    `topics` these are all that the account may see; else those that match one of them. Without
    `kinds` every kind is sent; a kill always is. `begins` is the place in the order of transitions
    after which they count. Until `old_until` (seconds since 1970) messages are signed by
    `old_secret` too. `why` says why it is disabled, or what the last failure was.
    """

    id: str
    account: str
    url: str
    state: EndpointState = EndpointState.ACTIVE
    query: str = ""
    topics: tuple[int, ...] = ()
    kinds: frozenset[TransitionKind] = frozenset()
    secret: str = field(default="", repr=False)
    old_secret: str = field(default="", repr=False)
    old_until: float = 0.0
    begins: int = 0
    created: float = 0.0
    sent: int = 0
    sent_at: float = 0.0
    failed_at: float = 0.0
    why: str = ""

    @property
    def channel(self) -> str:
        """The name of the channel in receipts."""
        return f"webhook:{self.id}"

    def wants(self, kind: TransitionKind) -> bool:
        """Return whether a transition of this kind is sent there."""
        return kind is TransitionKind.KILLED or not self.kinds or kind in self.kinds


@dataclass(frozen=True, slots=True)
class Message:
    """A message to an endpoint. `event` is a kind of transition, TEST or RESTARTED. `name` is the
    transition's id, which the receiver drops repeats by; `n` is its place. `row` names the message
    in the outbox, 0 before it is there. `why` is the last failure.
    """

    endpoint: str
    event: str
    name: str
    n: int
    at: datetime
    uri: str = ""
    version: int = 0
    seq: int = 0
    attempts: int = 0
    why: str = ""
    row: int = 0
    queued_at: float = 0.0

    @property
    def is_kill(self) -> bool:
        """Whether the message goes ahead of the others."""
        return self.event == TransitionKind.KILLED


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one worker to send these messages of an endpoint, in this order. `failures`
    counts the failures in a row of this lane; `kills` says that the lane has kills only, and `slow`
    that its last attempt failed or took long.
    """

    endpoint: Endpoint
    kills: bool
    holder: str
    messages: tuple[Message, ...]
    failures: int = 0
    slow: bool = False

    @property
    def threads(self) -> str:
        """The class of threads that send: kills, prompt or slow."""
        return "slow" if self.slow else "kills" if self.kills else "prompt"
