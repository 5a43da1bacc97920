"""Lets one thread at a time work on the same bytes, wherever their copies are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Flights:
    """Digests that threads work on. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._under_way: set[str] = set()

    @contextmanager
    def alone(self, digest: str) -> Iterator[None]:
        """Wait until no other thread has this digest, and keep others out of the block."""
        with self._changed:
            self._changed.wait_for(lambda: digest not in self._under_way)
            self._under_way.add(digest)
        try:
            yield
        finally:
            with self._changed:
                self._under_way.discard(digest)
                self._changed.notify_all()
