"""Words keep their places in the text, and windows lose none of them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.tagger import NameTagger
from inference.texts.words import places, split_words, windows


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "Angela Merkel's party, the C.D.U., lost.",
            "Angela Merkel 's party , the C.D.U. , lost .",
        ),
        ("U.S. troops left Al-Ain", "U.S. troops left Al-Ain"),
        ("O'Brien of AT&T rose 3.5% to $12,000", "O'Brien of AT&T rose 3.5 % to $ 12,000"),
        ("It ended 2-1 on 12/05/1996.", "It ended 2-1 on 12/05/1996 ."),
        ("", ""),
        (" \n", ""),
    ],
)
def test_words_are_cut_like_the_corpus(text: str, words: str) -> None:
    assert split_words(text) == words.split()


@given(st.text(max_size=200))
def test_words_are_where_they_say_and_nothing_else_is_left(text: str) -> None:
    words = split_words(text)
    found = places(text, words)
    assert [text[start:end] for start, end in found] == words
    for (_, end), (start, _) in itertools.pairwise(found):
        assert not text[end:start].strip()
    assert "".join(words) == "".join(text.split())


def test_long_texts_are_cut_after_sentences_and_no_word_is_lost(tagger: NameTagger) -> None:
    words = ("the minister of finance spoke in parliament . " * 20).split()
    cut = windows(tagger.words, [words, ["short"], []], limit=32)
    long = [window for window in cut if window.text == 0]
    assert [word for window in long for word in window.words] == list(range(len(words)))
    assert all(len(window.tokens) <= 32 for window in cut)
    assert all(words[window.words[-1]] == "." for window in long)
    assert [window.words for window in cut if window.text == 1] == [(0,)]
    assert not [window for window in cut if window.text == 2]


def test_a_word_longer_than_a_window_is_kept_whole(tagger: NameTagger) -> None:
    words = ["a", "-".join(["part"] * 30), "b"]
    cut = windows(tagger.words, [words], limit=12)
    assert [word for window in cut for word in window.words] == [0, 1, 2]
    assert all(len(window.tokens) <= 12 for window in cut)


def test_heads_point_at_each_words_first_token(tagger: NameTagger) -> None:
    tokenizer = tagger.tokens.tokenizer
    (window,) = windows(tagger.words, [["Unbelievably", "good"]], limit=32)
    first = [tokenizer.id_to_token(window.tokens[head]) for head in window.heads]
    assert first[1] == "good"
    assert "unbelievably".startswith(first[0] or "?")
