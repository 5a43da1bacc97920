"""The tagger's second round: sentences, a teacher that sees capitals, and what the pupil learns."""

import argparse
import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [torch] extra")
pytest.importorskip("onnx", reason="needs the [torch] extra")
pytest.importorskip("seqeval", reason="needs the [torch] extra")

from safetensors.numpy import load_file, save_file

from inference.converting.packed_e5 import read_packed_e5
from tests.inference.models.packed_models import packed_encoder
from training.graphs.distilbert import bert_weights, token_classifier
from training.ner import HELD_OUT
from training.tagger import pupil, teacher
from training.tagger.conll import Sentence, spans
from training.tagger.finetune import LABELS
from training.tagger.news_sentences import news_sentences, sentences

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

ROOT = Path(__file__).parents[2]
TEXTS = {"barco hundido fi": "O O B-LOC", "fi co barco": "B-PER I-PER O"}


@pytest.mark.parametrize(
    ("words", "cut"),
    [
        ("it rained . they left .", ["it rained .", "they left ."]),
        ("Mr . Lee said so . they", ["Mr . Lee said so .", "they"]),
        ('" no ! " why ?', ['" no ! "', "why ?"]),
        ("J . Smith left", ["J . Smith left"]),
    ],
)
def test_a_text_is_cut_at_its_full_stops_only(words: str, cut: list[str]) -> None:
    assert [" ".join(one) for one in sentences(words.split())] == cut


def test_sources_give_no_more_than_their_share(tmp_path: Path) -> None:
    _write_pairs(tmp_path / "wice.jsonl.gz", 30)
    found = news_sentences(tmp_path, {"wice": 5}, random.Random(1))
    assert len(found) == 5
    assert all(4 <= len(one) <= 32 for one in found)


def test_copies_for_the_teacher_keep_each_tag_at_its_word() -> None:
    given = [Sentence(("In", "Oslo", "Ann", "Lee", "spoke"), ("O", "B-LOC", "B-PER", "I-PER", "O"))]
    names = {"LOC": [("New", "York")], "PER": [("Bo",)]}
    copies = teacher.cased_copies(given * 200, names, random.Random(3))
    assert copies[:200] == given * 200
    assert 80 < len(copies) - 200 < 160
    for one in copies:
        assert len(one.words) == len(one.tags)
        for begin, end in spans(one.tags):
            name = " ".join(one.words[begin:end]).lower()
            label = one.tags[begin][2:]
            assert (label, name) in {
                ("LOC", "oslo"),
                ("LOC", "new york"),
                ("PER", "ann lee"),
                ("PER", "bo"),
            }


def test_a_stopped_teacher_goes_on_to_the_same_end(tmp_path: Path) -> None:
    data, packed = _corpus(tmp_path), read_packed_e5(packed_encoder(), "here")
    whole, part = (_teaching(data, tmp_path / name, 4) for name in ("whole.pt", "part.pt"))
    teacher.teach(whole, packed)
    taken = teacher.Teaching.take

    def stops(run: teacher.Teaching, *given: object) -> float:
        if run.step == 2:
            raise KeyboardInterrupt
        return taken(run, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teacher, "SAVED_EVERY", 1)
        patch.setattr(teacher.Teaching, "take", stops)
        with pytest.raises(KeyboardInterrupt):
            teacher.teach(part, packed)
    teacher.teach(part, packed)
    texts = [one.split() for one in TEXTS]
    each = [
        teacher.opinions(
            teacher.read_teacher(packed, one.state), teacher.tokenizer_of(packed), texts
        )
        for one in (whole, part)
    ]
    for one, other in zip(*each, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_query_keeps_the_labels_of_its_words() -> None:
    labels = np.full((5, len(LABELS)), -9.0, np.float32)
    for word, label in enumerate(("O", "B-PER", "I-PER", "O", "O")):
        labels[word, LABELS.index(label)] = word / 10
    said = pupil.Said(("so", "Ann", "Lee", ",", "too"), labels)
    for seed in range(30):
        query = pupil.as_query(said, random.Random(seed))
        assert "," not in query.words
        places = [said.words.index(word) for word in query.words]
        np.testing.assert_array_equal(query.labels, labels[places])
        assert {"Ann", "Lee"} <= {*query.words}


def test_the_second_round_ends_between_both_models(tmp_path: Path) -> None:
    data, packed = _corpus(tmp_path), read_packed_e5(packed_encoder(), "here")
    state, start, output = (tmp_path / name for name in ("t.pt", "start.st", "out.st"))
    teacher.teach(_teaching(data, state, 1), packed)
    model = token_classifier(_first_weights(), len(LABELS))
    save_file(bert_weights(model.state_dict()), start)
    _write_pairs(tmp_path / "wice.jsonl.gz", 30)
    given = argparse.Namespace(
        start=start,
        teacher=state,
        output=output,
        names=None,
        models=ROOT / "models",
        texts=tmp_path,
        data=data,
        all_texts=False,
        steps=2,
        mixed=0.5,
        threads=1,
        limit=8,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pupil, "FREE", {"wice": 8})
        pupil.make(given, packed)
        given.mixed, given.output = 0.0, tmp_path / "same.st"
        pupil.make(given, packed)
    before, after, same = (load_file(one) for one in (start, output, given.output))
    assert after.keys() == before.keys()
    assert any((after[name] != before[name]).any() for name in before)
    for name in before:
        np.testing.assert_allclose(same[name], before[name], atol=1e-7)


def _first_weights() -> dict[str, np.ndarray]:
    """Weights of DistilBERT's shape at random, under BERT's names."""
    from transformers import DistilBertConfig, DistilBertForTokenClassification

    config = DistilBertConfig(dim=384, n_layers=6, n_heads=12, hidden_dim=1536, num_labels=9)
    weights = bert_weights(DistilBertForTokenClassification(config).state_dict())
    return {name: value for name, value in weights.items() if not name.startswith("classifier.")}


def _corpus(folder: Path) -> Path:
    lines = "".join(
        "".join(f"{word} {tag}\n" for word, tag in zip(text.split(), tags.split(), strict=True))
        + "\n"
        for text, tags in TEXTS.items()
    )
    (folder / "eng.train").write_text(lines * 8)
    (folder / "eng.testa").write_text(lines * (HELD_OUT // 2 + 1))
    return folder


def _teaching(data: Path, state: Path, epochs: int) -> argparse.Namespace:
    return argparse.Namespace(state=state, names=None, data=data, epochs=epochs, limit=None)


def _write_pairs(path: Path, count: int) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        for number in range(count):
            text = f"Ann Lee spoke in Oslo on day {number}. No one answered her there."
            lines.write(json.dumps({"query": text, "positive": text}) + "\n")
