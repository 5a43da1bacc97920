"""A watched folder: what is whole is given, what still grows is not, and nothing is missed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import InputError
from core.work import JobState, Priority
from indexing.work.request import Request
from indexing.work.sources.listing import seen_at
from indexing.work.sources.watching import WatchedFolder, media_meant
from tests.indexing.work.world import World

pytestmark = pytest.mark.timed

PATIENCE_S = 240.0


@contextmanager
def watching(folder: Path) -> Iterator[list[Path]]:
    """Watches in a thread; what was given so far."""
    stop, given = threading.Event(), list[Path]()

    def watch() -> None:
        for paths in WatchedFolder(folder, settled_s=0.4).settled(stop):
            given.extend(paths)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield given
    finally:
        stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def wait_for(given: list[Path], count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(given) < count:
        assert time.monotonic() < deadline, given
        time.sleep(0.02)


def test_what_was_there_and_what_comes_is_given_once_it_is_whole(folder: Path) -> None:
    (folder / "old.jpg").write_bytes(b"old")
    (folder / ".hidden.jpg").write_bytes(b"no")
    with watching(folder) as given:
        wait_for(given, 1)
        assert given == [folder / "old.jpg"]
        (folder / "sub").mkdir()
        growing = folder / "sub" / "new.mp4"
        for _ in range(12):
            with growing.open("ab") as stream:
                stream.write(b"more")
            time.sleep(0.1)  # a copy that goes on for longer than a file must rest
            assert growing not in given
        wait_for(given, 2)
        assert given[1] == growing
        growing.write_bytes(b"another")
        wait_for(given, 3)
        assert given[2] == growing


def test_a_file_that_goes_away_is_forgotten(folder: Path) -> None:
    with watching(folder) as given:
        (folder / "gone.jpg").write_bytes(b"x")
        (folder / "gone.jpg").unlink()
        (folder / "there.jpg").write_bytes(b"x")
        wait_for(given, 1)
    assert given == [folder / "there.jpg"]


def test_a_sidecar_means_its_media_file(folder: Path) -> None:
    for name in ("a.jpg", "a.json", "b.jpg", "b.jpg.xmp", "story.json"):
        (folder / name).write_bytes(b"{}")
    assert media_meant(folder / "a.jpg") == [folder / "a.jpg"]
    assert media_meant(folder / "a.json") == [folder / "a.jpg"]
    assert media_meant(folder / "b.jpg.xmp") == [folder / "b.jpg"]
    assert media_meant(folder / "story.json") == []


def test_a_folder_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(InputError):
        WatchedFolder(folder / "nowhere")


def test_a_watched_folder_gives_only_what_is_whole(world: World) -> None:
    """Whoever looks after jobs meanwhile, and whatever else is asked of the folder, reads nothing
    of it in the watching job's name.
    """
    whole = world.write("whole.jpg", "picture a")
    world.write("growing.jpg", "picture b")
    request = Request((str(world.folder / "in"),), (), ("wire",))
    watching = world.desk.start(request, Priority.BACKFILL, reads=False)
    world.work()
    assert not world.writer.versions
    world.reading().feed(world.jobs.job(watching.id), [seen_at(whole, ("wire",))], lambda: False)
    ingest = world.desk.start(request, Priority.BACKFILL)
    assert ingest.id != watching.id
    world.desk.pause(ingest.id)
    world.work()
    assert len(world.writer.versions) == 1
    assert list(world.assets(watching)) == ["whole.jpg"]
    assert world.jobs.job(watching.id).state is JobState.FINISHED
