"""One viewer after the other at a listener on loopback, and what feeds them."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Self

Feed = Path | partial[subprocess.Popen[bytes]]
"""What is played to each viewer from its beginning: a file, or the output of a new process."""


@contextmanager
def fed(feed: Feed) -> Iterator[IO[bytes]]:
    """The bytes of a feed; its process ends with the context."""
    if isinstance(feed, Path):
        with feed.open("rb") as stream:
            yield stream
        return
    with feed() as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.kill()


class Viewers:
    """A server whose `speak` answers one connection at a time, over TLS with a `context`.

    `clients` counts connections and `viewers` those to whom something was played; `break_off` cuts
    the present one's. `close`, or the context's end, waits until its thread has ended.
    """

    def __init__(
        self,
        scheme: str,
        name: str,
        speak: Callable[[socket.socket], None],
        context: ssl.SSLContext | None,
    ) -> None:
        self._talk, self._context = speak, context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"{scheme}://127.0.0.1:{self.port}/{name}"
        self.clients = self.viewers = 0
        self._viewer: socket.socket | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def break_off(self) -> None:
        """The viewer's connection is cut."""
        if self._viewer is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._viewer, socket.SHUT_RDWR)

    def close(self) -> None:
        """No more viewers."""
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits for a viewer
        self.break_off()
        self._thread.join(20)
        self._listener.close()
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while not self._closed:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.clients += 1
            with suppress(OSError, EOFError), self._secured(line) as self._viewer:
                if self._closed:
                    return
                self._talk(self._viewer)

    def _secured(self, line: socket.socket) -> socket.socket:
        if self._context is None:
            return line
        try:
            return self._context.wrap_socket(line, server_side=True)
        except OSError:
            line.close()
            raise
