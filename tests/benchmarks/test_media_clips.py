"""Composed clips have their cuts where their truth says, and clips without cuts have none."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.media import negatives as media_negatives
from benchmarks.media.clip_files import (
    MadeClip,
    Split,
    TrueCut,
    forth_and_back,
    read_clip,
    write_clip,
)
from benchmarks.media.clips import SEGMENTS, ClipPlan, composed, plans
from benchmarks.media.negatives import SIZE, camera_script, filmed, made_negatives
from benchmarks.media.segments import SOURCES, TEST, TUNING, Segment, segment_frames
from core.media import Frames

FLASHES_EARLY = 5  # a seed
BOTH: list[Split] = ["test", "tuning"]
SHADES = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
OURS = {Segment(f"{name}.mp4", 0, 19, name): shade for name, shade in SHADES.items()}
needs_clips = pytest.mark.skipif(not SOURCES.is_dir(), reason=f"{SOURCES} is not here")


def shaded(shade: tuple[int, int, int], count: int = 20) -> Frames:
    """A shot of one colour, in which each frame has a mark of its own."""
    frames = np.empty((count, 48, 64, 3), np.uint8)
    frames[:] = shade
    for number in range(count):
        frames[number, :4, 2 * number : 2 * number + 2] = 255
    return frames


def colour_of(pixels: Frames) -> str:
    """The shot that a decoded frame is of, or what it is."""
    mean = pixels[8:].reshape(-1, 3).mean(axis=0)
    if mean.max() < 25:
        return "black"
    for name, shade in SHADES.items():
        if np.abs(mean - shade).max() < 12:
            return name
    return "mixed"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> MadeClip:
    """Red, cut to green, dissolved to blue, faded to red."""
    red, green, blue = OURS
    plan = ClipPlan(
        name="colours",
        size=(64, 48),
        rate=Fraction(25),
        codec="libx264",
        shots=((red, 3, 30), (green, 0, 25), (blue, 19, 40), (red, 0, 25)),
        between=(("hard", 0), ("dissolve", 8), ("fade", 21)),
    )
    frames_of = {segment: shaded(shade) for segment, shade in OURS.items()}
    parts = list(composed(plan, frames_of))
    cuts = tuple(cut for _, cut in parts if cut is not None)
    pixels = (frame for part, _ in parts for frame in part)
    path = tmp_path_factory.mktemp("clips") / "colours.mp4"
    return write_clip(path, pixels, cuts, plan.size, plan.rate, plan.codec)


def test_the_truth_of_a_composed_clip_is_what_its_frames_show(clip: MadeClip) -> None:
    assert clip.cuts == (
        TrueCut(29, 30, "hard"),
        TrueCut(55, 62, "dissolve"),
        TrueCut(103, 123, "fade"),
    )
    with av.open(str(clip.path)) as container:
        seen = [colour_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    assert len(seen) == clip.frames == 149
    assert set(seen[:30]) == {"red"}
    assert set(seen[30:55]) == {"green"}
    assert set(seen[56:62]) == {"mixed"}  # the first of eight is eight parts of nine the old
    assert set(seen[63:103]) == {"blue"}
    assert seen[113] == "black"
    assert set(seen[124:]) == {"red"}
    assert read_clip(clip.path) == clip


def test_a_shot_goes_on_moving_under_a_transition_and_turns_at_its_ends() -> None:
    assert forth_and_back(4, 0, 10).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert forth_and_back(4, 3, 4).tolist() == [3, 2, 1, 0]
    assert forth_and_back(1, 0, 3).tolist() == [0, 0, 0]
    steps = np.abs(np.diff(forth_and_back(50, 17, 400)))
    assert set(steps.tolist()) == {1}  # never a jump, which would be a cut that no truth has


@pytest.mark.parametrize("split", BOTH)
def test_plans_are_always_the_same_and_never_cut_to_the_same_scene(split: Split) -> None:
    chosen = plans(split)
    assert chosen == plans(split)
    assert len({plan.digest for plan in chosen}) == len(chosen)
    kinds = [kind for plan in chosen for kind, _ in plan.between]
    assert kinds.count("hard") == 2 * kinds.count("fade") == 2 * kinds.count("dissolve") == 80
    for plan in chosen:
        scenes = [segment.scene for segment, _, _ in plan.shots]
        assert all(old != new for old, new in pairwise(scenes))
        assert all((kind == "hard") == (length == 0) for kind, length in plan.between)
        assert all(8 <= length <= 40 for kind, length in plan.between if kind != "hard")


def test_what_is_tuned_on_shares_no_file_with_what_is_tested_on() -> None:
    assert not {segment.file for segment in TEST} & {segment.file for segment in TUNING}


@needs_clips
def test_no_segment_has_a_cut_inside() -> None:
    """A frame that differs far more from its neighbour than frames near it do would be one."""
    for split in BOTH:
        for segment, frames in segment_frames(SEGMENTS[split], 48, 27).items():
            assert len(frames) == segment.last - segment.first + 1
            steps = np.abs(np.diff(frames.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))
            near = np.array([np.median(steps[max(0, n - 4) : n + 5]) for n in range(len(steps))])
            assert (steps < 12 + 3 * near).all(), (segment, int(steps.argmax()))


def test_the_made_up_camera_never_jumps_between_two_frames() -> None:
    camera = camera_script(np.random.default_rng(5))
    still = camera.view[(camera.light == 0) & (camera.speed == 1)]
    assert len(still) > 300
    moved = np.abs(np.diff(camera.view, axis=0)).max(axis=1)
    assert moved.max() < 0.3  # of the picture: half of what is seen stays
    assert (camera.light > 0).sum() > 30
    assert (camera.speed > 2).sum() > 60
    assert moved[moved > 0.03].size > 30


def test_a_flash_leaves_the_frames_around_it_as_they_are() -> None:
    scene = np.broadcast_to(np.uint8(80), (10, 432, 768, 3))
    camera = camera_script(np.random.default_rng(FLASHES_EARLY), 120)
    flashed = np.flatnonzero(camera.light > 0.5)
    assert len(flashed) > 3
    frames = list(filmed(scene, camera))
    assert len(frames) == 120
    assert frames[0].shape == (SIZE[1], SIZE[0], 3)
    bright = np.array([frame.mean() for frame in frames])
    assert (bright[flashed] > 100).all()
    assert (np.abs(bright[camera.light == 0] - 80) < 2).all()


@needs_clips
def test_clips_without_cuts_are_made_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(media_negatives.SCENES["test"]) == len(media_negatives.SCENES["tuning"]) == 10
    chairs, fence = TEST[5], TEST[11]
    monkeypatch.setitem(media_negatives.SCENES, "test", (chairs, fence))
    made = made_negatives("test", output=folder, frames=30)
    assert len(made) == 2
    assert all(clip.cuts == () and clip.frames == 30 for clip in made)
    stamps = [clip.path.stat().st_mtime_ns for clip in made]
    again = made_negatives("test", output=folder, frames=30)
    assert [clip.path.stat().st_mtime_ns for clip in again] == stamps
