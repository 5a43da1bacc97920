"""Shots of live sources, by a detector that sees colours change: how soon, in how much memory."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import psutil
import pytest

from benchmarks.media.live_writer import start_writer
from core.items import FloatMatrix
from core.media import FrameBatch, Frames, Gap, ShotBounds, Transition
from indexing.media.cage.sources import LiveSource
from indexing.media.reading import CagedReader
from indexing.media.shots.finding import ShotFinder, ShotSettings
from indexing.media.shots.live import LiveFrames, LiveSettings
from indexing.media.shots.windows import WindowLayout

pytestmark = pytest.mark.timed

RATE = 30
PROMISED_S = 2.7
SLACK_S = 4.0  # for two programs beside this one; each cut is told long before the end all the same


class ColourChanges:
    """Calls it a cut where a frame differs from the next."""

    name = "colour changes"
    digest = "0" * 64

    def transitions(self, windows: Frames) -> FloatMatrix:
        steps = np.abs(np.diff(windows[:, :, ::9, ::16].astype(np.int16), axis=1))
        scores = np.zeros((len(windows), 200), np.float32)
        scores[:, :99] = scores[:, 100:199] = steps.mean(axis=(2, 3, 4)) > 12
        return scores


def finder(stride: int = 50) -> ShotFinder:
    return ShotFinder(ColourChanges(), ShotSettings(layout=WindowLayout.of_stride(stride, 20)))


def found(items: LiveFrames, shots: ShotFinder) -> Iterator[ShotBounds]:
    with closing(items):
        yield from shots.shots(iter(items))


@pytest.mark.faults
@pytest.mark.parametrize(("stride", "within_s"), [(50, PROMISED_S), (10, 2.0)])
def test_a_boundary_is_told_soon_after_its_frame_arrived(stride: int, within_s: float) -> None:
    # Cuts at every place that they can have in a stride.
    cuts = [20 + 53 * number for number in range(6)]
    once = LiveSettings(stall_s=30.0, again_after_break=False)
    with CagedReader() as reader:
        reader.protection()  # a child is there
        started = time.monotonic() + 8.0
        process = start_writer(
            "ts", "-", rate=RATE, frames=340, cuts=cuts, start=started, stdout=subprocess.PIPE
        )
        late: dict[int, float] = {}
        with process:
            assert process.stdout is not None
            source = LiveSource(handle=process.stdout.fileno(), silent_s=0.0)
            live = LiveFrames(lambda: reader.live(source), once)
            for shot in found(live, finder(stride)):
                boundary = shot.end_frame + 1
                late[boundary] = time.monotonic() - (started + boundary / RATE)
    assert list(late) == [*cuts, 340]
    assert max(late[cut] for cut in cuts) < within_s + SLACK_S, late


class Days:
    """Hours of frames as fast as they are taken, with a cut every ten seconds and troubles."""

    def __init__(self, hours: float) -> None:
        self._batches = int(hours * 3600 * RATE / 60)
        colours = np.random.default_rng(3).integers(0, 256, (8, 1, 27, 48, 3), np.uint8)
        self._colours = [np.repeat(colour, 60, axis=0) for colour in colours]
        self.connections = 0

    def __call__(self) -> Iterator[FrameBatch | Gap]:
        self.connections += 1
        part = self._batches // 4
        for number in range(part):
            first = 60 * number
            if number % 500 == 499:
                yield Gap(first / RATE, first / RATE, "the source's clock jumps by -3600.0 s")
            colour = self._colours[number // 5 % 8]
            yield FrameBatch(colour, first / RATE + np.arange(60) / RATE, first)


def test_memory_stays_what_it_is_over_hours() -> None:
    source = Days(hours=8)
    settings = LiveSettings(again_after_end=True, first_wait_s=0.01, away_s=1.0)
    process, samples, shots = psutil.Process(os.getpid()), [], []
    for shot in found(LiveFrames(source, settings), finder()):
        shots.append(shot)
        if len(shots) % 100 == 0:
            samples.append(process.memory_info().rss)
        if source.connections > 4:
            break
    assert len(shots) > 2500
    assert shots[-1].end_s > 7.5 * 3600
    assert sum(shot.transition is Transition.GAP for shot in shots) > 10
    settled = samples[len(samples) // 5]
    assert max(samples[len(samples) // 5 :]) - settled < 8 * 2**20, [s >> 20 for s in samples]


def test_a_gap_ends_a_shot_at_once_and_the_next_begins_after_it() -> None:
    def connect() -> Iterator[FrameBatch | Gap]:
        plain = np.full((40, 27, 48, 3), 90, np.uint8)
        yield FrameBatch(plain, np.arange(40) / RATE, 0)
        yield Gap(40 / RATE, 3.0, "could not be decoded")
        yield FrameBatch(plain, 3.0 + np.arange(40) / RATE, 40)

    once = LiveSettings(again_after_break=False)
    first, second = found(LiveFrames(connect, once), finder())
    assert (first.start_frame, first.end_frame, first.transition) == (0, 39, Transition.START)
    assert first.end_s == pytest.approx(40 / RATE)
    assert (second.start_frame, second.end_frame, second.transition) == (40, 79, Transition.GAP)
    assert second.start_s == 3.0
