"""Live sources over real pipes, files and servers on loopback, as the caged reader reads them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks.media.live_writer import start_writer
from core.errors import InputError, MediaError
from core.media import FrameBatch, Gap
from indexing.media.cage.sources import LiveSource
from indexing.media.reading import CagedReader
from indexing.media.shots.live import LiveFrames, Patience, chosen_source
from tests.live_servers import RtspServer, served_folder
from tests.rtmp_server import RtmpServer

pytestmark = pytest.mark.timed

RATE, CUTS = 30, (20, 50)
PATIENCE = Patience(stall_s=20.0, away_s=60.0, grown_s=3.0)
Server = RtspServer | RtmpServer
SERVERS: dict[str, Callable[..., Server]] = {"ts": RtspServer, "flv": RtmpServer}


@pytest.fixture(scope="module")
def reader() -> Iterator[CagedReader]:
    with CagedReader() as one:
        yield one


def read(
    reader: CagedReader,
    source: str,
    patience: Patience = PATIENCE,
    *,
    handle: int | None = None,
    until: Callable[[list[FrameBatch | Gap]], bool] = lambda _: False,
) -> list[FrameBatch | Gap]:
    """Everything that comes, until the source ends or `until` says so."""
    found, settings = chosen_source(source, patience)
    if handle is not None:
        found = replace(found, handle=handle)
    live = LiveFrames(lambda: reader.live(found), settings)
    items: list[FrameBatch | Gap] = []
    for item in live:
        items.append(item)
        if until(items):
            break
    live.close()
    return items


def pixels(items: list[FrameBatch | Gap]) -> np.ndarray:
    """All frames, float [n, 27, 48, 3]."""
    return np.concatenate([item.pixels for item in items if isinstance(item, FrameBatch)]) * 1.0


def cuts(items: list[FrameBatch | Gap]) -> list[int]:
    """Where the colours change: frame numbers."""
    steps = np.abs(np.diff(pixels(items), axis=0)).mean(axis=(1, 2, 3))
    return [int(number) + 1 for number in np.flatnonzero(steps > 15)]


def frames_in(items: list[FrameBatch | Gap]) -> int:
    return sum(len(item.seconds) for item in items if isinstance(item, FrameBatch))


def gaps(items: list[FrameBatch | Gap]) -> list[str]:
    return [item.reason for item in items if isinstance(item, Gap)]


def test_a_pipe_is_read_to_its_end_without_a_gap(reader: CagedReader) -> None:
    with start_writer(
        "ts", "-", rate=RATE, frames=70, cuts=CUTS, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        items = read(reader, "-", handle=process.stdout.fileno())
    assert frames_in(items) == 70
    assert cuts(items) == list(CUTS)
    assert gaps(items) == []


def test_a_named_pipe_too(reader: CagedReader, tmp_path: Path) -> None:
    pipe = tmp_path / "camera"
    os.mkfifo(pipe)
    with start_writer("flv", str(pipe), rate=RATE, frames=60, cuts=CUTS):
        items = read(reader, str(pipe))
    assert (frames_in(items), cuts(items)) == (60, list(CUTS))


def test_a_file_is_followed_while_it_grows(reader: CagedReader, tmp_path: Path) -> None:
    path = tmp_path / "recording.ts"
    with start_writer("ts", str(path), rate=RATE, frames=70, cuts=CUTS) as process:
        wait_for(path)
        started_before_the_end = process.poll() is None
        items = read(reader, str(path))
    assert started_before_the_end
    assert (frames_in(items), cuts(items), gaps(items)) == (70, list(CUTS), [])


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 240
    while not path.exists() or not path.stat().st_size:
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.02)


@pytest.mark.faults
def test_hls_goes_on_while_segments_are_written(reader: CagedReader, tmp_path: Path) -> None:
    with start_writer("hls", str(tmp_path), rate=RATE, frames=150, cuts=(20, 130)) as process:
        wait_for(tmp_path / "live.m3u8")
        with served_folder(tmp_path) as address:
            started_before_the_end = process.poll() is None
            items = read(reader, f"{address}/live.m3u8")
    assert started_before_the_end
    assert frames_in(items) == 150
    assert cuts(items) == [20, 130]


@pytest.mark.faults
@pytest.mark.parametrize("form", SERVERS)
def test_a_camera_that_breaks_off_is_connected_again_with_a_gap(
    reader: CagedReader, form: str
) -> None:
    make = partial(
        start_writer, form, "-", rate=RATE, frames=240, cuts=CUTS, stdout=subprocess.PIPE
    )
    server = SERVERS[form](make)
    broken: list[int] = []

    def enough(items: list[FrameBatch | Gap]) -> bool:
        if frames_in(items) > 30 and not broken:
            broken.append(frames_in(items))
            server.break_off()
        # What was under way when it broke off may still come: the second connection is waited for.
        return server.viewers == 2 and frames_in(items) > broken[0] + 40

    try:
        items = read(reader, server.url, until=enough)
    finally:
        server.close()
    assert server.viewers == 2
    away, back = [item for item in items if isinstance(item, Gap)]
    assert back.reason.startswith("the source is back after")
    assert away.start_s == away.end_s == back.start_s < back.end_s
    seconds = np.concatenate([item.seconds for item in items if isinstance(item, FrameBatch)])
    assert (np.diff(seconds) > 0).all()
    first = [item.first for item in items if isinstance(item, FrameBatch)]
    assert first == list(np.cumsum([0, *(n for n in counts(items)[:-1])]))


def counts(items: list[FrameBatch | Gap]) -> list[int]:
    return [len(item.seconds) for item in items if isinstance(item, FrameBatch)]


def test_what_is_no_source_is_said_at_once(reader: CagedReader, tmp_path: Path) -> None:
    text = tmp_path / "letter.ts"
    text.write_text("Dear editor, " * 100)
    with pytest.raises(MediaError):
        read(reader, str(text))
    with pytest.raises(MediaError, match="can't be opened"):
        read(reader, str(tmp_path / "nothing.ts"))
    with pytest.raises(MediaError):
        read(reader, "rtsp://127.0.0.1:1/camera")
    with pytest.raises(InputError, match="can't be ftp"):
        read(reader, "ftp://127.0.0.1/camera")


@pytest.mark.parametrize(
    ("text", "source", "again"),
    [
        ("-", LiveSource(handle=0, silent_s=0.0), (False, False)),
        ("a.ts", LiveSource(path=Path("a.ts"), silent_s=0.0, grown_s=7.0), (False, False)),
        ("rtsp://cam/1", LiveSource(url="rtsp://cam/1", silent_s=12.0), (True, True)),
        ("rtmp://cam/1", LiveSource(url="rtmp://cam/1", silent_s=12.0), (True, True)),
        ("https://a/b.m3u8", LiveSource(url="https://a/b.m3u8", silent_s=12.0), (False, True)),
    ],
)
def test_how_patient_one_is_with_each_kind(
    text: str, source: LiveSource, again: tuple[bool, bool]
) -> None:
    found, settings = chosen_source(text, Patience(stall_s=3.0, away_s=60.0, grown_s=7.0))
    assert found == source
    assert (settings.again_after_end, settings.again_after_break) == again
    assert settings.stall_s == (8.0 if text == "a.ts" else 3.0)
