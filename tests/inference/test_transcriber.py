"""Whisper on this machine, where the extra [speech] and the pulled model are."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelError
from core.media import SOUND_RATE, Sound
from dateline.build.models.runtimes import model_store
from dateline.settings import configure
from inference.models.store import ModelFolder
from inference.transcriber import WhisperTranscriber
from tests.speech_provider import silence, tone

NAME = "whisper-base"
SPOKEN = Path(__file__).parents[2] / "datasets/demo/media/inaugural-1961.mp4"


@pytest.fixture(scope="module")
def folder() -> ModelFolder:
    pytest.importorskip("faster_whisper", reason="needs the [speech] extra")
    store = model_store(configure().settings)
    if store.place(NAME) is None:
        pytest.skip(f"{NAME} was not pulled")
    return store.find(NAME)


@pytest.fixture(scope="module")
def whisper(folder: ModelFolder) -> WhisperTranscriber:
    return WhisperTranscriber.of(folder, threads=2)


def test_a_model_of_another_task_is_refused() -> None:
    other = model_store(configure().settings).find("all-MiniLM-L6-v2")
    with pytest.raises(ModelError, match="transcribe"):
        WhisperTranscriber.of(other)


@pytest.mark.deep
def test_a_known_speech_is_heard_with_its_seconds(
    whisper: WhisperTranscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = pytest.importorskip("indexing.media.reading")
    with reading.CagedReader() as reader:
        sound = reader.sound(SPOKEN, 0.0, 300.0)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing is decoded or fetched by the library")

    heard = whisper.transcribe(sound)
    for name in ("decode_audio", "download_model"):
        monkeypatch.setattr(sys.modules["faster_whisper.transcribe"], name, refuse)
    assert whisper.transcribe(sound) == heard
    text = " ".join(one.text for one in heard).casefold()
    assert "ask not what your country can do for you" in text
    assert {one.language for one in heard} == {"en"}
    words = [word for one in heard for word in one.words]
    assert len(words) == len(text.split())
    starts = [start for start, *_ in words]
    assert starts == sorted(starts)
    assert all(0 <= start <= end <= sound.seconds for start, end, _ in words)


@pytest.mark.deep
def test_nothing_is_invented_where_nobody_speaks(whisper: WhisperTranscriber) -> None:
    hiss = np.random.default_rng(0).normal(0, 60, 30 * SOUND_RATE).astype(np.int16)
    beeps = np.concatenate([tone(440, 5), silence(5)] * 3)
    for samples in (silence(30), hiss, beeps):
        assert whisper.transcribe(Sound(samples)) == ()
