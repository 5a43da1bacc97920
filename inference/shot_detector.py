"""Where one shot ends and the next begins: windows of small frames through a graph.

Windows of many videos share the model. All callers' windows go into one queue, and those that wait
at the same time go through the graph together.

Source: Soucek and Lokoc 2020, TransNet V2 (a window's frames, the two heads).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.errors import InputError, ModelError
from core.items import FloatMatrix
from core.media import FRAME_HEIGHT, FRAME_WIDTH, Frames
from core.observation import UNWATCHED, Watching
from inference.loaded import LoadedModel, bad_numbers, need_task
from inference.models.store import ModelFolder
from inference.runtime import Runtime
from inference.serving.batch_queue import BatchQueue
from inference.serving.batches import BatchLimits
from inference.texts.pooling import sound

FRAMES, LOGITS = "frames", "logits"
SHORTEST = 100  # frames of a window: those that the model learned from
FRAMES_AT_ONCE = 200  # more gain nothing on a processor; in int8 these take 84 MB


@dataclass(frozen=True, slots=True)
class _Logits:
    """The queue's work: windows of one length, [t, 27, 48, 3], to 2 * t numbers each, or the
    window's error.
    """

    runtime: Runtime
    where: str

    def __call__(self, windows: Sequence[Frames]) -> list[FloatMatrix | Exception]:
        joint = windows[0][None] if len(windows) == 1 else np.stack(windows)
        (output,) = self.runtime.run({FRAMES: joint}, (LOGITS,))
        logits: FloatMatrix = output.astype(np.float32, copy=False)
        if logits.shape != (len(windows), 2 * joint.shape[1]):
            raise bad_numbers(
                self.where, f"its answer to {len(windows)} windows has shape {logits.shape}"
            )
        return [
            row if good else bad_numbers(self.where, "a window's answer holds no numbers (NaN)")
            for row, good in zip(logits, sound(logits), strict=True)
        ]


@dataclass(frozen=True, slots=True)
class TransitionDetector(LoadedModel):
    """The ShotDetector port over one loaded model. Safe to use from several threads."""

    queue: BatchQueue[Frames, FloatMatrix]

    @classmethod
    def over(
        cls,
        folder: ModelFolder,
        runtime: Runtime,
        *,
        threads: int = 1,
        limits: BatchLimits | None = None,
        watching: Watching = UNWATCHED,
    ) -> TransitionDetector:
        """Return a detector over a loaded graph. In `limits` each frame of a window is a token;
        windows of different lengths never share a batch.

        Raises ModelError for a model that does not find shots.
        """
        where = str(folder.path)
        need_task(folder, "shots", "shots")
        if runtime.inputs != (FRAMES,) or LOGITS not in runtime.outputs:
            what = f"the graph takes {runtime.inputs} and gives {runtime.outputs}"
            raise ModelError(what, where=where, mend=f"needed: {FRAMES} in, {LOGITS} out")
        limits = limits or BatchLimits(tokens=FRAMES_AT_ONCE, lanes=max(1, threads))
        watch = watching.of(folder.manifest.name, "shots")
        work = _Logits(runtime, where)
        queue = BatchQueue(work, replace(limits, alike=1.0), watch=watch)
        return cls(folder, runtime, (queue,), queue)

    @property
    def longest(self) -> int:
        """Frames of the longest window that the model takes."""
        return self.folder.manifest.max_tokens

    def transitions(self, windows: Frames) -> FloatMatrix:
        """Return float32 [n, 2 * t] for uint8 [n, t, 27, 48, 3], as `core.ports.media.ShotDetector`
        says.

        Raises InputError for arrays of another shape or type, BusyError if too much waits already,
        ModelError if the model fails.
        """
        self._check(windows)
        if not len(windows):
            return np.zeros((0, 2 * windows.shape[1]), np.float32)
        logits = np.stack(self.queue.run(list(windows)))
        odds = np.exp(-np.clip(logits, -60.0, 60.0))
        scores: FloatMatrix = (1.0 / (1.0 + odds)).astype(np.float32)
        return scores

    def _check(self, windows: Frames) -> None:
        """Raise InputError for windows that the model can't read."""
        frame = (FRAME_HEIGHT, FRAME_WIDTH, 3)
        given = windows.shape[1] if windows.ndim > 1 else 0
        fits = windows.shape[2:] == frame and SHORTEST <= given <= self.longest
        if not fits or windows.dtype != np.uint8:
            what = f"windows are {windows.dtype} of shape {windows.shape}"
            mend = f"uint8 of shape [n, t, *{frame}], t from {SHORTEST} to {self.longest}"
            raise InputError(what, where=self.name, mend=mend)
