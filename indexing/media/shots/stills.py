"""Chooses the frame that represents a shot: the sharpest near its middle that is neither black nor
a blend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.media import ShotBounds

Gray = npt.NDArray[np.float32]
MOMENTS = 5
# How far before the middle of a shot: this share of its length, and no further, so that few frames
# are decoded. Frames after the middle would cost more: a video is read from its shot's start on.
REACH = 0.2
REACH_S = 0.6
AROUND_S = 0.2  # how far before and after a frame the parts of a blend are looked for
_CHANGED = 10.0  # grey levels: a smaller change between two frames is not a transition
_MIXED = (0.15, 0.85)
_LEFT_OVER = 0.3
_SHARP = 8.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A frame that may represent its shot."""

    sharpness: float
    black: bool
    blend: bool

    @property
    def blurred(self) -> bool:
        """Whether it is too unsharp to describe, or shows two pictures."""
        return self.blend or self.sharpness < _SHARP


def moments_of(shot: ShotBounds, count: int = MOMENTS) -> tuple[float, ...]:
    """Return `count` seconds up to the middle of a shot, in order, away from its borders."""
    length = max(0.0, shot.end_s - shot.start_s)
    reach = min(REACH * length, REACH_S)
    middle = shot.start_s + length / 2
    return tuple(float(second) for second in np.linspace(middle - reach, middle, count))


def best(candidates: Sequence[Candidate]) -> int:
    """Return the number of the best one: the sharpest without a fault, else the sharpest of all."""
    order = sorted(
        range(len(candidates)),
        key=lambda n: (
            candidates[n].black,
            candidates[n].blend,
            -candidates[n].sharpness,
        ),
    )
    return order[0]


def sharpness(gray: Gray) -> float:
    """Return variance of the Laplacian of grey levels [h, w] (Pech-Pacheco et al. 2000, section
    2).
    """
    if min(gray.shape) < 3:
        return 0.0
    around = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:]
    return float((around - 4 * gray[1:-1, 1:-1]).var())


def is_blend(before: Gray, at: Gray, after: Gray) -> bool:
    """Return whether `at` is a mixture of the frames a little before and after it, as in a
    dissolve.

    Grey levels [h, w]. Least squares find the share of `before` that explains `at` best. In a blend
    it is well between 0 and 1 and leaves little unexplained; movement leaves a lot, and a cut gives
    0 or 1.
    """
    change, moved = after - before, at - before
    size = float((change * change).mean())
    if size < _CHANGED**2:
        return False
    share = float((moved * change).mean()) / size
    left = moved - share * change
    return _MIXED[0] < share < _MIXED[1] and float((left * left).mean()) < _LEFT_OVER**2 * size
