"""How a still becomes a model's input: its size, its colours, and the parts that are looked at.

Stills are JPEGs that our own encoder wrote, so they are decoded here, after a look at their size.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.items import FloatMatrix
from inference.runtimes.loading import library, loading

if TYPE_CHECKING:
    from PIL.Image import Image

PREPARATION = "preprocessor_config.json"
LARGEST_EDGE = 8192  # pixels of a still
_BLACK = 1e-6
_GAP = 2.0  # a much larger picture is first reduced by whole steps, to this many times the size

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Preparation:
    """How a picture becomes the model's input: its edge in pixels, mean and standard deviation of
    each channel on a scale of 0 to 1, and whether its sides are cut off (`crops`) or the whole is
    pressed into a square. With `tiles`, its four corners are looked at, too: that share of each of
    its sides.
    """

    edge: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    crops: bool = False
    tiles: float = 0.0

    @classmethod
    def read(cls, content: bytes, where: str) -> Preparation:
        """Return the preparation in a `preprocessor_config.json`. Raises ModelError."""
        with loading(where):
            found = json.loads(content)
            edge = _edge(found["size"])
            mean = tuple(float(value) for value in found["image_mean"])
            deviation = tuple(float(value) for value in found["image_std"])
            tiles = float(found.get("tiles", 0))
            if not (16 <= edge <= 1024 and len(mean) == len(deviation) == 3):
                raise ValueError("its size, image_mean or image_std can't be right")
            if min(deviation) <= _BLACK:
                raise ValueError("its image_std has no spread")
            if not 0 <= tiles < 1:
                raise ValueError("its tiles are no share")
            crops = bool(found.get("do_center_crop", False))
            return cls(edge, (mean[0], mean[1], mean[2]), deviation[:3], crops, tiles)

    @property
    def views(self) -> int:
        """How many parts of a picture are looked at."""
        return 5 if self.tiles else 1

    def pixels(self, jpeg: bytes) -> FloatMatrix:
        """Return the whole picture, float32 [3, edge, edge]. Raises ValueError or OSError for bytes
        that are not a JPEG of a usual size.
        """
        image = _opened(jpeg)
        return self._scaled(image, (0, 0, *image.size))

    def parts(self, jpeg: bytes) -> FloatMatrix:
        """Return the picture and its corners, float32 [views, 3, edge, edge]. Raises as `pixels`
        does.
        """
        image = _opened(jpeg)
        return np.stack([self._scaled(image, part) for part in self._boxes(*image.size)])

    def _boxes(self, width: int, height: int) -> Iterator[Box]:
        """Yield the parts that are looked at: left, top, right and bottom in pixels."""
        yield _middle(width, height) if self.crops else (0, 0, width, height)
        if self.tiles:
            wide, high = (max(1, round(side * self.tiles)) for side in (width, height))
            for left in (0, width - wide):
                for top in (0, height - high):
                    yield left, top, left + wide, top + high

    def _scaled(self, image: Image, part: Box) -> FloatMatrix:
        resampling, size = library("PIL.Image").Resampling.BICUBIC, (self.edge, self.edge)
        small = image.resize(size, resampling, part, reducing_gap=_GAP)
        scaled = np.asarray(small, np.float32) / 255
        mean, deviation = (np.array(part, np.float32) for part in (self.mean, self.deviation))
        normal = (scaled - mean) / deviation
        return np.ascontiguousarray(normal.transpose(2, 0, 1), dtype=np.float32)


def _edge(size: int | Mapping[str, Any]) -> int:
    """Return the edge of the square, whichever of the makers' forms names it."""
    if isinstance(size, Mapping):
        return int(size["height"] if "height" in size else size["shortest_edge"])
    return int(size)


def _opened(jpeg: bytes) -> Image:
    with library("PIL.Image").open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        if max(image.size) > LARGEST_EDGE:
            raise ValueError(f"it is {image.size[0]}x{image.size[1]}")
        rgb: Image = image.convert("RGB")
    return rgb


def _middle(width: int, height: int) -> Box:
    """Return the largest square in the middle."""
    edge = min(width, height)
    left, top = (width - edge) // 2, (height - edge) // 2
    return left, top, left + edge, top + edge
