"""Where passages begin and end, and what the encoder reads for each."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from core.items import Item, ItemType, Passage, beyond_passages
from indexing.passages import MAX_PASSAGES, PassageEmbedder, PassageSplitter

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SENTENCE = "The market said the bank rose, ships fell. "
LONG = SENTENCE * 80


def story(**members: Any) -> Item:
    return Item("u", 1, ItemType.TEXT, NOW, NOW, "u", **members)


def tokens(tokenizer_file: Path, text: str) -> int:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_truncation()
    return len(tokenizer.encode(text).ids)


@pytest.mark.parametrize(
    ("members", "field", "encoded"),
    [
        ({"headline": "H", "description": "D", "body": "B"}, "body", "H\nB"),
        ({"headline": "H", "description": "D"}, "description", "H\nD"),
        ({"headline": "H", "description": " ", "body": "\n"}, "headline", "H"),
        ({"body": "B"}, "body", "B"),
    ],
)
def test_what_is_encoded(
    splitter: PassageSplitter, members: dict[str, str], field: str, encoded: str
) -> None:
    (cut,) = splitter.cut([story(**members)])
    assert cut.passages == (Passage(field, 0, len(members[field])),)
    assert cut.texts == (encoded,)


def test_an_item_without_text_has_no_passage_and_an_empty_entry(
    splitter: PassageSplitter, encoder: Any
) -> None:
    ((entry,),) = PassageEmbedder(splitter, [("text", encoder)]).embed([story()])
    assert (entry.field, entry.encoder, entry.passages) == ("text", "hashing-8", ())
    assert entry.vectors.shape == (0, 8)
    assert encoder.texts == []


def test_a_long_body_is_cut_at_sentences_that_overlap(
    splitter: PassageSplitter, tokenizer_file: Path
) -> None:
    (cut,) = splitter.cut([story(headline="The harbour", body=LONG)])
    assert len(cut.passages) > 3
    for passage, text in zip(cut.passages, cut.texts, strict=True):
        assert text == "The harbour\n" + LONG[passage.start : passage.end]
        assert text.endswith(("fell.", "fell. "))
        assert tokens(tokenizer_file, text) <= 256
    for before, after in zip(cut.passages, cut.passages[1:], strict=False):
        assert before.start < after.start < before.end < after.end
    assert cut.passages[-1].end == len(LONG.rstrip())
    assert cut.truncated == 0


def test_a_long_headline_leaves_room_for_the_passage(
    splitter: PassageSplitter, tokenizer_file: Path
) -> None:
    (cut,) = splitter.cut([story(headline="market " * 100, body=LONG)])
    assert all(tokens(tokenizer_file, text) <= 256 for text in cut.texts)
    assert cut.texts[0].startswith("market " * 31 + "market\n")


def test_a_part_denser_than_the_rest_still_fits(
    splitter: PassageSplitter, tokenizer_file: Path
) -> None:
    """Figures take many more tokens a character than words do."""
    body = "minister harbour market " * 300 + "1,2.3 4-5 " * 300 + "minister harbour market " * 300
    (cut,) = splitter.cut([story(headline="H", body=body)])
    assert max(tokens(tokenizer_file, text) for text in cut.texts) <= 256
    assert cut.truncated == 0


@pytest.mark.parametrize(
    "text", ["日本語の文章です。" * 400, "👩‍👩‍👧‍👦 שלום عالم. " * 300, "x" * 50_000]
)
def test_offsets_count_characters_in_any_script(splitter: PassageSplitter, text: str) -> None:
    item = story(headline="h", body=text)
    (cut,) = splitter.cut([item])
    for passage, encoded in zip(cut.passages, cut.texts, strict=True):
        assert encoded == "h\n" + item.body[passage.start : passage.end]
    covered = set().union(*(range(p.start, p.end) for p in cut.passages))
    assert all(text[n].isspace() for n in range(len(text)) if n not in covered)


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=3000), max_size=4))
@settings(max_examples=60, deadline=None)
def test_passages_cover_all_but_blanks(splitter: PassageSplitter, bodies: list[str]) -> None:
    for item, cut in zip(
        items := [story(headline="t", body=body) for body in bodies],
        splitter.cut(items),
        strict=True,
    ):
        if not item.body.strip():
            assert cut.passages == (Passage("headline", 0, 1),)
            continue
        covered = set().union(*(range(p.start, p.end) for p in cut.passages))
        left = (c for n, c in enumerate(item.body) if n not in covered)
        assert all(c.isspace() or c in "\u200b\ufeff" for c in left)


def test_vectors_of_a_batch_go_to_their_items(splitter: PassageSplitter, encoder: Any) -> None:
    items = [story(body=LONG), story(), story(headline="h", body="b"), story(headline="only")]
    embedded = PassageEmbedder(splitter, [("text", encoder), ("second", encoder)]).embed(items)
    cuts = splitter.cut(items)
    assert [len(entries) for entries in embedded] == [2, 2, 2, 2]
    for entries, cut in zip(embedded, cuts, strict=True):
        for name, entry in zip(("text", "second"), entries, strict=True):
            assert entry.field == name
            assert entry.passages == cut.passages
            assert entry.vectors.shape == (len(cut.passages), 8)
            if cut.texts:
                np.testing.assert_array_equal(entry.vectors, encoder.encode_passages(cut.texts))


def test_no_items_no_work(splitter: PassageSplitter, encoder: Any) -> None:
    assert PassageEmbedder(splitter, [("text", encoder)]).embed([]) == ()


def test_of_a_very_long_text_the_beginning_is_embedded(splitter: PassageSplitter) -> None:
    item = story(headline="H", body=SENTENCE * 20_000)
    (cut,) = splitter.cut([item])
    assert len(cut.passages) == MAX_PASSAGES
    assert cut.passages[0].start == 0
    assert all(b.start - a.end <= 1 for a, b in zip(cut.passages, cut.passages[1:], strict=False))
    assert beyond_passages(item, cut.passages) == ("body",)


def test_of_a_shorter_text_all_is_embedded(splitter: PassageSplitter) -> None:
    item = story(body=SENTENCE * 700)
    (cut,) = splitter.cut([item])
    assert cut.passages[-1].end == len(item.body.rstrip())
    assert beyond_passages(item, cut.passages) == ()
