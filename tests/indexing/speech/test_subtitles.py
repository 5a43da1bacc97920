"""Speech as subtitles, and subtitles beside a file read again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from core.items import Item, ItemType
from core.media_words import Utterance
from indexing.media.metadata.sidecars import TRANSCRIPT, TRANSCRIPT_BY, sidecar_of
from indexing.speech.subtitles import LONGEST, Form, cues_of, written

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SAID = (
    Utterance(0.5, 2.25, "Thank you."),
    Utterance(3661.0, 3662.5, "Profit < loss & more"),
)
ITEM = Item("urn:a", 1, ItemType.VIDEO, NOW, NOW, "urn:a", speech=SAID)
MACHINES = replace(ITEM, speech_by="whisper-base@0123456789ab")


def test_forms() -> None:
    assert written(ITEM, "srt") == (
        "1\n00:00:00,500 --> 00:00:02,250\nThank you.\n\n"
        "2\n01:01:01,000 --> 01:01:02,500\nProfit < loss & more\n"
    )
    assert written(MACHINES, "vtt") == (
        "WEBVTT\n\nNOTE Made by a machine: whisper-base@0123456789ab\n\n"
        "00:00:00.500 --> 00:00:02.250\nThank you.\n\n"
        "01:01:01.000 --> 01:01:02.500\nProfit &lt; loss &amp; more\n"
    )
    assert written(ITEM, "text") == ("00:00:00.500 Thank you.\n01:01:01.000 Profit < loss & more\n")


@pytest.mark.parametrize(
    ("item", "form", "maker"),
    [(ITEM, "vtt", ""), (ITEM, "srt", ""), (MACHINES, "vtt", MACHINES.speech_by)],
)
def test_what_was_written_is_read_again_with_its_maker(item: Item, form: Form, maker: str) -> None:
    tree, notes = sidecar_of("a.mp4", {f"a.{form}": written(item, form).encode()}.get)
    assert notes == ()
    assert tree is not None
    lines = [(line["start"], line["description"]) for line in tree[TRANSCRIPT]]
    point = "," if form == "srt" else "."
    assert lines == [
        (f"00:00:00{point}500", "Thank you."),
        (f"01:01:01{point}000", "Profit < loss & more"),
    ]
    assert tree.get(TRANSCRIPT_BY, "") == maker


def test_a_long_utterance_becomes_cues_at_its_words_times() -> None:
    words = tuple((float(n), n + 0.5, f"word{n}") for n in range(40))
    long = Utterance(0.0, 40.0, " ".join(word for *_, word in words), words)
    cues = list(cues_of(long))
    assert " ".join(cue.text for cue in cues) == long.text
    assert all(len(cue.text) <= LONGEST and cue.end_s > cue.start_s for cue in cues)
    assert [cue.start_s for cue in cues] == sorted({cue.start_s for cue in cues})
    (whole,) = cues_of(replace(long, words=()))
    assert whole.text == long.text
