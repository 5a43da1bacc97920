"""Live sources in a cage: pipes, growing files, HLS, RTSP, RTMP."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from benchmarks.media.broadcast import Broadcast
from core.errors import InputError, MediaError
from core.media import FrameBatch, Gap
from indexing.media.cage.fetching import Fetches
from indexing.media.cage.limits import CageLimits
from indexing.media.cage.sources import LiveSource
from indexing.media.reading import CagedReader
from tests.indexing.media.clips import Clip, write_clip
from tests.live_servers import FileServer, RtspServer
from tests.rtmp_server import RtmpServer

pytestmark = pytest.mark.timed

CLIP = Clip(count=100, options={"g": "25", "bf": "2"})


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "stream.ts", CLIP)


def seconds(reader: CagedReader, source: LiveSource) -> list[float]:
    items = reader.live(source)
    return [float(at) for item in items if isinstance(item, FrameBatch) for at in item.seconds]


def collect(items: Iterable[FrameBatch | Gap], into: list[float]) -> None:
    for item in items:
        assert isinstance(item, FrameBatch)
        into.extend(item.seconds)


def in_thread(work: object, *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
    thread.start()
    return thread


def pour(data: bytes, into: int, step: int, pause_s: float) -> None:
    with os.fdopen(into, "wb", 0) as pipe:
        for at in range(0, len(data), step):
            pipe.write(data[at : at + step])
            time.sleep(pause_s)


def test_every_frame_of_a_pipe_comes_and_then_it_ends(reader: CagedReader, stream: Path) -> None:
    ours, theirs = os.pipe()
    thread = in_thread(pour, stream.read_bytes(), theirs, 8192, 0.0)
    try:
        assert seconds(reader, LiveSource(handle=ours)) == pytest.approx(CLIP.times(), abs=1e-3)
    finally:
        os.close(ours)
        thread.join()


def test_frames_come_while_the_source_goes_on(reader: CagedReader, stream: Path) -> None:
    """The first is there before the last was written, in small batches."""
    ours, theirs = os.pipe()
    data = stream.read_bytes()
    thread = in_thread(pour, data, theirs, len(data) // 60, 0.05)
    items = reader.live(LiveSource(handle=ours))
    try:
        first = next(items)
        assert thread.is_alive()
        assert isinstance(first, FrameBatch)
        sizes = [len(first.seconds), *(len(i.seconds) for i in items if isinstance(i, FrameBatch))]
        assert sum(sizes) == CLIP.count
        assert max(sizes) <= 16
    finally:
        os.close(ours)
        thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_live_source_may_compute_for_longer_than_a_file(tmp_path: Path) -> None:
    """As it comes after a file that a child has read, and for as long as it goes on."""
    large = Clip(count=50, size=(1280, 720), options={"g": "25", "preset": "ultrafast"})
    data = write_clip(tmp_path / "large.ts", large).read_bytes()
    ours, theirs = os.pipe()
    enough = threading.Event()

    def pour_on() -> None:
        with os.fdopen(theirs, "wb", 0) as pipe, suppress(BrokenPipeError):
            while not enough.is_set():
                pipe.write(data)

    others = psutil.Process().children()
    with CagedReader(CageLimits(file_cpu_s=1)) as reader:
        reader.probe(tmp_path / "large.ts")
        (child,) = set(psutil.Process().children()) - set(others)
        until = _computed_s(child) + 3
        thread = in_thread(pour_on)
        try:
            for _ in reader.live(LiveSource(handle=ours)):
                if _computed_s(child) > until:
                    enough.set()
        finally:
            enough.set()
            os.close(ours)
            thread.join()


def _computed_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def test_a_named_pipe_and_a_growing_file_are_followed(
    reader: CagedReader, stream: Path, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = stream.read_bytes()
    thread = in_thread(pipe.write_bytes, data)
    assert len(seconds(reader, LiveSource(path=pipe))) == CLIP.count
    thread.join()
    growing = tmp_path / "growing.ts"
    growing.write_bytes(data[: len(data) // 2])
    handle = os.open(growing, os.O_WRONLY | os.O_APPEND)
    thread = in_thread(pour, data[len(data) // 2 :], handle, 4096, 0.02)
    assert len(seconds(reader, LiveSource(path=growing, grown_s=3.0))) == CLIP.count
    thread.join()


def test_http_and_hls_are_read(reader: CagedReader, stream: Path, tmp_path: Path) -> None:
    place = tmp_path / "hls"
    place.mkdir()
    muxer = {"hls_time": "1", "hls_list_size": "0"}
    write_clip(place / "list.m3u8", Clip(count=100, options={"g": "25"}, format="hls", muxer=muxer))
    files = {f"/{path.name}": path.read_bytes() for path in place.iterdir()}
    with FileServer({**files, "/stream.ts": stream.read_bytes()}) as server:
        for name in ("list.m3u8", "stream.ts"):
            found = seconds(reader, LiveSource(url=f"{server.url}/{name}"))
            assert found == pytest.approx(CLIP.times(), abs=1e-3)
        assert set(server.hits) == {*files, "/stream.ts"}
        with pytest.raises(MediaError):
            seconds(reader, LiveSource(url=f"{server.url}/gone.m3u8"))


def test_bytes_over_http_are_passed_on_as_they_come() -> None:
    """A stream of few bytes a second is not collected until there are many."""
    sent = b"x" * 1000
    air = Broadcast(SimpleNamespace(pieces=[(0.0, sent), (60.0, b"y")]))
    with air, closing(Fetches(air.url)) as fetches:
        handle = fetches.open(air.url)
        try:
            assert select.select([handle], [], [], 20.0)[0]
            assert os.read(handle, 4096) == sent
        finally:
            os.close(handle)


def test_rtsp_is_read(reader: CagedReader, stream: Path) -> None:
    with RtspServer(stream) as server:
        found = seconds(reader, LiveSource(url=server.url))
    assert len(found) >= CLIP.count - 2  # the server hangs up over the last packet
    assert found == pytest.approx(CLIP.times()[: len(found)], abs=1e-3)


def test_rtmp_is_read_until_it_breaks_off(reader: CagedReader, tmp_path: Path) -> None:
    found: list[float] = []
    with RtmpServer(write_clip(tmp_path / "clip.flv", CLIP)) as server:
        items = reader.live(LiveSource(url=server.url))
        with pytest.raises(MediaError, match="broke off"):
            collect(items, found)
        assert f"rtmp://127.0.0.1:{server.port}/live".encode() in server.said
    assert found == pytest.approx(CLIP.times(), abs=2e-3)


def test_a_silent_source_is_given_up(reader: CagedReader, stream: Path) -> None:
    ours, theirs = os.pipe()
    thread = in_thread(os.write, theirs, stream.read_bytes()[:60_000])
    items = reader.live(LiveSource(handle=ours, silent_s=3.0))
    found: list[float] = []
    try:
        with pytest.raises(MediaError, match="no frames for 3 s"):
            collect(items, found)
        assert len(found) > 10
    finally:
        os.close(theirs)
        os.close(ours)
        thread.join()


def test_a_server_that_answers_too_late_is_given_up(reader: CagedReader, stream: Path) -> None:
    """Of a playlist that is fetched over and over no frame comes; nor while a head is awaited."""
    late = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-VERSION:3\n#EXTINF:1.0,\nlate.ts\n"
    head = late.replace("late.ts", "first.ts")
    with FileServer({"/late.ts": 30.0, "/first.ts": stream.read_bytes()}) as server:
        server.files |= {"/late.m3u8": late.encode(), "/live.m3u8": head.encode()}
        for name in ("late.m3u8", "late.ts", "live.m3u8"):
            started = time.monotonic()
            with pytest.raises(MediaError, match="no frames for 2 s"):
                seconds(reader, LiveSource(url=f"{server.url}/{name}", silent_s=2.0))
            assert time.monotonic() - started < 20.0, name
        assert server.hits.count("/live.m3u8") > 1  # it was asked for anew


def test_a_file_that_stopped_growing_is_waited_for_once(
    reader: CagedReader, stream: Path, tmp_path: Path
) -> None:
    """Even where what is there is too little to begin with, and the demuxer asks many times."""
    short = tmp_path / "short.flv"
    short.write_bytes(write_clip(tmp_path / "clip.flv", CLIP).read_bytes()[:2000])
    reader.protection()  # a child is there: how long it takes to start is not asked here
    for path in (stream, short):
        started = time.monotonic()
        with suppress(MediaError):
            seconds(reader, LiveSource(path=path, grown_s=3.0))
        assert 3.0 <= time.monotonic() - started < 6.0, path


def test_what_a_broadcast_lost_is_a_gap(reader: CagedReader, tmp_path: Path) -> None:
    """Pieces of MPEG-TS cut out: so that their numbers tell of it, and so that they don't."""
    clip = Clip(count=300, options={"g": "25", "bf": "0"})
    data = write_clip(tmp_path / "whole.ts", clip).read_bytes()
    pieces = [data[at : at + 188] for at in range(0, len(data), 188)]
    video = [n for n, piece in enumerate(pieces) if piece[1] & 0x1F == 1 and piece[2] == 0]
    begins = [n for n in video if pieces[n][1] & 0x40]  # of a frame each
    for first, last in ((101, 131), _unnoticed(video, begins, pieces)):
        kept = pieces[: begins[first]] + pieces[begins[last] :]
        (tmp_path / "hole.ts").write_bytes(b"".join(kept))
        live = reader.live(LiveSource(path=tmp_path / "hole.ts", grown_s=0.2))
        (gap,) = [item for item in live if isinstance(item, Gap)]
        assert gap.start_s == pytest.approx(first / 25, abs=0.3)  # damage spoils a few more
        assert gap.end_s == pytest.approx(last / 25, abs=1.05)  # up to the next key frame
        assert gap.end_s - gap.start_s > 1.0


