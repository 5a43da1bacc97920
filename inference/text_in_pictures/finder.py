"""Where in a picture lines of text are: one picture at a time through a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from core.observation import UNWATCHED, Watching
from inference.loaded import LoadedModel, bad_numbers, need_task
from inference.models.store import ModelFolder
from inference.runtime import Runtime
from inference.runtimes.loading import library
from inference.serving.batches import BatchLimits
from inference.text_in_pictures.boxes import TextBox, boxes_of

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_EDGE = 736  # pixels of the shorter side: smaller pictures are made larger, as in training
MOST_EDGE = 1600  # pixels of the longer side, for time and memory
_STEP = 32  # the graph halves a picture five times


@dataclass(frozen=True, slots=True)
class TextFinder(LoadedModel):
    """Finds lines of text in pictures. Safe to use from several threads."""

    @classmethod
    def over(
        cls,
        folder: ModelFolder,
        runtime: Runtime,
        *,
        threads: int = 1,
        limits: BatchLimits | None = None,
        watching: Watching = UNWATCHED,
    ) -> TextFinder:
        """Return a finder over a loaded graph. Pictures differ in shape, so none wait for others.

        Raises ModelError for a model that does not find text.
        """
        need_task(folder, "find_text", "text_finder")
        need_one(folder, runtime)
        return cls(folder, runtime, ())

    def boxes(self, picture: Image) -> list[TextBox]:
        """Return the boxes of lines in an RGB picture, in its pixels, larger ones first. Raises
        ModelError if the model fails.
        """
        width, height = finding_size(*picture.size)
        resized = picture.resize((width, height), library("PIL.Image").Resampling.BILINEAR)
        pixels = normal_pixels(np.asarray(resized))[None]
        (name,), (output,) = self.runtime.inputs, self.runtime.outputs
        (answer,) = self.runtime.run({name: pixels}, (output,))
        if answer.shape != (1, 1, height, width) or not np.isfinite(answer).all():
            what = f"its answer to a picture of {width}x{height} is no map of it"
            raise bad_numbers(str(self.folder.path), what)
        x, y = picture.width / width, picture.height / height
        likely: FloatMatrix = answer[0, 0].astype(np.float32, copy=False)
        return [box.scaled(x, y) for box in boxes_of(likely)]


def finding_size(width: int, height: int) -> tuple[int, int]:
    """Return the size, in steps of 32 pixels, at which text is looked for in a picture."""
    factor = max(1.0, LEAST_EDGE / min(width, height))
    factor = min(factor, MOST_EDGE / max(width, height))
    first, second = (max(_STEP, round(edge * factor / _STEP) * _STEP) for edge in (width, height))
    return first, second


def normal_pixels(rgb: np.ndarray) -> FloatMatrix:
    """Return float32 [3, height, width] from -1 to 1, channels as BGR, of uint8 [h, w, 3]."""
    scaled = rgb[:, :, ::-1].astype(np.float32) * (2 / 255) - 1
    return np.ascontiguousarray(scaled.transpose(2, 0, 1), dtype=np.float32)


def need_one(folder: ModelFolder, runtime: Runtime) -> None:
    """Raise ModelError unless a graph has one input and one output."""
    if len(runtime.inputs) != 1 or len(runtime.outputs) != 1:
        what = f"the graph takes {runtime.inputs} and gives {runtime.outputs}"
        mend = "needed: a picture in, one array out"
        raise ModelError(what, where=str(folder.path), mend=mend)
