"""Whatever is sent to a model, or comes back from one: an answer, a flag, or a clear error."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import ModelError
from core.items import FloatMatrix
from inference.cross_encoder import CrossEncoder
from inference.encoder import SentenceEncoder
from inference.late_interaction import MaxSimScorer
from inference.models.store import ModelStore
from inference.runtime import Array
from inference.serving.batches import TOKEN_BUDGET
from inference.tagger import NameTagger
from tests.inference.computed_models import (
    THREE,
    WIDTH,
    ComputedRuntime,
    folder_like,
    hidden_states,
    overlap,
)

HOSTILE = {
    "empty": "",
    "blank": " \t\r\n\u2028",
    "one megabyte": "word salad, " * 90_000,
    "one word of a megabyte": "x" * 1_000_000,
    "a megabyte of emoji": "😀" * 250_000,
    "control characters": "".join(map(chr, range(32))) + "\x7f",
    "zero bytes": "a\x00b\x00",
    "lone surrogates": "\ud800 and \udfff",
    "unknown characters": "ᚠᚢᚦ 𓀀𓀁 \U000e0041 \ufffe \U0010ffff",
    "right to left": "\u202e مرحبا עולם",
    "accents without end": "e" + "\u0301" * 1000,
    "special tokens": "[CLS] [SEP] [PAD] [MASK] [UNK] </s>",
    "markup": "<script>alert(1)</script> ' OR 1=1 --",
}
WAIT = 240.0
hostile = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())


@pytest.fixture(scope="module")
def cross(models: ModelStore) -> CrossEncoder:
    folder = folder_like(models, "all-MiniLM-L6-v2", task="score", max_tokens=64)
    return CrossEncoder.over(folder, ComputedRuntime(overlap, "logits", THREE))


@hostile
def test_vectors(encoder: SentenceEncoder, text: str) -> None:
    both = encoder.encode_passages(["a story", text]), encoder.encode_queries([text, "a story"])
    for vectors in both:
        assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0, 1.0], abs=1e-5)
    assert encoder.truncated([text]) == (len(text) > 100_000,)


@hostile
def test_names(tagger: NameTagger, text: str) -> None:
    found, others = tagger.tag([text, "angela merkel in paris"])
    assert [entity.text for entity in others] == ["angela merkel", "paris"]
    for entity in found:
        assert text[entity.start : entity.end] == entity.text
        assert 0 < entity.score <= 1


@hostile
def test_scores(cross: CrossEncoder, scorer: MaxSimScorer, text: str) -> None:
    for model in (cross, scorer):
        calm = model.score_within("oil price", ["the price of oil", "snow"]).scores
        found = model.score_within("oil price", ["the price of oil", text, "snow"])
        np.testing.assert_allclose(found.scores[[0, 2]], calm, atol=1e-5)
        assert np.isfinite(found.scores).all()
        assert found.truncated == (len(text) > 100_000)
        assert np.isfinite(model.score([text], ["the price of oil"])).all()


def test_ten_thousand_short_texts_are_taken_a_few_at_a_time(
    models: ModelStore, tagger: NameTagger
) -> None:
    """Order is kept, and what is held at once does not grow with the number of texts."""
    texts = [f"oil {number}" for number in range(10_000)]
    folder = folder_like(models, "all-MiniLM-L6-v2", dimension=WIDTH, task="encode")
    runtime = ComputedRuntime(hidden_states, "last_hidden_state")
    encoder = SentenceEncoder.over(folder, runtime, threads=2)
    vectors = encoder.encode_passages(texts)
    some = [0, 4321, 9_999]
    alone = encoder.encode_passages([texts[place] for place in some])
    np.testing.assert_allclose(vectors[some], alone, atol=1e-6)
    np.testing.assert_array_equal(
        encoder.encode_queries(texts)[some], encoder.encode_queries([texts[p] for p in some])
    )
    assert len(encoder.cache) == encoder.cache.size == encoder.cache.misses - encoder.cache.evicted
    assert max(arrays["input_ids"].size for arrays in runtime.seen) <= TOKEN_BUDGET
    encoder.close()


def test_ten_thousand_short_passages(models: ModelStore) -> None:
    folder = folder_like(models, "all-MiniLM-L6-v2", task="score")
    runtime = ComputedRuntime(overlap, "logits", THREE)
    scorer = CrossEncoder.over(folder, runtime)
    waiting = []
    runtime.compute = lambda arrays: (waiting.append(scorer.queue.waiting), overlap(arrays))[1]
    passages = ["oil " * (number % 7 + 1) for number in range(10_000)]
    scores = scorer.score(["oil"] * len(passages), passages)[:, 0]
    expected = [(number % 7 + 1) * 0.99 for number in range(10_000)]
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    assert max(arrays["input_ids"].size for arrays in runtime.seen) <= TOKEN_BUDGET
    assert max(waiting) <= CrossEncoder.at_once * 12


def test_ten_thousand_short_texts_to_tag(models: ModelStore) -> None:
    def nothing(arrays: Mapping[str, Array]) -> Array:
        logits = np.zeros((*arrays["input_ids"].shape, 9), np.float32)
        logits[..., 0] = 5
        return logits

    folder = folder_like(models, "distilbert-ner-news")
    runtime = ComputedRuntime(nothing, "logits")
    tagger = NameTagger.over(folder, runtime)
    assert tagger.tag([f"oil {number}" for number in range(10_000)]) == ((),) * 10_000
    assert max(arrays["input_ids"].size for arrays in runtime.seen) <= TOKEN_BUDGET
    assert len(tagger.cache) == tagger.cache.size


SNOW = 4586  # the tokenizer's number of "snow"


def spoilt(compute: Callable[[Mapping[str, Array]], Array], value: float) -> Any:
    """`compute` with `value` in every row that has the word snow."""

    def computed(arrays: Mapping[str, Array]) -> Array:
        found = compute(arrays).copy()
        found[(arrays["input_ids"] == SNOW).any(axis=1)] = value
        return found

    return computed


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_vector_without_numbers_is_an_error_and_never_kept(
    models: ModelStore, value: float
) -> None:
    folder = folder_like(models, "all-MiniLM-L6-v2", dimension=WIDTH, pooling="cls")
    runtime = ComputedRuntime(spoilt(hidden_states, value), "last_hidden_state")
    encoder = SentenceEncoder.over(folder, runtime)
    for encode in (encoder.encode_queries, encoder.encode_passages):
        for texts in (["snow"], ["oil", "snow", "gas"]):
            with pytest.raises(ModelError, match="no numbers"):
                encode(texts)
    assert encoder.cache.get("snow") is None
    assert np.isfinite(encoder.encode_queries(["oil", "gas"])).all()


def test_bad_numbers_of_one_caller_do_not_reach_another(models: ModelStore) -> None:
    folder = folder_like(models, "all-MiniLM-L6-v2", dimension=WIDTH)
    gate = threading.Event()
    compute = spoilt(hidden_states, float("nan"))

    def gated(arrays: Mapping[str, Array]) -> Array:
        assert gate.wait(WAIT)
        return compute(arrays)  # type: ignore[no-any-return]

    encoder = SentenceEncoder.over(folder, ComputedRuntime(gated, "last_hidden_state"))
    with ThreadPoolExecutor(12) as pool:
        good = [pool.submit(encoder.encode_queries, [f"oil {n}"]) for n in range(10)]
        bad = pool.submit(encoder.encode_queries, ["snow 1"])
        gate.set()
        assert all(np.isfinite(future.result(WAIT)).all() for future in good)
        with pytest.raises(ModelError, match="no numbers"):
            bad.result(WAIT)


def test_logits_without_numbers(models: ModelStore) -> None:
    def logits(arrays: Mapping[str, Array]) -> Array:
        return np.zeros((*arrays["input_ids"].shape, 9), np.float32)

    folder = folder_like(models, "distilbert-ner-news")
    tagger = NameTagger.over(folder, ComputedRuntime(spoilt(logits, float("nan")), "logits"))
    with pytest.raises(ModelError, match="no numbers"):
        tagger.tag(["oil", "snow"])
    assert tagger.tag(["oil"]) == ((),)


class OwnProcess:
    """A Runtime whose model runs in a process of its own."""

    kind, inputs, outputs = "process", ("input_ids", "attention_mask"), ("last_hidden_state",)

    def __init__(self, compute: Callable[[Mapping[str, Array]], Array]) -> None:
        self._compute = compute
        self._lock = threading.Lock()
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("fork")
        self._ours, theirs = context.Pipe()
        self.process = context.Process(target=answer, args=(theirs, self._compute), daemon=True)
        self.process.start()
        theirs.close()

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        with self._lock:
            try:
                # Not `send`: where the pipe is broken, its BytesIO makes CPython 3.12 crash
                # (gh-111049).
                self._ours.send_bytes(pickle.dumps(dict(arrays)))
                return [self._ours.recv()]
            except (EOFError, OSError) as error:
                raise ModelError("the model's process has ended", mend="start it again") from error

    def close(self) -> None:
        self.process.kill()
        self.process.join(WAIT)


def answer(connection: Connection, compute: Callable[[Mapping[str, Array]], Array]) -> None:
    while True:
        connection.send(compute(connection.recv()))


def deadly(arrays: Mapping[str, Array]) -> Array:
    """Kills its own process at the word snow, as the kernel does where memory is short."""
    if (arrays["input_ids"] == SNOW).any():
        os.kill(os.getpid(), signal.SIGKILL)
    return hidden_states(arrays)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_killed_worker_leaves_an_error_and_nobody_hanging(models: ModelStore) -> None:
    runtime = OwnProcess(deadly)
    folder = folder_like(models, "all-MiniLM-L6-v2", dimension=WIDTH)
    encoder = SentenceEncoder.over(folder, runtime)
    expected = encoder.encode_passages(["oil"])

    def ask(text: str) -> FloatMatrix | ModelError:
        try:
            return encoder.encode_passages([text])
        except ModelError as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, ["oil"] * 4 + ["snow"] + ["oil"] * 4, timeout=WAIT))
    assert isinstance(found[4], ModelError)
    assert "process has ended" in str(found[4])
    for vector in found:
        assert isinstance(vector, ModelError) or np.allclose(vector, expected)
    runtime.process.join(WAIT)
    runtime.start()  # as whoever watches over it would
    np.testing.assert_array_equal(encoder.encode_passages(["oil"]), expected)
    encoder.close()


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "distilbert-ner-news"])
@pytest.mark.parametrize("damage", ["a changed byte", "a lost end", "nothing left"])
def test_a_corrupt_file_is_refused_before_it_is_loaded(
    models: ModelStore, tmp_path: Path, name: str, damage: str
) -> None:
    folder = models.open(name)
    copy = tmp_path / name
    shutil.copytree(folder.path, copy)
    place = copy / folder.manifest.graph
    content = bytearray(place.read_bytes())
    if damage == "a changed byte":
        content[len(content) // 2] ^= 1
    else:
        del content[len(content) // 2 if damage == "a lost end" else 0 :]
    place.write_bytes(content)
    kinds = (SentenceEncoder, MaxSimScorer) if name == "all-MiniLM-L6-v2" else (NameTagger,)
    for kind in kinds:
        with pytest.raises(ModelError, match="is not the file of the manifest"):
            kind.open(ModelStore(tmp_path), name)
