"""What is written in pictures of single lines: a line becomes characters with how sure they are.

Lines of about the same length go through the graph together, made 48 pixels high. The graph gives,
for each step along the line, how likely each character is; repeated ones become one, and blanks go
(Graves et al. 2006, connectionist temporal classification). The characters are in the graph's own
metadata.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from core.observation import UNWATCHED, Watching
from inference.loaded import LoadedModel, bad_numbers, need_task
from inference.models.store import ModelFolder
from inference.models.wire import only, parts
from inference.runtime import Runtime
from inference.runtimes.loading import graph_path, library
from inference.serving.batches import BatchLimits
from inference.text_in_pictures.boxes import TextBox
from inference.text_in_pictures.finder import need_one, normal_pixels

if TYPE_CHECKING:
    from PIL.Image import Image

HEIGHT = 48  # pixels of a line
LEAST_WIDTH = 320  # pixels: a shorter line is filled up with grey on its right, as in training
MOST_WIDTH = 2400  # longer ones are squeezed: 50 letters in the narrowest type
AT_ONCE = 6  # lines of one call
TALL = 1.5  # a box so many times as high as wide has a line that goes up or down
_METADATA, _KEY, _VALUE = 14, 1, 2  # fields of ONNX's ModelProto and StringStringEntryProto
_CHARACTERS = b"character"


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line's text, and the mean probability of its characters, 0 without any."""

    text: str
    score: float


@dataclass(frozen=True, slots=True)
class LineReader(LoadedModel):
    """Reads pictures of single lines. Safe to use from several threads."""

    characters: tuple[str, ...]

    @classmethod
    def over(
        cls,
        folder: ModelFolder,
        runtime: Runtime,
        *,
        threads: int = 1,
        limits: BatchLimits | None = None,
        watching: Watching = UNWATCHED,
    ) -> LineReader:
        """Return a reader over a loaded graph.

        Raises ModelError for a model that does not read text, or a graph without characters.
        """
        need_task(folder, "read_text", "text_reader")
        need_one(folder, runtime)
        _, path = graph_path(folder, "onnx")
        named = characters_in(folder.read(path))
        if not named:
            what, mend = "the graph names no characters", "pull the model again"
            raise ModelError(what, where=str(folder.path / path), mend=mend)
        return cls(folder, runtime, (), ("", *named, " "))

    def read(self, lines: Sequence[Image]) -> list[ReadLine]:
        """Return what is written in each picture of a line. Raises ModelError if the model
        fails.
        """
        pixels = [normal_pixels(np.asarray(_at_height(line))) for line in lines]
        order = sorted(range(len(pixels)), key=lambda place: pixels[place].shape[2])
        found: dict[int, ReadLine] = {}
        for start in range(0, len(order), AT_ONCE):
            places = order[start : start + AT_ONCE]
            found |= zip(places, self._read([pixels[place] for place in places]), strict=True)
        return [found[place] for place in range(len(pixels))]

    def _read(self, pixels: Sequence[FloatMatrix]) -> list[ReadLine]:
        width = max(LEAST_WIDTH, *(one.shape[2] for one in pixels))
        batch = np.zeros((len(pixels), 3, HEIGHT, width), np.float32)
        for row, one in zip(batch, pixels, strict=True):
            row[:, :, : one.shape[2]] = one
        (name,), (output,) = self.runtime.inputs, self.runtime.outputs
        (likely,) = self.runtime.run({name: batch}, (output,))
        if likely.ndim != 3 or likely.shape[::2] != (len(pixels), len(self.characters)):
            what = f"its answer to {len(pixels)} lines has shape {likely.shape}"
            raise bad_numbers(str(self.folder.path), what)
        best, sure = likely.argmax(axis=2), likely.max(axis=2).astype(np.float64)
        return [self._line(*row) for row in zip(best, sure, strict=True)]

    def _line(self, best: np.ndarray, sure: np.ndarray) -> ReadLine:
        kept = best != 0
        kept[1:] &= best[1:] != best[:-1]
        text = "".join(self.characters[number] for number in best[kept].tolist())
        return ReadLine(text, float(sure[kept].mean()) if kept.any() else 0.0)


def upright(picture: Image, box: TextBox) -> list[Image]:
    """Return the part of a picture in a box as a lying line; a tall one in both directions,
    because it may go up or down.
    """
    image = library("PIL.Image")
    width, height = max(1, round(box.width)), max(1, round(box.height))
    (left, top), right, _, below = box.corners()
    across, down = (right - (left, top)) / width, (below - (left, top)) / height
    affine = (across[0], down[0], left, across[1], down[1], top)
    part = picture.transform(
        (width, height), image.Transform.AFFINE, affine, image.Resampling.BICUBIC
    )
    if height < TALL * width:
        return [part]
    turn = image.Transpose
    return [part.transpose(turn.ROTATE_90), part.transpose(turn.ROTATE_270)]


def characters_in(graph: bytes) -> tuple[str, ...]:
    """Return the characters that an ONNX graph's metadata lists, a line each; none without such a
    list.
    """
    for entry in parts(memoryview(graph), _METADATA):
        if bytes(only(entry, _KEY)) == _CHARACTERS:
            return tuple(bytes(only(entry, _VALUE)).decode().split("\n"))
    return ()


def _at_height(line: Image) -> Image:
    width = round(line.width * HEIGHT / line.height)
    size = (min(max(width, HEIGHT // 4), MOST_WIDTH), HEIGHT)
    return line.resize(size, library("PIL.Image").Resampling.BILINEAR)
