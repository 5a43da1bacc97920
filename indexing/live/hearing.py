"""The words of a live source: its sound is cut into short pieces at pauses, and each is written
down while the next one comes.

A model of speech needs about as long for a piece of a few seconds as for one of half a minute. So
pieces that wait for it are joined: it falls behind for a moment only, if it is fast enough at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.errors import DatelineError
from core.media import SOUND_RATE, Samples, Sound, SoundBatch
from core.media_words import Utterance, later
from core.ports.media import Transcriber
from indexing.captions.rights import RIGHTS
from indexing.speech.pieces import cut_of, is_silent, pauses, sentences_of

LEAST_S = 3.0  # of a piece, so that the model has something to go by
MOST_S = 7.0
_LOOK_BACK_S = 2.0  # in which a piece without a pause is cut at its quietest place
_JOINED_S = 28.0  # models of speech look at half a minute
_HOLE_S = 0.05
_END_S = 60.0


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of sound that begins at `start_s` of the source."""

    samples: Samples
    start_s: float

    @property
    def end_s(self) -> float:
        """The second at which it ends."""
        return self.start_s + len(self.samples) / SOUND_RATE


@dataclass(slots=True)
class LivePieces:
    """Cuts sound into pieces as it comes. Each ends at a pause, or at its quietest place when it
    gets too long.
    """

    _held: list[Samples] = field(default_factory=list)
    _count: int = 0
    start_s: float = 0.0  # of the piece that has begun

    @property
    def end_s(self) -> float:
        """The second up to which sound has come."""
        return self.start_s + self._count / SOUND_RATE

    def push(self, sound: SoundBatch) -> Iterator[Piece]:
        """Take sound, and yield the pieces that are whole."""
        if self._count and abs(sound.start_s - self.end_s) > _HOLE_S:
            yield from self.rest()
        if not self._count:
            self.start_s = sound.start_s
        self._held.append(sound.samples)
        self._count += len(sound.samples)
        if self._count >= LEAST_S * SOUND_RATE:
            yield from self._cut()

    def rest(self) -> Iterator[Piece]:
        """Yield what has come since the last piece."""
        if self._count:
            yield self._piece(self._count)

    def _cut(self) -> Iterator[Piece]:
        held = Sound(np.concatenate(self._held))
        self._held = [held.samples]
        if pauses(held):
            yield self._piece(self._count)
        elif self._count >= MOST_S * SOUND_RATE:
            yield self._piece(round(cut_of(held, _LOOK_BACK_S) * SOUND_RATE))

    def _piece(self, count: int) -> Piece:
        joined = np.concatenate(self._held)
        piece = Piece(joined[:count], self.start_s)
        self._held = [joined[count:]]
        self._count -= count
        self.start_s = piece.end_s
        return piece


Tell = Callable[[Sequence[Utterance]], None]


class LiveWords:
    """Writes pieces down in a thread of its own. `tell` gets what was said, `trouble` why a stretch
    has no words. `close` waits for the last piece.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        tell: Tell,
        trouble: Callable[[str], None],
        allowed: Callable[[], bool],
    ) -> None:
        """`allowed` says whether sound may go to a transcriber that is an outside service."""
        self._transcriber, self._tell, self._trouble = transcriber, tell, trouble
        self._allowed = allowed
        self._pieces = LivePieces()
        self._waiting: list[Piece] = []
        self._changed = threading.Condition()
        self._closed = False
        self._at_work_s = float("inf")  # where the piece at work begins
        self._thread = threading.Thread(target=self._write, name="live words", daemon=True)
        self._thread.start()

    def push(self, sound: SoundBatch) -> None:
        """Take sound as it comes."""
        self._put(self._pieces.push(sound))

    def rest(self) -> None:
        """Take what has come as a piece: the source is silent now."""
        self._put(self._pieces.rest())

    @property
    def done_s(self) -> float:
        """The second up to which everything is written down."""
        with self._changed:
            first = self._waiting[0].start_s if self._waiting else self._pieces.start_s
            return min(first, self._at_work_s)

    def close(self) -> None:
        """Wait for the words of what has come."""
        self.rest()
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(_END_S)

    def _put(self, pieces: Iterator[Piece]) -> None:
        with self._changed:
            self._waiting += pieces
            self._changed.notify()

    def _write(self) -> None:
        """The thread: writes down what waits, joined."""
        while True:
            with self._changed:
                self._at_work_s = float("inf")
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                count = _joinable(self._waiting)
                some, self._waiting = self._waiting[:count], self._waiting[count:]
                self._at_work_s = some[0].start_s
            self._hear(some)

    def _hear(self, pieces: Sequence[Piece]) -> None:
        sound = Sound(np.concatenate([piece.samples for piece in pieces]))
        if is_silent(sound):
            return
        start_s = pieces[0].start_s
        try:
            if self._transcriber.leaves and not self._allowed():
                self._trouble(f"not transcribed: {RIGHTS}")
                return
            said = self._transcriber.transcribe(sound)
        except DatelineError as error:
            self._trouble(f"not transcribed from {start_s:.0f} s: {error.what}")
            return
        self._tell([later(part, start_s) for one in said for part in sentences_of(one)])


def _joinable(pieces: Sequence[Piece]) -> int:
    """Return how many pieces, from the first, follow one another and are one call's."""
    count = 1
    while count < len(pieces):
        piece = pieces[count]
        follows = piece.start_s - pieces[count - 1].end_s <= _HOLE_S
        if not follows or piece.end_s - pieces[0].start_s > _JOINED_S:
            break
        count += 1
    return count
