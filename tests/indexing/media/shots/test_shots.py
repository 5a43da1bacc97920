"""Frames to shots: whatever the batches, the same as over one whole array, and the known cuts of a
made clip by the bundled model.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import SettingsError
from core.items import FloatMatrix
from core.media import FrameBatch, Frames, Gap, Seconds, ShotBounds, Transition
from dateline.build.media.shots import live_finder_of, shot_detector_of, shot_finder_of
from dateline.settings import Settings
from indexing.media.shots.boundaries import Boundaries, BoundaryRule
from indexing.media.shots.finding import ShotFinder, ShotSettings
from indexing.media.shots.windows import (
    FILE_WINDOW,
    WINDOW,
    FrameWindows,
    WindowLayout,
    window_lengths,
)
from inference.measuring.sample_windows import sample_windows

LENGTHS = (0, 1, 2, 24, 25, 49, 50, 51, 74, 75, 76, 99, 100, 101, 149, 150, 151, 233)
LAYOUTS = [WindowLayout.of_stride(stride) for stride in (1, 7, 25, 49, 50, 51, 75, 80)]
LAYOUTS += [WindowLayout(50, ahead) for ahead in (0, 10, 50)]
LAYOUTS += [WindowLayout(50, 20).lengthened(window) for window in (140, 200, 300)]


class Colours:
    """A detector of which each number depends on the frame and on the ends of its window, so that
    a frame in a wrong window, or in a wrong place of one, is scored otherwise.
    """

    name, digest = "colours", "0" * 64

    def __init__(self) -> None:
        self.calls: list[int] = []

    def transitions(self, windows: Frames) -> FloatMatrix:
        self.calls.append(len(windows))
        points = windows[:, :, 0, 0, :].astype(np.int64)
        ends = points[:, :1, 2] * 3 + points[:, -1:, 2] * 5
        one = (points[:, :, 0] + ends * (points[:, :, 0] > 250)) % 256
        both = np.concatenate([one, points[:, :, 1]], axis=1)
        return (both / 255).astype(np.float32)


def frames_of(chance: np.random.Generator, count: int) -> Frames:
    """Frames whose first point is what `Colours` sees: quiet, with cuts and longer transitions."""
    frames = np.zeros((count, 27, 48, 3), np.uint8)
    frames[:, 0, 0, :2] = chance.integers(0, 60, (count, 2))
    frames[:, 0, 0, 2] = chance.integers(0, 256, count)
    for place in range(count):
        if chance.random() < 0.08:
            long = int(chance.integers(1, 9))
            some = frames[place : place + long, 0, 0]
            some[:, 0] = chance.integers(0, 256, len(some))
            some[:, 1] = chance.integers(50, 256, len(some))
    return frames


def seconds_of(chance: np.random.Generator, count: int) -> Seconds:
    """Times that a variable rate gives."""
    return np.cumsum(chance.choice([0.02, 0.04, 0.1], count)) - 0.02


def whole_scores(frames: Frames, layout: WindowLayout) -> FloatMatrix:
    """[n, 2] by the plain way: the padded array, a window each stride, its middle."""
    after = layout.window
    parts = (np.repeat(frames[:1], layout.before, 0), frames, np.repeat(frames[-1:], after, 0))
    padded = np.concatenate(parts)
    rows = []
    for start in range(0, len(frames), layout.stride):
        length = layout.fitting(len(frames) - start)
        scores = Colours().transitions(padded[None, start : start + length]).reshape(2, length)
        rows.append(scores[:, layout.before : layout.before + layout.stride].T)
    return np.concatenate(rows)[: len(frames)]


def whole_shots(
    scores: FloatMatrix, seconds: Seconds, rule: BoundaryRule, end_s: float | None = None
) -> list[ShotBounds]:
    """The shots of one stretch over its whole array: stretches that are not quiet, each judged."""
    if not len(scores):
        return []
    one, both = scores[:, 0], scores[:, 1]
    loud = (both >= rule.outside) | (one >= rule.outside)
    inside = (both >= rule.inside) | (one >= rule.cut)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    starts, kinds = [0], [Transition.START]
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        frames = begin + np.flatnonzero(inside[begin:end])
        if not len(frames) or end == len(scores) or frames[0] == 0:
            continue
        first, last = int(frames[0]), int(frames[-1])
        long = last - first + 1
        faded = long >= rule.several and both[frames].max() >= rule.sure
        if one[frames].max() >= rule.cut or (faded and one[frames].max() >= rule.leaning):
            starts.append((first + last) // 2 + 1)
            kinds.append(Transition.CUT if long == 1 else Transition.GRADUAL)
    shown = float(seconds[-1] - seconds[-2]) if len(seconds) > 1 else 0.0
    last_s = float(seconds[-1]) + shown if end_s is None else end_s
    ends = [*(start - 1 for start in starts[1:]), len(scores) - 1]
    ends_s = [*(float(seconds[start]) for start in starts[1:]), last_s]
    return [
        ShotBounds(float(seconds[start]), stop_s, start, stop, kind)
        for start, stop, stop_s, kind in zip(starts, ends, ends_s, kinds, strict=True)
    ]


def batches(
    chance: np.random.Generator, frames: Frames, seconds: Seconds, first: int = 0
) -> Iterator[FrameBatch]:
    """The frames in batches of any size, empty ones among them."""
    start = 0
    while start < len(frames):
        end = start + int(chance.choice([0, 1, 2, 10, 49, 50, 51, 120]))
        yield FrameBatch(frames[start:end], seconds[start:end], first + start)
        start = end


def moved(shot: ShotBounds, first: int, kind: Transition | None = None) -> ShotBounds:
    return ShotBounds(
        shot.start_s,
        shot.end_s,
        shot.start_frame + first,
        shot.end_frame + first,
        kind or shot.transition,
    )


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda each: f"{each.stride}-{each.ahead}")
@pytest.mark.parametrize("count", LENGTHS)
def test_batches_give_the_shots_of_the_whole_array(layout: WindowLayout, count: int) -> None:
    chance = np.random.default_rng(count * 100 + layout.stride)
    frames, seconds = frames_of(chance, count), seconds_of(chance, count)
    finder = ShotFinder(Colours(), ShotSettings(layout))
    found = list(finder.shots(batches(chance, frames, seconds)))
    scores = whole_scores(frames, layout) if count else np.zeros((0, 2), np.float32)
    assert found == whole_shots(scores, seconds, BoundaryRule())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 80))
def test_a_gap_parts_two_stretches_that_know_nothing_of_each_other(seed: int, stride: int) -> None:
    chance = np.random.default_rng(seed)
    layout, count = WindowLayout.of_stride(stride), int(chance.integers(1, 260))
    layout = layout.lengthened(int(chance.choice([WINDOW, 150, 200])))
    place = int(chance.integers(0, count + 1))
    frames, seconds = frames_of(chance, count), seconds_of(chance, count)
    gap_s = float(seconds[place - 1]) + 0.05 if place else 0.0
    seconds[place:] += 10.0
    finder = ShotFinder(Colours(), ShotSettings(layout))
    source: list[FrameBatch | Gap] = [
        *batches(chance, frames[:place], seconds[:place]),
        Gap(gap_s, gap_s + 10.0, "no signal"),
        *batches(chance, frames[place:], seconds[place:], place),
    ]
    found = finder.shots(source)
    expected: list[ShotBounds] = []
    for start, end in ((0, place), (place, count)):
        if start == end:
            continue
        scores, times = whole_scores(frames[start:end], layout), seconds[start:end]
        shots = whole_shots(scores, times, BoundaryRule(), gap_s if end == place else None)
        kinds = [Transition.GAP if start or not place else None, *[None] * len(shots)]
        expected += [moved(shot, start, kind) for shot, kind in zip(shots, kinds, strict=False)]
    assert list(found) == expected


def test_sources_side_by_side_are_found_as_alone_in_one_call_for_all() -> None:
    chance = np.random.default_rng(5)
    clips = [(frames_of(chance, n), seconds_of(chance, n)) for n in (180, 0, 75, 301)]
    alone = [
        list(ShotFinder(Colours()).shots([FrameBatch(frames, seconds, 0)]))
        for frames, seconds in clips
    ]
    detector = Colours()
    finder = ShotFinder(detector)
    streams = [finder.stream() for _ in clips]
    found: list[list[ShotBounds]] = [[] for _ in clips]
    for start in range(0, 350, 50):
        arrived = [
            FrameBatch(frames[start : start + 50], seconds[start : start + 50], start)
            for frames, seconds in clips
        ]
        for list_, shots in zip(found, finder.push(streams, arrived), strict=True):
            list_ += shots
    for list_, shots in zip(found, finder.push(streams, [None] * len(clips)), strict=True):
        list_ += shots
    assert found == alone
    assert len(detector.calls) == 6  # none where nothing is to be looked at
    assert max(detector.calls) >= 3  # windows of several sources in one call


def test_a_cut_is_told_of_before_81_frames_more_have_come() -> None:
    """2.7 s at 30 frames a second: a window's 50 frames, 25 after them, and the frame that ends a
    cut. A shorter stride tells sooner, and costs more.
    """
    for stride, most in ((50, 76), (25, 51), (10, 36)):
        layout = WindowLayout.of_stride(stride)
        assert layout.delay + 2 == most
        for cut in range(130, 182):
            frames = np.zeros((400, 27, 48, 3), np.uint8)
            frames[cut, 0, 0, :2] = 250
            stream = ShotFinder(Colours(), ShotSettings(layout))
            streams = [stream.stream()]
            for number in range(400):
                at = np.array([number / 30])
                batch = FrameBatch(frames[number : number + 1], at, number)
                if found := stream.push(streams, [batch])[0]:
                    break
            assert found[0].end_frame == cut
            assert number - cut <= most
    assert (WindowLayout(50).cost, WindowLayout.of_stride(25).cost) == (2.0, 4.0)


@pytest.mark.parametrize(
    ("count", "lengths"),
    [
        (1, [100]),
        (50, [100]),
        (51, [150]),
        (132, [200]),
        (250, [300]),
        (251, [300, 100]),
        (301, [300, 150]),
        (749, [300, 300, 300]),
    ],
)
def test_a_file_is_looked_at_in_long_windows_and_its_end_in_one_that_fits(
    count: int, lengths: list[int]
) -> None:
    windows = FrameWindows(WindowLayout(50, 20).lengthened(300))
    frames = np.zeros((count, 27, 48, 3), np.uint8)
    frames[:, 0, 0, 0] = np.arange(count) % 251
    parts = np.split(frames, range(70, count, 70))
    found = [each for part in parts for each in windows.push(part)] + list(windows.close())
    assert [len(window) for window, _ in found] == lengths
    counted = np.concatenate([window[30 : 30 + several] for window, several in found])
    assert np.array_equal(counted, frames)


@given(st.integers(1, 900))
@settings(max_examples=40, deadline=None)
def test_windows_of_files_have_few_lengths(frames: int) -> None:
    windows = FrameWindows(WindowLayout(50, 20).lengthened(FILE_WINDOW))
    pixels = np.zeros((frames, 27, 48, 3), np.uint8)
    found = {len(window) for window, _ in (*windows.push(pixels), *windows.close())}
    assert found <= {*window_lengths()}
    assert len(window_lengths()) == 5


def test_a_dissolve_is_told_of_no_later_wherever_it_stands() -> None:
    """Of 24 frames, at every place of a stride: by the window that counts its middle where that
    sees its end too. It is the same boundary as by the last word on each of its frames.
    """
    finder = ShotFinder(Colours(), ShotSettings(WindowLayout.of_stride(50, 20)))
    late = []
    for first in range(130, 182):
        frames = np.zeros((400, 27, 48, 3), np.uint8)
        frames[first : first + 24, 0, 0, 1] = 200
        frames[first + 11, 0, 0, 0] = 240
        stream, told = finder.stream(), []
        for number in range(400):
            at = np.array([number / 30])
            batch = FrameBatch(frames[number : number + 1], at, number)
            told += [(number, shot) for shot in finder.push([stream], [batch])[0]]
        ((number, shot),) = told
        assert (shot.end_frame, shot.end_s) == (first + 11, pytest.approx((first + 12) / 30))
        late.append(number - first - 12)
    assert max(late) <= 72  # 82 where the next window is waited for


@pytest.mark.parametrize(
    ("behind", "ends"),
    [
        ([(0.0, 0.05)] * 4, [7]),
        ([(0.0, 0.5)] * 2 + [(0.0, 0.05)] * 4, [8]),  # it goes on a little and then ends
        ([(0.0, 0.05)] * 3, []),  # too few are calm
        ([(0.0, 0.05)] * 3 + [(0.0, 0.3)] + [(0.0, 0.05)] * 3, []),  # nor are these
        ([(0.0, 0.5)] * 10, []),
        ([], []),
    ],
)
def test_what_comes_next_may_end_a_transition_and_never_makes_two(
    behind: list[tuple[float, float]], ends: list[int]
) -> None:
    pushed = [*QUIET, (0.2, 0.6), (0.8, 0.9), (0.8, 0.9), (0.2, 0.6), (0.2, 0.6)]
    found, times = Boundaries(BoundaryRule()), np.arange(60) / 25.0
    assert found.push(scored(*pushed), times[:10], 0) == []
    foreseen = np.array(behind, np.float32).reshape(-1, 2)
    told = found.foresee(foreseen, times[10 : 10 + len(behind)], 10)
    assert [shot.end_frame for shot in told] == ends
    # The last word: it goes on for three frames, and much later there is a cut.
    final = [(0.0, 0.5)] * 3 + QUIET + [(0.9, 0.9)] + QUIET
    told += found.push(scored(*final), times[10 : 10 + len(final)], 10)
    assert [shot.end_frame for shot in told] == [*(ends or [8]), 18]
    assert [shot.start_frame for shot in told] == [0, told[0].end_frame + 1]
    assert told[0].end_s == times[told[0].end_frame + 1]


def test_a_stream_of_any_length_holds_the_same_memory() -> None:
    stream = ShotFinder(Colours()).stream()
    frames = np.zeros((250, 27, 48, 3), np.uint8)
    frames[::7, 0, 0, :2] = 255
    sizes = []
    for number in range(0, 20_000, 250):
        stream.offer(FrameBatch(frames, np.arange(number, number + 250) / 25, number))
        windows = np.stack(stream.wanted())
        rows = Colours().transitions(windows).reshape(len(windows), 2, -1)
        stream.settle(rows.transpose(0, 2, 1))
        held = stream._windows._held.base if stream._windows._held.base is not None else frames
        sizes.append(held.nbytes + sys.getsizeof(stream._frames) + sys.getsizeof(stream._waiting))
    assert max(sizes[40:]) <= max(sizes[:40])


def scored(*pairs: tuple[float, float]) -> FloatMatrix:
    return np.array(pairs, np.float32)


QUIET = [(0.0, 0.0)] * 5


def bounds(scores: Sequence[tuple[float, float]], rule: BoundaryRule) -> list[tuple[int, str]]:
    """The first frame and the transition of each shot but the first."""
    found = Boundaries(rule)
    shots = found.push(scored(*scores), np.arange(len(scores)) / 25.0, 0) + found.end()
    assert [shot.end_frame + 1 for shot in shots[:-1]] == [shot.start_frame for shot in shots[1:]]
    assert [shot.end_s for shot in shots[:-1]] == [shot.start_s for shot in shots[1:]]
    return [(shot.start_frame, str(shot.transition)) for shot in shots[1:]]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([*QUIET, (0.9, 0.9), *QUIET], [(6, "cut")]),
        ([*QUIET, (0.9, 0.1), *QUIET], [(6, "cut")]),
        ([*QUIET, (0.6, 0.9), *QUIET], []),  # one frame that the first number is not sure of
        ([*QUIET, *[(0.0, 0.9)] * 3, (0.8, 0.9), *[(0.0, 0.9)] * 4, *QUIET], [(9, "gradual")]),
        ([*QUIET, (0.8, 0.9), (0.0, 0.3), (0.0, 0.6), *QUIET], [(7, "gradual")]),  # wavers
        ([*QUIET, (0.8, 0.9), (0.0, 0.05), (0.8, 0.9), *QUIET], [(6, "cut"), (8, "cut")]),
        ([*QUIET, *[(0.3, 0.8)] * 4, *QUIET], [(7, "gradual")]),  # a fade through black
        ([*QUIET, *[(0.3, 0.8)] * 3, *QUIET], []),
        ([*QUIET, *[(0.2, 0.8)] * 9, *QUIET], []),
        ([*QUIET, *[(0.3, 0.39)] * 9, *QUIET], []),
        ([(0.9, 0.9), *QUIET], []),  # there is no shot before it
        ([*QUIET, *[(0.9, 0.9)] * 3], []),  # nor after it
    ],
)
def test_what_is_a_transition(
    scores: list[tuple[float, float]], expected: list[tuple[int, str]]
) -> None:
    assert bounds(scores, BoundaryRule()) == expected


def test_a_transition_without_an_end_is_cut_off_once_and_memory_stays_bounded() -> None:
    rule = BoundaryRule(longest=20)
    noise = [*QUIET, *[(0.6, 0.9)] * 500]
    assert bounds([*noise, *QUIET, (0.9, 0.9), *QUIET], rule) == [(16, "gradual"), (511, "cut")]
    found = Boundaries(rule)
    found.push(scored(*noise[:15]), np.arange(15) / 25.0, 0)
    assert found._run is not None
    assert len(found._run.seconds) == 10
    found.push(scored(*noise[15:]), np.arange(15, 505) / 25.0, 15)
    assert found._run is None


def test_the_last_shot_ends_when_its_last_frame_was_shown_or_where_the_gap_begins() -> None:
    times = np.array([0.0, 0.1, 0.15])
    one, other = Boundaries(BoundaryRule()), Boundaries(BoundaryRule())
    for each in (one, other):
        assert each.push(scored(*QUIET[:3]), times, 0) == []
    (shown,), (cut_short,) = one.end(), other.end(3.5)
    assert shown.end_s == pytest.approx(0.2)
    assert cut_short.end_s == 3.5
    assert one.end() == []


@pytest.mark.parametrize(("stride", "ahead"), [(0, 25), (81, 10), (50, 51), (50, -1)])
def test_a_window_that_can_t_be_is_refused(stride: int, ahead: int) -> None:
    with pytest.raises(SettingsError, match="can't count"):
        WindowLayout(stride, ahead)


def test_windows_keep_nothing_of_the_stretch_before() -> None:
    windows = FrameWindows(WindowLayout())
    for colour in (1, 2):
        frames = np.full((30, 27, 48, 3), colour, np.uint8)
        found = [*windows.push(frames), *windows.close()]
        assert [counted for _, counted in found] == [30]
        assert all((window == colour).all() for window, _ in found)


def made_clip(path: Path) -> tuple[list[int], int]:
    """A clip with cuts at known frames, coded with B-frames; the cuts and its length."""
    parts = [sample_windows(1, seed=seed)[0, :12] for seed in (3, 4, 5)]
    shots = [np.repeat(part, count, axis=0) for part, count in zip(parts, (4, 3, 4), strict=True)]
    frames = np.concatenate(shots)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 192, 108, "yuv420p"
        for frame in np.repeat(np.repeat(frames, 4, axis=1), 4, axis=2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return [48, 84], len(frames)


@pytest.mark.parametrize("model", ["transnetv2", "transnetv2-int8"])
def test_the_bundled_models_find_the_cuts_of_a_made_clip(tmp_path: Path, model: str) -> None:
    cuts, count = made_clip(tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        decoded = [
            frame.reformat(48, 27, "rgb24", interpolation="AREA").to_ndarray()
            for frame in container.decode(video=0)
        ]
    settings = Settings(shots=model)
    finder = shot_finder_of(shot_detector_of(settings))
    batch = FrameBatch(np.stack(decoded), np.arange(count) / 25, 0)
    shots = list(finder.shots([batch]))
    assert [(shot.start_frame, shot.transition) for shot in shots] == [
        (0, Transition.START),
        *((cut, Transition.CUT) for cut in cuts),
    ]
    assert [shot.end_s for shot in shots] == pytest.approx([1.92, 3.36, count / 25])


@pytest.mark.parametrize(
    "model", [pytest.param("transnetv2", marks=pytest.mark.deep), "transnetv2-int8"]
)
def test_a_file_and_a_live_source_have_the_same_shots(model: str) -> None:
    """Whose windows differ in length: 9 shots with cuts and dissolves between them."""
    frames = sample_windows(4).reshape(-1, 27, 48, 3)
    batch = FrameBatch(frames, np.arange(len(frames)) / 25, 0)
    settings = Settings(shots=model)
    detector = shot_detector_of(settings)
    file, live = shot_finder_of(detector), live_finder_of(settings, detector)
    assert file.settings.layout.window > live.settings.layout.window
    assert file.digest != live.digest
    shots = list(file.shots([batch]))
    assert shots == list(live.shots([batch]))
    assert len(shots) > 8
    few = FrameBatch(frames[:9], np.arange(9) / 25, 0)
    assert len(list(file.shots([few]))) == 1
    detector.close()


def test_settings_say_whether_and_how_shots_are_found() -> None:
    with pytest.raises(SettingsError, match="no model finds shots"):
        shot_detector_of(Settings(shots=""))
    remote = {"transnetv2": "remote:http://localhost:1"}
    with pytest.raises(SettingsError, match="can't be asked at another service"):
        shot_detector_of(Settings(shots="transnetv2", runtimes=remote))
    strides = [Settings(shot_stride=stride) for stride in (50, 50, 25)]
    one, same, other = (live_finder_of(s, shot_detector_of(s)).digest for s in strides)
    assert one == same != other
    one, same, other = (shot_finder_of(shot_detector_of(s)).digest for s in strides)
    assert one == same == other  # a file's shots need not be made again
