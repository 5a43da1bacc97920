"""Speech as subtitles: WebVTT, SubRip, and plain lines.

A long utterance becomes several cues, cut at the times of its words. WebVTT names the machine that
wrote it down in a note, which `indexing.media.metadata.sidecars` reads again: so a file that a
machine made never becomes the agency's own words. SubRip has no place for it.
https://www.w3.org/TR/webvtt1/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from core.items import Item
from core.media_words import Utterance

Form = Literal["vtt", "srt", "text"]
FORMS: tuple[Form, ...] = ("vtt", "srt", "text")
MACHINE_NOTE = "NOTE Made by a machine: "
LONGEST = 84  # characters of a cue: two lines
_LEAST_S = 0.001
_NOTE = re.compile(rf"^{MACHINE_NOTE}(\S.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Cue:
    """A text that is shown from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    text: str


def written(item: Item, form: Form) -> str:
    """Return an item's speech in a form, ending in a line break."""
    cues = [cue for one in item.speech for cue in cues_of(one)]
    if form == "text":
        return "".join(f"{_clock(cue.start_s, '.')} {cue.text}\n" for cue in cues)
    if form == "srt":
        rows = (f"{n}\n{_span(cue, ',')}\n{cue.text}\n" for n, cue in enumerate(cues, 1))
        return "\n".join(rows)
    note = f"{MACHINE_NOTE}{item.speech_by}\n\n" if item.speech_by else ""
    rows = (f"{_span(cue, '.')}\n{_escaped(cue.text)}\n" for cue in cues)
    return f"WEBVTT\n\n{note}" + "\n".join(rows)


def maker_of(subtitles: str) -> str:
    """Return the machine that a WebVTT file says it was made by; "" if it says none."""
    found = _NOTE.search(subtitles[:2_000])
    return " ".join(found[1].split())[:500] if found else ""


def cues_of(one: Utterance) -> Iterator[Cue]:
    """Yield an utterance as cues of at most LONGEST characters, if its words have times."""
    text = " ".join(one.text.split())
    words = [word for *_, word in one.words]
    if len(text) <= LONGEST or " ".join(words) != text:
        yield _cue(one.start_s, one.end_s, text)
        return
    start = 0
    while start < len(words):
        end = _end_of_cue(words, start)
        yield _cue(one.words[start][0], one.words[end - 1][1], " ".join(words[start:end]))
        start = end


def _end_of_cue(words: Sequence[str], start: int) -> int:
    """Return where the cue that begins with a word ends: after a sentence, or when it is full."""
    length, end = len(words[start]), start + 1
    while end < len(words) and length + 1 + len(words[end]) <= LONGEST:
        if length > LONGEST // 2 and words[end - 1][-1] in ".?!":
            break
        length += 1 + len(words[end])
        end += 1
    return end


def _cue(start_s: float, end_s: float, text: str) -> Cue:
    return Cue(start_s, max(end_s, start_s + _LEAST_S), text)


def _span(cue: Cue, point: str) -> str:
    return f"{_clock(cue.start_s, point)} --> {_clock(cue.end_s, point)}"


def _clock(seconds: float, point: str) -> str:
    whole, ms = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{ms:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
