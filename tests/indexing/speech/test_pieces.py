"""Where a long sound is cut, and what is silence."""

from __future__ import annotations

import numpy as np

from core.media import SOUND_RATE, Sound
from indexing.speech.pieces import cut_of, is_silent
from tests.speech_provider import silence, tone


def test_a_piece_ends_in_a_pause_near_its_end() -> None:
    parts = [tone(440, 5), silence(1), tone(440, 8), silence(0.4), tone(440, 3)]
    cut = cut_of(Sound(np.concatenate(parts)))
    assert 5.0 < cut < 6.0 or 14.0 < cut < 14.4
    later = Sound(np.concatenate([tone(440, 40), silence(1), tone(440, 30)]))
    assert cut_of(later) > 50.0  # a pause that is too far away is none


def test_a_sound_of_less_than_a_few_frames_is_not_cut() -> None:
    assert cut_of(Sound(tone(440, 0.2))) == 0.2


def test_silence_and_faint_hiss_are_silent_and_a_whisper_is_not() -> None:
    hiss = np.random.default_rng(0).integers(-3, 4, 10 * SOUND_RATE).astype(np.int16)
    assert is_silent(Sound(silence(10)))
    assert is_silent(Sound(hiss))
    assert is_silent(Sound(silence(0)))
    assert not is_silent(Sound((tone(300, 10) // 250).astype(np.int16)))
