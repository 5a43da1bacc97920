"""The bundled tagger: names in news and in queries, at the right places."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.entities import EntityLabel
from core.errors import ModelError
from inference.models.store import ModelFolder, ModelStore
from inference.runtimes.onnx import OnnxRuntime
from inference.tagger import NameTagger, WordTags, entities
from inference.texts.labels import Transitions
from inference.texts.words import split_words
from tests.inference.computed_models import ComputedRuntime, folder_like, hidden_states


def named(tagger: NameTagger, text: str) -> set[tuple[str, str]]:
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
def test_names_in_any_case(tagger: NameTagger, text: str, expected: set[tuple[str, str]]) -> None:
    assert named(tagger, text) == expected


def test_places_are_in_the_text_as_given(tagger: NameTagger) -> None:
    text = "  “Straße” — 😀 Angela Merkel's trip to São Paulo, and\tnew york!"
    found = tagger.tag([text])[0]
    assert {"Angela Merkel", "São Paulo", "new york"} <= {entity.text for entity in found}
    for entity in found:
        assert text[entity.start : entity.end] == entity.text
        assert 0.0 < entity.score <= 1.0


def test_a_texts_names_do_not_depend_on_the_batch(tagger: NameTagger) -> None:
    texts = ["angela merkel in paris", "", "no names here", "Volkswagen cars " * 200, "london"]
    together = tagger.tag(texts)
    alone = [tagger.tag([text])[0] for text in texts]
    for one, other in zip(together, alone, strict=True):
        assert [(e.text, e.label, e.start) for e in one] == [
            (e.text, e.label, e.start) for e in other
        ]


def test_names_far_into_a_long_text_are_found(tagger: NameTagger) -> None:
    filler = "The committee met again and nothing was decided about the roads. " * 60
    text = filler + "Angela Merkel was there."
    found = tagger.tag([text])[0]
    assert ("Angela Merkel", len(filler)) in {(entity.text, entity.start) for entity in found}


@pytest.mark.parametrize(
    "text", ["", " \n", "\x00\x01", "\ud800", "😀", "x" * 50_000, "a. " * 300_000]
)
def test_any_text_is_survived(tagger: NameTagger, text: str) -> None:
    for entity in tagger.tag([text])[0]:
        assert text[entity.start : entity.end] == entity.text


def test_no_texts(tagger: NameTagger) -> None:
    assert tagger.tag([]) == ()


def test_tags_of_repeated_texts_are_kept_and_counted(models: ModelStore) -> None:
    tagger = NameTagger.over(*_opened(models), cache_size=2)
    first = tagger.tag(["angela merkel", "paris", "angela merkel"])
    assert first[0] == first[2] != ()
    assert (tagger.cache.hits, tagger.cache.misses) == (0, 2)
    assert tagger.tag(["angela merkel"]) == first[:1]
    tagger.tag(["berlin", "x" * 5000])  # drops paris; the long text is neither kept nor counted
    assert (tagger.cache.hits, tagger.cache.misses, tagger.cache.evicted) == (1, 3, 1)
    assert len(tagger.cache) == 2


def test_names_are_the_same_whoever_asks_beside(models: ModelStore, tagger: NameTagger) -> None:
    texts = [f"angela merkel met bill clinton in {place}" for place in ("paris", "new york", "x")]
    expected = [tagger.tag([text])[0] for text in texts]
    shared = NameTagger.over(*_opened(models), cache_size=0)
    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(shared.tag, [[text] for text in texts * 6]))
        for found, alone in zip(answers, expected * 6, strict=True):
            for one, other in zip(found[0], alone, strict=True):
                assert (one.text, one.label, one.start) == (other.text, other.label, other.start)
                assert one.score == pytest.approx(other.score, abs=1e-4)


@pytest.fixture(scope="module")
def computed(models: ModelStore) -> NameTagger:
    """Nine numbers of a token's own as its logits, so that most rows of labels say nothing."""
    runtime = ComputedRuntime(lambda arrays: hidden_states(arrays)[..., :9], "logits")
    return NameTagger.over(folder_like(models, "distilbert-ner-news"), runtime)


@settings(deadline=None)
@given(st.lists(st.lists(st.text(min_size=1, max_size=8), max_size=12), max_size=5))
def test_labels_and_their_probabilities(computed: NameTagger, texts: list[list[str]]) -> None:
    found = computed.tag_words(texts)
    assert found == tuple(computed.tag_words([words])[0] for words in texts)
    for tags, words, pieces in zip(found, texts, computed.words.of(texts), strict=True):
        assert len(tags.labels) == len(tags.scores) == len(words)
        seen = [number for number, own in enumerate(pieces) if own]
        unseen = set(range(len(words))) - set(seen)
        assert {(tags.labels[n], tags.scores[n]) for n in unseen} <= {("O", 0.0)}
        if seen:
            heads = np.array([[pieces[number][0] for number in seen]])
            arrays = {"input_ids": heads, "attention_mask": np.ones_like(heads)}
            logits = hidden_states(arrays)[0, :, :9].astype(np.float64)
            best = Transitions.of(computed.labels).best(logits.tolist())
            assert [tags.labels[n] for n in seen] == [computed.labels[c] for c in best]
            shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            right = shares[np.arange(len(best)), best]
            assert [tags.scores[n] for n in seen] == pytest.approx(right.tolist(), abs=1e-12)


def _opened(models: ModelStore) -> tuple[ModelFolder, OnnxRuntime]:
    folder = models.open("distilbert-ner-news")
    return folder, OnnxRuntime.open(folder, threads=1)


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
        NameTagger.open(models, "all-MiniLM-L6-v2", threads=1)
