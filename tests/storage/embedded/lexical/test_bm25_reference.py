"""Our BM25 against rank-bm25, an implementation of its own, with Lucene's idf put into it."""

from __future__ import annotations

from math import log1p
from pathlib import Path

import numpy as np
import pytest
from rank_bm25 import BM25Okapi

from core.query_tree import Bool, Word
from storage.words.analysis import analyzer
from storage.words.query_readings import K1
from tests.storage.world import WIRE, SetClock, lexical, make_item, opened, versions, write

WORDS = [f"w{chr(97 + n)}{chr(97 + n % 7)}x" for n in range(26)]
QUERIES = [("waax",), ("wbbx", "wccx"), ("wddx", "weex", "waax"), ("wzfx", "wbbx")]


def texts() -> list[str]:
    """Sixty texts of 5 to 60 words; the first words of the alphabet are the most common."""
    rng = np.random.default_rng(3)
    shares = 1 / np.arange(1, len(WORDS) + 1)
    return [
        " ".join(rng.choice(WORDS, rng.integers(5, 60), p=shares / shares.sum())) for _ in range(60)
    ]


def reference(documents: list[str]) -> BM25Okapi:
    """rank-bm25 at our k1 and b; its own idf differs from Lucene's, which is never negative."""
    terms = [analyzer("en").analyze(text) for text in documents]
    scorer = BM25Okapi(terms, k1=K1, b=0.75)
    for term in scorer.idf:
        held = sum(term in words for words in terms)
        scorer.idf[term] = log1p((len(terms) - held + 0.5) / (held + 0.5))
    return scorer


@pytest.mark.parametrize("words", QUERIES)
def test_scores_are_those_of_the_reference(folder: Path, words: tuple[str, ...]) -> None:
    documents = texts()
    scorer = reference(documents)
    expected = scorer.get_scores([t for word in words for t in analyzer("en").analyze(word)])
    with opened(folder, SetClock()) as engine:
        for number, text in enumerate(documents):
            write(engine, make_item(f"urn:{number}", headline="", body=text))
        engine.catch_up()
        query = Bool(should=tuple(Word(word, "body") for word in words))
        found = engine.retrieve(lexical(query))
        numbers = [int(uri.removeprefix("urn:")) for uri, _ in versions(engine, found, WIRE)]
    assert set(numbers) == set(np.flatnonzero(expected).tolist())
    # Lengths are kept in a byte (Lucene's SmallFloat), exact up to 40 words and near above.
    assert found.bm25 == pytest.approx(expected[numbers], rel=0.05)
