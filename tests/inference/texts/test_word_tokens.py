"""What is kept of words is what the tokenizer gives for the whole text, of every kind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from core.errors import ModelError
from inference.texts.tokens import well_formed
from inference.texts.words import LONGEST_KEPT, Pieces, Window, WordTokens, split_words, windows
from tests.inference.test_hostile import HOSTILE

BUNDLED = Path(__file__).parents[3] / "models" / "distilbert-ner-news" / "tokenizer.json"
OPENING, CLOSING = "[CLS]", "[SEP]"
TEXTS = (
    "Angela Merkel's party, the C.D.U., lost 3.5% in Al-Ain.",
    "ÇA VA? Straße, naïve cafés and São Paulo — 東京タワー in Tokyo",
    "what [SEP] stands [CLS]here, and </s> or <s>",
    *(text[:2000] for text in HOSTILE.values()),
)


def lower() -> Tokenizer:
    return Tokenizer.from_file(str(BUNDLED))


def cased() -> Tokenizer:
    tokenizer = lower()
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    return tokenizer


def enclosed(tokenizer: Tokenizer) -> Tokenizer:
    """With a token before and one after each text."""
    tokenizer.add_special_tokens([OPENING, CLOSING])
    ends = [(name, tokenizer.token_to_id(name)) for name in (OPENING, CLOSING)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{OPENING} $A {CLOSING}", special_tokens=ends
    )
    return tokenizer


def unigram() -> Tokenizer:
    """XLM-RoBERTa's kind: a mark before a text's first word, the likeliest pieces."""
    letters = [(letter, -5.0) for letter in "▁abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("▁the", -1.0), *letters], unk_id=0))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    return enclosed(tokenizer)


def byte_pairs(dropout: float | None = None) -> Tokenizer:
    """RoBERTa's kind: every byte has a letter."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: number for number, piece in enumerate([*letters, "th", "the"])}
    merges = [("t", "h"), ("th", "e")]
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, dropout=dropout))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    return enclosed(tokenizer)


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "lower": lower,
    "cased": cased,
    "unigram": unigram,
    "byte pairs": byte_pairs,
}
every_kind = pytest.mark.parametrize("kind", KINDS)
OPENED = {kind: WordTokens.over(make()) for kind, make in KINDS.items()}  # kept over all examples
WORD = st.one_of(
    st.text(min_size=1, max_size=12),
    st.text(st.characters(), max_size=3),  # lone surrogates too
    st.sampled_from(
        ["the", "The", "THE", ".", "[SEP]", "a[CLS]b", "\x00", "é", "e\u0301", "x" * 120]
    ),
)


def whole(tokenizer: Tokenizer, words: Sequence[str]) -> list[Pieces]:
    """Each word's tokens when the tokenizer is given all words at once."""
    given_words = [well_formed(word) for word in words]
    found = tokenizer.encode(given_words, is_pretokenized=True, add_special_tokens=False)
    pairs = list(zip(found.ids, found.word_ids, strict=True))
    return [tuple(token for token, word in pairs if word == n) for n in range(len(words))]


def row_of(tokens: WordTokens, words: Sequence[str]) -> Window:
    """All words in one window, as the tokenizer's own numbers of words put them."""
    given_words = [well_formed(word) for word in words]
    found = tokens.tokenizer.encode(given_words, is_pretokenized=True, add_special_tokens=False)
    numbers = [number or 0 for number in found.word_ids]
    heads = [at for at, number in enumerate(numbers) if at == 0 or number != numbers[at - 1]]
    row = (tokens.edges[0], *found.ids, tokens.edges[1])
    return Window(0, row, tuple(numbers[at] for at in heads), tuple(at + 1 for at in heads))


@every_kind
@settings(deadline=None)
@given(texts=st.lists(st.lists(WORD, max_size=8), max_size=4))
def test_words_have_the_tokens_that_they_have_in_their_text(
    kind: str, texts: list[list[str]]
) -> None:
    kept, fresh = OPENED[kind], WordTokens.over(OPENED[kind].tokenizer, size=0)
    right = [whole(kept.tokenizer, words) for words in texts]
    assert kept.of(texts) == right
    assert kept.of(texts) == right  # now that all are known
    assert fresh.of(texts) == right


