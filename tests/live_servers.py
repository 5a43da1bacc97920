"""Servers on loopback that send real video at its own pace, for tests of live sources."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_TS_PACKET = 188


@contextmanager
def served_folder(folder: Path) -> Iterator[str]:
    """A web server over a folder; gives its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class RtspServer:
    """An RTSP 1.0 server (RFC 2326) with one MPEG-TS stream (RFC 2250), interleaved in the
    connection, for one viewer after the other. `break_off` cuts the present one's connection.
    """

    def __init__(self, make: partial[subprocess.Popen[bytes]]) -> None:
        self._make = make
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/camera"
        self.viewers = 0
        self._viewer: socket.socket | None = None
        self._closed = False
        threading.Thread(target=self._serve, daemon=True).start()

    def break_off(self) -> None:
        """The viewer's connection is reset."""
        if self._viewer is not None:
            with suppress(OSError):
                self._viewer.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """No more viewers."""
        self._closed = True
        self.break_off()
        self._listener.close()

    def _serve(self) -> None:
        while not self._closed:
            try:
                self._viewer, _ = self._listener.accept()
            except OSError:
                return
            with self._viewer, suppress(OSError):
                self._speak(self._viewer)

    def _speak(self, viewer: socket.socket) -> None:
        sdp = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n"
        sdp += "m=video 0 RTP/AVP 33\r\na=control:track\r\n"
        for head in _requests(viewer):
            method, sequence = head.split()[0], head.lower().split("cseq:")[1].split()[0]
            extra, body = "", ""
            if method == "DESCRIBE":
                extra, body = "Content-Type: application/sdp\r\n", sdp
            elif method == "SETUP":
                extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
            elif method == "OPTIONS":
                extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
            answer = f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\nSession: 1\r\n{extra}"
            viewer.sendall(f"{answer}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            if method == "PLAY":
                self.viewers += 1
                self._send(viewer)
                return

    def _send(self, viewer: socket.socket) -> None:
        """Everything that the writer writes, seven packets of MPEG-TS in one of RTP."""
        process = self._make()
        assert process.stdout is not None
        try:
            for number, data in enumerate(iter(partial(process.stdout.read, 7 * _TS_PACKET), b"")):
                clock = int(time.monotonic() * 90_000) & 0xFFFFFFFF
                head = b"\x80\x21" + (number & 0xFFFF).to_bytes(2, "big")
                packet = head + clock.to_bytes(4, "big") + b"\0\0\0\1" + data
                viewer.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


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
