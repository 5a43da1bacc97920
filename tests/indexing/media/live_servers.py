"""Servers on this machine that play a live source: HTTP with files, and RTSP over TCP."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

_TS_PACKETS = 7 * 188
_SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 33\r\na=rtpmap:33 MP2T/90000\r\na=control:track\r\n"
)


class FileServer:
    """Serves bytes by path and keeps every path that was asked for in `hits`.

    A value that is a str is the address of a redirection.
    """

    def __init__(self, files: Mapping[str, bytes | str]) -> None:
        self.files = dict(files)
        self.hits: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.hits.append(self.path)
                found = server.files.get(self.path)
                if found is None:
                    self.send_error(404)
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

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class RtspServer:
    """Plays an MPEG transport stream to one client after the other (RFC 2326, interleaved TCP;
    RFC 2250 for the packets). `redirect` sends a client elsewhere instead.
    """

    def __init__(self, stream: Path, redirect: str = "") -> None:
        self._data = stream.read_bytes()
        self._redirect = redirect
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.clients = 0
        self.port = self._socket.getsockname()[1]
        self.url = f"rtsp://127.0.0.1:{self.port}/stream"
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)

    def _answer(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self.clients += 1
            try:
                with client, client.makefile("rb") as lines:
                    self._talk(client, lines)
            except OSError:
                continue

    def _talk(self, client: socket.socket, lines: object) -> None:
        while request := self._request(lines):
            method, number = request
            head = [f"CSeq: {number}", "Session: 1"]
            body = ""
            if self._redirect and method != "OPTIONS":
                away = ("RTSP/1.0 302 Found", f"CSeq: {number}", f"Location: {self._redirect}")
                client.sendall(("\r\n".join(away) + "\r\n\r\n").encode())
                return
            if method == "OPTIONS":
                head.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN")
            elif method == "DESCRIBE":
                body = _SDP
                head += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
            elif method == "SETUP":
                head.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
            client.sendall(("RTSP/1.0 200 OK\r\n" + "\r\n".join(head) + "\r\n\r\n" + body).encode())
            if method == "PLAY":
                self._play(client)
                return

    @staticmethod
    def _request(lines: object) -> tuple[str, str] | None:
        first = lines.readline().decode()  # type: ignore[attr-defined]
        number = ""
        while line := lines.readline().decode().strip():  # type: ignore[attr-defined]
            name, _, value = line.partition(":")
            if name.lower() == "cseq":
                number = value.strip()
        return (first.split(" ")[0], number) if first else None

    def _play(self, client: socket.socket) -> None:
        for sequence, at in enumerate(range(0, len(self._data), _TS_PACKETS)):
            payload = self._data[at : at + _TS_PACKETS]
            head = struct.pack(">BBHII", 0x80, 33, sequence % 65536, sequence * 900, 1)
            packet = head + payload
            client.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)


class RtmpServer:
    """Plays the video of an FLV file to one client (Adobe's RTMP 1.0: simple handshake, AMF0)."""

    def __init__(self, stream: Path) -> None:
        self._tags = list(_video_tags(stream.read_bytes()))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"rtmp://127.0.0.1:{self.port}/live/clip"
        self.said = b""
        self._thread = threading.Thread(target=self._answer, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()
        self._thread.join(10)

    def _answer(self) -> None:
        try:
            client, _ = self._socket.accept()
            with client:
                hello = _exactly(client, 1537)
                client.sendall(b"\x03" + bytes(1536) + hello[1:])
                _exactly(client, 1536)
                self._talk(client)
        except OSError:
            return

    def _talk(self, client: socket.socket) -> None:
        client.sendall(_chunk(2, 1, 0, struct.pack(">I", 65536)))  # the chunk size from now on
        client.sendall(
            _command(
                "_result",
                self._wait(client, "connect"),
                b"\x05" + _code("NetConnection.Connect.Success"),
            )
        )
        stream = b"\x05\x00" + struct.pack(">d", 1.0)
        client.sendall(_command("_result", self._wait(client, "createStream"), stream))
        self._wait(client, "play")
        client.sendall(_command("onStatus", 0.0, b"\x05" + _code("NetStream.Play.Start"), 1))
        for stamp, data in self._tags:
            client.sendall(_chunk(6, 9, stamp, data, 1))
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass

    def _wait(self, client: socket.socket, command: str) -> float:
        """The transaction of a command, whose name is looked for in what comes."""
        name = b"\x02" + struct.pack(">H", len(command)) + command.encode() + b"\x00"
        while True:
            at = self.said.find(name)
            if at >= 0 and len(self.said) >= at + len(name) + 8:
                return float(struct.unpack_from(">d", self.said, at + len(name))[0])
            data = client.recv(65536)
            if not data:
                raise OSError("the client has left")
            self.said += data


def _code(code: str) -> bytes:
    members = (("level", "status"), ("code", code))
    texts = b"".join(_key(name) + b"\x02" + _key(value) for name, value in members)
    return b"\x03" + texts + b"\x00\x00\x09"


def _key(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def _command(name: str, transaction: float, rest: bytes, stream: int = 0) -> bytes:
    body = b"\x02" + _key(name) + b"\x00" + struct.pack(">d", transaction) + rest
    return _chunk(3, 20, 0, body, stream)


def _chunk(channel: int, kind: int, stamp: int, body: bytes, stream: int = 0) -> bytes:
    head = bytes([channel]) + stamp.to_bytes(3, "big") + len(body).to_bytes(3, "big")
    return head + bytes([kind]) + struct.pack("<I", stream) + body


def _exactly(client: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        some = client.recv(count - len(data))
        if not some:
            raise OSError("the client has left")
        data += some
    return data


def _video_tags(data: bytes) -> list[tuple[int, bytes]]:
    at, found = 13, []
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        stamp = int.from_bytes(data[at + 4 : at + 7], "big")
        if data[at] == 9:
            found.append((stamp, data[at + 11 : at + 11 + size]))
        at += 11 + size + 4
    return found
