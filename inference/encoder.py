"""Texts to unit vectors, by a sentence encoder in any runtime.

Queries and passages have separate queues, so that a query never waits behind an ingest. Queries
share a batch only with queries of as many tokens. Nothing is padded then, and a query's vector is
the same to the last bit whatever is asked beside it (measured with MiniLM-L6 in int8: padding
changes the last bits of a fifth of the rows, equal lengths change none; 16 together take .4 to .75
of the time of one by one at 6 to 24 tokens). Passages go in batches by token budget, as many at a
time as there are threads. Several callers of a graph with one thread each scale better than several
threads inside one call, because no thread waits for the slowest at every operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from core.observation import UNWATCHED, Event, ModelWatch, Stage, Watching
from inference.loaded import LoadedModel, need_task
from inference.models.store import ModelFolder
from inference.runtime import Array, FeedingRuntime, Runtime
from inference.serving.batch_queue import BatchQueue
from inference.serving.batches import BatchLimits, cut_texts
from inference.serving.cache import AnswerCache
from inference.texts.feeding import SEGMENTS, Feeding
from inference.texts.pooling import Pooling, sound
from inference.texts.tokens import TextTokens, surely_fits

CACHE_SIZE = 4096  # queries; 6 MB of vectors at 384 dimensions
GROUP = 1024  # texts whose tokens are held at once; the rest wait as text, so memory stays constant
BULK = 128  # passages in one call; so many are fed by the runtime itself, if it has a way
BULK_TOKENS = 1024  # of a batch that is fed so; with more its numbers leave a core's cache
TokenRow = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Vectors:
    """The work of both queues: token rows [n] to one unit vector [d] each, or the row's error."""

    feeding: Feeding
    pooling: Pooling
    dimension: int

    def __call__(self, rows: Sequence[TokenRow]) -> list[FloatMatrix | Exception]:
        (output,), arrays = self.feeding.run(rows, (self.pooling.output,))
        vectors = self._pooled(output, arrays["attention_mask"])
        return [
            vector if good else self._not_a_number()
            for vector, good in zip(vectors, sound(vectors), strict=True)
        ]

    def fed(self, runtime: FeedingRuntime, rows: Sequence[TokenRow], tokens: int) -> FloatMatrix:
        """Return unit vectors [n, d] of many rows, in batches that the runtime makes. Raises
        ModelError if the graph fails or a vector holds no numbers.
        """
        vectors = np.zeros((len(rows), self.dimension), np.float32)
        for places, arrays in runtime.batches(rows, tokens=tokens, padding=self.feeding.padding):
            if self.feeding.takes_segments:
                arrays[SEGMENTS] = np.zeros_like(arrays["input_ids"])
            (output,) = self.feeding.put(arrays, (self.pooling.output,))
            found = self._pooled(output, arrays["attention_mask"])
            if not all(sound(found)):
                raise self._not_a_number()
            vectors[places] = found
        return vectors

    def _pooled(self, output: Array, mask: Array) -> FloatMatrix:
        vectors = self.pooling.vectors(output, mask)
        if vectors.shape != (len(output), self.dimension):
            raise self.feeding.failed(f"vectors have shape {vectors.shape[1:]}")
        return vectors

    def _not_a_number(self) -> ModelError:
        return self.feeding.failed("a text's vector holds no numbers (NaN)")


