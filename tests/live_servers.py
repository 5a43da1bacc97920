"""Servers on loopback that play live sources: files over HTTP, MPEG-TS over RTSP.

Each takes a context of TLS (`tests/certificates.py`) where it should be reached over it. Closing
one waits for its thread and ends the writer that feeds it.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.live_viewers import Feed, Viewers, fed

_TS_PACKETS = 7 * 188
_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 33\r\na=control:track\r\n"
)


@contextmanager
def served_folder(folder: Path) -> Iterator[str]:
    """A web server over a folder; gives its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    with serving(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    """Answers in a thread until the block ends."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class FileServer:
    """Serves bytes by path and keeps every path that was asked for in `hits`.

    A value that is a str is the address of a redirection; one that is a float is the seconds after
    which the answer's head has not come yet.
    """

    def __init__(
        self, files: Mapping[str, bytes | str | float], context: ssl.SSLContext | None = None
    ) -> None:
        self.files = dict(files)
        self.hits: list[str] = []
        self._closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.hits.append(self.path)
                found = server.files.get(self.path)
                if found is None:
                    self.send_error(404)
                elif isinstance(found, float):
                    server._closing.wait(found)
                elif isinstance(found, str):
                    self.send_response(302)
                    self.send_header("Location", found)
                    self.end_headers()
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(found)))
                    self.end_headers()
                    self.wfile.write(found)

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.port}"
        self._serving = serving(self._server)

    def __enter__(self) -> Self:
        self._serving.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._serving.__exit__(None, None, None)


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hangs up, or trusts nobody, is no trouble of the server's."""


class RtspServer(Viewers):
    """An RTSP 1.0 server (RFC 2326) with one MPEG-TS stream (RFC 2250), interleaved in the
    connection, for one viewer after the other. `redirect` sends a viewer elsewhere instead.
    """

    def __init__(
        self, feed: Feed, redirect: str = "", context: ssl.SSLContext | None = None
    ) -> None:
        self._feed, self._redirect = feed, redirect
        super().__init__("rtsps" if context else "rtsp", "camera", self._speak, context)

    def _speak(self, viewer: socket.socket) -> None:
        for head in _requests(viewer):
            method, sequence = head.split()[0], head.lower().split("cseq:")[1].split()[0]
            extra, body = "", ""
            if self._redirect and method != "OPTIONS":
                away = f"RTSP/1.0 302 Found\r\nCSeq: {sequence}\r\nLocation: {self._redirect}\r\n"
                viewer.sendall(f"{away}\r\n".encode())
                return
            if method == "DESCRIBE":
                extra, body = "Content-Type: application/sdp\r\n", _SDP
            elif method == "SETUP":
                extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
            elif method == "OPTIONS":
                extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            answer = f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\nSession: 1\r\n{extra}"
            viewer.sendall(f"{answer}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            if method == "PLAY":
                self.viewers += 1
                with fed(self._feed) as stream:
                    _send(viewer, stream)
                return


def _send(viewer: socket.socket, stream: IO[bytes]) -> None:
    """Everything that is written, seven packets of MPEG-TS in one of RTP."""
    for number, data in enumerate(iter(partial(stream.read, _TS_PACKETS), b"")):
        clock = int(time.monotonic() * 90_000) & 0xFFFFFFFF
        head = b"\x80\x21" + (number & 0xFFFF).to_bytes(2, "big")
        packet = head + clock.to_bytes(4, "big") + b"\0\0\0\1" + data
        viewer.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)


def _requests(viewer: socket.socket) -> Iterator[str]:
    """The heads of requests; none of them has a body."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = viewer.recv(4096)
            if not more:
                return
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        yield head.decode("latin-1")
