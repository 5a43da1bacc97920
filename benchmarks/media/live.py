"""How late is a shot reported on a live source, and what does it cost to be sooner?

    python -m benchmarks.media.live [--strides 50,25,10] [--rate 30] [--frames N] [--clips FOLDER]
                              [--sources FOLDER] [--threads N] [--only latency|boundaries]

A separate process writes a composed clip (benchmarks/media/clips.py) as MPEG-TS into a pipe, at its
own pace, and the path of `dateline shots --live` reads it. Latency is the time from sending a
boundary's first frame to reporting the shot before it. The clip is repeated if it is too short.

The model looks at 100 frames at once, and `stride` of its answers are used. So each frame costs 100
/ stride of the model's frames. The last column is the resulting frames a second on this machine,
without decoding, over frames that are already in memory; it must be at least the rate of the live
source.

`--only boundaries` asks instead whether what is told live is what the archived video will have: the
boundaries of the real clips, at their own rate and with every other frame, as `dateline live` finds
them and as `dateline ingest` does.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import numpy as np

from benchmarks.machine import arguments, percentile, show, show_table, this_machine
from benchmarks.media.clip_files import CLIPS, MadeClip
from benchmarks.media.clips import made_clips
from benchmarks.media.cut_scoring import TOLERANCE
from benchmarks.media.live_writer import start_writer
from benchmarks.media.segments import SOURCES, real_clips
from core.items import FloatMatrix
from core.media import FrameBatch, Frames, Gap, ShotBounds
from core.ports.media import ShotDetector
from dateline.build.media.shots import ShotFinding, live_finder_of, opened_finding
from dateline.settings import configure
from indexing.media.cage.sources import LiveSource
from indexing.media.shots.finding import ShotFinder
from indexing.media.shots.live import LiveSettings
from inference.shot_detector import TransitionDetector

_START_S = 6.0  # until the writer and the reader are ready
HEAD = ("stride", "boundaries", "p50 ms", "p95 ms", "longest ms", "model frames", "frames/s")


@dataclass(slots=True)
class Counting:
    """A detector that counts the frames it was given."""

    detector: ShotDetector
    frames: int = 0

    @property
    def name(self) -> str:
        return self.detector.name

    @property
    def digest(self) -> str:
        return self.detector.digest

    def transitions(self, windows: Frames) -> FloatMatrix:
        self.frames += windows.shape[0] * windows.shape[1]
        return self.detector.transitions(windows)


def main() -> None:
    """Run the benchmark."""
    chosen = _chosen()
    machine = this_machine()
    if chosen.only == "boundaries":
        found = {
            name: told_as_archived(chosen, step)
            for name, step in (("every frame", 1), ("every other frame", 2))
        }
        show("boundaries told live against the file's", found, machine, as_json=chosen.json)
        return
    clip = made_clips("test", chosen.sources, chosen.clips)[3]  # 30 frames a second
    rows: dict[str, Any] = {}
    for stride in map(int, chosen.strides.split(",")):
        settings = configure({"threads": chosen.threads, "shot_stride": stride}).settings
        with opened_finding(settings) as finding:
            rows[f"stride {stride}"] = {
                **latency(finding, clip, chosen.rate, chosen.frames),
                **cost(finding, clip),
            }
    title = f"live at {chosen.rate} frames/s, {chosen.threads} threads"
    if chosen.json:
        show(title, rows, machine, as_json=True)
        return
    print(title)
    show_table(HEAD, [(name, *map(_shown, row.values())) for name, row in rows.items()])
    print(machine)


def _chosen() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--strides", default="50,25,10")
    parser.add_argument("--rate", type=int, default=30)
    parser.add_argument("--frames", type=int, default=1220, help="that are sent, for each stride")
    parser.add_argument("--sources", type=Path, default=SOURCES, help="folder of the real clips")
    parser.add_argument("--clips", type=Path, default=CLIPS, help="where made clips are kept")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", choices=("latency", "boundaries"), default="latency")
    return parser.parse_args()


def told_as_archived(chosen: argparse.Namespace, step: int) -> dict[str, float]:
    """Return how many boundaries the real clips have as files and as live sources, how many of the
    latter are at the same frame and at most two off, and F1 of those.
    """
    settings = configure({"threads": chosen.threads}).settings
    files = told = same = near = 0
    with opened_finding(settings) as finding:
        detector = finding.finder.detector
        assert isinstance(detector, TransitionDetector)
        for path in real_clips(chosen.sources):
            frames = _every(step, finding.reader.frames(path))
            rate = (len(frames.seconds) - 1) / float(frames.seconds[-1] - frames.seconds[0])
            true = _boundaries(finding.finder, frames)
            live = _boundaries(live_finder_of(settings, detector, rate), frames)
            files, told = files + len(true), told + len(live)
            same += len(set(true) & set(live))
            near += sum(any(abs(one - other) <= TOLERANCE for other in true) for one in live)
    return {
        "file": files,
        "live": told,
        "same": same,
        "near": near,
        "F1": 2 * near / (files + told),
    }


def _every(step: int, arrived: Iterable[FrameBatch | Gap]) -> FrameBatch:
    """Return every `step`th frame, numbered anew."""
    batches = [each for each in arrived if isinstance(each, FrameBatch)]
    pixels = np.concatenate([batch.pixels for batch in batches])[::step]
    seconds = np.concatenate([batch.seconds for batch in batches])[::step]
    return FrameBatch(pixels, seconds, 0)


def _boundaries(finder: ShotFinder, frames: FrameBatch) -> list[int]:
    return [shot.end_frame for shot in finder.shots([frames])][:-1]


def latency(finding: ShotFinding, clip: MadeClip, rate: int, frames: int) -> dict[str, float]:
    """Return milliseconds from a boundary's first frame to the report of the shot before it."""
    started = monotonic() + _START_S
    late: list[float] = []
    process = start_writer(
        "ts", "-", rate=rate, frames=frames, start=started, clip=clip.path, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        source = LiveSource(handle=process.stdout.fileno(), silent_s=0.0)
        once = LiveSettings(stall_s=60.0, again_after_break=False)
        for item in finding.followed(source, once, []):
            boundary = item.end_frame + 1 if isinstance(item, ShotBounds) else frames
            if boundary < frames:
                late.append(monotonic() - (started + boundary / rate))
    return {
        "boundaries": len(late),
        "p50_ms": percentile(late, 50),
        "p95_ms": percentile(late, 95),
        "longest_ms": max(late) * 1000,
    }


def cost(finding: ShotFinding, clip: MadeClip) -> dict[str, float]:
    """Return frames that the model reads for each frame, and frames a second without decoding."""
    counting = Counting(finding.live.detector)
    counted = replace(finding.live, detector=counting)
    batches: list[FrameBatch | Gap] = list(finding.reader.frames(clip.path))
    started = perf_counter()
    list(counted.shots(batches))
    seconds = perf_counter() - started
    return {
        "model_frames_per_frame": counting.frames / clip.frames,
        "frames_per_s": clip.frames / seconds,
    }


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2f}"


if __name__ == "__main__":
    main()