@dataclass(frozen=True, slots=True)
class SentenceEncoder(LoadedModel):
    """The TextEncoder port over one loaded model. Safe to use from several threads.

    An empty text gets a unit vector from its special tokens, far from all others and never NaN. A
    vector with NaN is a ModelError, so none is ever stored.
    """

    tokens: TextTokens
    cache: AnswerCache[FloatMatrix]
    queries: BatchQueue[TokenRow, FloatMatrix]
    passages: BatchQueue[TokenRow, FloatMatrix]
    _work: _Vectors
    _watch: ModelWatch
    _passage_watch: ModelWatch

    @classmethod
    def over(
        cls,
        folder: ModelFolder,
        runtime: Runtime,
        *,
        threads: int = 1,
        cache_size: int = CACHE_SIZE,
        limits: BatchLimits | None = None,
        watching: Watching = UNWATCHED,
    ) -> SentenceEncoder:
        """Return an encoder over a loaded graph. `threads` batches of passages run at once, and as
        many of queries, unless `limits` say more of how callers share the model.

        Raises ModelError for a model that is not a sentence encoder.
        """
        need_task(folder, "encode", "encoder")
        manifest = folder.manifest
        tokens = TextTokens.open(folder)
        pooling = Pooling.of(folder, runtime)
        feeding = Feeding.of(folder, runtime, tokens, (pooling.output,))
        work = _Vectors(feeding, pooling, manifest.dimension)
        query, passage = (watching.of(manifest.name, task) for task in ("query", "passage"))
        limits = limits or BatchLimits(lanes=max(1, threads))
        queries = BatchQueue(work, replace(limits, alike=1.0), watch=query)
        passages = BatchQueue(work, limits, watch=passage)
        cache: AnswerCache[FloatMatrix] = AnswerCache(cache_size, query)
        queues = (queries, passages)
        return cls(folder, runtime, queues, tokens, cache, queries, passages, work, query, passage)

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return self.manifest.dimension

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer's file, for cutting texts by this model's tokens."""
        return self.folder.path / self.manifest.tokenizer

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, d], rows of unit norm, each the same whatever else is asked.

        Raises BusyError if too much waits already, ModelError if the model fails.
        """
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        unknown = []
        for place, text in enumerate(texts):
            kept = self.cache.get(text)
            if kept is None:
                unknown.append(place)
            else:
                vectors[place] = kept
        asked = [texts[place] for place in unknown]
        for group in cut_texts(asked, most=GROUP):
            rows = self._tokenised(asked[group], self.manifest.query_prefix, self._watch)
            found = zip(unknown[group], asked[group], self.queries.run(rows), strict=True)
            for place, text, vector in found:
                vectors[place] = vector
                self.cache.put(text, vector.copy())  # a view would keep its whole batch
        return vectors

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        """Return float32 [n, d], rows of unit norm, in the order of `texts`.

        Raises BusyError if too much waits already, ModelError if the model fails.
        """
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        prefix = self.manifest.passage_prefix
        for group in cut_texts(texts, most=GROUP):
            rows = self._tokenised(texts[group], prefix, self._passage_watch)
            if isinstance(self.runtime, FeedingRuntime) and len(rows) >= BULK:
                began = perf_counter()
                vectors[group] = self._work.fed(self.runtime, rows, BULK_TOKENS)
                self._passage_watch.timed(Stage.INFERENCE, began, perf_counter())
                continue
            for place, vector in enumerate(self.passages.run(rows), group.start):
                vectors[place] = vector
        return vectors

    def truncated(self, texts: Sequence[str]) -> tuple[bool, ...]:
        """Return, for each text, whether it is longer than what the model reads of a query, so that
        its end is ignored. A text that has few enough characters is not tokenised.
        """
        prefix = self.manifest.query_prefix
        return tuple(
            not surely_fits(prefix + text, self.tokens.max_tokens)
            and self.tokens.rows([text], prefix=prefix).cut[0]
            for text in texts
        )

    def _tokenised(
        self, texts: Sequence[str], prefix: str, watch: ModelWatch
    ) -> tuple[TokenRow, ...]:
        """Return the token rows of `texts`; their time and cuts are reported."""
        began = perf_counter()
        found = self.tokens.rows(texts, prefix=prefix)
        watch.timed(Stage.TOKENISE, began, perf_counter())
        if truncated := found.truncated:
            watch.counted(Event.TRUNCATED, truncated)
        return found.rows
