"""The patterns that near names are looked for by miss nothing that is near."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from storage.opensearch.query.names import near_patterns, sounding_pattern
from storage.record.facts import LINK
from storage.words.names import SHORTEST, most_edits, sound_of

_WORDS = st.text("abcdéж中1", min_size=1, max_size=24)


def found(word: str, other: str) -> bool:
    """Whether a pattern matches; Python and Lucene read these signs alike."""
    value = f"{other}{LINK}Other"
    return any(re.fullmatch(pattern, value, re.DOTALL) for pattern in near_patterns(word))


@st.composite
def _edited(draw: st.DrawFn) -> tuple[str, str]:
    """A word, and the same after as many edits as names may be away from each other."""
    word = draw(_WORDS)
    signs = list(word)
    for _ in range(draw(st.integers(0, most_edits(len(word))))):
        kind, place = draw(st.sampled_from("icds")), draw(st.integers(1, max(1, len(signs) - 1)))
        if kind == "i":
            signs.insert(place, draw(st.sampled_from("abcx")))
        elif kind == "c" and place < len(signs):
            signs[place] = draw(st.sampled_from("abcx"))
        elif kind == "d" and place < len(signs):
            del signs[place]
        elif kind == "s" and place + 1 < len(signs):
            signs[place], signs[place + 1] = signs[place + 1], signs[place]
    return word, "".join(signs)


@given(_edited())
def test_whatever_is_near_is_found(pair: tuple[str, str]) -> None:
    word, other = pair
    most = most_edits(len(word))
    if other and most and other[0] == word[0] and OSA.distance(word, other) <= most:
        assert found(word, other)


_SAID = st.text("aeghkllmnprstvж1", min_size=1, max_size=9)


@given(_SAID, _SAID)
def test_what_sounds_alike_is_found_and_nothing_else(word: str, other: str) -> None:
    pattern = sounding_pattern(word)
    if len(word) < SHORTEST:
        assert pattern == ""
        return
    for said in (other, word, word.replace("l", "ll"), word.replace("a", "eh")):
        alike = sound_of(said) == sound_of(word)
        assert bool(re.fullmatch(pattern, f"{said}{LINK}Said", re.DOTALL)) == alike


@given(_WORDS, _WORDS)
def test_any_two_words(word: str, other: str) -> None:
    most = most_edits(len(word))
    if most and other[0] == word[0] and OSA.distance(word, other) <= most:
        assert found(word, other)
    if other[0] != word[0]:
        assert not found(word, other)


@pytest.mark.parametrize(
    ("word", "other", "is_found"),
    [
        ("angelamerkel", "angelamekrle", True),  # two swaps
        ("angelamerkel", "angelamerkel", True),
        ("angelamerkel", "angelabrown", True),  # a part is whole: the rules judge it
        ("angelamerkel", "antoniogomes", False),
        ("angelamerkel", "angelamerkelandmore", False),
        ("merk", "merk", False),  # too short to be mistaken for anything
        ("a.b*c|d", "a.b*c|d", True),
        ("a.b*c|d", "axb*c|x", False),
    ],
)
def test_what_patterns_find(word: str, other: str, is_found: bool) -> None:
    assert found(word, other) is is_found
