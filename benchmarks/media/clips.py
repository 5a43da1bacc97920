"""Makes clips with cuts at known frames from real clips, and clips without cuts that look cut.

    python -m benchmarks.media.clips [--sources FOLDER] [--output FOLDER]

A composed clip is a row of shots (benchmarks/media/segments.py), each of 25 to 90 frames between
transitions. Half of the transitions are hard cuts, a quarter dissolves and a quarter fades through
black, of 8 to 40 frames. A shot with too few frames is played forwards and backwards. Sizes, frame
rates and codecs differ from clip to clip. Clips without cuts come from
benchmarks/media/negatives.py.

Everything is drawn from fixed seeds, so the clips are the same everywhere. They are kept in the
output folder under the digest of their plan, and made again only when that changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks.machine import arguments
from benchmarks.media.clip_files import (
    CLIPS,
    Kind,
    MadeClip,
    Split,
    TrueCut,
    forth_and_back,
    read_clip,
    write_clip,
)
from benchmarks.media.negatives import made_negatives
from benchmarks.media.segments import SOURCES, TEST, TUNING, Segment, segment_frames
from core.media import Frames

SEGMENTS: dict[Split, tuple[Segment, ...]] = {"test": TEST, "tuning": TUNING}
_SEEDS: dict[Split, int] = {"test": 20_240, "tuning": 20_241}
_SIZES = ((480, 270), (320, 240), (426, 240))
_RATES = (Fraction(25), Fraction(30_000, 1001), Fraction(24), Fraction(30), Fraction(50))
_CODECS = ("libx264", "libx264", "mpeg4")
_NUMBER, _TRANSITIONS = 10, 16  # clips of a split, transitions of each clip
_SHOT = (25, 90)  # frames without mixing
_LENGTHS = (8, 12, 16, 20, 25, 30, 40)


@dataclass(frozen=True, slots=True)
class ClipPlan:
    """The plan of a clip: shots as (segment, first frame, frames alone), and between each two a
    transition's kind and length.
    """

    name: str
    size: tuple[int, int]
    rate: Fraction
    codec: str
    shots: tuple[tuple[Segment, int, int], ...]
    between: tuple[tuple[Kind, int], ...]

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


def plans(split: Split) -> tuple[ClipPlan, ...]:
    """Return the composed clips of one split, always the same."""
    rng = np.random.default_rng(_SEEDS[split])
    return tuple(_plan(split, number, rng) for number in range(_NUMBER))


def _plan(split: Split, number: int, rng: np.random.Generator) -> ClipPlan:
    return ClipPlan(
        name=f"{split}-{number:02}",
        size=_SIZES[number % len(_SIZES)],
        rate=_RATES[number % len(_RATES)],
        codec=_CODECS[number % len(_CODECS)],
        shots=tuple(_shots(SEGMENTS[split], rng)),
        between=tuple(_between(rng)),
    )


def _shots(
    segments: Sequence[Segment], rng: np.random.Generator
) -> Iterator[tuple[Segment, int, int]]:
    scene = ""
    for _ in range(_TRANSITIONS + 1):
        others = [segment for segment in segments if segment.scene != scene]
        segment = others[int(rng.integers(len(others)))]
        scene = segment.scene
        offset = int(rng.integers(segment.last - segment.first + 1))
        yield segment, offset, int(rng.integers(_SHOT[0], _SHOT[1] + 1))


def _between(rng: np.random.Generator) -> Iterator[tuple[Kind, int]]:
    quarter = _TRANSITIONS // 4
    kinds: list[Kind] = [*["hard"] * (2 * quarter), *["dissolve"] * quarter, *["fade"] * quarter]  # type: ignore[list-item]
    for place in rng.permutation(len(kinds)):
        kind = kinds[int(place)]
        yield kind, 0 if kind == "hard" else int(rng.choice(_LENGTHS))


def composed(
    plan: ClipPlan, frames_of: dict[Segment, Frames]
) -> Iterator[tuple[Frames, TrueCut | None]]:
    """Yield the clip's parts in order: frames [n, height, width, 3], and for a transition its
    truth. A hard cut has no frames of its own.
    """
    at = 0
    segment, offset, alone = plan.shots[0]
    for (kind, length), following in zip(plan.between, plan.shots[1:], strict=True):
        old = frames_of[segment]
        yield old[forth_and_back(len(old), offset, alone)], None
        at += alone
        tail = old[forth_and_back(len(old), offset + alone, length)]
        segment, offset, alone = following
        new = frames_of[segment]
        head = new[forth_and_back(len(new), offset, length)]
        if kind == "hard":
            yield head, TrueCut(at - 1, at, kind)
        else:
            yield _mixed(kind, tail, head), TrueCut(at, at + length - 1, kind)
        at += length
        offset += length
    yield frames_of[segment][forth_and_back(len(frames_of[segment]), offset, alone)], None


def _mixed(kind: Kind, old: Frames, new: Frames) -> Frames:
    """Return a dissolve, or a fade out to black and in again, over moving frames."""
    steps = (np.arange(len(old), dtype=np.float32) + 1) / (len(old) + 1)
    if kind == "dissolve":
        ours, theirs = 1 - steps, steps
    else:
        ours, theirs = np.clip(1 - 2 * steps, 0, 1), np.clip(2 * steps - 1, 0, 1)
    both = old * ours[:, None, None, None] + new * theirs[:, None, None, None]
    return np.rint(both).astype(np.uint8)


def made_clips(split: Split, sources: Path = SOURCES, output: Path = CLIPS) -> list[MadeClip]:
    """Return the composed clips of a split on disk; existing ones stay."""
    made: dict[str, MadeClip] = {}
    chosen = plans(split)
    for size in dict.fromkeys(plan.size for plan in chosen):
        group = [plan for plan in chosen if plan.size == size]
        if all(_place(plan, output).with_suffix(".json").exists() for plan in group):
            made |= {plan.name: read_clip(_place(plan, output)) for plan in group}
            continue
        frames_of = segment_frames(SEGMENTS[split], *size, folder=sources)
        made |= {plan.name: _make(plan, frames_of, _place(plan, output)) for plan in group}
    return [made[plan.name] for plan in chosen]


def _place(plan: ClipPlan, output: Path) -> Path:
    return output / f"{plan.name}-{plan.digest}.mp4"


def _make(plan: ClipPlan, frames_of: dict[Segment, Frames], path: Path) -> MadeClip:
    parts = list(composed(plan, frames_of))
    cuts = tuple(cut for _, cut in parts if cut is not None)
    frames = (pixels for part, _ in parts for pixels in part)
    return write_clip(path, frames, cuts, plan.size, plan.rate, plan.codec)


def main() -> None:
    """Make all clips and list them."""
    parser = arguments(__doc__, json=False)
    parser.add_argument("--sources", type=Path, default=SOURCES, help="folder of the real clips")
    parser.add_argument("--output", type=Path, default=CLIPS, help="where the clips are kept")
    chosen = parser.parse_args()
    splits: tuple[Split, ...] = ("tuning", "test")
    for split in splits:
        clips = made_clips(split, chosen.sources, chosen.output)
        clips += made_negatives(split, chosen.sources, chosen.output)
        for clip in clips:
            print(f"{clip.path}  {clip.frames} frames, {len(clip.cuts)} transitions")


if __name__ == "__main__":
    main()
