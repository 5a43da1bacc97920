"""The threads of a service that queue and send webhooks.

One thread queues what transitions give and leases lanes; others send. Kills, prompt receivers and
slow ones have threads of their own: a receiver that hangs holds threads of slow ones only, from its
second message on.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from core.customers.webhooks import Lease, Message
from core.errors import DatelineError
from core.threads import Threads
from customers.webhooks.making import MessageMaker
from customers.webhooks.ports import Outbox
from customers.webhooks.retries import Answer
from customers.webhooks.sending import Sender
from storage.woken_thread import WokenThread

THREADS = {"kills": 8, "prompt": 12, "slow": 8}
LOOK_S = 0.2  # for transitions of other processes, and ended waits
_FAILED_S = 5.0
_PRUNE_S = 3600.0
_log = logging.getLogger("dateline.webhooks")


class AttemptCounts:
    """How many attempts this process made, by what came of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {"sent": 0, "refused": 0, "unanswered": 0}

    def __call__(self, message: Message, answer: Answer) -> None:
        """Count an attempt."""
        refused = "refused" if answer.status else "unanswered"
        with self._lock:
            self._counts["sent" if answer.accepted else refused] += 1

    def read(self) -> Mapping[str, int]:
        """Return the counts so far."""
        with self._lock:
            return dict(self._counts)


class WebhookThreads:
    """Queues and sends from `start` to `stop`, which waits for the posts under way."""

    def __init__(
        self, maker: MessageMaker | None, sender: Sender, outbox: Outbox, counts: AttemptCounts
    ) -> None:
        self._maker = maker
        self._sender = sender
        self._outbox = outbox
        self._counts = counts
        self._worker = f"{socket.gethostname()[:80]}-{os.getpid()}-{os.urandom(3).hex()}"
        self._lock = threading.Lock()
        self._free = dict(THREADS)
        self._pools = {
            name: Threads(count, thread_name_prefix=f"webhooks {name}")
            for name, count in THREADS.items()
        }
        self._pruned = time.monotonic()
        self._failure = ""
        self._thread = WokenThread("webhooks", LOOK_S, self._step)

    def start(self) -> None:
        """Start the threads."""
        self._thread.start()

    def wake(self) -> None:
        """Look for work now."""
        self._thread.wake()

    def stop(self) -> None:
        """Lease nothing more, wait for the posts under way, and give back what is leased."""
        self._thread.stop()
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)
        try:
            self._outbox.release_all(self._worker)
        except DatelineError as error:
            _log.warning("leases of webhooks were not given back: %s", error)

    def status(self) -> Mapping[str, Any]:
        """Return counts and the last failure, as values for JSON."""
        figures = dict(self._outbox.figures())
        return {**figures, "attempts": dict(self._counts.read()), "failure": self._failure}

    def _step(self) -> None:
        try:
            while self._maker is not None and self._maker.step() and not self._thread.stopping:
                self._lease()
            self._lease()
            self._prune()
            self._failure = ""
        except Exception as error:  # noqa: BLE001 - a thread that ends would be worse
            if not self._failure:
                _log.exception("webhooks are not sent for now")
            self._failure = f"{type(error).__name__}"
            self._thread.pause(_FAILED_S)

    def _lease(self) -> None:
        with self._lock:
            room = {name: count for name, count in self._free.items() if count}
        for lease in self._outbox.lease(self._worker, room):
            self._start(lease)

    def _start(self, lease: Lease) -> None:
        with self._lock:
            self._free[lease.threads] -= 1
        self._pools[lease.threads].submit(self._send, lease)

    def _send(self, lease: Lease) -> None:
        try:
            self._sender.send(lease)
        except Exception:  # noqa: BLE001 - the lease ends by itself, and another worker tries again
            _log.exception("a webhook was not sent; it is tried again")
        finally:
            with self._lock:
                self._free[lease.threads] += 1
            self._thread.wake()

    def _prune(self) -> None:
        if self._maker is not None and time.monotonic() - self._pruned > _PRUNE_S:
            self._pruned = time.monotonic()
            self._maker.prune()
