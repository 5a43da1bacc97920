"""Where a long sound is cut, and what is silence."""

from __future__ import annotations

import numpy as np

from core.media import SOUND_RATE, Sound
from core.media_words import Utterance
from indexing.speech.pieces import cut_of, is_silent, sentences_of
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


def test_an_utterance_is_cut_at_its_sentences() -> None:
    text = "I met Mr. Smith. Thank you! Was it 3.5 or 4."
    words = tuple((float(n), n + 0.5, word) for n, word in enumerate(text.split()))
    parts = list(sentences_of(Utterance(0.0, 20.0, text, words, "en")))
    assert [(one.start_s, one.end_s, one.text) for one in parts] == [
        (0.0, 3.5, "I met Mr. Smith."),
        (4.0, 5.5, "Thank you!"),
        (6.0, 10.5, "Was it 3.5 or 4."),
    ]
    assert sum((one.words for one in parts), ()) == words
    assert {one.language for one in parts} == {"en"}


def test_an_utterance_without_times_or_without_blanks_stays_whole() -> None:
    untimed = Utterance(0.0, 2.0, "Yes. Quite so.")
    joined = Utterance(0.0, 2.0, "はい。そう。", ((0.0, 1.0, "はい。"), (1.0, 2.0, "そう。")), "ja")
    for one in (untimed, joined):
        assert list(sentences_of(one)) == [one]
