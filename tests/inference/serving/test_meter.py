"""How much of a text a model reads, against what the model is really given."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tokenizers import Tokenizer

from core.ports.models import PairsReading, Reading
from inference.models.store import ModelStore
from inference.serving.batches import CHARACTERS_AT_ONCE
from inference.serving.meter import GROUP, TokenMeter
from inference.texts.pairs import PairTokens
from inference.texts.tokens import TextTokens
from tests.inference.conftest import ENCODER, ROOT, TAGGER

FOLDER = ModelStore(ROOT).describe(ENCODER)
TEXTS = ["ferry", "", "A ferry ran aground 🌍", "ferry " * 300, "x" * 1_000_000, "  \n "]


@pytest.fixture(scope="module")
def meter() -> TokenMeter:
    return TokenMeter.open(FOLDER)


def test_it_counts_the_tokens_that_the_encoder_gets(meter: TokenMeter) -> None:
    rows = TextTokens.open(FOLDER).rows(TEXTS)
    found = meter.measure(TEXTS)
    assert [reading.tokens for reading in found] == rows.lengths
    assert tuple(reading.truncated for reading in found) == rows.cut


def test_no_more_is_held_at_once_than_a_group_however_much_is_measured() -> None:
    tokenizer = Watched(TextTokens.open(FOLDER).tokenizer)
    meter = TokenMeter(tokenizer, 0, 20_480)  # type: ignore[arg-type]
    found = meter.measure(["." * 20_480] * 60 + ["a"] * 600)
    assert [reading.tokens for reading in found] == [20_482] * 60 + [3] * 600
    assert max(tokenizer.characters) <= CHARACTERS_AT_ONCE
    assert max(tokenizer.texts) <= GROUP


@dataclass
class Watched:
    """A tokenizer, and how much it was given at once."""

    tokenizer: Tokenizer
    characters: list[int] = field(default_factory=list)
    texts: list[int] = field(default_factory=list)

    def encode_batch_fast(self, texts: list[str]) -> list[Any]:
        self.characters.append(sum(map(len, texts)))
        self.texts.append(len(texts))
        found: list[Any] = self.tokenizer.encode_batch_fast(texts)
        return found


def test_a_prefix_takes_its_room() -> None:
    manifest = replace(FOLDER.manifest, query_prefix="query: find passages for ", max_tokens=12)
    meter = TokenMeter.open(replace(FOLDER, manifest=manifest))
    text = "one two three four five six seven"
    (asked,), (told,) = meter.measure([text], queries=True), meter.measure([text])
    assert (asked.tokens, asked.truncated) == (12, True)
    assert (told.tokens, told.truncated) == (9, False)


def test_a_pair_is_measured_as_it_is_read_together() -> None:
    folder = replace(FOLDER, manifest=replace(FOLDER.manifest, task="score", max_tokens=32))
    meter = TokenMeter.open(folder)
    passages = ["a short one", "ferry " * 40]
    rows = PairTokens.open(folder).rows(["ferry accident"] * 2, passages)
    found = meter.measure_pairs("ferry accident", passages)
    assert [reading.tokens for reading in found.passages] == [len(row) for row in rows] == [8, 32]
    assert [reading.truncated for reading in found.passages] == [False, True]
    assert found.query == Reading(0, False)  # its tokens are the pairs'
    short = meter.measure_pairs("ferry accident", ["ferry " * 40], limit=16)
    assert short == PairsReading(Reading(0, False), (Reading(16, True),))
    asked = meter.measure_pairs("ferry " * 40, ["a short one"])
    assert (asked.query, asked.passages[0].truncated) == (Reading(0, True), False)


def test_texts_that_are_read_apart_are_measured_apart(meter: TokenMeter) -> None:
    found = meter.measure_pairs("ferry", TEXTS)
    assert found == PairsReading(Reading(3, False), meter.measure(TEXTS))
    short = meter.measure_pairs("ferry", ["ferry " * 40], limit=16)
    assert short == PairsReading(Reading(3, False), (Reading(16, True),))


@pytest.mark.parametrize("words", [300, 180_000])
def test_a_query_that_is_read_apart_is_counted_and_said_to_be_cut(
    meter: TokenMeter, words: int
) -> None:
    query = "ferry " * words
    assert meter.measure_pairs(query, ["quay"]).query == Reading(256, True)
    assert meter.measure_pairs(query, ["quay"], limit=48).query == Reading(48, True)


def test_a_text_is_cut_between_characters_after_its_tokens(meter: TokenMeter) -> None:
    text = "Ferry 🌍 aground off Kalymira"
    whole = TextTokens.open(FOLDER).rows([text]).rows[0]
    for limit in range(1, len(whole) - 1):
        (cut,) = meter.cut([text], limit)
        assert text.startswith(cut)
        assert meter.measure([cut])[0].tokens <= limit + 2
    assert meter.cut([text, ""], 100) == (text, "")


def test_a_model_that_reads_in_windows_is_bounded_by_characters() -> None:
    meter = TokenMeter.open(ModelStore(ROOT).describe(TAGGER), max_characters=100)
    found = meter.measure(["a " * 50, "a " * 51])
    assert [reading.truncated for reading in found] == [False, True]
    assert found[0].tokens == found[1].tokens == 52
