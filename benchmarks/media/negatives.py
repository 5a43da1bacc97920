"""Makes ten clips of a minute each without a cut, which look as if they had many.

Each is one shot of a real clip, played forwards and backwards, filmed by a simulated camera with
the effects of news footage: strobes of photographers, single and in series, over the whole picture
or from one side; whip pans across the frame and back; crash zooms; a shaking hand; the scene at
three to four times its speed; and calm in between. Fast pans and zooms have motion blur, as from an
exposure of half a frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.media.clip_files import (
    CLIPS,
    MadeClip,
    Split,
    forth_and_back,
    read_clip,
    write_clip,
)
from benchmarks.media.segments import COVERED, SOURCES, TEST, TUNING, Segment, segment_frames
from core.media import Frames

SIZE, RATE = (384, 216), Fraction(25)
FRAMES = 60 * 25
_FILMED = (768, 432)  # what the camera moves over
_EXPOSURES = 4  # exposures per frame, over half of its time
_SEEDS: dict[Split, int] = {"test": 30_240, "tuning": 30_241}
SCENES: dict[Split, tuple[Segment, ...]] = {
    "test": (*TEST[:6], COVERED, *TEST[9:12]),
    "tuning": (*TUNING[2:8], *TUNING[14:]),
}
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Camera:
    """The camera's actions in each of n frames: the view's middle x, y and width as shares of the
    picture (float64 [n, 3]), the flash's light 0..1 [n] and its middle x, y (NaN: the whole
    picture) [n, 2], and the source frames per frame [n].
    """

    view: Values
    light: Values
    flash: Values
    speed: Values


def camera_script(rng: np.random.Generator, frames: int = FRAMES) -> Camera:
    """Return episodes of 2 to 4 seconds in a shuffled order, until there are enough frames."""
    rows = np.tile(np.array([0.5, 0.5, 0.6, 0.0, np.nan, np.nan, 1.0]), (frames, 1))
    at = 25
    while at < frames:
        for number in rng.permutation(len(_EPISODES)):
            length = int(rng.integers(50, 101))
            part = rows[at : at + length]
            if len(part):
                _EPISODES[int(number)](part, rng)
            at += length
    return Camera(rows[:, :3], rows[:, 3], rows[:, 4:6], rows[:, 6])


def _strobes(rows: Values, rng: np.random.Generator) -> None:
    at = int(rng.integers(3, 10))
    while at < len(rows) - 3:
        side = rng.uniform(0, 1, 2) if rng.random() < 0.5 else np.full(2, np.nan)
        for light in rng.uniform(0.5, 1.0) * np.array([1.0, 0.4, 0.1])[: int(rng.integers(1, 4))]:
            rows[at, 3], rows[at, 4:6] = light, side
            at += 1
        at += int(rng.choice([2, 4, 7, 15, 25]))


def _whip_pans(rows: Values, rng: np.random.Generator) -> None:
    _sweeps(rows, rng, 0, (0.5, 0.3, 0.7), (8, 20))


def _crash_zooms(rows: Values, rng: np.random.Generator) -> None:
    _sweeps(rows, rng, 2, (0.6, 0.28, 0.9), (6, 16))


def _sweeps(
    rows: Values,
    rng: np.random.Generator,
    column: int,
    ends: tuple[float, float, float],
    length: tuple[int, int],
) -> None:
    """Move from rest to one end and to the other, eased, with rests, and back to rest at the
    end.
    """
    at, value = 0, ends[0]
    while at < len(rows):
        last = at + 2 * length[1] + 12 > len(rows)
        end = ends[0] if last else (ends[1] if value >= ends[0] else ends[2])
        moving = int(rng.integers(*length))
        steps = np.clip(np.arange(len(rows) - at) / moving, 0, 1)
        rows[at:, column] = value + (end - value) * (3 * steps**2 - 2 * steps**3)
        value = end
        at = len(rows) if last else at + moving + int(rng.integers(3, 12))


def _shaking(rows: Values, rng: np.random.Generator) -> None:
    shakes = rng.normal(0, 0.035, (len(rows) + 2, 2))
    smooth = (shakes[:-2] + shakes[1:-1] + shakes[2:]) / 1.7
    rows[:, :2] += np.clip(smooth, -0.15, 0.15)


def _fast_motion(rows: Values, rng: np.random.Generator) -> None:
    rows[:, 6] = int(rng.integers(3, 5))


def _calm(rows: Values, rng: np.random.Generator) -> None:
    """Leave the camera at rest."""


_EPISODES: tuple[Callable[[Values, np.random.Generator], None], ...] = (
    *(_strobes, _strobes, _whip_pans, _crash_zooms),
    *(_shaking, _fast_motion, _fast_motion, _calm),
)


def filmed(scene: Frames, camera: Camera) -> Iterator[Frames]:
    """Yield the camera's view of `scene`, uint8 [n, h, w, 3]: frames [216, 384, 3]."""
    places = np.cumsum(camera.speed).astype(np.int64) - 1
    order = forth_and_back(len(scene), 0, int(places[-1]) + 1)[places]
    before = np.vstack([camera.view[:1], camera.view[:-1]])
    for number, place in enumerate(order):
        seen = _exposed(Image.fromarray(scene[place]), before[number], camera.view[number])
        yield _lit(seen, float(camera.light[number]), camera.flash[number])


