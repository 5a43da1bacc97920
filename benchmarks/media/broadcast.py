"""A camera over HTTP on loopback: MPEG-TS at its own pace."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol, Self

import av

Piece = tuple[float, bytes]  # bytes of MPEG-TS, and the second at which they are on air


class OnAir(Protocol):
    """What is broadcast."""

    @property
    def pieces(self) -> Sequence[Piece]:
        """Its bytes, in the order of their seconds."""
        ...


@dataclass(frozen=True)
class Looped:
    """A file with H.264 and AAC as it is, again and again."""

    path: Path
    times: int

    @cached_property
    def pieces(self) -> list[Piece]:
        """The packets of all turns, a tenth of a second apart."""
        out, made, base = io.BytesIO(), list[Piece](), 1.0
        with av.open(str(self.path)) as clip, self._muxer(out) as muxer:
            streams = [muxer.add_stream_from_template(one) for one in clip.streams]
            for _ in range(self.times):
                clip.seek(0)
                for packet in clip.demux():
                    if packet.dts is None:
                        continue
                    second = float(packet.dts * packet.time_base) + base
                    moved = round(base / packet.time_base)
                    packet.dts, packet.pts = packet.dts + moved, (packet.pts or 0) + moved
                    packet.stream = streams[packet.stream.index]
                    out.seek(0)
                    out.truncate()
                    muxer.mux(packet)
                    made.append((second - 1.0, out.getvalue()))
                base += float(clip.duration or 0) / av.time_base + 0.1
        return made

    @staticmethod
    def _muxer(out: io.BytesIO) -> av.container.OutputContainer:
        return av.open(out, "w", format="mpegts", options={"flush_packets": "1"})


@dataclass
class Broadcast:
    """The server while it runs, as a context manager. The film goes on air when somebody first
    connects; whoever connects gets what is on air at that moment, as from a camera. `broken` cuts
    connections; `over` ends the film.
    """

    film: OnAir
    began: float = 0.0  # monotonic
    viewers: int = 0
    broken: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        broadcast = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.close_connection = True
                try:
                    for data in broadcast._on_air():
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                    if not broadcast.broken.is_set():
                        self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    pass  # the viewer has gone

            def log_message(self, *_: object) -> None:
                pass

        self.film.pieces  # noqa: B018 - made before anybody connects
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}/air.ts"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.broken.set()
        self._server.shutdown()
        self._server.server_close()

    def lag_s(self, second: float) -> float:
        """The time since a second of the film was on air."""
        return time.monotonic() - self.began - second

    def _on_air(self) -> Iterator[bytes]:
        self.viewers += 1
        self.began = self.began or time.monotonic()
        joined = time.monotonic() - self.began
        for second, data in self.film.pieces:
            if second < joined - 0.5 or not data:
                continue
            time.sleep(max(0.0, self.began + second - time.monotonic()))
            if self.broken.is_set() or self.over.is_set():
                return
            yield data
