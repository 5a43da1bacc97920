"""A door into a child's own network, and the one host behind it.

A child that speaks RTSP or RTMP is in a network namespace that has only its own 127.0.0.1. It
listens there and hands the listener to its parent. The parent answers each connection and passes
the bytes to the host that the user named, over TLS if the address says so. If a server redirects
the child to another address, it reaches nobody.

Certificates are checked against the machine's authorities, or those of the file that the
environment names in SSL_CERT_FILE (OpenSSL, X509_get_default_cert_file_env).
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
from contextlib import ExitStack, suppress

_AT_ONCE = 4
_CONNECT_S = 10.0
_CHUNK = 64 * 2**10
_JOIN_S = 1.0  # a thread that is still connecting after this ends within _CONNECT_S


class Door:
    """Answers at a listener, which it owns, for `host` and `port`, until it is closed."""

    def __init__(self, listener: int, host: str, port: int, *, secure: bool) -> None:
        self._listener = socket.socket(fileno=listener)
        self._target = (host, port)
        self._context = ssl.create_default_context() if secure else None
        self._open: set[socket.socket] = set()
        self._closed = False
        self._lock = threading.Lock()
        self._room = threading.Semaphore(_AT_ONCE)
        self._threads: set[threading.Thread] = set()
        self.trouble = ""
        self.port = int(self._listener.getsockname()[1])
        self._answering = threading.Thread(target=self._answer, name="door of a child", daemon=True)
        self._answering.start()

    def close(self) -> None:
        """Close the listener and all connections, and wait for its threads."""
        with self._lock:
            self._closed = True
            lines, self._open = [self._listener, *self._open], set()
            threads = [self._answering, *self._threads]
        for line in lines:
            _hang_up(line)
        for thread in threads:
            thread.join(_JOIN_S)
        for line in lines:
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
            thread = threading.Thread(target=self._carry, args=(theirs,), daemon=True)
            with self._lock:
                self._threads.add(thread)
            thread.start()

    def _carry(self, theirs: socket.socket) -> None:
        """Carry bytes both ways until either side ends."""
        try:
            with suppress(OSError), ExitStack() as held:  # the child sees that the line is dead
                self._hold(held, theirs)
                outside = self._reach()
                self._hold(held, outside)
                _carry_both_ways(theirs, outside)
        finally:
            self._room.release()
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _hold(self, held: ExitStack, line: socket.socket) -> None:
        """Keep a line open until `held` ends or the door is closed. Raises OSError after that."""
        held.enter_context(line)
        with self._lock:
            if self._closed:
                raise OSError("the door is closed")
            self._open.add(line)
        held.callback(self._let_go, line)

    def _let_go(self, line: socket.socket) -> None:
        with self._lock:
            self._open.discard(line)

    def _reach(self) -> socket.socket:
        """Return a connection to the host. Raises OSError, with the reason in `trouble`."""
        try:
            line = socket.create_connection(self._target, timeout=_CONNECT_S)
            return line if self._context is None else _secured(line, self._context, self._target[0])
        except OSError as error:
            self.trouble = str(error)
            raise


def _secured(line: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(line, server_hostname=host)
    except OSError:
        line.close()
        raise


def _carry_both_ways(one: socket.socket, other: socket.socket) -> None:
    """Carry both ways until either side ends; in one thread, as OpenSSL needs."""
    across = {one: other, other: one}
    with selectors.DefaultSelector() as selector:
        for line in across:
            selector.register(line, selectors.EVENT_READ, line)
        while True:
            ready: list[socket.socket] = [key.data for key, _ in selector.select()]
            for line in ready:
                if not _pass_on(line, across[line]):
                    return


def _pass_on(source: socket.socket, target: socket.socket) -> bool:
    """Pass on all that has come; False at the end. Raises OSError if a line is dead."""
    while True:
        source.settimeout(0.0)  # what came may be no data: a TLS ticket, half a record
        try:
            data = source.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        if not data:
            return False
        target.settimeout(None)
        target.sendall(data)
        if not (isinstance(source, ssl.SSLSocket) and source.pending()):
            return True


def _hang_up(line: socket.socket) -> None:
    """Wake the threads that wait for a line."""
    with suppress(OSError):
        socket.socket.shutdown(
            line, socket.SHUT_RDWR
        )  # SSLSocket's own method would continue unencrypted
