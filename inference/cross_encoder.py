"""Scores of pairs by a model that reads query and passage together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

import numpy as np

from core.items import FloatMatrix
from core.observation import UNWATCHED, Event, ModelWatch, Stage, Watching
from core.ports.models import ScoreLimits
from inference.loaded import need_task
from inference.models.store import ModelFolder
from inference.pair_scoring import PairModel, PassagesPart
from inference.runtime import Runtime
from inference.serving.batch_queue import BatchQueue
from inference.serving.batches import BatchLimits
from inference.texts.feeding import Feeding
from inference.texts.pairs import PairRow, PairTokens
from inference.texts.pooling import sound
from inference.texts.tokens import TextTokens

LOGITS = "logits"


@dataclass(frozen=True, slots=True)
class _Logits:
    """The queue's work: pairs [n] become one logit each, or the pair's error."""

    feeding: Feeding

    def __call__(self, rows: Sequence[PairRow]) -> list[float | Exception]:
        segments = [row.segments for row in rows]
        (output,), _ = self.feeding.run([row.ids for row in rows], (LOGITS,), segments)
        logits: FloatMatrix = output.astype(np.float32, copy=False)
        if logits.shape != (len(rows), 1):
            raise self.feeding.failed(f"logits have shape {logits.shape[1:]}, not one a pair")
        return [
            float(logit[0]) if good else self.feeding.failed("a pair's score is not a number (NaN)")
            for logit, good in zip(logits, sound(logits), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class CrossEncoder(PairModel):
    """The PairScorer port over a graph that gives one logit a pair, the score. Scores order the
    passages of one query. They have no bounds and are not probabilities. Safe to use from several
    threads.

    A pair that is too long loses the end of its query beyond a third of the room, then the end of
    its passage.
    """

    tokens: PairTokens
    queue: BatchQueue[PairRow, float]
    _watch: ModelWatch

    at_once: ClassVar[int] = (
        256  # pairs whose tokens are held; the rest wait as text, so memory stays constant
    )

    @classmethod
    def over(
        cls,
        folder: ModelFolder,
        runtime: Runtime,
        *,
        threads: int = 1,
        limits: BatchLimits | None = None,
        watching: Watching = UNWATCHED,
    ) -> CrossEncoder:
        """Return a scorer over a loaded graph; `threads` is how many batches run at once.

        Raises ModelError for a model that does not score pairs.
        """
        need_task(folder, "score", "reranker")
        work = _Logits(Feeding.of(folder, runtime, TextTokens.open(folder), (LOGITS,)))
        watch = watching.of(folder.manifest.name, "score")
        lanes = max(1, threads)
        queue = BatchQueue(work, limits or BatchLimits(lanes=lanes), watch=watch)
        return cls(folder, runtime, (queue,), PairTokens.open(folder), queue, watch)

    def limit(self, tokens: int | None) -> int:
        """Return the tokens that a pair may have where `tokens` are asked for."""
        return self.tokens.limit(tokens)

    def score_pairs(self, queries: Sequence[str], passages: Sequence[str]) -> Sequence[float]:
        """Return the scores of a few pairs, all of them read to the model's own limit."""
        return self.queue.run(self._tokenised(queries, passages, None))

    def score_part(self, query: str, part: PassagesPart, limits: ScoreLimits) -> None:
        """Put the scores of a part of the passages on their sheet as they come."""
        rows = self._tokenised([query] * len(part.texts), part.texts, limits.tokens)
        part.cut(sum(row.cut for row in rows), query=any(row.query_cut for row in rows))
        part.put(dict(enumerate(self.queue.run_each(rows, until=limits.until, told=part.put))))

    def _tokenised(
        self, queries: Sequence[str], passages: Sequence[str], tokens: int | None
    ) -> list[PairRow]:
        """Return the token rows of the pairs; their time and cuts are reported."""
        began = perf_counter()
        rows = self.tokens.rows(queries, passages, tokens=tokens)
        self._watch.timed(Stage.TOKENISE, began, perf_counter())
        if truncated := sum(row.cut or row.query_cut for row in rows):
            self._watch.counted(Event.TRUNCATED, truncated)
        return rows
