"""Queues messages for endpoints. It follows the transitions with its own position, which moves in
the transaction that queues. The feed's rule says what an account is told
(`customers.feed.Feed.entries`). An item's end is also told to an endpoint for which a message about
it is waiting or being sent. These messages are read before the receipts, and a message leaves the
outbox after its receipt is written: so no receiver is missed. The undo of a kill is sent wherever
the kill was, whatever kinds the endpoint wants.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from core.callers import Caller
from core.customers.transitions import ENDS, Transition, TransitionKind
from core.customers.webhooks import RESTARTED, Endpoint, Message
from core.ports.customers import TransitionLog
from core.query_tree import Node
from customers.feed import Feed
from customers.webhooks.ports import AccountCaller, EndpointTree, Queue

BATCH = 500
KEPT_DEAD_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class MessageMaker:
    """Makes messages from transitions. Any number of processes may do so."""

    transitions: TransitionLog
    queue: Queue
    feed: Feed
    caller_of: AccountCaller
    tree_of: EndpointTree

    def step(self) -> bool:
        """Queue what the next transitions give; return whether there may be more."""
        before = self.queue.position()
        epoch, last = self.transitions.epoch, self.transitions.last().n
        if before == (epoch, last):
            return False
        endpoints = self.queue.receiving()
        if before[0] != epoch:
            at = min(before[1], last) if before[0] else last
            self.queue.queue(before, (epoch, at), _restarts(before[0], endpoints, at))
            return True
        if not endpoints:
            self.queue.queue(before, (epoch, last), ())
            return False
        found = self.transitions.after(before[1], BATCH, None)
        if not found:
            return False
        self.queue.queue(before, (epoch, found[-1].n), tuple(self._messages(found, endpoints)))
        return True

    def prune(self) -> None:
        """Delete old dead letters."""
        self.queue.prune(time.time() - KEPT_DEAD_S)

    def _messages(
        self, found: Sequence[Transition], endpoints: Sequence[Endpoint]
    ) -> Iterator[Message]:
        waiting = self.queue.queued({one.uri for one in found if one.kind in ENDS})
        looks = _Looks(self.feed)
        for endpoint in endpoints:
            theirs = [
                one
                for one in found
                if one.account in ("", endpoint.account) and one.n > endpoint.begins
            ]
            here = {uri for name, uri in waiting if name == endpoint.id}
            told = self._told(theirs, endpoint, looks)
            for one in theirs:
                kind = told.get(one.n, one.kind if one.kind in ENDS and one.uri in here else None)
                if kind is not None and (endpoint.wants(kind) or self._heard(one, endpoint)):
                    here.add(one.uri)
                    yield message_of(one, kind, endpoint)

    def _heard(self, one: Transition, endpoint: Endpoint) -> bool:
        """Return whether a transition undoes a kill that the endpoint's account received."""
        return one.undoes and one.uri in self.feed.receipts.received(endpoint.account, [one.uri])

    def _told(
        self, transitions: Sequence[Transition], endpoint: Endpoint, looks: _Looks
    ) -> dict[int, TransitionKind]:
        """Return the entries that the endpoint's account gets for the transitions, by their
        places.
        """
        caller = self.caller_of(endpoint.account) or Caller(endpoint.account, frozenset())
        return looks.told(transitions, caller, self.tree_of(endpoint))


@dataclass(frozen=True, slots=True)
class _Looks:
    """The results of this step, so that endpoints with the same account and query share one
    look.
    """

    feed: Feed
    made: dict[tuple[str, Node, int], dict[int, TransitionKind]] = field(default_factory=dict)

    def told(
        self, transitions: Sequence[Transition], caller: Caller, tree: Node
    ) -> dict[int, TransitionKind]:
        """Return the kinds of the transitions that the caller is told, by place."""
        key = caller.account, tree, len(transitions)
        if key not in self.made:
            entries = self.feed.entries(transitions, caller, tree) if transitions else ()
            self.made[key] = {entry.transition.n: entry.kind for entry in entries}
        return self.made[key]


def message_of(transition: Transition, kind: TransitionKind, endpoint: Endpoint) -> Message:
    """Return the message about a transition for an endpoint."""
    return Message(
        endpoint=endpoint.id,
        event=kind,
        name=transition.id,
        n=transition.n,
        at=transition.at,
        uri=transition.uri,
        version=transition.version,
        seq=transition.seq,
    )


def transition_of(message: Message, account: str) -> Transition:
    """Return the transition that a message is about."""
    return Transition(
        n=message.n,
        id=message.name,
        at=message.at,
        kind=TransitionKind(message.event),
        story="",
        uri=message.uri,
        version=message.version,
        seq=message.seq,
        account=account,
    )


def _restarts(before: str, endpoints: Sequence[Endpoint], n: int) -> tuple[Message, ...]:
    """Return the messages that say that another history of transitions begins; none at the first
    look at any history.
    """
    now = datetime.now(UTC)
    name = f"{RESTARTED}-{int(now.timestamp() * 1e6)}"
    told = endpoints if before else ()
    return tuple(Message(endpoint.id, RESTARTED, name, n, now) for endpoint in told)
