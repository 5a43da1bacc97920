"""Finds shots in a video while it is read, and gets their stills in the same reading.

The parent's side of inside/shots.py: frames come from a child, shots go back to it as soon as they
are known, and it answers each with a still. cage/answers.py checks what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic

from core.media import FrameBatch, Gap, Kept, ShotBounds, ShotReading, Still
from core.ports.media import FindShots
from indexing.media.cage import answers as cage_answers
from indexing.media.cage.answers import AllRead, Answer, NoStill, StillAnswer
from indexing.media.cage.hearing import FrameEar, hear_done
from indexing.media.cage.limits import CageLimits
from indexing.media.cage.parent import CagedChild, UnreadError
from indexing.media.cage.wire import WireError

_MOST_GAPS = 10_000


class ShotsReading(Generic[Kept]):
    """One reading of one video by a child; `keep` gets stills of at most `edge` pixels as they
    come. Raises UnreadError.
    """

    def __init__(
        self, child: CagedChild, edge: int, limits: CageLimits, keep: Callable[[Still], Kept]
    ) -> None:
        self._child = child
        self._edge = edge
        self._limits = limits
        self._keep = keep
        self._ear = FrameEar(child)
        self._shots: list[ShotBounds] = []
        self._stills: list[Kept | None] = []
        self._gaps: list[Gap] = []

    def read(self, find: FindShots, handle: int) -> ShotReading[Kept]:
        """Return the whole reading; `find` gets the frames."""
        try:
            return self._read(find, handle)
        except UnreadError as error:
            if error.ended or not self._shots:
                raise
            self._child.kill()  # requests for stills are unread, and would disturb the next file
            raise UnreadError(error.what, limit=error.limit, ended=True) from None

    def _read(self, find: FindShots, handle: int) -> ShotReading[Kept]:
        self._child.ask({"do": "shots", "edge": self._edge}, handle)
        for shot in find(self._frames()):
            self._shots.append(shot)
            self._child.tell({"do": "still", "first": shot.start_frame, "last": shot.end_frame})
        self._child.tell({"do": "enough"})
        while len(self._stills) < len(self._shots):
            self._hear_still(*self._child.hear())
        notes = hear_done(self._child)
        return ShotReading(tuple(self._shots), tuple(self._stills), tuple(self._gaps), notes)

    def _frames(self) -> Iterator[FrameBatch | Gap]:
        while True:
            answer, body = self._child.hear()
            if isinstance(answer, AllRead):
                return
            if isinstance(answer, (StillAnswer, NoStill)):
                self._hear_still(answer, body)
                continue
            arrived = self._ear.frames(answer, body)
            if isinstance(arrived, Gap):
                self._note(arrived)
            yield arrived

    def _note(self, gap: Gap) -> None:
        if len(self._gaps) == _MOST_GAPS:
            raise self._child.disbelieve(WireError("more gaps than any file has"))
        self._gaps.append(gap)

    def _hear_still(self, answer: Answer, body: bytes) -> None:
        """Take the still for the next shot, or that there is none."""
        try:
            if len(self._stills) == len(self._shots):
                raise WireError("a still that nobody asked for")
            if isinstance(answer, NoStill):
                self._stills.append(None)
                return
            if not isinstance(answer, StillAnswer):
                raise WireError("an answer to something else")
            still = cage_answers.still(answer, body, self._edge, self._limits)
            shot = self._shots[len(self._stills)]
            if not shot.start_s <= still.second <= shot.end_s:
                raise WireError("a still of another shot")
        except WireError as error:
            raise self._child.disbelieve(error) from None
        self._stills.append(self._keep(still))
