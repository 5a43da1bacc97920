"""What is said in a sound, by a service that speaks OpenAI's transcriptions.

Each piece of sound is one request, as a WAV file of one channel, and one answer in `verbose_json`
with the times of words. The answer is read as bytes and checked here.
https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from core.errors import ModelError
from core.media import SOUND_RATE, Sound
from core.media_words import Utterance
from indexing.captions.failures import Unanswered
from indexing.captions.provider import Provider

MOST_ANSWER_BYTES = 16 * 2**20
TRIES = 3
MOST_TEXT = 4_000  # characters of an utterance
# An utterance that the model itself takes for silence, or that repeats itself, was not said.
NO_SPEECH, UNLIKELY, MOST_ALIKE = 0.6, -1.0, 2.4
_STEP = 1  # raise it when an answer is read in another way
_CODES = {
    "arabic": "ar", "bengali": "bn", "catalan": "ca", "chinese": "zh", "croatian": "hr",
    "czech": "cs", "danish": "da", "dutch": "nl", "english": "en", "finnish": "fi",
    "french": "fr", "german": "de", "greek": "el", "hebrew": "he", "hindi": "hi",
    "hungarian": "hu", "indonesian": "id", "italian": "it", "japanese": "ja", "korean": "ko",
    "norwegian": "no", "persian": "fa", "polish": "pl", "portuguese": "pt", "romanian": "ro",
    "russian": "ru", "serbian": "sr", "spanish": "es", "swedish": "sv", "turkish": "tr",
    "ukrainian": "uk", "urdu": "ur", "vietnamese": "vi",
}  # fmt: skip

_Second = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class _Word(BaseModel):
    word: str
    start: _Second
    end: _Second


class _Segment(BaseModel):
    text: str
    start: _Second
    end: _Second
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    compression_ratio: float | None = None

    @property
    def is_said(self) -> bool:
        """Whether it is likely that somebody says it."""
        is_likely = self.avg_logprob is None or self.avg_logprob >= UNLIKELY
        is_speech = self.no_speech_prob is None or self.no_speech_prob <= NO_SPEECH
        is_once = self.compression_ratio is None or self.compression_ratio <= MOST_ALIKE
        return (is_likely or is_speech) and is_once and bool(self.text.strip())


class _Transcription(BaseModel):
    language: str = ""
    segments: list[_Segment] | None = None
    words: list[_Word] | None = None


@dataclass(frozen=True, slots=True)
class SpeechProvider:
    """The Transcriber port over a `provider`'s model at the address `url`. A request that may
    succeed later is tried again, after `pause`, up to TRIES times.
    """

    provider: Provider
    url: str
    pause: Callable[[float], None] = time.sleep

    leaves = True

    @classmethod
    def open(cls, url: str, model: str, *, key: str = "", seconds: float = 300.0) -> SpeechProvider:
        """Return a provider that is not called yet; an empty `url` is OpenAI itself. Raises
        SettingsError.
        """
        opened = Provider.open(url, model, key=key, seconds=seconds, setting="transcribe")
        return cls(opened, url)

    @property
    def name(self) -> str:
        """The model, and the start of its digest."""
        return f"{self.provider.model}@{self.digest[:12]}"

    @property
    def digest(self) -> str:
        """sha256 over address, model, and how its answers are read."""
        told = [self.url, self.provider.model, _STEP, NO_SPEECH, UNLIKELY, MOST_ALIKE]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def transcribe(self, sound: Sound) -> tuple[Utterance, ...]:
        """Return what the service hears. Raises ModelError."""
        data = self._answer(wav_of(sound))
        try:
            found = _Transcription.model_validate_json(data)
        except ValidationError:
            what = "the provider answered no transcription in verbose_json"
            raise ModelError(what, where=self.provider.model, mend="name another model") from None
        return _utterances(found, sound.seconds)

    def close(self) -> None:
        """Close the connections."""
        self.provider.close()

    def _answer(self, wav: bytes) -> bytes:
        create: Any = self.provider.client.audio.transcriptions.with_raw_response.create
        asked = partial(
            create,
            file=("sound.wav", wav, "audio/wav"),
            model=self.provider.model,
            response_format="verbose_json",
            timestamp_granularities=["word", "segment"],
        )
        left = TRIES
        while True:
            left -= 1
            try:
                content: bytes = self.provider.sent(lambda: asked().content, MOST_ANSWER_BYTES)
                return content
            except Unanswered as failure:
                if not left or failure.wait is None:
                    raise ModelError(failure.reason, where=self.provider.model) from None
                self.pause(max(1.0, failure.wait))


def wav_of(sound: Sound) -> bytes:
    """Return the sound as a WAV file."""
    written = io.BytesIO()
    with wave.open(written, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SOUND_RATE)
        out.writeframes(sound.samples.astype("<i2").tobytes())
    return written.getvalue()


def _utterances(found: _Transcription, most_s: float) -> tuple[Utterance, ...]:
    """Return the segments that were said, each with its words, within the sound."""
    language = found.language.strip().casefold()
    code = _CODES.get(language, language if 2 <= len(language) <= 3 else "")
    said = [one for one in found.segments or () if one.is_said and one.start < most_s]
    made = []
    for one in sorted(said, key=lambda one: one.start):
        end = min(max(one.start, one.end), most_s)
        words = _words_within(found.words or (), one.start, end)
        text = " ".join(one.text.split())[:MOST_TEXT]
        made.append(Utterance(round(one.start, 3), round(end, 3), text, words, code))
    return tuple(made)


def _words_within(
    words: Sequence[_Word], start: float, end: float
) -> tuple[tuple[float, float, str], ...]:
    """Return the words whose middle is in a segment."""
    return tuple(
        (round(word.start, 3), round(max(word.start, word.end), 3), word.word.strip())
        for word in words
        if start <= (word.start + word.end) / 2 < end and word.word.strip()
    )
