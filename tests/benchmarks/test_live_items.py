"""A demo's clip, live over loopback, into an archive that a service serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live_broadcast import Film
from tests.speech_provider import KEY, SpeechServer

pytest.importorskip("av", reason="needs the [media] extra")
live_items = pytest.importorskip("benchmarks.media.live_items")
pytestmark = pytest.mark.deep

SHOTS = [((200, 40, 40), 440, 6.0), ((40, 180, 40), 880, 5.0), ((40, 40, 220), 1320, 7.0)]
WORDS = {440: "the ferry leaves", 880: "smoke over the harbour", 1320: "everybody is safe"}


def test_a_search_over_http_finds_each_shot_and_word_soon_and_then_the_archived_video(
    tmp_path: Path,
) -> None:
    """5 seconds for a shot and 15 for a word are the aims on a quiet machine."""
    with SpeechServer(WORDS) as speech:
        settings = {
            "DATELINE_TRANSCRIBER": "openai",
            "DATELINE_TRANSCRIBE_URL": speech.base_url,
            "DATELINE_TRANSCRIBE_MODEL": "whisper-1",
            "DATELINE_TRANSCRIBE_KEY": KEY,
        }
        lags = live_items.measured(tmp_path, Film(SHOTS), settings)
    print("shots after", lags.shots, "words after", lags.words)
    assert len(lags.shots) >= len(SHOTS)
    assert max(lags.shots.values()) < 15
    assert len(lags.words) >= len(WORDS)
    assert max(lags.words.values()) < 30
    assert lags.most_hits == 1
    assert lags.item["live"]["state"] == "archived"
    assert lags.item["renditions"]["main"]["mimetype"]
    assert [round(shot["end_s"]) for shot in lags.item["shots"]] == [6, 11, 18]
