"""Learns at once that another host has written (NOTIFY), so that nobody waits for the next look.

The notice is only a hint: each search asks the record first, and the background looks by itself.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections.abc import Callable

import psycopg

from storage.postgres.connections import connection_of

log = logging.getLogger(__name__)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0


class Follower:
    """A thread with its own connection that calls `changed` for notices on `channel`. After a lost
    connection it tries to connect until it succeeds.
    """

    def __init__(self, address: str, channel: str, changed: Callable[[], None]) -> None:
        self._address = address
        self._channel = channel
        self._changed = changed
        self._stopped, self._stop = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="record follower", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.close()
        self._thread.join()
        self._stopped.close()

    def _run(self) -> None:
        pause = _FIRST_PAUSE_S
        while not self._is_stopped(0):
            try:
                with connection_of(self._address) as connection:
                    pause = _FIRST_PAUSE_S
                    self._listen(connection)
            except (psycopg.Error, OSError) as error:
                log.info("no notices of other hosts' writes just now: %s", type(error).__name__)
                self._is_stopped(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    def _listen(self, connection: psycopg.Connection) -> None:
        """Listen until the end. Raises an error of psycopg if the connection is gone."""
        connection.execute(f'LISTEN "{self._channel}"')
        self._changed()  # there were no notices of writes before LISTEN
        while not self._is_stopped(None, connection.fileno()):
            if list(connection.notifies(timeout=0)):
                self._changed()

    def _is_stopped(self, seconds: float | None, beside: int | None = None) -> bool:
        """Wait until the end, until `beside` can be read, or for `seconds`; return whether it is
        the end.
        """
        with selectors.DefaultSelector() as selector:
            selector.register(self._stopped, selectors.EVENT_READ)
            if beside is not None:
                selector.register(beside, selectors.EVENT_READ)
            return any(key.fileobj is self._stopped for key, _ in selector.select(seconds))
