"""The bundled encoder: unit vectors that mean something, for any text, in any batch."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.errors import ModelError
from core.items import FloatMatrix
from inference.encoder import SentenceEncoder
from inference.models.store import ModelStore
from inference.runtimes.onnx import OnnxRuntime
from inference.texts.tokens import surely_fits

STORY = (
    "Oil prices rose on Tuesday after ministers agreed to cut output by a million barrels a day."
)
PARAPHRASE = "Crude became dearer as producing countries decided to pump less."
UNRELATED = "The striker scored twice in the second half to send the home side through."

ODD = {
    "empty": "",
    "blank": " \t\n ",
    "zero byte": "a\x00b",
    "lone surrogate": "bad \ud800 text",
    "right to left": "مرحبا \u202e עולם",
    "emoji": "😀👩‍👩‍👧 🏳️‍🌈",
    "unknown script": "ᚠᚢᚦ 𓀀𓀁 ꙮ",
    "one long word": "x" * 100_000,
    "a megabyte": "word salad " * 100_000,
}


def test_it_says_what_it_is(encoder: SentenceEncoder) -> None:
    assert encoder.name == "all-MiniLM-L6-v2"
    assert encoder.dimension == 384
    assert len(encoder.digest) == 64
    assert encoder.tokenizer_path.is_file()


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_any_text_has_a_unit_vector(encoder: SentenceEncoder, text: str) -> None:
    for vectors in (encoder.encode_queries([text]), encoder.encode_passages([text, STORY])[:1]):
        assert vectors.shape == (1, 384)
        assert vectors.dtype == np.float32
        assert np.linalg.norm(vectors) == pytest.approx(1.0, abs=1e-5)


def test_no_texts_give_no_rows(encoder: SentenceEncoder) -> None:
    assert encoder.encode_queries([]).shape == (0, 384)
    assert encoder.encode_passages([]).shape == (0, 384)


def test_a_paraphrase_is_nearer_than_another_subject(encoder: SentenceEncoder) -> None:
    story, paraphrase, unrelated = encoder.encode_passages([STORY, PARAPHRASE, UNRELATED])
    assert story @ paraphrase > story @ unrelated + 0.25


def test_a_vector_does_not_depend_on_its_batch(encoder: SentenceEncoder) -> None:
    texts = [STORY, PARAPHRASE, UNRELATED, "short", *(f"{STORY} {n} " * 5 for n in range(40))]
    together = encoder.encode_passages(texts)
    alone = np.concatenate([encoder.encode_passages([text]) for text in texts])
    # Ranges of activations are fixed, so only the order of float32 sums may differ: with ranges
    # taken from each batch the cosine would be about .99 and this would fail.
    assert (together * alone).sum(axis=1).min() > 0.999999


def test_queries_and_passages_share_a_space(encoder: SentenceEncoder) -> None:
    difference = encoder.encode_queries([STORY]) - encoder.encode_passages([STORY])
    assert np.abs(difference).max() < 1e-6


def test_rows_come_in_the_order_of_the_texts(encoder: SentenceEncoder) -> None:
    texts = [UNRELATED * 6, "oil", STORY * 3, PARAPHRASE]
    forward, backward = encoder.encode_passages(texts), encoder.encode_passages(texts[::-1])
    assert (forward * backward[::-1]).sum(axis=1).min() > 0.999999


def test_ten_thousand_short_texts(encoder: SentenceEncoder) -> None:
    vectors = encoder.encode_passages([f"item {number}" for number in range(10_000)])
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1.0).max() < 1e-5
    single = encoder.encode_passages(["item 7777"])
    assert float(vectors[7777] @ single[0]) > 0.999999


def test_what_is_cut_off_is_told(encoder: SentenceEncoder) -> None:
    assert encoder.truncated(["short", STORY * 40, ""]) == (False, True, False)


def test_only_a_text_that_may_be_too_long_is_tokenised_to_tell() -> None:
    assert surely_fits("ferry " * 41, 256)
    assert not surely_fits("ferry " * 42, 256)
    assert surely_fits("Müller fährt nach Köln", 256)
    assert not surely_fits("\ufdfa" * 14, 256)  # each may become 18 letters
    assert surely_fits("", 8)


@pytest.mark.parametrize("character", ["a ", "한", "é", "ﷺ", "🌍", "."])
def test_what_surely_fits_is_never_cut(encoder: SentenceEncoder, character: str) -> None:
    for count in range(1, 300):
        text = character * count
        cut = encoder.tokens.rows([text]).cut[0]
        assert not (cut and surely_fits(text, 256))
        assert encoder.truncated([text]) == (cut,)


def test_the_cut_is_at_the_models_limit(encoder: SentenceEncoder) -> None:
    words = 254  # 256 tokens less the two special ones
    full = "oil " * words
    assert encoder.truncated([full, full + "oil"]) == (False, True)
    exact, longer = encoder.encode_passages([full, full + UNRELATED])
    assert exact @ longer == pytest.approx(1.0, abs=1e-5)


def cached(models: ModelStore, *, threads: int, size: int) -> SentenceEncoder:
    folder = models.find("all-MiniLM-L6-v2")
    runtime = OnnxRuntime.open(folder, threads=1)
    return SentenceEncoder.over(folder, runtime, threads=threads, cache_size=size)


def test_the_cache_is_bounded_and_counted(models: ModelStore) -> None:
    encoder = cached(models, threads=1, size=3)
    first = encoder.encode_queries(["a"])
    encoder.encode_queries(["b", "c"])
    encoder.encode_queries(["a"])
    assert (encoder.cache.hits, encoder.cache.misses) == (1, 3)
    encoder.encode_queries(["d"])  # drops b, the one longest unused
    assert len(encoder.cache) == 3
    encoder.encode_queries(["b"])
    assert (encoder.cache.hits, encoder.cache.misses) == (1, 5)
    assert len(encoder.cache) == 3
    np.testing.assert_array_equal(first, encoder.encode_queries(["a"]))
    encoder.close()


def test_a_querys_vector_is_the_same_to_the_last_bit_whoever_asks_beside_it(
    models: ModelStore,
) -> None:
    encoder = cached(models, threads=2, size=0)
    texts = [f"{words} {number}" for number in range(8) for words in ("oil", "price of oil", STORY)]
    alone = np.concatenate([encoder.encode_queries([text]) for text in texts])
    np.testing.assert_array_equal(encoder.encode_queries(texts), alone)
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda text: encoder.encode_queries([text]), texts * 4))
    np.testing.assert_array_equal(np.concatenate(found), np.concatenate([alone] * 4))
    encoder.close()


def test_passages_of_many_callers_are_their_own(models: ModelStore) -> None:
    encoder = SentenceEncoder.open(models, "all-MiniLM-L6-v2", threads=2)
    asked = [[f"{STORY} {who}", f"{UNRELATED} {who}" * (who % 3 + 1)] for who in range(12)]
    expected = [encoder.encode_passages(texts) for texts in asked]
    with ThreadPoolExecutor(12) as pool:
        for found, alone in zip(pool.map(encoder.encode_passages, asked), expected, strict=True):
            # Padding changes the order of float32 sums, nothing else.
            assert np.abs(found - alone).max() < 1e-5
    encoder.close()


def test_a_caller_cannot_spoil_the_cache(encoder: SentenceEncoder) -> None:
    first = encoder.encode_queries(["a spoiled query"])
    kept = first.copy()
    first[:] = 0.0
    np.testing.assert_array_equal(encoder.encode_queries(["a spoiled query"]), kept)


def test_many_threads_get_the_same_vectors(encoder: SentenceEncoder) -> None:
    texts = [f"{STORY} {number}" for number in range(24)]
    expected = encoder.encode_passages(texts)

    def work(number: int) -> FloatMatrix:
        if number % 2:
            return encoder.encode_passages(texts)
        return encoder.encode_queries(texts)

    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(work, range(8)):
            assert (found * expected).sum(axis=1).min() > 0.999999


def test_a_tagger_is_no_encoder(models: ModelStore) -> None:
    with pytest.raises(ModelError):
        SentenceEncoder.open(models, "distilbert-ner-news", threads=1)
