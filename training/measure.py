"""Measures the figures of the model cards: quality by exact search, and speed."""

import time
from collections.abc import Mapping

import numpy as np

from core.items import FloatMatrix
from core.ports.models import TextEncoder
from inference.runtime import Runtime
from training.beir import TestSet

DEPTH = 10


def ndcg(encoder: TextEncoder, data: TestSet) -> float:
    """Return mean nDCG@10 over the judged queries, documents ranked by exact cosine.

    Gains are the judgements and discounts are log2(rank + 1) (Järvelin and Kekäläinen 2002, in
    trec_eval's form); a tie goes to the document that comes first in the corpus.
    """
    names = list(data.documents)
    documents = encoder.encode_passages(list(data.documents.values()))
    queries = encoder.encode_queries(list(data.queries.values()))
    scores = queries @ documents.T
    found = [
        _ndcg(names, row, data.gains[query])
        for query, row in zip(data.queries, scores, strict=True)
    ]
    return float(np.mean(found))


def _ndcg(names: list[str], scores: FloatMatrix, gains: Mapping[str, int]) -> float:
    """Return nDCG@10 of one query's scores, one for each of `names`."""
    discounts = 1.0 / np.log2(np.arange(2, DEPTH + 2))
    top = np.argsort(-scores, kind="stable")[:DEPTH]
    got = np.array([gains.get(names[row], 0) for row in top])
    best = np.array(sorted(gains.values(), reverse=True)[:DEPTH])
    return float((got * discounts[: got.size]).sum() / (best * discounts[: best.size]).sum())


def milliseconds(model: Runtime, output: str, rows: int, tokens: int, *, calls: int) -> float:
    """Return the shortest time in ms of a call on random tokens [rows, tokens], on the model's own
    threads.

    It is the shortest time, not the median, because it shows what the machine does without other
    work.
    """
    ids = np.random.default_rng(0).integers(1000, 20000, (rows, tokens)).astype(np.int32)
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    model.run(feed, (output,))
    spans = []
    for _ in range(calls):
        begin = time.perf_counter()
        model.run(feed, (output,))
        spans.append(time.perf_counter() - begin)
    return min(spans) * 1000.0
