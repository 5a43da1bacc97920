"""Graphs as they are published: hidden states to pool, segment numbers, prefixes, other labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from core.entities import EntityLabel
from core.errors import ModelError
from inference.encoder import SentenceEncoder
from inference.late_interaction import MaxSimScorer
from inference.models.store import ModelFolder, ModelStore
from inference.runtime import Array
from inference.tagger import NameTagger
from inference.texts.labels import bio_labels
from tests.inference.computed_models import (
    TABLE,
    THREE,
    TWO,
    WIDTH,
    ComputedRuntime,
    folder_like,
    hidden_states,
)

ENCODER = "all-MiniLM-L6-v2"
TEXTS = ["oil", "a longer text about the price of oil in march", "snow in the mountains"]


def public(models: ModelStore, **changed: Any) -> ModelFolder:
    return folder_like(models, ENCODER, **{"dimension": WIDTH, "max_tokens": 32, **changed})


def expected(folder: ModelFolder, encoder: SentenceEncoder, text: str, how: str) -> Array:
    (row,) = encoder.tokens.rows([text]).rows
    vector = TABLE[list(row)].mean(axis=0) if how == "mean" else TABLE[row[0]]
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("how", ["mean", "cls"])
@pytest.mark.parametrize("output", ["last_hidden_state", "token_embeddings"])
@pytest.mark.parametrize("inputs", [TWO, THREE])
def test_hidden_states_are_pooled_as_the_manifest_says(
    models: ModelStore, how: str, output: str, inputs: tuple[str, ...]
) -> None:
    folder = public(models, pooling=how)
    runtime = ComputedRuntime(hidden_states, output, inputs)
    encoder = SentenceEncoder.over(folder, runtime)
    found = encoder.encode_passages(TEXTS)
    wanted = [expected(folder, encoder, text, how) for text in TEXTS]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    np.testing.assert_allclose(encoder.encode_queries(TEXTS), wanted, atol=1e-6)
    for arrays in runtime.seen:
        assert {array.shape for array in arrays.values()} == {arrays["input_ids"].shape}
        assert not arrays.get("token_type_ids", np.zeros(1)).any()
    encoder.close()
    assert runtime.closed


def test_prefixes_go_before_the_text(models: ModelStore) -> None:
    folder = public(models, pooling="mean", query_prefix="query: ", passage_prefix="passage: ")
    plain = SentenceEncoder.over(
        public(models, pooling="mean"), ComputedRuntime(hidden_states, "last_hidden_state")
    )
    encoder = SentenceEncoder.over(folder, ComputedRuntime(hidden_states, "last_hidden_state"))
    asked, stored = encoder.encode_queries(["oil"]), encoder.encode_passages(["oil"])
    np.testing.assert_array_equal(asked, plain.encode_passages(["query: oil"]))
    np.testing.assert_array_equal(stored, plain.encode_passages(["passage: oil"]))


@pytest.mark.parametrize(
    ("output", "inputs", "changed", "says"),
    [
        ("last_hidden_state", TWO, {"pooling": ""}, "pooling is ''"),
        ("last_hidden_state", TWO, {"pooling": "max"}, "pooling is 'max'"),
        ("logits", TWO, {}, "logits"),
        ("last_hidden_state", ("input_ids",), {}, "the graph takes"),
        ("last_hidden_state", (*THREE, "position_ids"), {}, "position_ids"),
        ("last_hidden_state", TWO, {"task": "tag"}, "task tag"),
    ],
)
def test_what_is_no_encoder_is_refused(
    models: ModelStore, output: str, inputs: tuple[str, ...], changed: dict[str, Any], says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        SentenceEncoder.over(
            public(models, **changed), ComputedRuntime(hidden_states, output, inputs)
        )


@pytest.mark.parametrize(
    ("compute", "says"),
    [
        (lambda arrays: hidden_states(arrays)[..., :8], "shape"),
        (lambda arrays: hidden_states(arrays)[:0], "shape"),
        (lambda arrays: np.zeros(len(arrays["input_ids"]), np.float32), "shape"),
    ],
)
def test_answers_of_another_shape_are_refused(models: ModelStore, compute: Any, says: str) -> None:
    encoder = SentenceEncoder.over(public(models), ComputedRuntime(compute, "last_hidden_state"))
    for encode in (encoder.encode_passages, encoder.encode_queries):
        with pytest.raises(ModelError, match=says):
            encode(TEXTS)
    assert len(encoder.cache) == 0


def test_late_interaction_reads_hidden_states_too(models: ModelStore) -> None:
    scorer = MaxSimScorer.over(public(models), ComputedRuntime(hidden_states, "last_hidden_state"))
    scores = scorer.score(["oil price"] * 2, ["the price of oil", "snow"])[:, 0]
    assert scores[0] == pytest.approx(1.0, abs=1e-5)  # the same tokens have the same vectors
    assert scores[1] < 0.9


CONLL = ("O", "B-MISC", "I-MISC", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")


def labelled(names: Mapping[str, int], classes: int, models: ModelStore) -> ComputedRuntime:
    """A tagger that gives the words in `names` those classes and all others class 0."""
    tokenizer = NameTagger.open(models, "distilbert-ner-news").tokens.tokenizer
    known = {tokenizer.token_to_id(word): label for word, label in names.items()}

    def logits(arrays: Mapping[str, Array]) -> Array:
        ids = arrays["input_ids"]
        found = np.zeros((*ids.shape, classes), np.float32)
        for place in np.ndindex(ids.shape):
            found[(*place, known.get(int(ids[place]), 0))] = 5.0
        return found

    return ComputedRuntime(logits, "logits", THREE)


def test_labels_in_another_order(models: ModelStore) -> None:
    folder = folder_like(models, "distilbert-ner-news", labels=CONLL)
    runtime = labelled({"john": 3, "smith": 4, "paris": 7, "berlin": 7, "summit": 1}, 9, models)
    tagger = NameTagger.over(folder, runtime)
    found = tagger.tag(["john smith in paris berlin summit"])[0]
    assert [(entity.text, entity.label) for entity in found] == [
        ("john smith", EntityLabel.PER),
        ("paris", EntityLabel.LOC),
        ("berlin", EntityLabel.LOC),
        ("summit", EntityLabel.MISC),
    ]


def test_a_tagger_with_another_number_of_classes_is_refused(models: ModelStore) -> None:
    folder = folder_like(models, "distilbert-ner-news", labels=CONLL)
    tagger = NameTagger.over(folder, labelled({}, 5, models))
    with pytest.raises(ModelError, match="shape"):
        tagger.tag(["angela"])


def test_labels_of_other_corpora_are_brought_to_ours() -> None:
    assert bio_labels(CONLL) == CONLL
    found = bio_labels(
        ("B-PERSON", "I_GPE", "S-corporation", "E-work_of_art", "B-DATE", "ORG", "O")
    )
    assert found == ("B-PER", "I-LOC", "B-ORG", "I-MISC", "O", "I-ORG", "O")


def test_labels_without_any_name_are_no_tagger(models: ModelStore) -> None:
    folder = folder_like(models, "distilbert-ner-news", labels=("O", "B-DATE", "POSITIVE"))
    with pytest.raises(ModelError, match="does not tag"):
        NameTagger.over(folder, labelled({}, 3, models))
