"""Reads a child's answers about one file, and checks them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from core.media import FrameBatch, Gap, MediaFacts, Samples, Sound, Still
from indexing.media.cage import answers as cage_answers
from indexing.media.cage.answers import (
    Answer,
    Done,
    FactsAnswer,
    FramesAnswer,
    GapAnswer,
    SoundAnswer,
    StillAnswer,
    at_most,
)
from indexing.media.cage.limits import CageLimits
from indexing.media.cage.parent import CagedChild
from indexing.media.cage.wire import WireError

_ELSE = "an answer to something else"


class FrameEar:
    """Frames and gaps of one source, each after the end of the one before.

    Every method raises UnreadError if the child's answer can't be right.
    """

    def __init__(self, child: CagedChild) -> None:
        self._child = child
        self._expected = 0
        self._at_s = -1.0

    def frames(self, answer: Answer, body: bytes) -> FrameBatch | Gap:
        """Return the frames or the gap of an answer."""
        try:
            if isinstance(answer, FramesAnswer):
                return self._batch(cage_answers.frames(answer, body, self._expected))
            if isinstance(answer, GapAnswer):
                return self._gap(cage_answers.gap(answer))
            raise WireError(_ELSE)
        except WireError as error:
            raise self._child.disbelieve(error) from None

    def notes(self, answer: Done) -> tuple[str, ...]:
        """Return the notes at the end, for people to read."""
        return tuple(map(at_most, answer.notes))

    def _batch(self, batch: FrameBatch) -> FrameBatch:
        if batch.seconds[0] <= self._at_s:
            raise WireError("frames out of order")
        self._expected += len(batch.seconds)
        self._at_s = float(batch.seconds[-1])
        return batch

    def _gap(self, gap: Gap) -> Gap:
        if gap.start_s < self._at_s:
            raise WireError("a gap where frames are")
        return Gap(gap.start_s, gap.end_s, at_most(gap.reason))


def hear_facts(child: CagedChild, limits: CageLimits) -> MediaFacts:
    """Return the facts of a file. Raises UnreadError."""
    answer, body = child.hear()
    try:
        if not isinstance(answer, FactsAnswer):
            raise WireError(_ELSE)
        facts = cage_answers.facts(answer, body, limits)
    except WireError as error:
        raise child.disbelieve(error) from None
    return replace(
        facts,
        codec=at_most(facts.codec),
        mimetype=at_most(facts.mimetype),
        notes=tuple(map(at_most, facts.notes)),
    )


def hear_still(child: CagedChild, edge: int, limits: CageLimits) -> Still:
    """Return a still of at most `edge` pixels. Raises UnreadError."""
    answer, body = child.hear()
    try:
        if not isinstance(answer, StillAnswer):
            raise WireError(_ELSE)
        return cage_answers.still(answer, body, edge, limits)
    except WireError as error:
        raise child.disbelieve(error) from None


def hear_sound(child: CagedChild, most: int) -> Sound:
    """Return a stretch of at most `most` samples. Raises UnreadError."""
    parts: list[Samples] = []
    heard = 0
    while True:
        answer, body = child.hear()
        if isinstance(answer, Done):
            joined = np.concatenate(parts) if parts else np.zeros(0, np.int16)
            return Sound(joined, tuple(map(at_most, answer.notes)))
        try:
            if not isinstance(answer, SoundAnswer):
                raise WireError(_ELSE)
            parts.append(cage_answers.samples(answer, body, heard, most))
        except WireError as error:
            raise child.disbelieve(error) from None
        heard += answer.count


def hear_done(child: CagedChild) -> tuple[str, ...]:
    """Return the notes at the end of an answer. Raises UnreadError."""
    answer, _ = child.hear()
    if not isinstance(answer, Done):
        raise child.disbelieve(WireError(_ELSE))
    return tuple(map(at_most, answer.notes))
