"""Which frame stands for a shot, by rule and out of real files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from core.errors import InputError
from core.media import ShotBounds, Transition
from indexing.media.cage.limits import CageLimits
from indexing.media.inside import stills_decoding
from indexing.media.inside.video import decoded
from indexing.media.reading import CagedReader
from indexing.media.shots.stills import Candidate, best, is_blend, moments_of, sharpness
from tests.indexing.media.clips import Clip, photo, write_clip

Pixels = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 320, 180


def gray(image: Image.Image) -> npt.NDArray[np.float32]:
    return np.asarray(image.convert("L").resize((48, 27)), np.float32)


def scene(number: int) -> Pixels:
    """A picture with edges."""
    random = np.random.default_rng(number)
    blocks = random.integers(40, 250, (18, 32, 3), np.uint8)
    return np.kron(blocks, np.ones((10, 10, 1), np.uint8)).astype(np.uint8)


def write(path: Path, pictures: list[Pixels]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12", "g": "50"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, picture in enumerate(pictures):
            frame = VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@given(st.floats(0, 1e5), st.floats(0, 1e4), st.integers(1, 9))
def test_moments_lie_inside_of_the_shot_around_its_middle(
    start: float, length: float, count: int
) -> None:
    shot = ShotBounds(start, start + length, 0, 1, Transition.CUT)
    moments = moments_of(shot, count)
    assert len(moments) == count
    assert list(moments) == sorted(moments)
    assert all(start + 0.29 * length <= m <= start + 0.71 * length + 1e-6 for m in moments)
    assert max(moments) - min(moments) <= 1.2001


@given(st.lists(st.tuples(st.floats(0, 1e4), st.booleans(), st.booleans()), min_size=1))
def test_the_best_is_the_sharpest_of_those_without_a_fault(
    given_: list[tuple[float, bool, bool]],
) -> None:
    candidates = [Candidate(*one) for one in given_]
    chosen = candidates[best(candidates)]
    good = [c for c in candidates if not (c.black or c.blend)]
    if good:
        assert chosen in good
        assert chosen.sharpness == max(c.sharpness for c in good)


def test_blurring_lowers_sharpness() -> None:
    image = Image.fromarray(scene(1))
    blurred = [image.filter(ImageFilter.GaussianBlur(radius)) for radius in (0, 1, 3, 6)]
    values = [sharpness(np.asarray(one.convert("L"), np.float32)) for one in blurred]
    assert values == sorted(values, reverse=True)
    assert values[0] > 10 * values[-1]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
def test_a_mixture_is_a_blend_and_movement_is_none(share: float) -> None:
    one, other = gray(photo((480, 270), 1)), gray(photo((480, 270), 2))
    assert is_blend(one, share * one + (1 - share) * other, other)
    assert not is_blend(one, one, other)
    assert not is_blend(one, other, other)
    assert not is_blend(one, one + 1, one + 2)
    wide = np.asarray(Image.fromarray(scene(3)).convert("L").resize((96, 27)), np.float32)
    moved = [wide[:, at : at + 48] for at in (0, 4, 8)]
    assert not is_blend(*moved)


def test_each_group_gets_the_frame_that_is_shown_then(reader: CagedReader, tmp_path: Path) -> None:
    """Exact by timestamp, in any order of groups, by seeking and without."""
    for name in ("clip.mp4", "clip.mkv", "clip.ts", "clip.avi"):
        clip = Clip(count=400, options={"g": "100", "bf": "2"})
        path = write_clip(tmp_path / name, clip)
        moments = [[12.019], [0.0], [7.5], [7.56], [15.99], [3.2], [99.0]]
        found = [still.second for still in reader.stills(path, moments, 64)]
        assert found == pytest.approx([12.0, 0.0, 7.48, 7.56, 15.96, 3.2, 15.96], abs=2e-3), name


def test_neither_black_nor_a_blend_nor_the_blurred_is_taken(
    reader: CagedReader, tmp_path: Path
) -> None:
    """A dissolve, black frames, a blurred stretch, and ten good frames between them."""
    one, other = scene(1), scene(2)
    mixed = [
        (one * (1 - share) + other * share).astype(np.uint8) for share in np.linspace(0.1, 0.9, 20)
    ]
    soft = np.asarray(Image.fromarray(other).filter(ImageFilter.GaussianBlur(5)))
    black = np.zeros_like(one)
    pictures = [one] * 10 + mixed + [black] * 10 + [soft] * 10 + [other] * 10
    path = write(tmp_path / "shot.mp4", pictures)
    moments = [0.6, 0.8, 1.0, 1.3, 1.7, 2.1]  # three in the dissolve, black, soft, good
    (still,) = reader.stills(path, [moments], 320)
    assert still.second == pytest.approx(2.08, abs=0.03)
    assert (still.black, still.blurred) == (False, False)
    (mix,) = reader.stills(path, [[0.8]], 320)
    assert mix.blurred
    (dark,) = reader.stills(path, [[1.3]], 320)
    assert dark.black


def test_stills_are_pictures_of_the_size_that_was_asked_for(
    reader: CagedReader, tmp_path: Path
) -> None:
    path = write(tmp_path / "shot.mp4", [scene(1)] * 30)
    for edge, size in ((160, (160, 90)), (1280, (WIDTH, HEIGHT))):
        (still,) = reader.stills(path, [[0.5, 0.6]], edge)
        image = Image.open(io.BytesIO(still.jpeg))
        assert (image.format, image.size) == ("JPEG", size)
        assert (still.width, still.height) == size
        small = np.asarray(image.resize((32, 18)), float)
        original = np.asarray(Image.fromarray(scene(1)).resize((32, 18)), float)
        assert np.abs(small - original).mean() < 6


def test_the_same_picture_in_two_codings_has_nearly_the_same_hash(
    reader: CagedReader, tmp_path: Path
) -> None:
    first = write(tmp_path / "first.mp4", [scene(1)] * 5 + [scene(2)] * 20)
    second = write(tmp_path / "second.mkv", [scene(2)] * 20)
    third = write(tmp_path / "third.mkv", [scene(3)] * 20)
    moments = {first: 0.5, second: 0.4, third: 0.4}
    hashes = [
        int(reader.stills(path, [[moment]], 320)[0].similarity, 16)
        for path, moment in moments.items()
    ]
    assert (hashes[0] ^ hashes[1]).bit_count() <= 31 < (hashes[0] ^ hashes[2]).bit_count()


@pytest.mark.parametrize("moments", [[[]], [[-1.0]], [[float("nan")]], [[1.0], []]])
def test_moments_that_are_none_are_refused(
    moments: list[list[float]], reader: CagedReader, tmp_path: Path
) -> None:
    path = write(tmp_path / "shot.mp4", [scene(1)] * 5)
    with pytest.raises(InputError):
        reader.stills(path, moments, 320)
    assert reader.stills(path, [], 320) == ()


def test_a_shot_s_still_costs_no_more_frames_than_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ten shots of three seconds: from the start to the middle, and there what no other frame
    is made from at the moments only. The moments' own frames are still the ones that are taken.
    """
    clip = Clip(count=750, options={"g": "75", "bf": "3", "keyint_min": "75", "sc_threshold": "0"})
    path = write_clip(tmp_path / "clip.mp4", clip)
    shots = [ShotBounds(3 * n, 3 * n + 3, 75 * n, 75 * n + 74, Transition.CUT) for n in range(10)]
    seen: list[float] = []

    def watched(*given: Any) -> Iterator[VideoFrame]:
        for frame in decoded(*given):
            seen.append(float(frame.time or 0.0))
            yield frame

    monkeypatch.setattr(stills_decoding, "decoded", watched)
    asked = {"moments": [list(moments_of(shot)) for shot in shots], "edge": 64}
    with path.open("rb") as file:
        said = list(stills_decoding.stills(file.fileno(), asked, CageLimits(threads=1)))
    taken = [message.head["second"] for message in said[:-1]]
    assert len(seen) < 0.45 * clip.count
    for shot, second in zip(shots, taken, strict=True):
        exact = [int(moment * 25 + 1e-6) / 25 for moment in moments_of(shot)]
        assert min(abs(second - moment) for moment in exact) < 1e-3
