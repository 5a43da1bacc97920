"""A picture's words, a machine's words and each described shot are passages of their own."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.items import (
    Item,
    ItemType,
    Passage,
    Shot,
    beyond_passages,
    line_of,
    second_of,
    text_of,
)
from core.media_words import Look, SeenText, Utterance
from indexing.passages import MAX_SHOTS, PassageEmbedder, PassageSplitter, _stretches
from tests.indexing.test_passages import LONG, NOW


def shot(text: str, by: str = "") -> Shot:
    return Shot(0, 1, 0, 24, "cut", text, by)


def media(**members: Any) -> Item:
    return Item("u", 1, ItemType.VIDEO, NOW, NOW, "u", **members)


def read(item: Item, passage: Passage) -> str:
    return text_of(item, passage.field)[passage.start : passage.end]


def test_description_caption_and_each_described_shot(splitter: PassageSplitter) -> None:
    shots = (shot("A harbour"), shot(""), shot("A gull", "m"), shot(" "))
    item = media(headline="H", description="D", caption="A boat", caption_by="m", shots=shots)
    (cut,) = splitter.cut([item])
    assert [(one.field, read(item, one)) for one in cut.passages] == [
        ("description", "D"),
        ("caption", "A boat"),
        ("shotlist", "A harbour"),
        ("shotlist", "A gull"),
    ]
    assert cut.texts == ("H\nD", "H\nA boat", "H\nA harbour", "H\nA gull")


def test_speech_is_cut_at_utterances_and_text_in_frames_at_frames(
    splitter: PassageSplitter,
) -> None:
    said = ((0, 4, "We choose"), (5, 29, "to go"), (29, 31, "to the Moon"), (70, 110, "thank you"))
    read_at = ((2, "POLICE"), (2, "LINE"), (9, "EXIT"))
    item = media(
        headline="H",
        speech=tuple(Utterance(*one) for one in said),
        seen=tuple(SeenText(text, (0, 0, 1, 1), at) for at, text in read_at),
        looks=(Look("balloon", 0.9),),
    )
    (cut,) = splitter.cut([item])
    told = [(one.field, read(item, one), second_of(item, one)) for one in cut.passages]
    assert told == [
        ("headline", "H", None),
        ("speech", "We choose\nto go", 0),
        ("speech", "to the Moon", 29),
        ("speech", "thank you", 70),
        ("seen", "POLICE\nLINE", 2),
        ("seen", "EXIT", 9),
    ]
    assert cut.texts[1] == "H\nWe choose\nto go"


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["", "one", "é 🌍", " x"]))))
def test_every_utterance_with_words_is_in_one_passage(rows: list[tuple[int, str]]) -> None:
    begins = list(accumulate(length for length, _ in rows))
    speech = tuple(
        Utterance(start, start + 5, text) for start, (_, text) in zip(begins, rows, strict=True)
    )
    item = media(speech=speech)
    found = [Passage(one.name, one.start, one.start + len(one.text)) for one in _stretches(item)]
    lines = [line for one in found for line in read(item, one).split("\n") if line.strip()]
    assert lines == [text for _, text in rows if text.strip()]
    for one in found:
        spoken = speech[line_of(item, one) :][: read(item, one).count("\n") + 1]
        assert spoken[-1].end_s - spoken[0].start_s <= 30


def test_without_a_headline_the_words_stand_alone(splitter: PassageSplitter) -> None:
    (cut,) = splitter.cut([media(caption="A boat", caption_by="m")])
    assert cut.texts == ("A boat",)


def test_an_undescribed_picture_has_no_passage(splitter: PassageSplitter, encoder: Any) -> None:
    ((entry,),) = PassageEmbedder(splitter, [("text", encoder)]).embed([media(shots=(shot(""),))])
    assert entry.passages == ()


def test_a_long_line_is_cut_and_stays_its_shots(splitter: PassageSplitter) -> None:
    item = media(shots=(shot("A harbour"), shot(" ".join(LONG.split())), shot("A gull")))
    (cut,) = splitter.cut([item])
    places = [line_of(item, passage) for passage in cut.passages]
    assert places[0] == 0
    assert places[-1] == 2
    assert len(places) > 4
    assert set(places[1:-1]) == {1}
    assert cut.truncated == 0


def test_shots_beyond_the_first_two_thousand_are_found_by_words(splitter: PassageSplitter) -> None:
    item = media(shots=tuple(shot(f"gull {n}") for n in range(MAX_SHOTS + 1)))
    (cut,) = splitter.cut([item])
    assert len(cut.passages) == MAX_SHOTS
    assert beyond_passages(item, cut.passages) == ("shotlist",)


@given(st.lists(st.sampled_from(["", "one", "two words", "é 🌍", " x"]), max_size=8))
def test_every_described_shot_is_one_passage_that_leads_back_to_it(lines: list[str]) -> None:
    item = media(shots=tuple(map(shot, lines)))
    described = [n for n, line in enumerate(lines) if line.strip()]
    start, passages = 0, []
    for line in lines:
        passages.append(Passage("shotlist", start, start + len(line)))
        start += len(line) + 1
    if described:
        assert [line_of(item, passages[n]) for n in described] == described
        assert [read(item, passages[n]) for n in described] == [lines[n] for n in described]


def test_texts_and_media_in_one_batch_do_not_mix(splitter: PassageSplitter) -> None:
    items = [
        media(headline="A", body="a"),
        media(shots=(shot("s1"), shot("s2"))),
        media(),
        media(headline="B", body=LONG),
        media(caption="c", caption_by="m"),
    ]
    together = splitter.cut(items)
    assert together == tuple(splitter.cut([item])[0] for item in items)
    for item, cut in zip(items, together, strict=True):
        for passage, text in zip(cut.passages, cut.texts, strict=True):
            assert text.endswith(read(item, passage))
