"""Sends the messages of a leased lane, in their order, until one fails.

The guard is asked twice: before the receipt is written, so that nobody gets a receipt for an item
that was hidden long ago, and after it, right before the bytes leave. An item that was hidden
between the two is dropped: its end has its own message (`making.py`).

An item that the maker of transitions has not looked at yet has another transition after this one
(`customers.feed`), so a receiver neither keeps nor misses an item that changed between the two.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from core.callers import Caller
from core.customers.transitions import ENDS, Transition
from core.customers.webhooks import Endpoint, Lease, Message
from customers.feed import Entry, Feed
from customers.webhooks.making import transition_of
from customers.webhooks.ports import AccountCaller, Bodies, Outbox, Post
from customers.webhooks.retries import MOST_AGE_S, Answer, delay_s, given_up
from customers.webhooks.signing import headers

SLOW_S = 1.0  # a receiver that takes longer has the threads of slow receivers
Told = Callable[[Message, Answer], None]


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends messages. An endpoint gets at most `rate` a second of those that are not kills; `told`
    hears of each attempt.
    """

    outbox: Outbox
    feed: Feed
    caller_of: AccountCaller
    bodies: Bodies
    post: Post
    told: Told
    rate: float = 50.0

    def send(self, lease: Lease) -> None:
        """Send the messages of the leased lane, and give the lane back."""
        began = time.monotonic()
        sent, slow = 0, False
        for message in lease.messages:
            answer = self._deliver(lease.endpoint, message)
            if answer is None:
                if not self.outbox.drop(lease, message):
                    return
                continue
            self.told(message, answer)
            slow = slow or answer.seconds > SLOW_S
            if not answer.accepted:
                self._failed(lease, message, answer, failures=0 if sent else lease.failures)
                return
            sent += 1
            if not self.outbox.sent(lease, message):
                return
        rest = 0.0 if lease.kills else sent / self.rate - (time.monotonic() - began)
        self.outbox.release(lease, max(0.0, rest), slow=slow)

    def _failed(self, lease: Lease, message: Message, answer: Answer, failures: int) -> None:
        why = answer.why or f"HTTP {answer.status}"
        if answer.gone:
            self.outbox.disable(lease, why)
            self.outbox.release(lease, 0.0, slow=False)
            return
        dead = given_up(message.attempts + 1, time.time() - message.queued_at)
        self.outbox.fail(lease, message, why, dead=dead, too_old_s=MOST_AGE_S)
        self.outbox.release(lease, delay_s(failures, answer), slow=True)

    def _deliver(self, endpoint: Endpoint, message: Message) -> Answer | None:
        """Return what the receiver answered; None if there is nothing left to tell."""
        body = self._body(endpoint, message)
        if body is None:
            return None
        now = int(time.time())
        secrets = [endpoint.secret]
        if endpoint.old_secret and now < endpoint.old_until:
            secrets.append(endpoint.old_secret)
        return self.post(endpoint.url, headers(secrets, message.name, now, body), body)

    def _body(self, endpoint: Endpoint, message: Message) -> bytes | None:
        """Return the body, after the receipts of its items are written; None if there is nothing
        left to tell.
        """
        caller = self.caller_of(endpoint.account) or Caller(endpoint.account, frozenset())
        if not message.uri:
            return self.bodies(endpoint, message, None, caller)
        transition = transition_of(message, endpoint.account)
        entry = self._look(transition, caller)
        if entry is None:
            return None
        if entry.head is None:
            return self.bodies(endpoint, message, entry, caller)
        body = self.bodies(endpoint, message, entry, caller)
        again = self._look(transition, caller)
        return body if again is not None and again.head is not None else None

    def _look(self, transition: Transition, caller: Caller) -> Entry | None:
        told = self.feed.entries([transition], caller)
        if not told and transition.kind in ENDS:  # that it is sent was decided when it was queued
            return Entry(transition, transition.kind)
        return told[0] if told else None