def _exposed(picture: Image.Image, before: Values, now: Values) -> Frames:
    """Return the view, blurred along the second half of its way from the view before."""
    moved = float(np.abs(now - before).max())
    shares = np.linspace(0.5, 1, _EXPOSURES) if moved > 0.004 else np.ones(1)
    views = [_view(picture, before + (now - before) * share) for share in shares]
    seen: Frames = np.mean(views, axis=0).astype(np.uint8)
    return seen


def _view(picture: Image.Image, view: Values) -> Frames:
    wide, high = picture.size
    width = float(np.clip(view[2], 0.1, 1.0))
    x, y = np.clip(view[:2], width / 2, 1 - width / 2) * (wide, high)
    half_x, half_y = width * wide / 2, width * high / 2
    box = (x - half_x, y - half_y, x + half_x, y + half_y)
    return np.asarray(picture.resize(SIZE, Image.Resampling.BILINEAR, box=box))


def _lit(pixels: Frames, light: float, middle: Values) -> Frames:
    if light <= 0:
        return pixels
    strength: float | Values = light
    if not np.isnan(middle).any():
        height, width = pixels.shape[:2]
        y, x = np.mgrid[0:height, 0:width]
        far = np.hypot(x / width - middle[0], y / height - middle[1])
        strength = (light * np.exp(-2 * far**2))[:, :, None]
    lit: Frames = np.rint(255 - (255.0 - pixels) * (1 - strength)).astype(np.uint8)
    return lit


def made_negatives(
    split: Split, sources: Path = SOURCES, output: Path = CLIPS, frames: int = FRAMES
) -> list[MadeClip]:
    """Return clips without cuts on disk, one for each scene; existing ones stay."""
    return [
        _made(split, number, scene, sources, output, frames)
        for number, scene in enumerate(SCENES[split])
    ]


def _made(
    split: Split, number: int, scene: Segment, sources: Path, output: Path, frames: int
) -> MadeClip:
    camera = camera_script(np.random.default_rng(_SEEDS[split] + number), frames)
    script = hashlib.sha256(repr((scene, SIZE, _FILMED, _EXPOSURES)).encode())
    for part in (camera.view, camera.light, camera.flash, camera.speed):
        script.update(part.tobytes())
    path = output / f"{split}-uncut-{number:02}-{script.hexdigest()[:12]}.mp4"
    if path.with_suffix(".json").exists():
        return read_clip(path)
    pixels = segment_frames([scene], *_FILMED, folder=sources)[scene]
    return write_clip(path, filmed(pixels, camera), (), SIZE, RATE, "libx264")
