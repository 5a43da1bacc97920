"""Sound of a live source as pieces, and pieces as words."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from core.errors import ModelError
from core.media import SOUND_RATE, Sound, SoundBatch
from core.media_words import Utterance
from indexing.live.hearing import MOST_S, LivePieces, LiveWords, Piece
from tests.speech_provider import silence, tone

_WAIT_S = 20.0


def batches(*parts: np.ndarray, start_s: float = 0.0) -> list[SoundBatch]:  # type: ignore[type-arg]
    """The parts one after the other, in batches of a fifth of a second."""
    samples = np.concatenate(parts)
    step = SOUND_RATE // 5
    return [
        SoundBatch(samples[at : at + step], start_s + at / SOUND_RATE)
        for at in range(0, len(samples), step)
    ]


def cut(sound: Sequence[SoundBatch]) -> list[tuple[float, float]]:
    pieces = LivePieces()
    found = [piece for batch in sound for piece in pieces.push(batch)]
    return [(round(p.start_s, 1), round(p.end_s, 1)) for p in [*found, *pieces.rest()]]


def test_a_piece_ends_at_a_pause_and_at_the_latest_after_some_seconds() -> None:
    paused = cut(batches(tone(440, 4.0), silence(0.6), tone(660, 4.0), silence(0.4)))
    assert [start for start, _ in paused] == [0.0, pytest.approx(4.4, abs=0.2)]
    endless = cut(batches(tone(440, 30.0)))
    assert max(end - start for start, end in endless) <= MOST_S + 0.2
    assert endless[-1][1] == 30.0
    assert [end for _, end in endless[:-1]] == [start for start, _ in endless[1:]]


def test_a_hole_in_the_sound_ends_a_piece() -> None:
    both = [*batches(tone(440, 2.0)), *batches(tone(440, 2.0), start_s=10.0)]
    assert cut(both) == [(0.0, 2.0), (10.0, 12.0)]


class Slow:
    """A transcriber that says how long its sound is; the first call waits until it may go on."""

    name, digest, leaves = "slow", "", False

    def __init__(self) -> None:
        self.may, self.begun, self.asked = threading.Event(), threading.Event(), list[float]()

    def transcribe(self, sound: Sound) -> tuple[Utterance, ...]:
        self.asked.append(sound.seconds)
        self.begun.set()
        assert self.may.wait(_WAIT_S)
        return (Utterance(0.0, sound.seconds, "said"),)


def test_pieces_that_wait_are_heard_together_and_in_their_seconds() -> None:
    slow, told = Slow(), list[Utterance]()
    words = LiveWords(slow, told.extend, lambda _: None, lambda: True)
    words.push(SoundBatch(tone(440, MOST_S), 0.0))
    assert slow.begun.wait(_WAIT_S)
    for batch in batches(tone(440, 20.0), start_s=MOST_S):
        words.push(batch)
    slow.may.set()
    words.close()
    assert len(slow.asked) == 2
    assert sum(slow.asked) == pytest.approx(MOST_S + 20.0, abs=0.01)
    assert told[1].start_s == pytest.approx(told[0].end_s, abs=0.01)
    assert told[1].end_s == pytest.approx(MOST_S + 20.0, abs=0.01)


class Failing:
    """A transcriber that fails, and would be an outside service."""

    name, digest, leaves = "failing", "", True

    def transcribe(self, _: Sound) -> tuple[Utterance, ...]:
        raise ModelError("the service is away")


@pytest.mark.parametrize(("allowed", "said"), [(True, "the service is away"), (False, "rights")])
def test_a_stretch_without_words_is_said(*, allowed: bool, said: str) -> None:
    troubles: list[str] = []
    words = LiveWords(Failing(), lambda _: None, troubles.append, lambda: allowed)
    words.push(SoundBatch(tone(440, 2.0), 0.0))
    words.close()
    (trouble,) = troubles
    assert said in trouble


def test_a_piece_knows_its_end() -> None:
    assert Piece(tone(440, 2.0), 3.0).end_s == 5.0