@every_kind
@settings(deadline=None)
@given(words=st.lists(WORD, min_size=1, max_size=30))
def test_a_short_text_is_one_window(kind: str, words: list[str]) -> None:
    tokens = OPENED[kind]
    right = row_of(tokens, words)
    found = windows(tokens, [words], limit=len(right))
    assert found == ((right,) if right.words else ())


@every_kind
@settings(deadline=None)
@given(words=st.lists(WORD, min_size=1, max_size=30), limit=st.integers(3, 40))
def test_a_long_text_is_cut_between_words(kind: str, words: list[str], limit: int) -> None:
    tokens = OPENED[kind]
    right, pieces = row_of(tokens, words), whole(tokens.tokenizer, words)
    found = windows(tokens, [words], limit=limit)
    assert sum((window.words for window in found), ()) == right.words
    for window in found:
        inside = [token for word in window.words for token in pieces[word]]
        assert window.tokens == (tokens.edges[0], *inside[: limit - 2], tokens.edges[1])
        for word, head in zip(window.words, window.heads, strict=True):
            assert window.tokens[head] == pieces[word][0]


@every_kind
def test_words_of_texts(kind: str) -> None:
    tokens = OPENED[kind]
    for text in TEXTS:
        words = split_words(text)
        assert tokens.of([words]) == [whole(tokens.tokenizer, words)]


def test_many_new_words_at_once() -> None:
    words = [f"word{number}" for number in range(1000)]
    tokens = WordTokens.over(lower())
    assert tokens.of([words, words[::-1]])[0] == whole(tokens.tokenizer, words)


def test_what_is_known_and_what_is_not_is_counted() -> None:
    tokens = WordTokens.over(lower())
    tokens.of([["oil", "price"], ["oil"]])
    assert (tokens.hits, tokens.misses) == (0, 3)
    tokens.of([["oil", "snow"]])
    assert (tokens.hits, tokens.misses) == (1, 4)
    tokens.of([])
    tokens.of([[]])
    assert (tokens.hits, tokens.misses) == (1, 4)


def test_no_more_are_kept_than_may_be() -> None:
    tokens = WordTokens.over(lower(), size=3)
    long = "x" * (LONGEST_KEPT + 1)
    tokens.of([["a", "b", long]])
    tokens.of([["a", "b", long]])
    assert (tokens.hits, tokens.misses) == (2, 4)
    tokens.of([["c", "d"]])  # five would be too many
    tokens.of([["a", "c", "d"]])
    assert (tokens.hits, tokens.misses) == (4, 7)
    tokens.of([["e", "f", "g", "h"]])  # too many by themselves: the others stay
    tokens.of([["a", "c", "d"]])
    assert (tokens.hits, tokens.misses) == (7, 11)


def test_words_that_are_cut_by_chance_are_not_kept() -> None:
    tokens = WordTokens.over(byte_pairs(dropout=0.5))
    found = {tuple(tokens.of([["the"]])[0]) for _ in range(50)}
    assert len(found) > 1
    assert tokens.hits == 0


def test_others_may_fill_and_empty_it_meanwhile() -> None:
    tokens = WordTokens.over(lower(), size=8)
    texts = [[f"oil{number}", "price", f"snow{number % 3}"] for number in range(12)]
    right = [whole(tokens.tokenizer, words) for words in texts]
    start = threading.Barrier(4)

    def ask(first: int) -> bool:
        start.wait()
        order = [(first + step) % len(texts) for step in range(200)]
        return all(tokens.of([texts[number]]) == [right[number]] for number in order)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(4)))
    assert tokens.hits + tokens.misses == 4 * 200 * 3


def test_a_tokenizer_without_edges_is_refused() -> None:
    tokenizer = lower()
    tokenizer.post_processor = None
    with pytest.raises(ModelError, match="puts 0 tokens around"):
        WordTokens.over(tokenizer)
