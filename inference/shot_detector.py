"""Where one shot ends and the next begins: windows of small frames through a graph.

Windows of many videos share the model: each caller's go into one queue (`batch_queue`), and those
that wait at the same time go through the graph together.

Source: Soucek and Lokoc 2020, TransNet V2 (a window's frames, the two heads).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import InputError, ModelError
from core.items import FloatMatrix
from core.media import FRAME_HEIGHT, FRAME_WIDTH, Frames
from core.observation import UNWATCHED, Watching
from inference.batch_queue import BatchQueue
from inference.batches import BatchLimits
from inference.pooling import sound
from inference.runtime import Runtime
from inference.runtimes.onnx import OnnxRuntime
from inference.store import ModelFolder, ModelStore

FRAMES, LOGITS = "frames", "logits"
WINDOWS_AT_ONCE = 2  # more gain nothing on a processor, and each takes a hundred megabytes


@dataclass(frozen=True, slots=True)
class _Logits:
    """The queue's work: windows [100, 27, 48, 3] to 200 numbers each, or the window's error."""

    runtime: Runtime
    where: str
    width: int

    def __call__(self, windows: Sequence[Frames]) -> list[FloatMatrix | Exception]:
        joint = windows[0][None] if len(windows) == 1 else np.stack(windows)
        (output,) = self.runtime.run({FRAMES: joint}, (LOGITS,))
        logits: FloatMatrix = output.astype(np.float32, copy=False)
        if logits.shape != (len(windows), self.width):
            raise self.failed(f"its answer to {len(windows)} windows has shape {logits.shape}")
        return [
            row if good else self.failed("a window's answer holds no numbers (NaN)")
            for row, good in zip(logits, sound(logits), strict=True)
        ]

    def failed(self, what: str) -> ModelError:
        """An error about this model's numbers."""
        return ModelError(what, where=self.where, mend="check the model with `dateline models`")


@dataclass(frozen=True, slots=True)
class TransitionDetector:
    """The ShotDetector port over one loaded model. Safe to use from several threads."""

    folder: ModelFolder
    runtime: Runtime
    queue: BatchQueue[Frames, FloatMatrix]
    window: tuple[int, ...]

    @classmethod
    def over(
        cls,
        folder: ModelFolder,
        runtime: Runtime,
        *,
        limits: BatchLimits | None = None,
        watching: Watching = UNWATCHED,
    ) -> TransitionDetector:
        """A detector over a loaded graph; in `limits` each frame of a window is a token.

        Raises ModelError for a model that does not find shots.
        """
        manifest = folder.manifest
        where = str(folder.path)
        if manifest.task != "shots":
            what = f"{manifest.name} is a model to {manifest.task}, not to find shots"
            raise ModelError(what, where=where, mend="name one for shots in the settings")
        if runtime.inputs != (FRAMES,) or LOGITS not in runtime.outputs:
            what = f"the graph takes {runtime.inputs} and gives {runtime.outputs}"
            raise ModelError(what, where=where, mend=f"needed: {FRAMES} in, {LOGITS} out")
        frames = manifest.max_tokens
        limits = limits or BatchLimits(tokens=WINDOWS_AT_ONCE * frames)
        watch = watching.of(manifest.name, "shots")
        queue = BatchQueue(_Logits(runtime, where, 2 * frames), limits, watch=watch)
        return cls(folder, runtime, queue, (frames, FRAME_HEIGHT, FRAME_WIDTH, 3))

    @classmethod
    def open(cls, store: ModelStore, name: str, *, threads: int = 1) -> TransitionDetector:
        """Check and load the model `name` in ONNX Runtime, `threads` to a call; see `over`.

        Raises ModelError for a model that is missing, changed, or not for shots.
        """
        folder = store.open(name)
        return cls.over(folder, OnnxRuntime.open(folder, threads=threads))

    @property
    def name(self) -> str:
        """The model's name."""
        return self.folder.manifest.name

    @property
    def digest(self) -> str:
        """sha256 over the model's files."""
        return self.folder.manifest.digest

    def transitions(self, windows: Frames) -> FloatMatrix:
        """float32 [n, 200] for uint8 [n, 100, 27, 48, 3]; see `core.media_ports.ShotDetector`.

        Raises InputError for arrays of another shape or type, BusyError where too much waits
        already, ModelError where the model fails.
        """
        if windows.shape[1:] != self.window or windows.dtype != np.uint8:
            what = f"windows are {windows.dtype} of shape {windows.shape}"
            raise InputError(what, where=self.name, mend=f"uint8 of shape [n, *{self.window}]")
        if not len(windows):
            return np.zeros((0, 2 * self.window[0]), np.float32)
        logits = np.stack(self.queue.run(list(windows)))
        odds = np.exp(-np.clip(logits, -60.0, 60.0))
        scores: FloatMatrix = (1.0 / (1.0 + odds)).astype(np.float32)
        return scores

    def close(self) -> None:
        """Ends the threads and frees the graph; finding shots fails afterwards."""
        self.queue.close()
        self.runtime.close()
