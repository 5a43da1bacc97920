"""Made windows of frames to measure a shot model with, because real video is large to ship."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.media import FRAME_HEIGHT, FRAME_WIDTH, Frames

FRAMES_EACH = 100
Changes = tuple[tuple[int, int], ...]  # the first and the last frame of each
_COARSE = (4, 6)  # points of the noise that a picture is a smooth enlargement of


def sample_windows(count: int, *, seed: int = 1, frames: int = FRAMES_EACH) -> Frames:
    """Return uint8 [count, frames, 27, 48, 3]. Each 100 frames have a moving picture, a cut to a
    second one, and a dissolve into a third.
    """
    random = np.random.default_rng(seed)
    several = -(-frames // FRAMES_EACH)
    made = np.stack([_window(random)[0] for _ in range(count * several)])
    return made.reshape(count, -1, *made.shape[2:])[:, :frames]


def windows_with_changes(count: int, *, seed: int = 1) -> tuple[Frames, list[Changes]]:
    """Return windows of `sample_windows`, and of each its two changes."""
    random = np.random.default_rng(seed)
    made = [_window(random) for _ in range(count)]
    return np.stack([frames for frames, _ in made]), [changes for _, changes in made]


def _window(random: np.random.Generator) -> tuple[Frames, Changes]:
    cut, mixed = int(random.integers(15, 45)), int(random.integers(55, 75))
    parts = [_moving(random, FRAMES_EACH) for _ in range(3)]
    time = np.arange(FRAMES_EACH)[:, None, None, None]
    weight = np.clip((time - mixed + 6) / 12, 0.0, 1.0)
    shown = np.where(time < cut, parts[0], parts[1] * (1 - weight) + parts[2] * weight)
    frames: Frames = np.rint(shown).astype(np.uint8)
    return frames, ((cut - 1, cut), (mixed - 6, mixed + 6))


def _moving(random: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Return a smooth coloured picture that moves sideways, a point in a few frames."""
    coarse = random.uniform(0, 255, (*_COARSE, 3))
    rows = np.linspace(0, _COARSE[0] - 1.001, FRAME_HEIGHT)
    columns = np.linspace(0, _COARSE[1] - 1.001, 2 * FRAME_WIDTH)
    top, left = rows.astype(int), columns.astype(int)
    down, right = (rows - top)[:, None, None], (columns - left)[None, :, None]
    above = coarse[top][:, left] * (1 - right) + coarse[top][:, left + 1] * right
    below = coarse[top + 1][:, left] * (1 - right) + coarse[top + 1][:, left + 1] * right
    wide = above * (1 - down) + below * down
    speed = random.uniform(0.1, 0.4)
    starts = (np.arange(count) * speed).astype(int)
    return np.stack([wide[:, start : start + FRAME_WIDTH] for start in starts])
