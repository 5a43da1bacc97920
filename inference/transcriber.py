"""Sound to words by Whisper on this machine, through faster-whisper.

The library gets samples and files of a model that were checked by their digests, so neither its own
decoder nor its download is ever used. A detector of speech (Silero, which the library carries) goes
first: Whisper invents words where nobody speaks. What is left of those is dropped by what Whisper
itself says of it. Radford et al. 2022, Robust Speech Recognition via Large-Scale Weak Supervision,
https://arxiv.org/abs/2212.04356
"""

from __future__ import annotations

import hashlib
import importlib
import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from core.errors import ModelError
from core.extras import need_extra
from core.media import SOUND_RATE, Sound
from core.media_words import Utterance
from inference.loaded import need_task
from inference.models.manifest import companions
from inference.models.store import ModelFolder
from inference.runtimes.loading import graph_path, loading, running

BEAMS = 5
LEAST_SPEECH = 0.5  # probability of speech, of the detector
LEAST_LANGUAGE = 0.4  # probability of the language that is heard
LEAST_LOG_PROBABILITY = -1.0  # of the words of an utterance, their mean
MOST_ALIKE = 2.4  # how far a text may be compressed: above, it repeats itself
_FULL_SCALE = 32_768.0
_PACKAGES = {"faster_whisper": "faster-whisper", "ctranslate2": "ctranslate2"}


@dataclass(slots=True)
class WhisperTranscriber:
    """The Transcriber port over one model, which is loaded for the first sound. Calls from several
    threads take turns.
    """

    folder: ModelFolder
    threads: int
    device: str
    _model: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    leaves = False

    @classmethod
    def of(cls, folder: ModelFolder, *, threads: int = 1, device: str = "cpu") -> Self:
        """Return the transcriber of a folder; `threads` work on a call. Raises ModelError for a
        model of another task.
        """
        need_task(folder, "transcribe", "transcriber")
        return cls(folder, threads, device)

    @property
    def name(self) -> str:
        """The model, and the start of its digest."""
        return f"{self.folder.manifest.name}@{self.digest[:12]}"

    @property
    def digest(self) -> str:
        """sha256 over the model's files and the settings of its answers."""
        bounds = (LEAST_SPEECH, LEAST_LANGUAGE, LEAST_LOG_PROBABILITY, MOST_ALIKE)
        told = [self.folder.manifest.digest, BEAMS, *bounds]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def transcribe(self, sound: Sound) -> tuple[Utterance, ...]:
        """Return what is said; nothing where the detector hears no speech. Raises ModelError."""
        samples = sound.samples.astype(np.float32) / _FULL_SCALE
        with self._lock, running(str(self.folder.path)):
            model = self._loaded()
            vad = importlib.import_module("faster_whisper.vad")
            options = vad.VadOptions(threshold=LEAST_SPEECH, min_silence_duration_ms=1000)
            if not vad.get_speech_timestamps(samples, options, SOUND_RATE):
                return ()
            segments, heard = model.transcribe(
                samples,
                beam_size=BEAMS,
                word_timestamps=True,
                condition_on_previous_text=False,  # else one mistake is said again and again
                compression_ratio_threshold=MOST_ALIKE,
                log_prob_threshold=LEAST_LOG_PROBABILITY,
                vad_filter=True,
                vad_parameters=options,
            )
            if heard.language_probability < LEAST_LANGUAGE:
                return ()
            return tuple(_utterances(segments, heard.language))

    def close(self) -> None:
        """Free the model; the next sound loads it again."""
        self._model = None

    def _loaded(self) -> Any:
        """Return the model. Raises ModelError if it can't be loaded, and where the extra [speech]
        is not installed.
        """
        if self._model is None:
            manifest = self.folder.manifest
            need_packages(manifest.name)
            _, path = graph_path(self.folder, "ctranslate2")
            names = {path, manifest.tokenizer, *companions(path, manifest.files)}
            with loading(str(self.folder.path / path)):
                files = {name.rpartition("/")[2]: self.folder.read(name) for name in names}
                self._model = importlib.import_module("faster_whisper").WhisperModel(
                    manifest.name,  # a name only: with `files` nothing is looked for
                    device=self.device,
                    compute_type="int8" if self.device == "cpu" else "float16",
                    cpu_threads=self.threads,
                    files=files,
                )
        return self._model


def need_packages(where: str = "") -> None:
    """Raise ModelError if the extra [speech] is not installed."""
    need_extra("speech", "transcripts", _PACKAGES, error=ModelError, where=where)


def _utterances(segments: Iterable[Any], language: str) -> Iterable[Utterance]:
    """Yield the segments that are likely to be speech."""
    for segment in segments:
        text = " ".join(segment.text.split())
        unlikely = segment.avg_logprob < LEAST_LOG_PROBABILITY
        if not text or unlikely or segment.compression_ratio > MOST_ALIKE:
            continue
        words = tuple(
            (round(float(word.start), 3), round(float(word.end), 3), word.word.strip())
            for word in segment.words or ()
            if word.word.strip()
        )
        start, end = (words[0][0], words[-1][1]) if words else (segment.start, segment.end)
        yield Utterance(round(float(start), 3), round(float(end), 3), text, words, language)
