"""Whatever a live source is doing when its reader has enough: no thread and no process stays."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from core.errors import MediaError
from core.media import FrameBatch
from indexing.media.cage.sources import LiveSource
from indexing.media.reading import CagedReader
from indexing.media.shots.live import LiveFrames, LiveSettings
from tests.indexing.media.clips import Clip, write_clip
from tests.live_servers import FileServer, RtspServer

pytestmark = pytest.mark.timed

CLIP = Clip(count=100, options={"g": "25"})
ONCE = LiveSettings(stall_s=60.0, again_after_break=False)


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "stream.ts", CLIP)


@contextmanager
def nothing_left() -> Iterator[None]:
    """At the end there are the threads and the processes that there were at the beginning."""
    threads, children = set(threading.enumerate()), set(psutil.Process().children())
    yield
    assert set(threading.enumerate()) - threads == set()
    assert set(psutil.Process().children()) - children == set()


def first_frame_of(source: LiveSource) -> None:
    """Reads until there is a frame, and then has enough."""
    with CagedReader() as reader:
        live = LiveFrames(lambda: reader.live(source), ONCE)
        assert any(isinstance(item, FrameBatch) for item in live)


def test_a_pipe_that_gives_no_more_is_left_at_once(stream: Path) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, stream.read_bytes()[:60_000])
    with nothing_left():
        started = time.monotonic()
        first_frame_of(LiveSource(handle=ours, silent_s=0.0))
        assert time.monotonic() - started < 20.0
    os.close(ours)
    os.close(theirs)


def test_a_camera_and_a_slow_playlist_too(stream: Path) -> None:
    with RtspServer(stream) as camera, FileServer({"/live.ts": stream.read_bytes()}) as server:
        late = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXTINF:4,", "live.ts", "#EXTINF:4,", "late"]
        server.files |= {"/late": 60.0, "/live.m3u8": "\n".join(late).encode()}
        with nothing_left():
            first_frame_of(LiveSource(url=camera.url, silent_s=60.0))
        with CagedReader() as reader:
            flow = reader.live(LiveSource(url=f"{server.url}/late", silent_s=60.0))
            _is_stopped(flow.stop, lambda: next(flow))


def test_a_named_pipe_that_nobody_writes_to_is_left(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "camera")
    with CagedReader() as reader:
        flow = reader.live(LiveSource(path=tmp_path / "camera", silent_s=0.0))
        _is_stopped(flow.stop, lambda: next(flow))


def _is_stopped(stop: Callable[[], None], wait: Callable[[], object]) -> None:
    """What waits for frames ends soon after it is stopped."""
    threading.Timer(1.0, stop).start()
    started = time.monotonic()
    with pytest.raises(MediaError, match="nobody reads it any more"):
        wait()
    assert 0.9 < time.monotonic() - started < 30.0


_PARENT = """
import sys
from indexing.media.cage.sources import LiveSource
from indexing.media.reading import CagedReader
reader = CagedReader()
for item in reader.live(LiveSource(handle=0, silent_s=0.0)):
    print("frames", flush=True)
"""


@pytest.mark.faults
def test_a_child_that_waits_for_a_pipe_ends_with_a_killed_parent(stream: Path) -> None:
    ours, theirs = os.pipe()
    os.write(theirs, stream.read_bytes()[:60_000])
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT],
        stdin=ours,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"frames\n"
        while select.select([parent.stdout], [], [], 1.5)[0]:  # until it waits for more
            assert os.read(parent.stdout.fileno(), 4096)
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
    psutil.wait_procs([child], timeout=120)  # raises nothing
    assert not child.is_running()
    os.close(ours)
    os.close(theirs)
