"""Frames that a thread reads ahead: all of them, in order, and no thread is left."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from core.errors import MediaError
from core.media import FrameBatch, Gap
from indexing.handover import read_ahead


def batch(first: int) -> FrameBatch:
    frames = np.full((10, 27, 48, 3), first % 251, np.uint8)
    return FrameBatch(frames, np.arange(first, first + 10) / 25, first)


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "frames ahead"]


def test_all_comes_in_order() -> None:
    source = [*map(batch, range(0, 200, 10)), Gap(8.0, 9.0, "no signal"), batch(200)]
    with read_ahead(source) as ahead:
        assert [*map(id, ahead)] == [*map(id, source)]
    assert not readers()


def test_what_was_read_before_a_failure_is_given_before_it() -> None:
    def failing() -> Iterator[FrameBatch | Gap]:
        yield from map(batch, range(0, 50, 10))
        raise MediaError("it is cut off")

    with read_ahead(failing()) as ahead:
        frames = iter(ahead)
        found = [next(frames) for _ in range(5)]
        with pytest.raises(MediaError, match="cut off"):
            next(frames)
    assert [each.first for each in found if isinstance(each, FrameBatch)] == [0, 10, 20, 30, 40]
    assert not readers()


def test_whoever_stops_early_leaves_no_thread_and_reads_no_further() -> None:
    read: list[int] = []

    def endless() -> Iterator[FrameBatch | Gap]:
        while True:
            read.append(len(read))
            yield batch(0)

    with read_ahead(endless()) as ahead:
        next(iter(ahead))
        assert len(readers()) == 1
    assert not readers()
    assert len(read) < 20
