"""The bundled tagger: names in news and in queries, at the right places."""

import pytest

from core.entities import EntityLabel
from core.errors import ModelError
from inference.store import ModelStore
from inference.tagger import OnnxTagger, WordTags, entities
from inference.words import split_words


def named(tagger: OnnxTagger, text: str) -> set[tuple[str, str]]:
    return {(found.text, found.label.value) for found in tagger.tag([text])[0]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("angela merkel visit to paris", {("angela merkel", "PER"), ("paris", "LOC")}),
        ("ANGELA MERKEL MEETS BILL CLINTON", {("ANGELA MERKEL", "PER"), ("BILL CLINTON", "PER")}),
        (
            "Volkswagen will build a plant near Lisbon, Portugal.",
            {("Volkswagen", "ORG"), ("Lisbon", "LOC"), ("Portugal", "LOC")},
        ),
        ("oil price forecast", set()),
    ],
)
def test_names_in_any_case(tagger: OnnxTagger, text: str, expected: set[tuple[str, str]]) -> None:
    assert named(tagger, text) == expected


def test_places_are_in_the_text_as_given(tagger: OnnxTagger) -> None:
    text = "  “Straße” — 😀 Angela Merkel's trip to São Paulo, and\tnew york!"
    found = tagger.tag([text])[0]
    assert {"Angela Merkel", "São Paulo", "new york"} <= {entity.text for entity in found}
    for entity in found:
        assert text[entity.start : entity.end] == entity.text
        assert 0.0 < entity.score <= 1.0


def test_a_texts_names_do_not_depend_on_the_batch(tagger: OnnxTagger) -> None:
    texts = ["angela merkel in paris", "", "no names here", "Volkswagen cars " * 200, "london"]
    together = tagger.tag(texts)
    alone = [tagger.tag([text])[0] for text in texts]
    for one, other in zip(together, alone, strict=True):
        assert [(e.text, e.label, e.start) for e in one] == [
            (e.text, e.label, e.start) for e in other
        ]


def test_names_far_into_a_long_text_are_found(tagger: OnnxTagger) -> None:
    filler = "The committee met again and nothing was decided about the roads. " * 60
    text = filler + "Angela Merkel was there."
    found = tagger.tag([text])[0]
    assert ("Angela Merkel", len(filler)) in {(entity.text, entity.start) for entity in found}


@pytest.mark.parametrize(
    "text", ["", " \n", "\x00\x01", "\ud800", "😀", "x" * 50_000, "a. " * 300_000]
)
def test_any_text_is_survived(tagger: OnnxTagger, text: str) -> None:
    for entity in tagger.tag([text])[0]:
        assert text[entity.start : entity.end] == entity.text


def test_no_texts(tagger: OnnxTagger) -> None:
    assert tagger.tag([]) == ()


def test_runs_become_entities() -> None:
    text = "New York Times sued Paris Berlin Bonn"
    labels = ("B-ORG", "I-ORG", "I-ORG", "O", "B-LOC", "B-LOC", "I-PER")
    tags = WordTags(labels, (1.0, 0.5, 0.0, 0.9, 1.0, 1.0, 0.7))
    found = entities(text, split_words(text), tags)
    assert [(entity.text, entity.label) for entity in found] == [
        ("New York Times", EntityLabel.ORG),
        ("Paris", EntityLabel.LOC),
        ("Berlin", EntityLabel.LOC),
        ("Bonn", EntityLabel.PER),
    ]
    assert found[0].score == pytest.approx(0.5)


def test_an_encoder_is_no_tagger(models: ModelStore) -> None:
    with pytest.raises(ModelError, match="does not tag"):
        OnnxTagger.open(models, "all-MiniLM-L6-v2", threads=1)
