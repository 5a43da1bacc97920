"""Where a long sound is cut into pieces, what is silence, and how an utterance is cut into
sentences.

A piece ends at the quietest place near its end, so that no word is cut. The samples alone decide
where that is: the same file has the same pieces every time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from core.items import FloatMatrix
from core.media import SOUND_RATE, Sound
from core.media_words import Utterance

PIECE_S = 300.0
_LOOK_BACK_S = 20.0  # the cut is looked for in this end of a piece
_FRAME = SOUND_RATE // 10  # samples that are one measurement of loudness
_QUIET = 3  # such frames, which a cut has around it
_PAUSE = 0.05  # of the mean square of a piece: 13 decibels below it
_SILENT = 8.0  # root of the mean square, of 32,768: -72 decibels, below any microphone
_SENTENCE_END = re.compile(r"[.…!?][\"”’»]?$")
_TITLES = frozenset(
    """
    mr. mrs. ms. dr. prof. st. sen. gov. gen. rep. lt. col. capt. cmdr. sgt. maj. rev. hon. pres.
    jr. sr. vs. no. sra. srta. dra. ing. lic. hr. fr. mme. mm. bzw. ca. z.b. etc.
    """.split()  # noqa: SIM905 - a list of words reads better than forty strings
)


def sentences_of(one: Utterance) -> Iterator[Utterance]:
    """Yield each sentence of an utterance with its own seconds, so that a hit opens there; the
    whole if its words have no times, or are not written with blanks between them.
    """
    words = one.words
    if " ".join(word for *_, word in words) != one.text:
        yield one
        return
    start = 0
    for end, (*_, word) in enumerate(words, start=1):
        if end == len(words) or _ends_sentence(word):
            part = words[start:end]
            text = " ".join(word for *_, word in part)
            yield Utterance(part[0][0], part[-1][1], text, part, one.language)
            start = end


def _ends_sentence(word: str) -> bool:
    """Return whether a word ends a sentence; a title or an initial does not."""
    return bool(_SENTENCE_END.search(word)) and len(word) > 2 and word.lower() not in _TITLES


def cut_of(sound: Sound, look_back_s: float = _LOOK_BACK_S) -> float:
    """Return the second of the sound at which its piece should end: near its end, `look_back_s` of
    which is looked at.
    """
    end = len(sound.samples) // _FRAME * _FRAME
    start = max(0, end - round(look_back_s * SOUND_RATE))
    loudness = _loudness(sound.samples[start:end])
    if len(loudness) < _QUIET:
        return sound.seconds
    around = np.convolve(loudness, np.ones(_QUIET), mode="valid")
    quietest = int(around.argmin()) + _QUIET // 2
    return (start + quietest * _FRAME + _FRAME // 2) / SOUND_RATE


def pauses(sound: Sound) -> bool:
    """Return whether the sound ends with a pause: much quieter than it is as a whole."""
    end = len(sound.samples) // _FRAME * _FRAME
    loudness = _loudness(sound.samples[:end])
    last = loudness[-_QUIET:]
    return len(last) == _QUIET and float(last.max()) <= _PAUSE * float(loudness.mean())


def is_silent(sound: Sound) -> bool:
    """Return whether nothing can be heard in it: no model has to be asked."""
    end = len(sound.samples) // _FRAME * _FRAME
    loudness = _loudness(sound.samples[:end])
    return not len(loudness) or float(loudness.max()) < _SILENT**2


def _loudness(samples: np.ndarray[tuple[int], np.dtype[np.int16]]) -> FloatMatrix:
    """Return the mean square of each frame, float32 [n]; the samples are a multiple of frames."""
    frames = samples.reshape(-1, _FRAME).astype(np.float32)
    loudness: FloatMatrix = np.square(frames).mean(axis=1)
    return loudness
