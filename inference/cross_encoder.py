"""Scoring pairs by a model that reads query and passage together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from core.observation import UNWATCHED, Event, ModelWatch, Stage, Watching
from core.pairs import PassageScores, Told
from inference.models.store import ModelFolder, ModelStore
from inference.pair_scoring import ScoreSheet, score_pairs, score_passages
from inference.runtime import Runtime
from inference.runtimes.onnx import OnnxRuntime
from inference.serving.batch_queue import BatchQueue
from inference.serving.batches import BatchLimits
from inference.texts.feeding import Feeding
from inference.texts.pairs import PairRow, PairTokens
from inference.texts.pooling import sound
from inference.texts.tokens import TextTokens

LOGITS = "logits"
GROUP = 256  # pairs whose tokens are held at once: the rest wait as text, so memory is flat


@dataclass(frozen=True, slots=True)
class _Logits:
    """The queue's work: pairs [n] to a logit each, or the pair's error."""

    feeding: Feeding

    def __call__(self, rows: Sequence[PairRow]) -> list[float | Exception]:
        segments = [row.segments for row in rows]
        (output,), _ = self.feeding.run([row.ids for row in rows], (LOGITS,), segments)
        logits: FloatMatrix = output.astype(np.float32, copy=False)
        if logits.shape != (len(rows), 1):
            raise self.feeding.failed(f"logits have shape {logits.shape[1:]}, not one a pair")
        return [
            float(logit[0]) if good else self.feeding.failed("a pair's score is no number (NaN)")
            for logit, good in zip(logits, sound(logits), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class CrossEncoder:
    """The PairScorer port over a graph with one logit a pair, which is the score: it orders
    passages of one query, has no bounds, and is no probability. Safe to use from several threads.

    A pair that is too long loses the end of its query beyond a third of the room, then the end of
    its passage.
    """

    folder: ModelFolder
    runtime: Runtime
    tokens: PairTokens
    queue: BatchQueue[PairRow, float]
    _watch: ModelWatch

    @classmethod
    def over(
        cls,
        folder: ModelFolder,
        runtime: Runtime,
        *,
        threads: int = 1,
        limits: BatchLimits | None = None,
        watching: Watching = UNWATCHED,
    ) -> "CrossEncoder":
        """A scorer over a loaded graph; `threads` is how many batches run at once.

        Raises ModelError for a model that does not score pairs.
        """
        manifest = folder.manifest
        if manifest.task != "score":
            what = f"{manifest.name} is a model to {manifest.task}, not to score pairs"
            raise ModelError(what, where=str(folder.path), mend="name a scorer in the settings")
        work = _Logits(Feeding.of(folder, runtime, TextTokens.open(folder), (LOGITS,)))
        watch = watching.of(manifest.name, "score")
        lanes = max(1, threads)
        queue = BatchQueue(work, limits or BatchLimits(lanes=lanes), watch=watch)
        return cls(folder, runtime, PairTokens.open(folder), queue, watch)

    @classmethod
    def open(cls, store: ModelStore, name: str, *, threads: int = 1) -> "CrossEncoder":
        """Check and load the model `name` in ONNX Runtime, `threads` to a call; see `over`.

        Raises ModelError for a model that is missing, changed, or no scorer of pairs.
        """
        folder = store.find(name)
        return cls.over(folder, OnnxRuntime.open(folder, threads=threads))

    @property
    def name(self) -> str:
        """The model's name."""
        return self.folder.manifest.name

    @property
    def digest(self) -> str:
        """sha256 over the model's files."""
        return self.folder.manifest.digest

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        """float32 [n, 1] for the n pairs (queries[i], passages[i]).

        Raises ValueError if there are not as many queries as passages, BusyError where too much
        waits already, ModelError where the model fails.
        """

        def score(queries: Sequence[str], passages: Sequence[str]) -> Sequence[float]:
            return self.queue.run(self._tokenised(queries, passages, None))

        return score_pairs(queries, passages, score, most=GROUP)

    def score_within(
        self,
        query: str,
        passages: Sequence[str],
        *,
        until: float | None = None,
        tokens: int | None = None,
        told: Told | None = None,
    ) -> PassageScores:
        """See `core.pairs.BoundedScorer`."""

        def score(group: slice, sheet: ScoreSheet) -> None:
            texts = passages[group]
            rows = self._tokenised([query] * len(texts), texts, tokens)
            sheet.cut(sum(row.cut for row in rows), query=any(row.query_cut for row in rows))
            put = partial(sheet.put, group.start)
            put(dict(enumerate(self.queue.run_each(rows, until=until, told=put))))

        sheet = ScoreSheet(len(passages), self.tokens.limit(tokens), told)
        return score_passages(passages, score, sheet, most=GROUP)

    def close(self) -> None:
        """Free the graph; scoring afterwards fails."""
        self.queue.close()
        self.runtime.close()

    def _tokenised(
        self, queries: Sequence[str], passages: Sequence[str], tokens: int | None
    ) -> list[PairRow]:
        """The pairs' rows, counted and timed."""
        began = perf_counter()
        rows = self.tokens.rows(queries, passages, tokens=tokens)
        self._watch.timed(Stage.TOKENISE, began, perf_counter())
        if truncated := sum(row.cut or row.query_cut for row in rows):
            self._watch.counted(Event.TRUNCATED, truncated)
        return rows
