"""Stills by their digest: whole or not there, and under no other name."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import InputError, NotFoundError
from storage.media.files import MAX_BYTES, FolderMediaStore, RemoteMediaStore

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["folder", "remote"])
def store(request: pytest.FixtureRequest, folder: Path) -> FolderMediaStore | RemoteMediaStore:
    if request.param == "folder":
        return FolderMediaStore(folder / "media")
    return RemoteMediaStore(f"memory://{folder.name}")


def test_bytes_come_back_by_their_digest(store: FolderMediaStore | RemoteMediaStore) -> None:
    data = bytes(range(256)) * 10
    name = store.put(data, ".jpg")
    assert name == f"{hashlib.sha256(data).hexdigest()}.jpg"
    assert store.put(data, ".jpg") == name
    with store.open(name) as stream:
        stream.seek(-4, os.SEEK_END)
        assert stream.read() == data[-4:]


@pytest.mark.parametrize(
    "name",
    ["", "../../etc/passwd", "a" * 64, f"{'a' * 64}.jpg/../x", f"{'A' * 64}.jpg", "/etc/passwd"],
)
def test_no_other_name_leads_anywhere(
    store: FolderMediaStore | RemoteMediaStore, name: str
) -> None:
    with pytest.raises(NotFoundError):
        store.open(name)


def test_what_is_not_there_is_said(store: FolderMediaStore | RemoteMediaStore) -> None:
    with pytest.raises(NotFoundError):
        store.open(f"{'0' * 64}.jpg")


def test_bad_suffixes_and_too_much_are_refused(folder: Path) -> None:
    store = FolderMediaStore(folder)
    with pytest.raises(NotFoundError):
        store.put(b"x", "/../x")
    with pytest.raises(InputError):
        store.put(bytes(MAX_BYTES + 1), ".jpg")
    assert list(folder.iterdir()) == []


PUTTER = """
import sys
from pathlib import Path
from storage.media.files import FolderMediaStore
store, n = FolderMediaStore(Path(sys.argv[1])), 0
while True:
    print(store.put(n.to_bytes(4, "big") * 50_000, ".jpg"), flush=True)
    n += 1
"""


def test_a_kill_leaves_whole_files_only(folder: Path) -> None:
    for seen in (1, 3, 9):
        writer = subprocess.Popen(
            [sys.executable, "-P", "-c", PUTTER, str(folder / str(seen))],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert writer.stdout is not None
        told = [writer.stdout.readline().decode().strip() for _ in range(seen)]
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        store = FolderMediaStore(folder / str(seen))
        for path in (folder / str(seen)).glob("*/[0-9a-f]*"):
            with store.open(path.name) as stream:
                assert hashlib.sha256(stream.read()).hexdigest() == path.stem
        for name in told:
            store.open(name).close()
