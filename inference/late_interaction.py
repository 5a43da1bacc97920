"""Scoring pairs by late interaction over a sentence encoder's own tokens.

Query and passage are encoded apart; a pair's score is the mean, over the query's tokens, of each
one's best cosine with a token of the passage (MaxSim, Khattab and Zaharia 2020, without their
training). Special tokens take no part: they lie near each other in every text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.items import FloatMatrix
from inference.batches import cut_batches
from inference.onnx_runtime import OnnxModel
from inference.store import ModelStore
from inference.tokens import TextTokens, padded

INPUTS, TOKENS = ("input_ids", "attention_mask"), "token_embeddings"


@dataclass(frozen=True, slots=True)
class MaxSimScorer:
    """The PairScorer port over an encoder that gives `token_embeddings`. Thread-safe.

    Scores are cosines, -1 to 1; a query or passage without a word scores 0. To share one loaded
    model with an encoder, build it from that encoder's `model` and `tokens`.
    """

    model: OnnxModel
    tokens: TextTokens

    @classmethod
    def open(cls, store: ModelStore, name: str, *, threads: int) -> "MaxSimScorer":
        """Check and load the model `name`; `threads` work on one batch.

        Raises ModelError for a model that is missing, changed, or without token embeddings.
        """
        folder = store.open(name)
        model = OnnxModel.open(folder, threads=threads)
        model.require(INPUTS, (TOKENS,))
        return cls(model, TextTokens.open(folder))

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        """float32 [n, 1] for the n pairs (queries[i], passages[i]); each text is encoded once.

        Raises ValueError if there are not as many queries as passages.
        """
        if len(queries) != len(passages):
            raise ValueError(f"{len(queries)} queries for {len(passages)} passages")
        asked, answers = self._encoded(queries), self._encoded(passages)
        pairs = zip(queries, passages, strict=True)
        scores = [max_sim(asked[query], answers[passage]) for query, passage in pairs]
        return np.array(scores, np.float32).reshape(-1, 1)

    def _encoded(self, texts: Sequence[str]) -> dict[str, FloatMatrix]:
        """Unit token vectors [words, d] of each distinct text, without special tokens."""
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return {}
        found = self.tokens.rows(distinct)
        vectors: dict[str, FloatMatrix] = {}
        for batch in cut_batches(found.lengths):
            arrays = padded([found.rows[row] for row in batch])
            (hidden,) = self.model.run(arrays, (TOKENS,))
            for place, row in enumerate(batch):
                inner = hidden[place, 1 : len(found.rows[row]) - 1].astype(np.float32, copy=False)
                vectors[distinct[row]] = unit_rows(inner)
        return vectors


def unit_rows(vectors: FloatMatrix) -> FloatMatrix:
    """Rows [n, d] scaled to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: FloatMatrix = vectors / np.maximum(lengths, 1e-12)
    return scaled


def max_sim(query: FloatMatrix, passage: FloatMatrix) -> float:
    """Mean over the rows of `query` [q, d] of their best product with a row of `passage` [p, d]."""
    if not query.size or not passage.size:
        return 0.0
    return float((query @ passage.T).max(axis=1).mean())
