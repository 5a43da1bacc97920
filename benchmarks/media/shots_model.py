"""The shot model: what serving adds to the bare runtime, and how fast its forms are.

    python -m benchmarks.media.shots_model [--model NAME ...] [--runtime KIND[:OPTION] ...]
                                     [--windows N] [--frames N] [--threads N] [--seconds S]
                                     [--clips FOLDER]

For each model in each runtime two sides take turns on the same windows of real clips, or of made
frames without clips: the detector as it serves, from windows to probabilities, and the bare
runtime, from arrays to arrays. The faster half of each side's calls counts, because other work on
the machine only adds to a time; `ours / bare` is the ratio of their means. Speed is given in frames
of the model's windows and in frames of video a second: of a live source, whose windows of 100
frames have each frame twice, or of a file if `--frames` gives the length of its windows. `--only
agree` reports instead whether each side finds the shots of the first one over all the clips.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.machine import arguments, show, show_table, this_machine
from benchmarks.media.segments import SOURCES, real_clips
from core.errors import ModelError
from core.media import FrameBatch, Frames
from dateline.build.models.runtimes import RUNTIMES, model_store
from dateline.settings import configure
from indexing.media.shots.finding import ShotFinder, ShotSettings
from indexing.media.shots.windows import WINDOW, FrameWindows, WindowLayout
from inference.measuring.machine import faster_half
from inference.measuring.sample_windows import sample_windows
from inference.runtimes.choice import on_device, open_choice, parse_choice
from inference.shot_detector import FRAMES, LOGITS, TransitionDetector

MODELS = ("transnetv2-int8", "transnetv2")
KINDS = ("onnxruntime", "openvino:f32", "openvino:bf16")
HEAD = ("model and runtime", "ours ms", "bare ms", "ours / bare", "windowed fps", "video fps")
_LEAST_TURNS = 5


@dataclass(slots=True)
class Side:
    """One model in one runtime, and the seconds of its calls: as it serves, and bare."""

    name: str
    detector: TransitionDetector
    layout: WindowLayout
    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    def turn(self, windows: Frames, *, first: str) -> None:
        """Run both once, `first` before the other."""
        runtime = self.detector.runtime
        calls: dict[str, Callable[[], object]] = {
            "ours": partial(self.detector.transitions, windows),
            "bare": partial(runtime.run, {FRAMES: windows}, (LOGITS,)),
        }
        for each in (first, *(name for name in calls if name != first)):
            began = perf_counter()
            calls[each]()
            getattr(self, each).append(perf_counter() - began)

    def figures(self, frames: int) -> dict[str, float]:
        """Return milliseconds, their ratio, and frames a second."""
        ours, bare = faster_half(self.ours), faster_half(self.bare)
        speed = frames / ours
        return {
            "ours_ms": ours * 1000,
            "bare_ms": bare * 1000,
            "ours / bare": ours / bare,
            "windowed_frames_per_s": speed,
            "video_frames_per_s": speed / self.layout.cost,
        }


def main() -> None:
    """Run the benchmark."""
    chosen = _chosen()
    machine = this_machine()
    sides = list(_sides(chosen))
    title = f"shots: the model, {chosen.threads} threads a call, {chosen.windows} windows a call"
    if chosen.only == "agree":
        show(title, agreement(sides, read_clips(chosen.clips)), machine, as_json=chosen.json)
        return
    windows = real_windows(chosen.clips, chosen.windows, _layout(chosen))
    found = measure(sides, windows, chosen.seconds)
    if chosen.json:
        show(title, found, machine, as_json=True)
        return
    print(title)
    show_table(HEAD, [(name, *_cells(each)) for name, each in found.items()])
    print(machine)


def measure(sides: Sequence[Side], windows: Frames, seconds: float) -> dict[str, dict[str, float]]:
    """Return the figures of each side: all take turns, in rounds, after one that is not counted."""
    for side in sides:
        side.turn(windows, first="ours")
        side.ours.clear()
        side.bare.clear()
    until, turns = perf_counter() + seconds, 0
    while turns < _LEAST_TURNS or perf_counter() < until:
        for side in sides:
            side.turn(windows, first="bare" if turns % 2 else "ours")
        turns += 1
    frames = len(windows) * windows.shape[1]
    return {side.name: side.figures(frames) for side in sides}


def agreement(sides: Sequence[Side], clips: Mapping[str, Frames]) -> dict[str, Any]:
    """Return the number of boundaries that each side finds, and for how many the first side has the
    very frame.
    """
    found = {side.name: boundaries(side, clips) for side in sides}
    expected = next(iter(found.values()))
    tree: dict[str, Any] = {}
    for name, frames in found.items():
        same = len(frames & expected)
        tree[f"{name}: boundaries"] = len(frames)
        several = len(frames) + len(expected)
        tree[f"{name}: F1 against the first, same frame"] = 2 * same / several if several else 1.0
    return tree


def boundaries(side: Side, clips: Mapping[str, Frames]) -> set[tuple[str, int]]:
    """Return the first frame of every shot but a clip's first."""
    finder = ShotFinder(side.detector, ShotSettings(side.layout))
    return {
        (name, shot.start_frame)
        for name, frames in clips.items()
        for shot in finder.shots([FrameBatch(frames, np.arange(len(frames)) / 25.0, 0)])
        if shot.start_frame
    }


