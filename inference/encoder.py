"""Texts to unit vectors, by a sentence encoder in ONNX.

Queries go one by one through a graph on one thread, with a cache: the shortest way for one
short text, and a query's vector is the same whoever asks beside it. Passages go in batches, as
many at a time as there are threads: one session that several threads call scales better than
several threads inside one call, since nothing waits for the slowest at every operator.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from inference.batches import Rows, cut_batches
from inference.cache import VectorCache
from inference.manifest import ModelManifest
from inference.onnx_runtime import OnnxModel
from inference.store import ModelFolder, ModelStore
from inference.tokens import TextTokens, TokenRows, padded

INPUTS = ("input_ids", "attention_mask")
SENTENCE = "sentence_embedding"
CACHE_SIZE = 4096  # queries; 6 MB of vectors at 384 dimensions
GROUP = 1024  # passages whose tokens are held at once: the rest wait as text, so memory is flat
LONGEST_CACHED = 1000  # characters; longer texts are not what people repeat


@dataclass(frozen=True, slots=True)
class EncoderCounts:
    """What an encoder did since it was opened. `truncated` texts lost their end."""

    texts: int
    truncated: int
    cache_hits: int
    cache_misses: int


@dataclass(slots=True)
class _Tally:
    """Running totals that several threads add to."""

    texts: int = 0
    truncated: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, found: TokenRows) -> None:
        with self.lock:
            self.texts += len(found.rows)
            self.truncated += found.truncated


@dataclass(frozen=True, slots=True)
class OnnxTextEncoder:
    """The TextEncoder port over a bundled model. Safe to use from several threads.

    An empty text is a text like any other: its special tokens give it a unit vector, far from
    everything and never NaN.
    """

    folder: ModelFolder
    model: OnnxModel
    tokens: TextTokens
    threads: int
    cache: VectorCache
    _workers: ThreadPoolExecutor
    _tally: _Tally = field(default_factory=_Tally)

    @classmethod
    def open(
        cls, store: ModelStore, name: str, *, threads: int, cache_size: int = CACHE_SIZE
    ) -> "OnnxTextEncoder":
        """Check and load the model `name`; `threads` is how many batches of passages run at once.

        Raises ModelError for a model that is missing, changed, or no sentence encoder.
        """
        folder = store.open(name)
        model = OnnxModel.open(folder, threads=1)
        model.require(INPUTS, (SENTENCE,))
        if folder.manifest.task != "encode":
            what = f"{name} is a model to {folder.manifest.task}, not to encode"
            raise ModelError(what, where=str(folder.path), mend="name an encoder in the settings")
        workers = ThreadPoolExecutor(max(1, threads), thread_name_prefix="encoder")
        return cls(
            folder, model, TextTokens.open(folder), threads, VectorCache(cache_size), workers
        )

    @property
    def manifest(self) -> ModelManifest:
        """What the model says of itself."""
        return self.folder.manifest

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def digest(self) -> str:
        """sha256 over the model's files and how texts are put to it: names the vectors' space."""
        return self.manifest.digest

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self.manifest.dimension

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer's file, for cutting texts by this model's tokens."""
        return self.folder.path / self.manifest.tokenizer

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        """float32 [n, d], rows of unit norm, each the same whatever else is asked beside it."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        rows = [self._query(text) for text in texts]
        return rows[0].copy() if len(rows) == 1 else np.concatenate(rows)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        """float32 [n, d], rows of unit norm, in the order of `texts`."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), GROUP):
            self._fill(vectors[start : start + GROUP], texts[start : start + GROUP])
        return vectors

    def truncated(self, texts: Sequence[str]) -> tuple[bool, ...]:
        """For each text, whether it is longer than the model reads, so that its end is ignored."""
        return tuple(
            self.tokens.rows([text], prefix=self.manifest.query_prefix).truncated > 0
            for text in texts
        )

    def counts(self) -> EncoderCounts:
        """What was done since opening."""
        tally = self._tally
        return EncoderCounts(tally.texts, tally.truncated, self.cache.hits, self.cache.misses)

    def close(self) -> None:
        """End the worker threads; encoding afterwards fails."""
        self._workers.shutdown()

    def _fill(self, vectors: FloatMatrix, texts: Sequence[str]) -> None:
        """Write the vectors of `texts` into the rows of `vectors` [n, d]."""
        found = self.tokens.rows(texts, prefix=self.manifest.passage_prefix)
        self._tally.add(found)

        def fill(rows: Rows) -> None:
            vectors[rows] = self._run([found.rows[row] for row in rows])

        batches = cut_batches(found.lengths)
        if len(batches) == 1 or self.threads <= 1:
            for batch in batches:
                fill(batch)
        else:
            for _ in self._workers.map(fill, batches):
                pass  # map raises a worker's error only when its result is taken

    def _query(self, text: str) -> FloatMatrix:
        """The vector [1, d] of one query, kept for the next time."""
        kept = self.cache.get(text)
        if kept is not None:
            return kept
        found = self.tokens.rows([text], prefix=self.manifest.query_prefix)
        self._tally.add(found)
        vector = self._run(found.rows)
        if len(text) <= LONGEST_CACHED:
            self.cache.put(text, vector)
        return vector

    def _run(self, rows: Sequence[Sequence[int]]) -> FloatMatrix:
        """Unit vectors [n, d] of one batch of token rows."""
        (vectors,) = self.model.run(padded(rows), (SENTENCE,))
        return vectors.astype(np.float32, copy=False)
