"""A door into a child's own network, and the one host that stands behind it.

A child that speaks RTSP or RTMP lives in a network namespace with nothing in it but its own
127.0.0.1. It listens there and hands the listener to its parent, who answers each connection and
carries the bytes to the host that the user named, over TLS where the address says so. Wherever a
server sends the child (redirections, other addresses), there is nobody.
"""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress

_AT_ONCE = 4
_CONNECT_S = 10.0
_CHUNK = 64 * 2**10


class Door:
    """Answers at a listener (which it then owns) for `host` and `port`, until it is closed."""

    def __init__(self, listener: int, host: str, port: int, *, secure: bool) -> None:
        self._listener = socket.socket(fileno=listener)
        self._target = (host, port)
        self._context = ssl.create_default_context() if secure else None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._room = threading.Semaphore(_AT_ONCE)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._answer, name="door of a child", daemon=True).start()

    def close(self) -> None:
        """Closes it and everything that goes through it."""
        with self._lock:
            lines, self._open = [self._listener, *self._open], set()
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()

    def _answer(self) -> None:
        while True:
            try:
                theirs, _ = self._listener.accept()
            except OSError:
                return
            if not self._room.acquire(blocking=False):
                theirs.close()
                continue
            threading.Thread(target=self._carry, args=(theirs,), daemon=True).start()

    def _carry(self, theirs: socket.socket) -> None:
        """Both ways, until either ends."""
        try:
            with theirs, self._reach() as outside:
                with self._lock:
                    self._open |= {theirs, outside}
                back = threading.Thread(target=_pump, args=(outside, theirs), daemon=True)
                back.start()
                _pump(theirs, outside)
                back.join()
                with self._lock:
                    self._open -= {theirs, outside}
        except OSError:
            pass  # the child sees that the line is dead
        finally:
            self._room.release()

    def _reach(self) -> socket.socket:
        line = socket.create_connection(self._target, timeout=_CONNECT_S)
        if self._context is None:
            line.settimeout(None)
            return line
        try:
            secured = self._context.wrap_socket(line, server_hostname=self._target[0])
        except OSError:
            line.close()
            raise
        secured.settimeout(None)
        return secured


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    for line in (source, target):
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
