"""Scores of pairs by late interaction over the token vectors of a sentence encoder.

Query and passage are encoded apart. A pair's score is the mean, over the query's tokens, of each
token's best cosine with a token of the passage (MaxSim, Khattab and Zaharia 2020, without their
training). Special tokens are left out, because they lie near each other in every text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from time import perf_counter
from typing import ClassVar

import numpy as np

from core.items import FloatMatrix
from core.observation import UNWATCHED, Event, ModelWatch, Stage, Watching
from core.ports.models import ScoreLimits
from inference.encoder import TokenRow
from inference.models.store import ModelFolder
from inference.pair_scoring import PairModel, PassagesPart, Scored
from inference.runtime import Runtime
from inference.serving.batch_queue import BatchQueue
from inference.serving.batches import BatchLimits
from inference.texts.feeding import Feeding
from inference.texts.pooling import HIDDEN, TOKENS, finite, unit_rows
from inference.texts.tokens import TextTokens, TokenRows


@dataclass(frozen=True, slots=True)
class _TokenVectors:
    """The queue's work: token rows [n] to unit vectors [words, d] each, without special tokens."""

    feeding: Feeding
    output: str

    def __call__(self, rows: Sequence[TokenRow]) -> list[FloatMatrix | Exception]:
        (output,), _ = self.feeding.run(rows, (self.output,))
        hidden: FloatMatrix = output.astype(np.float32, copy=False)
        if hidden.ndim != 3:
            raise self.feeding.failed(f"{self.output} has shape {hidden.shape[1:]}")
        inner = [vectors[1 : len(row) - 1] for row, vectors in zip(rows, hidden, strict=True)]
        return [
            unit_rows(vectors)
            if finite(vectors)
            else self.feeding.failed("a text's token vectors hold no numbers (NaN)")
            for vectors in inner
        ]


@dataclass(frozen=True, slots=True)
class MaxSimScorer(PairModel):
    """The PairScorer port over an encoder's vectors of tokens. Safe to use from several threads.

    Scores are cosines, -1 to 1; a query or passage without a word scores 0.
    """

    tokens: TextTokens
    queue: BatchQueue[TokenRow, FloatMatrix]
    _watch: ModelWatch

    at_once: ClassVar[int] = 64  # their vectors are held, 25 MB at 256 tokens of 384 numbers

    @classmethod
    def over(
        cls,
        folder: ModelFolder,
        runtime: Runtime,
        *,
        threads: int = 1,
        limits: BatchLimits | None = None,
        watching: Watching = UNWATCHED,
    ) -> MaxSimScorer:
        """Return a scorer over a loaded graph, which an encoder may use as well. `threads` batches
        run at once.

        Raises ModelError for a graph without vectors of tokens.
        """
        output = TOKENS if TOKENS in runtime.outputs else HIDDEN
        tokens = TextTokens.open(folder)
        work = _TokenVectors(Feeding.of(folder, runtime, tokens, (output,)), output)
        watch = watching.of(folder.manifest.name, "score")
        queue = BatchQueue(work, limits or BatchLimits(lanes=max(1, threads)), watch=watch)
        return cls(folder, runtime, (queue,), tokens, queue, watch)

    def limit(self, tokens: int | None) -> int:
        """Return the tokens that a text may have where `tokens` are asked for: query and passage
        are read apart, each to the limit.
        """
        return min(tokens or self.tokens.max_tokens, self.tokens.max_tokens)

    def score_pairs(self, queries: Sequence[str], passages: Sequence[str]) -> Sequence[float]:
        """Return the scores of a few pairs; each different text of them is encoded once."""
        texts = list(dict.fromkeys((*queries, *passages)))
        rows = self._tokenised(texts, None).rows
        encoded = dict(zip(texts, self.queue.run(rows), strict=True))
        pairs = zip(queries, passages, strict=True)
        return [max_sim(encoded[query], encoded[text]) for query, text in pairs]

    def score_part(self, query: str, part: PassagesPart, limits: ScoreLimits) -> None:
        """Put the scores of a part of the passages on their sheet as they come."""
        found = self._tokenised([query, *part.texts], limits.tokens)
        part.cut(sum(found.cut[1:]), query=found.cut[0])
        pairs = _Pairs(part.put)
        answers = self.queue.run_each(found.rows, until=limits.until, headed=True, told=pairs.hear)
        pairs.hear(dict(enumerate(answers)))

    def _tokenised(self, texts: Sequence[str], tokens: int | None) -> TokenRows:
        """Return the token rows of `texts`; their time and cuts are reported."""
        began = perf_counter()
        found = TextTokens(self.tokens.tokenizer, self.limit(tokens)).rows(texts)
        self._watch.timed(Stage.TOKENISE, began, perf_counter())
        if found.truncated:
            self._watch.counted(Event.TRUNCATED, found.truncated)
        return found


@dataclass(slots=True, eq=False)
class _Pairs:
    """Scores each passage as soon as it and the query are encoded, and gives the scores to
    `put`.
    """

    put: Callable[[Scored], None]
    _query: FloatMatrix | Exception | None = None
    _waiting: dict[int, FloatMatrix | Exception] = field(default_factory=dict)
    _done: set[int] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def hear(self, found: Mapping[int, FloatMatrix | Exception]) -> None:
        """Take vectors of the query, which is text 0, and of passages. Some may come twice."""
        # Locked until the end: the thread that brings the last vectors returns after all scores are
        # set.
        with self._lock:
            for place, vectors in found.items():
                if place == 0:
                    self._query = vectors
                elif place not in self._done:
                    self._waiting[place] = vectors
            query = self._query
            if query is None or not self._waiting:
                return
            self._done.update(self._waiting)
            ready = self._waiting.items()
            scores = {place - 1: _score(query, vectors) for place, vectors in ready}
            self._waiting = {}
            self.put(scores)


def _score(query: FloatMatrix | Exception, passage: FloatMatrix | Exception) -> float | Exception:
    """Return a pair's score, or the error of its query, else of its passage."""
    if isinstance(query, Exception):
        return query
    return passage if isinstance(passage, Exception) else max_sim(query, passage)


def max_sim(query: FloatMatrix, passage: FloatMatrix) -> float:
    """Return the mean over the rows of `query` [q, d] of their best product with a row of `passage`
    [p, d].
    """
    if not query.size or not passage.size:
        return 0.0
    return float((query @ passage.T).max(axis=1).mean())
