"""Shots and their stills out of one reading: which frame is taken, whenever a shot is asked for,
and what is believed of what a child says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.video.frame import VideoFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from core.errors import MediaError
from core.media import FrameBatch, Gap, ShotBounds, Still, Transition
from indexing.media.cage.answers import understand
from indexing.media.cage.limits import CageLimits
from indexing.media.cage.parent import UnreadError
from indexing.media.cage.wire import Message, WireError
from indexing.media.inside.kept_frames import KeptFrames
from indexing.media.inside.painting import Painter
from indexing.media.reading import CagedReader
from indexing.media.shots.shots_reading import ShotsReading
from tests.indexing.media.clips import Clip, write_clip
from tests.indexing.media.shots.test_stills import scene, write

Source = Iterator[FrameBatch | Gap]
RATE = 25


def bounds(first: int, last: int) -> ShotBounds:
    return ShotBounds(first / RATE, (last + 1) / RATE, first, last, Transition.CUT)


def told_late(shots: list[tuple[int, int]], by: int) -> Callable[[Source], Iterator[ShotBounds]]:
    """The shots, each once `by` frames beyond its end have come."""

    def find(source: Source) -> Iterator[ShotBounds]:
        waiting = list(shots)
        for arrived in source:
            newest = arrived.first + len(arrived.seconds) if isinstance(arrived, FrameBatch) else 0
            while waiting and waiting[0][1] + by < newest:
                yield bounds(*waiting.pop(0))
        yield from (bounds(*shot) for shot in waiting)

    return find


def test_each_shot_has_a_still_from_near_its_middle(reader: CagedReader, tmp_path: Path) -> None:
    shots = [(0, 74), (75, 124), (125, 399)]
    for name in ("clip.mp4", "clip.mkv", "clip.ts", "clip.avi"):
        path = write_clip(tmp_path / name, Clip(count=400, options={"g": "100", "bf": "2"}))
        read = reader.shots(path, 64, told_late(shots, 100), lambda still: still.second)
        assert [(s.start_frame, s.end_frame) for s in read.shots] == shots
        assert (len(read.stills), read.gaps) == (3, ())
        for second, (first, last) in zip(read.stills, shots, strict=True):
            assert second is not None
            assert abs(second * RATE - (first + last) / 2) <= max(5, 0.2 * (last - first)), name


def test_neither_black_nor_a_blend_nor_the_blurred_is_taken(
    reader: CagedReader, tmp_path: Path
) -> None:
    """Around the middle: a dissolve, black frames, blurred ones, and ten good frames."""
    one, other = scene(1), scene(2)
    mixed = [(one * (1 - p) + other * p).astype(np.uint8) for p in np.linspace(0.1, 0.9, 10)]
    soft = np.asarray(Image.fromarray(other).filter(ImageFilter.GaussianBlur(5)))
    pictures = [one] * 40 + mixed + [np.zeros_like(one)] * 8 + [other] * 10 + [soft] * 60
    path = write(tmp_path / "clip.mp4", pictures)
    read = reader.shots(path, 320, told_late([(0, 127)], 0), lambda still: still)
    (still,) = read.stills
    assert still is not None
    assert 58 <= still.second * RATE < 68
    assert (still.black, still.blurred) == (False, False)


def test_a_shot_shorter_than_a_step_has_none(reader: CagedReader, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(count=60))
    read = reader.shots(path, 64, told_late([(0, 20), (21, 23), (24, 59)], 0), lambda still: still)
    assert [still is None for still in read.stills] == [False, True, False]


def test_a_file_without_video_has_no_shots(reader: CagedReader, tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))  # type: ignore[attr-defined]
    read = reader.shots(path, 64, told_late([], 0), lambda still: still)
    assert (read.shots, read.stills, read.notes) == ((), (), ("there is no video in it",))


def test_a_finder_that_fails_leaves_the_reader_usable(reader: CagedReader, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", Clip(count=300))

    def fail(source: Source) -> Iterator[ShotBounds]:
        next(source)
        raise MediaError("no model")
        yield

    with pytest.raises(MediaError, match="no model"):
        reader.shots(path, 64, fail, lambda still: still)
    assert len(reader.shots(path, 64, told_late([(0, 299)], 0), lambda s: s).stills) == 1


# What is kept


@dataclass(frozen=True)
class Film:
    """A stream as far as a painter looks at it."""

    sample_aspect_ratio: None = None


@cache
def frame_of(number: int) -> tuple[VideoFrame, npt.NDArray[np.uint8]]:
    """One of seven frames, and the same one made small."""
    random = np.random.default_rng(number).integers(0, 255, (36, 64, 3), np.uint8)
    frame = VideoFrame.from_ndarray(random)
    return frame, frame.reformat(48, 27, "rgb24").to_ndarray()


def kept_frames(rate: float = RATE) -> KeptFrames:
    return KeptFrames(Painter(Film(), 64), 1 / rate)  # type: ignore[arg-type]


def see(kept: KeptFrames, first: int, last: int, rate: float = RATE) -> None:
    for number in range(first, last + 1):
        kept.see(number, number / rate, *frame_of(number % 7))


@given(
    st.integers(5, 900) | st.integers(280, 320),
    st.integers(0, 651),
    st.integers(600, 651),
    st.integers(0, 600),
    st.sampled_from([25.0, 50.0, 60.0]),
)
@settings(deadline=None, max_examples=30)
def test_the_same_still_however_late_a_shot_is_asked_for(
    length: int, late: int, later: int, before: int, rate: float
) -> None:
    found = []
    for lag in (late, later):
        kept = kept_frames(rate)
        see(kept, 0, before + length + lag, rate)
        found.append(kept.still_of(before, before + length - 1))
    assert (found[0] and found[0].second) == (found[1] and found[1].second)
    assert found[0] is not None
    middle = (before + (length - 1) / 2) / rate
    assert abs(found[0].second - middle) <= max(0.2 * length / rate, 1.0)


@pytest.mark.parametrize("rate", [1, 5, 25, 60])
def test_an_endless_shot_takes_bounded_memory_and_still_has_a_still(rate: float) -> None:
    kept, most = kept_frames(rate), 0
    for start in range(0, 24_000, 500):
        see(kept, start, start + 499)
        most = max(most, sum(1 for _ in kept.numbers()))
    assert most <= 900 // 5 + 5 * 120
    found = kept.still_of(0, 23_999)
    assert found is not None
    assert abs(found.second * RATE - 12_000) < 0.2 * 24_000
    assert all(number > 23_999 for number in kept.numbers())


# What is believed


@dataclass
class Liar:
    """A child that says what it is told to."""

    says: list[Message]
    lost: list[str] = field(default_factory=list)

    def ask(self, head: dict[str, Any], handle: int) -> None: ...

    def tell(self, head: dict[str, Any]) -> None: ...

    def hear(self) -> tuple[Any, bytes]:
        message = self.says.pop(0)
        return understand(message), message.body

    def disbelieve(self, error: WireError) -> UnreadError:
        self.lost.append(str(error))
        return UnreadError(str(error), ended=True)

    def kill(self) -> None:
        self.lost.append("killed")


def still_at(second: float) -> Message:
    head = {"say": "still", "second": second, "width": 8, "height": 8, "similarity": ""}
    return Message({**head, "black": False, "blurred": False}, b"\xff\xd8\xff")


def frames(count: int) -> Message:
    seconds = np.arange(count, dtype="<f8").tobytes()
    return Message({"say": "frames", "first": 0, "count": count}, seconds + bytes(count * 3888))


READ, DONE = Message({"say": "read"}), Message({"say": "done", "notes": []})


@pytest.mark.parametrize(
    ("says", "why"),
    [
        ([still_at(0.0), frames(2)], "nobody asked"),
        ([frames(2), READ, still_at(99.0), DONE], "another shot"),
        ([frames(2), READ, DONE], "something else"),
        ([frames(2), still_at(0.0), READ], "nobody asked"),
        ([frames(2), READ, Message({"say": "none"}), READ], "something else"),
    ],
)
def test_a_child_that_lies_about_stills_is_not_believed(says: list[Message], why: str) -> None:
    def find(source: Source) -> Iterator[ShotBounds]:
        list(source)
        yield ShotBounds(0.0, 2.0, 0, 1, Transition.START)

    child = Liar(says)
    kept: list[Still] = []
    reading = ShotsReading(child, 64, CageLimits(), kept.append)  # type: ignore[arg-type]
    with pytest.raises(UnreadError, match=why):
        reading.read(find, 0)
    assert child.lost


def gap_at(second: float) -> Message:
    return Message({"say": "gap", "start_s": second, "end_s": second, "reason": "a jump"})


def test_gaps_without_end_are_not_kept() -> None:
    child = Liar([gap_at(0.0)] * 20_000)
    reading = ShotsReading(child, 64, CageLimits(), lambda still: still)  # type: ignore[arg-type]
    with pytest.raises(UnreadError, match="more gaps"):
        reading.read(lambda source: iter(list(source)[:0]), 0)  # type: ignore[arg-type,return-value]


@dataclass
class Refusing(Liar):
    """Refuses the file after what it is told to say."""

    def hear(self) -> tuple[Any, bytes]:
        if not self.says:
            raise UnreadError("too large", limit=True, ended=False)
        return Liar.hear(self)


@pytest.mark.parametrize("told", [True, False])
def test_a_child_that_was_told_of_shots_and_then_refuses_reads_no_other_file(told: bool) -> None:
    def find(source: Source) -> Iterator[ShotBounds]:
        for _ in source:
            if told:
                yield ShotBounds(0.0, 1.0, 0, 0, Transition.START)

    child = Refusing([frames(2)])
    reading = ShotsReading(child, 64, CageLimits(), lambda still: still)  # type: ignore[arg-type]
    with pytest.raises(UnreadError, match="too large") as raised:
        reading.read(find, 0)
    assert raised.value.limit
    assert raised.value.ended is told
    assert child.lost == (["killed"] if told else [])