def _unnoticed(video: list[int], begins: list[int], pieces: list[bytes]) -> tuple[int, int]:
    """The first and the last frame of a hole over whose edges the pieces' counter goes on."""
    for first in range(100, 140):
        for last in range(first + 28, first + 40):
            before = video[video.index(begins[first]) - 1]
            if (pieces[before][3] + 1) & 15 == pieces[begins[last]][3] & 15:
                return first, last
    raise AssertionError("there is none")


def test_frames_that_come_unevenly_leave_no_gap(reader: CagedReader, tmp_path: Path) -> None:
    """A screen that is sent when something moves: here twelve times, then not for 1.4 s."""
    stamps = [40 * n + 1400 * (n // 12) for n in range(60)]
    path = write_clip(tmp_path / "screen.ts", Clip(count=60, stamps=stamps))
    items = list(reader.live(LiveSource(path=path, grown_s=0.2)))
    assert [item for item in items if isinstance(item, Gap)] == []
    assert sum(len(item.seconds) for item in items if isinstance(item, FrameBatch)) == 60


def test_nobody_there_is_said(reader: CagedReader) -> None:
    for url in ("rtsp://127.0.0.1:9/x", "rtmp://127.0.0.1:9/a/b", "http://127.0.0.1:9/x.ts"):
        with pytest.raises(MediaError):
            seconds(reader, LiveSource(url=url, silent_s=10.0))
    with pytest.raises(InputError):
        seconds(reader, LiveSource())


def test_a_source_s_name_keeps_its_password() -> None:
    source = LiveSource(url="rtsp://user:secret@host:554/path?token=secret")
    assert source.name == "rtsp://host:554/path"
