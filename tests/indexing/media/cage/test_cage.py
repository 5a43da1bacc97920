"""The cage: what a child can't do, and what becomes of a child that misbehaves."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from PIL import Image

import dateline
from core.errors import BusyError, LimitError, MediaError
from core.media import FrameBatch
from indexing.media.cage import parent as cage
from indexing.media.cage.limits import CageLimits
from indexing.media.reading import CagedReader
from tests.indexing.media.clips import Clip, photo, png_claiming, write_clip

pytestmark = pytest.mark.timed

ROOT = Path(dateline.__file__).parent.parent
linux = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's")
PATIENCE_S = 240.0
READY = {
    "say": "ready",
    "no_open": True,
    "no_network": True,
    "own_network": True,
    "no_new_privileges": True,
    "memory": True,
    "notes": [],
}
# What stands in a real child's place: it greets, takes the request, and then misbehaves.
STRANGER = """
import socket, sys, json, os, time
sys.path[:0] = json.loads(sys.argv[1])["path"]
from indexing.media.cage.wire import Message, receive, send
line = socket.socket(fileno=json.loads(sys.argv[1])["handle"])
send(line, Message({ready}))
message = receive(line, handles=1)
{then}
"""


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


def children() -> set[int]:
    return {
        child.pid for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE
    }


@pytest.fixture
def stranger(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], CagedReader]:
    """A reader whose children are strangers that do `then` when they are asked."""

    def make(then: str, limits: CageLimits | None = None) -> CagedReader:
        monkeypatch.setattr(cage, "_BOOT", STRANGER.format(ready=READY, then=then))
        return CagedReader(limits or CageLimits(stall_s=2.0))

    return make


@linux
def test_a_child_gets_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stranger: Callable[[str], CagedReader]
) -> None:
    """Its environment holds nothing of ours, and no open file but its line and the media."""
    monkeypatch.setenv("DATELINE_SECRET", "tell nobody")
    kept = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(kept, True)
    path = tmp_path / "a.png"
    photo((64, 48)).save(path)
    told = "len(os.listdir('/proc/self/fd')) + 100 * ('DATELINE_SECRET' in os.environ)"
    then = f"raise SystemExit({told})"
    ended: list[int] = []
    monkeypatch.setattr(cage, "_how", lambda code: ended.append(code) or "by itself")
    with stranger(then) as reader, pytest.raises(MediaError):
        reader.probe(path)
    os.close(kept)
    assert ended[0] <= 6  # 0, 1, 2, the line, the file, and the folder that is listed


@pytest.mark.parametrize(
    ("then", "says"),
    [
        ("os.abort()", "SIGABRT"),
        ("os._exit(3)", "ended"),
        ("os.write(line.fileno(), b'x' * 4096); time.sleep(60)", "can't be believed"),
        ("send(line, Message({'say': 'done', 'notes': []})); time.sleep(60)", "something else"),
        ("send(line, Message({'say': 'facts'})); time.sleep(60)", "can't be believed"),
        ("os.write(line.fileno(), b'DLM1' + bytes([255] * 8)); time.sleep(60)", "too long"),
        ("time.sleep(60)", "stood still"),
        ("[(os.write(line.fileno(), b'D'), time.sleep(0.3)) for _ in range(200)]", "stood still"),
    ],
    ids=["crash", "exit", "noise", "other", "lie", "huge", "hang", "drip"],
)
def test_a_child_that_misbehaves_costs_one_file(
    then: str,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stranger: Callable[[str], CagedReader],
) -> None:
    path = tmp_path / "a.png"
    photo((64, 48)).save(path)
    boot = cage._BOOT
    before = children()
    with stranger(then) as reader:
        with pytest.raises(MediaError, match=says) as raised:
            reader.probe(path)
        assert raised.value.where == str(path)
        assert raised.value.mend
        assert isinstance(raised.value, LimitError) == (says == "stood still")
        assert children() == before
        monkeypatch.setattr(cage, "_BOOT", boot)
        assert reader.probe(path).width == 64


def test_a_child_that_can_t_start_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    photo((64, 48)).save(path)
    monkeypatch.setattr(cage, "_BOOT", "raise SystemExit(1)")
    with CagedReader() as reader, pytest.raises(BusyError, match="did not start"):
        reader.probe(path)


@linux
def test_a_child_that_is_killed_or_stopped_costs_one_file(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "long.mp4", Clip(count=600))
    for number, says in ((signal.SIGKILL, "SIGKILL"), (signal.SIGSTOP, "stood still")):
        with CagedReader(CageLimits(stall_s=1.0)) as reader:
            before = children()
            stream = reader.frames(path)
            next(stream)
            (child,) = children() - before
            os.kill(child, number)
            with pytest.raises(MediaError, match=says):
                list(stream)
            assert child not in children()
            assert sum(1 for item in reader.frames(path) if isinstance(item, FrameBatch)) > 1


@linux
def test_memory_has_an_end(tmp_path: Path) -> None:
    """What would take more is refused, and the next file is read."""
    large, small = tmp_path / "large.png", tmp_path / "small.png"
    Image.new("RGB", (6000, 6000)).save(large, compress_level=1)
    photo((64, 48)).save(small)
    with CagedReader(CageLimits(memory_bytes=330 * 2**20)) as reader:
        with pytest.raises(LimitError, match="MiB"):
            reader.picture(large, [320])
        assert reader.picture(small, [32])[0].width == 64
    with CagedReader() as reader:
        assert reader.picture(large, [320])[0].width == 6000


@linux
def test_computing_time_has_an_end(tmp_path: Path) -> None:
    """A progressive JPEG of 200 kB whose shortest scan comes 4,000 times: each pass goes over the
    whole picture.
    """
    out = io.BytesIO()
    photo((3000, 2000)).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    starts = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xda"]
    ends = [data.index(b"\xff\xc4", at) for at in starts[:-1]]  # where the next tables begin
    start, end = min(zip(starts, ends, strict=False), key=lambda scan: scan[1] - scan[0])
    path = tmp_path / "scans.jpg"
    path.write_bytes(data[:end] + data[start:end] * 12_000 + data[end:])
    limits = CageLimits(cpu_s=2, file_cpu_s=1)
    with CagedReader(limits) as reader, pytest.raises(LimitError, match="1 s of computing in all"):
        reader.picture(path, [3000])
    with CagedReader(CageLimits(cpu_s=1)) as reader:
        with pytest.raises(LimitError, match="1 s of computing at a time"):
            reader.picture(path, [3000])
        photo((64, 48)).save(path, "PNG")
        assert reader.probe(path).width == 64


def test_children_are_used_again_and_replaced_in_time(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photo((64, 48)).save(path)
    before = children()
    with CagedReader(CageLimits(files_per_child=3)) as reader:
        seen = []
        for _ in range(7):
            reader.probe(path)
            seen.append(frozenset(children() - before))
        assert len(set(seen) - {frozenset()}) == 3  # after every third file nobody is left
        with pytest.raises(MediaError):
            reader.stills(path, [[0.0]], 64)
        assert children() - before == seen[-1]  # a refusal does not cost the child
    assert children() == before


def test_whoever_stops_listening_frees_the_child(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "long.mp4", Clip(count=600))
    before = children()
    with CagedReader() as reader:
        stream = reader.frames(path)
        next(stream)
        assert children() > before
        stream.close()
        assert children() == before


@linux
def test_a_child_waits_for_a_slow_reader(tmp_path: Path) -> None:
    """It stops computing after what the line holds, and goes on when it is read again."""
    path = write_clip(tmp_path / "long.mp4", Clip(count=3000, size=(64, 36)))
    before = children()
    with CagedReader() as reader:
        stream = reader.frames(path)
        read = [next(stream)]
        (pid,) = children() - before
        child = psutil.Process(pid)
        wait_until(lambda: child.status() == psutil.STATUS_SLEEPING, "the child waits")
        used = child.cpu_times().user
        wait_until(lambda: child.status() == psutil.STATUS_SLEEPING, "the child waits")
        read += list(stream)
        assert sum(len(item.seconds) for item in read if isinstance(item, FrameBatch)) == 3000
        assert used < 60


@linux
def test_children_end_with_their_parent(tmp_path: Path) -> None:
    code = (
        "import sys; from indexing.media.cage.parent import CagedChild; "
        "from indexing.media.cage.limits import CageLimits; "
        "print(CagedChild(CageLimits()).pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.kill()
    parent.communicate()
    wait_until(
        lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE,
        "the child is gone",
    )


def test_many_threads_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    photo((320, 200)).save(path)
    widths: list[int] = []
    with CagedReader(CageLimits(idle_children=2)) as reader:
        threads = [
            threading.Thread(
                target=lambda: widths.extend(reader.probe(path).width for _ in range(10))
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert widths == [320] * 40


def test_a_bomb_s_refusal_needs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png_claiming(15_000, 15_000))
    limits = CageLimits(picture_pixels=200_000_000, memory_bytes=300 * 2**20)
    with CagedReader(limits) as reader, pytest.raises(LimitError, match="15000 x 15000 pixels"):
        reader.picture(path, [320])
