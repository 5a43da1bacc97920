"""Sends every frame of a video, and stills of the shots that the parent finds, in one reading. Runs
in the child.

The parent answers frames with the bounds of shots, as soon as it knows them. When all frames are
read, the child says so and waits for the remaining bounds.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator, Mapping
from typing import Any

from av.video.stream import VideoStream

from indexing.media.cage.limits import CageLimits
from indexing.media.cage.wire import Message, Work, receive
from indexing.media.inside.kept_frames import KeptFrames
from indexing.media.inside.painting import Painter
from indexing.media.inside.pictures import renditions
from indexing.media.inside.times import step_of
from indexing.media.inside.video import See, seen_frames


def over(line: socket.socket) -> Work:
    """Return the work that reads videos and gets the bounds of their shots over `line`."""

    def shots(handle: int, asked: Mapping[str, Any], limits: CageLimits) -> Iterator[Message]:
        stills = _Stills(line, int(asked["edge"]))
        for said in seen_frames(handle, limits, stills.witness):
            if said.head["say"] == "done":
                yield Message({"say": "read"})
                yield from stills.rest()
            yield said
            yield from stills.asked()

    return shots


class _Stills:
    """The stills of one video's shots, each as an answer to the bounds of a shot."""

    def __init__(self, line: socket.socket, edge: int) -> None:
        self._line = line
        self._edge = edge
        self._kept: KeptFrames | None = None
        self._over = False

    def witness(self, stream: VideoStream) -> See:
        """Return the function that sees the video's frames; the same if damage needs a second
        reading.
        """
        painter = Painter(stream, self._edge)
        if self._kept is None:
            self._kept = KeptFrames(painter, step_of(stream))
        self._kept.painter = painter
        return self._kept.see

    def asked(self) -> Iterator[Message]:
        """Answer the requests that have arrived."""
        while not self._over and select.select([self._line], [], [], 0)[0]:
            yield from self._answer(receive(self._line))

    def rest(self) -> Iterator[Message]:
        """Answer until the parent sends its last request."""
        while not self._over:
            yield from self._answer(receive(self._line))

    def _answer(self, message: Message) -> Iterator[Message]:
        if message.head["do"] != "still":
            self._over = True
            return
        first, last = int(message.head["first"]), int(message.head["last"])
        found = self._kept.still_of(first, last) if self._kept is not None else None
        if found is None:
            yield Message({"say": "none"})
        else:
            yield from renditions(found.image, [self._edge], found.second, blurred=found.blurred)
