"""One stream over connections that stall, break off, jump and come back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import MediaError
from core.media import SOUND_RATE, FrameBatch, Gap, SoundBatch
from indexing.media.shots.live import LiveFrames, LiveSettings

pytestmark = pytest.mark.timed

Step = FrameBatch | Gap | SoundBatch | Exception | Callable[[], None]
QUICK = LiveSettings(stall_s=0.1, first_wait_s=0.01, longest_wait_s=0.05, away_s=2.0)


def batch(first: int, count: int, start_s: float | None = None, rate: float = 25.0) -> FrameBatch:
    """Frames whose brightness is their number on their own connection."""
    numbers = np.arange(first, first + count)
    start = first / rate if start_s is None else start_s
    pixels = np.broadcast_to(numbers.astype(np.uint8)[:, None, None, None], (count, 27, 48, 3))
    return FrameBatch(pixels, start + np.arange(count) / rate, first)


class Source:
    """Plays one script for each connection: gives batches and gaps, raises errors, calls."""

    def __init__(self, *connections: list[Step]) -> None:
        self._connections = list(connections)
        self.made = 0

    def __call__(self) -> Iterator[FrameBatch | Gap]:
        script = self._connections[min(self.made, len(self._connections) - 1)]
        self.made += 1
        for step in script:
            if isinstance(step, Exception):
                raise step
            if callable(step):
                step()
            else:
                yield step


def heard(source: Source, settings: LiveSettings) -> list[FrameBatch | Gap]:
    return list(LiveFrames(source, settings))


def checked(items: list[FrameBatch | Gap]) -> list[Gap]:
    """The gaps, when numbers go on by one and times only grow, gaps included."""
    number, last = 0, -1.0
    for item in items:
        if isinstance(item, Gap):
            assert last <= item.start_s <= item.end_s
            last = max(last, item.end_s - 1e-9)
            continue
        assert item.first == number
        number += len(item.seconds)
        assert (np.diff(item.seconds) > 0).all()
        assert item.seconds[0] > last
        last = float(item.seconds[-1])
    return [item for item in items if isinstance(item, Gap)]


def test_an_undisturbed_source_is_passed_on_as_it_is() -> None:
    items = heard(Source([batch(0, 50), batch(50, 30)]), QUICK)
    assert checked(items) == []
    assert [len(item.seconds) for item in items if isinstance(item, FrameBatch)] == [50, 30]


def test_silence_is_a_gap_while_it_lasts_and_the_source_goes_on() -> None:
    told = threading.Event()
    live = LiveFrames(Source([batch(0, 50), lambda: told.wait(120) and None, batch(50, 50)]), QUICK)
    items: list[FrameBatch | Gap] = []
    for item in live:
        items.append(item)
        if isinstance(item, Gap):
            told.set()  # only now does the source go on: the gap was told during the silence
    (gap,) = checked(items)
    assert gap == Gap(2.0, 2.0, "no frames for 0.1 s")
    assert sum(len(item.seconds) for item in items if isinstance(item, FrameBatch)) == 100


def test_time_that_the_source_itself_lost_in_a_stall_is_part_of_the_gap() -> None:
    told = threading.Event()
    source = Source([batch(0, 50), lambda: told.wait(120) and None, batch(50, 50, start_s=9.0)])
    items: list[FrameBatch | Gap] = []
    for item in LiveFrames(source, QUICK):
        items.append(item)
        told.set() if isinstance(item, Gap) else None
    assert checked(items)[1] == Gap(2.0, 9.0, "frames again, 7.0 s later")


def test_sound_that_comes_before_its_frames_moves_none_of_them() -> None:
    sound = SoundBatch(np.zeros(SOUND_RATE, np.int16), 0.0)
    items = heard(Source([sound, batch(0, 50), replace(sound, start_s=1.0)]), QUICK)
    assert [item.start_s for item in items if isinstance(item, SoundBatch)] == [0.0, 1.0]
    (frames,) = [item for item in items if isinstance(item, FrameBatch)]
    assert frames.seconds[0] == 0.0


def test_a_source_of_sound_alone_goes_on_after_a_break() -> None:
    sound = SoundBatch(np.zeros(SOUND_RATE, np.int16), 0.0)
    items = heard(Source([sound, MediaError("gone")], [sound]), QUICK)
    first, second = [item for item in items if isinstance(item, SoundBatch)]
    assert second.start_s >= first.end_s


def test_a_broken_connection_is_made_again_and_its_time_added() -> None:
    away = 0.3
    source = Source(
        [batch(0, 50), MediaError("connection reset")],
        [lambda: time.sleep(away), MediaError("connection refused")],
        [batch(0, 50), batch(50, 10)],
    )
    items = heard(source, QUICK)
    broken, back = checked(items)
    assert broken == Gap(2.0, 2.0, "connection reset")
    assert back.start_s == 2.0
    assert away <= back.end_s - 2.0 < away + 1.0
    assert source.made == 3
    second = next(item for item in items if isinstance(item, FrameBatch) and item.first == 50)
    assert second.seconds[0] == pytest.approx(back.end_s)


def test_a_camera_that_ends_is_connected_again_and_a_pipe_is_not() -> None:
    camera = Source([batch(0, 10)], [batch(0, 10), MediaError("gone")], [MediaError("refused")])
    patient = LiveSettings(
        stall_s=5, again_after_end=True, first_wait_s=0.01, longest_wait_s=0.05, away_s=0.3
    )
    items: list[FrameBatch | Gap] = []
    with pytest.raises(MediaError, match="refused"):  # noqa: PT012
        for item in LiveFrames(camera, patient):
            items.append(item)
    reasons = [gap.reason.partition(" after")[0] for gap in checked(items)]
    assert reasons == ["the source ended", "the source is back", "gone"]
    pipe = Source([batch(0, 10)], [batch(0, 10)])
    assert len(heard(pipe, QUICK)) == 1
    assert pipe.made == 1


def test_a_source_that_stays_away_is_given_up_after_its_last_gap_was_told() -> None:
    settings = LiveSettings(stall_s=5, first_wait_s=0.01, longest_wait_s=0.05, away_s=0.3)
    items: list[FrameBatch | Gap] = []
    source = Source([batch(0, 10), MediaError("cable cut")], [MediaError("no route")])
    with pytest.raises(MediaError, match="no route"):  # noqa: PT012
        for item in LiveFrames(source, settings):
            items.append(item)
    assert [gap.reason for gap in checked(items)] == ["cable cut"]
    assert source.made > 3  # it was tried more than once


def test_a_source_that_was_never_there_is_said_at_once() -> None:
    source = Source([MediaError("not a media file")])
    with pytest.raises(MediaError, match="not a media file"):
        heard(source, QUICK)
    with pytest.raises(MediaError, match="gave no frame"):
        heard(Source([]), QUICK)
    assert source.made == 1


def test_a_reader_that_stops_ends_the_thread_of_the_source() -> None:
    before = threading.active_count()
    endless = Source([batch(0, 50)], *[[batch(0, 50)]] * 50)
    settings = LiveSettings(again_after_end=True, first_wait_s=0.001, ahead=1)
    live = iter(LiveFrames(endless, settings))
    next(live)
    live.close()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 240
    while threading.active_count() > before:
        assert time.monotonic() < deadline, "the thread lives on"
        time.sleep(0.01)


def test_a_slow_reader_holds_the_source_back() -> None:
    given: list[int] = []

    def connect() -> Iterator[FrameBatch | Gap]:
        for number in range(500):
            given.append(number)
            yield batch(10 * number, 10)

    live = iter(LiveFrames(connect, LiveSettings(ahead=4)))
    for taken in range(1, 100):
        next(live)
        assert len(given) <= taken + 4 + 3
    live.close()  # type: ignore[attr-defined]


_STEPS = st.one_of(
    st.integers(1, 40).map(lambda count: ("frames", count)),
    st.sampled_from([("break", 0), ("end", 0), ("gap", 0)]),
    st.floats(-50, 50).map(lambda jump: ("jump", jump)),
)


@given(st.lists(_STEPS, max_size=12))
@settings(max_examples=60, deadline=None)
def test_numbers_go_on_and_times_grow_whatever_the_source_does(
    steps: list[tuple[str, float]],
) -> None:
    connections: list[list[Step]] = [[]]
    number, second = 0, 0.0
    for kind, value in [("frames", 3), *steps, ("frames", 5)]:
        if kind == "frames":
            connections[-1].append(batch(number, int(value), second))
            number, second = number + int(value), second + value / 25
        elif kind == "gap":
            connections[-1].append(Gap(second, second + 2, "damaged"))
            second += 2
        elif kind == "jump":
            second = max(0.0, second + value)
        else:
            connections[-1].extend([MediaError("broken")] if kind == "break" else [])
            connections.append([])
            number, second = 0, 0.0
    connections.append([MediaError("no more")])
    patient = LiveSettings(
        again_after_end=True, first_wait_s=0.0001, longest_wait_s=0.0002, away_s=0.01
    )
    items: list[FrameBatch | Gap] = []
    with pytest.raises(MediaError):  # noqa: PT012
        for item in LiveFrames(Source(*connections), patient):
            items.append(item)
    checked(items)
