"""Texts by the beginnings of their words, against a plain look at each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from storage.words.names import plain_words
from storage.words.prefixes import Mask, PrefixIndex

TEXTS = (
    "Porto Alto",
    "The port of Porto",
    "PORTS",
    "São Paulo",
    "O'Hara's ferry",
    "ferry, ferry, ferry!",
    "",
    "…",
)


def index_of(*texts: str) -> PrefixIndex:
    made = PrefixIndex()
    for text in texts:
        made.add(text)
    return made


def texts(marks: Mask) -> list[str]:
    return [TEXTS[number] for number in np.flatnonzero(marks)]


@pytest.mark.parametrize(
    ("typed", "matching", "beginning", "same"),
    [
        ("port", TEXTS[:3], (TEXTS[0], TEXTS[2]), ()),
        ("ports", ("PORTS",), ("PORTS",), ("PORTS",)),
        ("porto alto", ("Porto Alto",), ("Porto Alto",), ("Porto Alto",)),
        ("alto porto", ("Porto Alto",), (), ("Porto Alto",)),
        ("the po", ("The port of Porto",), ("The port of Porto",), ()),
        ("sao p", ("São Paulo",), ("São Paulo",), ()),
        ("oh", ("O'Hara's ferry",), ("O'Hara's ferry",), ()),
        ("ferry", TEXTS[4:6], (TEXTS[5],), (TEXTS[5],)),
        ("x", (), (), ()),
    ],
)
def test_what_is_found(
    typed: str, matching: tuple[str, ...], beginning: tuple[str, ...], same: tuple[str, ...]
) -> None:
    index, words = index_of(*TEXTS), plain_words(typed)
    assert texts(index.matching(words)) == list(matching)
    assert texts(index.beginning(words) & index.matching(words)) == list(beginning)
    assert texts(index.same(words)) == list(same)


WORDS = st.text("aäb' -", max_size=6)


@given(st.lists(WORDS, max_size=8), WORDS, st.integers(0, 8))
def test_every_text_is_found_as_by_looking_at_each(
    held: list[str], typed: str, asked_after: int
) -> None:
    """Whenever it is asked in between: words that come later are found too."""
    words = plain_words(typed)
    assume(words)
    index = PrefixIndex()
    for number, text in enumerate(held):
        if number == asked_after:
            index.matching(words)
        index.add(text)
    found = [plain_words(text) for text in held]
    assert index.matching(words).tolist() == [
        all(word in own for word in words[:-1]) and any(word.startswith(words[-1]) for word in own)
        for own in found
    ]
    assert index.same(words).tolist() == [set(own) == set(words) for own in found]
