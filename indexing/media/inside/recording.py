"""The packets of a live source as MPEG-TS, which can be cut at key frames and continued; inside the
child.

Nothing is decoded or encoded for it. Times go on over the cuts and over the connections of a
source: each connection begins at its second of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from indexing.media.cage.wire import Message

# Codecs for which MPEG-TS has a type of stream (ISO/IEC 13818-1, table 2-34, and its amendments).
_CARRIED = frozenset(
    "h264 hevc mpeg2video mpeg1video mpeg4 aac mp2 mp3 mp3float ac3 eac3 opus".split()  # noqa: SIM905
)
_PIECE = 64 * 2**10  # bytes that are sent together
_AHEAD_S = 10  # so that no time of decoding is negative
_JUMP_S = 10

_Streams = dict[int, Any]


class Recording:
    """Packets in, MPEG-TS out. `notes` say what can't be carried in it."""

    def __init__(self, video: VideoStream | None, audio: AudioStream | None, at_s: float) -> None:
        given = [stream for stream in (video, audio) if stream is not None]
        self.streams = [s for s in given if s.codec_context.codec.name in _CARRIED]
        self.notes = [
            f"its {stream.type} is not recorded: {stream.codec_context.name} can't be kept as it is"
            for stream in given
            if stream not in self.streams
        ]
        if video is not None and video not in self.streams:
            self.streams = []  # sound alone is not the video
        self._key = video if video in self.streams else None
        self._at = Fraction(at_s).limit_denominator(1000) + _AHEAD_S
        self._shift: Fraction | None = None
        self._last: dict[int, Fraction] = {}
        self._written = bytearray()
        self._muxer: Any = None
        self._out: _Streams = {}
        if self.streams:
            self._muxer, self._out = self._opened()
        self._cut = False

    def cut(self) -> None:
        """Begin anew at the next key frame."""
        self._cut = True

    def put(self, packet: av.Packet[Any]) -> Iterator[Message]:
        """Take a packet; yield the pieces that are whole."""
        if self._muxer is None or packet.stream not in self.streams or packet.dts is None:
            return
        is_cut = self._cut and (
            (packet.is_keyframe and packet.stream is self._key) or not self._key
        )
        if is_cut:
            yield from self.close()
            self._cut = False
            self._muxer, self._out = self._opened()
        if self._place(packet):
            packet.stream = self._out[packet.stream.index]
            self._muxer.mux(packet)
        if is_cut or len(self._written) >= _PIECE:
            yield from self._take(is_cut=is_cut)

    def close(self) -> Iterator[Message]:
        """Yield the rest."""
        if self._muxer is not None:
            self._muxer.close()
            self._muxer = None
            yield from self._take()

    def write(self, data: bytes) -> int:
        """Take what the muxer writes."""
        self._written += data
        return len(data)

    def _take(self, *, is_cut: bool = False) -> Iterator[Message]:
        if self._written or is_cut:
            body, self._written = bytes(self._written), bytearray()
            yield Message({"say": "recorded", "cut": is_cut}, body)

    def _opened(self) -> tuple[Any, _Streams]:
        muxer = av.open(self, "w", format="mpegts", options={"flush_packets": "1"})
        out = {one.index: muxer.add_stream_from_template(one) for one in self.streams}
        return muxer, out

    def _place(self, packet: av.Packet[Any]) -> bool:
        """Move a packet to its time in the whole; False if it comes from the past."""
        base, dts = packet.time_base, packet.dts or 0
        at = dts * base
        if self._shift is None:
            self._shift = self._at - at
        last = self._last.get(packet.stream.index)
        now = at + self._shift
        if last is not None and not last < now <= last + _JUMP_S:
            if packet.stream is not self._key and self._key is not None:
                return False
            self._shift += max(self._last.values()) + Fraction(1, 25) - now
            now = at + self._shift
        self._last[packet.stream.index] = now
        moved = round(self._shift / base)
        packet.dts = dts + moved
        if packet.pts is not None:
            packet.pts += moved
        return True
