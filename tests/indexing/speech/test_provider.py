"""A service that transcribes, asked over a socket: what is heard, what is refused, what is tried
again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from core.errors import ModelError, SettingsError
from core.media import Sound
from core.media_words import Utterance
from indexing.speech.provider import TRIES, SpeechProvider
from tests.speech_provider import KEY, SpeechServer, silence, tone

pytest.importorskip("openai")
SAID = Sound(np.concatenate([silence(1), tone(440, 1), silence(1), tone(880, 2)]))
BUSY = (503, json.dumps({"error": {"message": "overloaded"}}).encode())


@pytest.fixture
def server() -> Iterator[SpeechServer]:
    with SpeechServer({440: "Thank you", 880: "Good morning"}) as running:
        yield running


def provider(server: SpeechServer, key: str = KEY) -> SpeechProvider:
    opened = SpeechProvider.open(server.base_url, "whisper-1", key=key, seconds=10)
    return SpeechProvider(opened.provider, server.base_url, pause=lambda _: None)


def test_words_come_with_their_times_and_language(server: SpeechServer) -> None:
    asked = provider(server)
    assert asked.transcribe(SAID) == (
        Utterance(1.0, 2.0, "Thank you", ((1.0, 1.5, "Thank"), (1.5, 2.0, "you")), "en"),
        Utterance(3.0, 5.0, "Good morning", ((3.0, 4.0, "Good"), (4.0, 5.0, "morning")), "en"),
    )
    (request,) = server.asked
    assert request.seconds == 5.0
    assert request.fields["model"] == ["whisper-1"]
    assert sorted(request.fields["timestamp_granularities"]) == ["segment", "word"]
    asked.close()


@pytest.mark.parametrize(
    "doubt",
    [
        {"no_speech_prob": 0.9, "avg_logprob": -1.5},
        {"compression_ratio": 5.0},
    ],
)
def test_what_the_model_doubts_itself_was_not_said(
    server: SpeechServer, doubt: dict[str, float]
) -> None:
    server.more = doubt
    assert provider(server).transcribe(SAID) == ()


def test_a_busy_service_is_asked_again_and_then_given_up(server: SpeechServer) -> None:
    server.script.extend([BUSY] * (TRIES - 1))
    assert len(provider(server).transcribe(SAID)) == 2
    server.script.extend([BUSY] * TRIES)
    with pytest.raises(ModelError, match="503"):
        provider(server).transcribe(SAID)
    assert len(server.asked) == 2 * TRIES


@pytest.mark.parametrize(
    "answer", [b"{", b"[]", b'{"segments": [{"text": "a", "start": -1, "end": 2}]}']
)
def test_an_answer_that_is_no_transcription_is_refused(server: SpeechServer, answer: bytes) -> None:
    server.script.append((200, answer))
    with pytest.raises(ModelError):
        provider(server).transcribe(SAID)


def test_the_key_is_in_no_message_and_a_wrong_address_names_its_setting(
    server: SpeechServer,
) -> None:
    with pytest.raises(ModelError) as caught:
        provider(server, key="sk-wrong-secret").transcribe(SAID)
    assert "sk-wrong-secret" not in f"{caught.value}"
    with pytest.raises(SettingsError) as refused:
        SpeechProvider.open("ftp://host/v1", "whisper-1")
    assert refused.value.where == "transcribe_url"


def test_other_models_and_addresses_have_other_digests(server: SpeechServer) -> None:
    first = provider(server)
    other = SpeechProvider.open(server.base_url, "whisper-2", key=KEY)
    assert first.digest != other.digest
    assert first.name == f"whisper-1@{first.digest[:12]}"