def read_clips(folder: Path) -> dict[str, Frames]:
    """Return every clip in `folder`, with small frames."""
    return {path.name: small_frames(path) for path in real_clips(folder)}


def small_frames(clip: Path) -> Frames:
    """Return a clip's frames as the model reads them."""
    import av  # of the extra [media]

    with av.open(str(clip)) as container:
        small = [
            frame.reformat(48, 27, "rgb24", interpolation="AREA").to_ndarray()
            for frame in container.decode(video=0)
        ]
    return np.stack(small).astype(np.uint8)


def real_windows(folder: Path, count: int, layout: WindowLayout) -> Frames:
    """Return the first windows of the clips in `folder`, in order; made ones if there are too
    few.
    """
    found: list[Frames] = []
    if folder.is_dir():
        for frames in read_clips(folder).values():
            found += [window for window, _ in FrameWindows(layout).push(frames)]
            if len(found) >= count:
                return np.stack(found[:count])
    return sample_windows(count, frames=layout.window)


def _sides(chosen: argparse.Namespace) -> list[Side]:
    """Return the sides that can be opened here; for the others it prints why not."""
    settings = configure({"models": chosen.models}).settings
    sides = []
    for name in chosen.model or MODELS:
        folder = model_store(settings).open(name)
        for text in chosen.runtime or KINDS:
            choice = on_device(
                parse_choice(text, RUNTIMES, where="--runtime"), RUNTIMES, settings.device
            )
            try:
                runtime = open_choice(choice, RUNTIMES, folder, threads=chosen.threads)
            except ModelError as error:
                print(f"{name} in {choice}: {error.what}")
                continue
            detector = TransitionDetector.over(folder, runtime)
            sides.append(Side(f"{name} {choice}", detector, _layout(chosen)))
    return sides


def _layout(chosen: argparse.Namespace) -> WindowLayout:
    return WindowLayout().lengthened(chosen.frames)


def _cells(figures: Mapping[str, float]) -> list[str]:
    ours, bare, ratio, windowed, video = figures.values()
    return [f"{ours:,.1f}", f"{bare:,.1f}", f"{ratio:.3f}", f"{windowed:,.0f}", f"{video:,.0f}"]


def _chosen() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--model", action="append", help=f"in place of {', '.join(MODELS)}")
    parser.add_argument("--runtime", action="append", help=f"in place of {', '.join(KINDS)}")
    parser.add_argument("--models", help="folder of the models")
    parser.add_argument("--windows", type=int, default=1, help="windows a call")
    parser.add_argument("--frames", type=int, default=WINDOW, help="of a window")
    parser.add_argument("--threads", type=int, default=1, help="threads that work on a call")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to measure")
    parser.add_argument("--clips", type=Path, default=SOURCES, help="folder of real clips")
    parser.add_argument("--only", choices=("speed", "agree"), default="speed")
    return parser.parse_args()


if __name__ == "__main__":
    main()
