"""Words that are found in media: what is said, what is written in a picture, what is seen in it.

They are members of an item beside its texts (`core.items.Item`): `speech`, `seen` and `looks`. Each
has a maker: the model that found it, "" if the agency says it itself, as its own script does. They
are searched, weighed and shown apart from the texts that people wrote.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise, starmap
from pathlib import PurePosixPath
from urllib.parse import unquote

MEDIA_WORDS = ("speech", "seen", "looks")  # members of an item; of each the maker is in `NAME_by`


@dataclass(frozen=True, slots=True)
class Utterance:
    """A stretch of speech from `start_s` to `end_s`, in seconds of the media.

    `words` has start, end and text of each word, and is empty if the maker told no times.
    `language` is the tag of what is spoken, "" if unknown.
    """

    start_s: float
    end_s: float
    text: str
    words: tuple[tuple[float, float, str], ...] = ()
    language: str = ""


def later(one: Utterance, by_s: float) -> Utterance:
    """Return what was said in a part of the media, in seconds of the whole: `by_s` later."""
    words = tuple((_ms(start + by_s), _ms(end + by_s), word) for start, end, word in one.words)
    return replace(one, start_s=_ms(one.start_s + by_s), end_s=_ms(one.end_s + by_s), words=words)


def _ms(seconds: float) -> float:
    return round(seconds, 3)


@dataclass(frozen=True, slots=True)
class SeenText:
    """A line of text in a picture, or in the frame of a video at the second `at_s`.

    `box` is its place: left, top, width and height as shares of the picture, 0 to 1. `score` is how
    sure the reader is, 0 to 1.
    """

    text: str
    box: tuple[float, float, float, float]
    at_s: float = 0.0
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Look:
    """What a classifier sees in a picture, or in the frame of a video at the second `at_s`: the
    name of its class, and the calibrated probability.
    """

    name: str
    probability: float
    at_s: float = 0.0


def lines_of(texts: Iterable[str]) -> str:
    """Return the texts as lines. A line break within a text becomes a blank, so that line n is text
    n and each keeps its length.
    """
    return "\n".join(text.translate(_BREAKS) for text in texts)


_BREAKS = str.maketrans("\n\r", "  ")


def words_of_file(location: str) -> str:
    """Return the words and numbers in a file's name, without its folder and ending: "Harbour Bridge
    2026" of "s3://bucket/HarbourBridge_2026.jpg".
    """
    name = unicodedata.normalize("NFC", unquote(PurePosixPath(location).stem))
    return " ".join(_WORD.findall("".join(starmap(_apart, pairwise(f" {name}")))))


_WORD = re.compile(r"[^\W_]+")


def _apart(before: str, char: str) -> str:
    """Return a character, after a blank if another word begins with it."""
    begins = before.islower() and char.isupper()
    return f" {char}" if begins or before.isdigit() != char.isdigit() else char
