"""What all loaded models have in common, whatever their task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

from core.errors import ModelError
from core.observation import UNWATCHED, Watching
from inference.models.manifest import ModelManifest
from inference.models.store import ModelFolder, ModelStore
from inference.runtime import Runtime
from inference.runtimes.onnx import OnnxRuntime
from inference.serving.batch_queue import BatchQueue
from inference.serving.batches import BatchLimits


@dataclass(frozen=True, slots=True)
class LoadedModel(ABC):
    """A model's folder, its graph in memory, and the queues in which callers wait for it. Each kind
    of model says what it can be asked.
    """

    folder: ModelFolder
    runtime: Runtime
    queues: tuple[BatchQueue[Any, Any], ...]

    @classmethod
    @abstractmethod
    def over(
        cls,
        folder: ModelFolder,
        runtime: Runtime,
        *,
        threads: int = 1,
        limits: BatchLimits | None = None,
        watching: Watching = UNWATCHED,
    ) -> Self:
        """Return the model over a graph that is loaded. `threads` batches run at once, unless
        `limits` say more of how callers share the model.

        Raises ModelError for a model of another task, and for a graph that does not fit.
        """

    @classmethod
    def open(cls, store: ModelStore, name: str, *, threads: int = 1) -> Self:
        """Return the model `name` in ONNX Runtime, one thread to a batch, `threads` batches at
        once.

        Raises ModelError for a model that is missing or changed, and as `over` does.
        """
        folder = store.find(name)
        return cls.over(folder, OnnxRuntime.open(folder, threads=1), threads=threads)

    @property
    def manifest(self) -> ModelManifest:
        """The model's manifest."""
        return self.folder.manifest

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def digest(self) -> str:
        """sha256 over the model's files and how texts are put to it."""
        return self.manifest.digest

    def close(self) -> None:
        """End the threads and free the graph; later calls fail."""
        for queue in self.queues:
            queue.close()
        self.runtime.close()


def need_task(folder: ModelFolder, task: str, setting: str) -> None:
    """Raise ModelError for a model of another task; `setting` is the one that names the model."""
    manifest = folder.manifest
    if manifest.task != task:
        what = f"{manifest.name} is for the task {manifest.task}, not for {task}"
        mend = f"name a model for {task} in the setting `{setting}`"
        raise ModelError(what, where=str(folder.path), mend=mend)


def bad_numbers(where: str, what: str) -> ModelError:
    """Return the error for an answer of a model that can't be right."""
    return ModelError(what, where=where, mend="check the model with `dateline models verify`")
