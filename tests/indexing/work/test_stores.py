"""Files in an S3 store: found, fetched once, bounded, and nowhere else than in stores."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError, LimitError, MediaError
from core.work import AssetState, JobState, Priority
from indexing.work.request import Request
from indexing.work.sources.stores import FileStores, Spool
from storage.media.files import RemoteMediaStore
from tests.indexing.work.world import World
from tests.s3_server import bucket, put

BUCKET = "pictures"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with bucket(BUCKET) as url:
        yield url


class Counting(FileStores):
    """Files in stores, and which were fetched."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    def stream(self, url: str) -> Any:
        self.fetched.append(url)
        return super().stream(url)


def test_a_bucket_is_ingested_and_fetched_once(world: World, s3: str) -> None:
    for number in range(5):
        put(BUCKET, f"year/2026/{number}.jpg", f"picture look{number}".encode())
    put(BUCKET, "year/2026/clip.mp4", b"video one two")
    put(BUCKET, "year/2026/0.json", json.dumps({"headline": "Ferry"}).encode())
    put(BUCKET, "year/readme.txt", b"nothing")
    world.files = files = Counting()
    request = Request((f"{s3}/year",), (), ("wire",))
    job = world.desk.start(request, Priority.BACKFILL)
    world.work()
    assert world.jobs.job(job.id).state is JobState.FINISHED
    assert world.jobs.counts(job.id).found == 6
    assert len(files.fetched) == 6
    items = [world.writer.newest(uri).item for uri in world.writer.versions]
    assert sorted(item.headline for item in items) == ["", "", "", "", "", "Ferry"]
    assert {item.media.location for item in items if item.media} >= {f"{s3}/year/2026/0.jpg"}
    assert not list((world.folder / "spool").iterdir())
    again = world.desk.start(request, Priority.BACKFILL)
    world.work()
    assert world.jobs.job(again.id).state is JobState.FINISHED
    assert world.made(again) == {}
    assert len(files.fetched) == 6
    put(BUCKET, "year/2026/0.jpg", b"picture other")
    third = world.desk.start(request, Priority.BACKFILL)
    world.work()
    assert world.made(third)["decoded"] == 1
    assert files.fetched[6:] == [f"{s3}/year/2026/0.jpg"]


def test_a_manifest_in_a_bucket(world: World, s3: str) -> None:
    put(BUCKET, "lists/a.jpg", b"picture a")
    put(BUCKET, "lists/list.csv", b"location,headline\na.jpg,Ferry\n/etc/hostname.jpg,Bad\n")
    request = Request((), (f"{s3}/lists/list.csv",), ("wire",))
    job = world.desk.start(request, Priority.BACKFILL)
    world.work()
    (uri,) = world.writer.versions
    assert world.writer.newest(uri).item.headline == "Ferry"
    (dead,) = world.jobs.find(job.id, [AssetState.DEAD])
    assert "file of this machine" in dead.cause


def test_a_file_that_is_too_large_is_not_fetched(world: World, s3: str) -> None:
    put(BUCKET, "large/a.jpg", b"x" * 6_000)
    world.files = files = Counting()
    job = world.desk.start(Request((f"{s3}/large",)), Priority.BACKFILL)
    world.work()
    (dead,) = world.jobs.find(job.id, [AssetState.DEAD])
    assert "6,000 bytes" in dead.cause
    assert files.fetched == []


def test_nothing_there_is_said(world: World, s3: str) -> None:
    job = world.desk.start(Request((f"{s3}/nowhere",)), Priority.BACKFILL)
    world.work()
    assert "nothing" in world.jobs.job(job.id).trouble


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/a.jpg", "file:///etc/hostname", "ftp://h/a.jpg", "github://a:b@/c"]
)
def test_only_stores_of_objects_are_asked(url: str, tmp_path: Path) -> None:
    """A manifest must not make this machine ask any host, or read a file of its own."""
    spool = Spool(tmp_path, FileStores(), room=100, largest=100)
    with pytest.raises(InputError, match="no store"), spool.fetched(url):
        raise AssertionError


def test_a_copy_has_the_bytes_and_their_digest(tmp_path: Path, s3: str) -> None:
    data = bytes(range(256)) * 20_000
    put(BUCKET, "one.jpg", data)
    spool = Spool(tmp_path / "spool", FileStores(), room=10**7, largest=10**7)
    with spool.fetched(f"{s3}/one.jpg") as file:
        assert file.path.read_bytes() == data
        assert file.digest == hashlib.sha256(data).hexdigest()
        assert file.size == len(data)
    assert not file.path.exists()
    with pytest.raises(MediaError), spool.fetched(f"{s3}/none.jpg"):
        raise AssertionError


def test_copies_wait_for_room(tmp_path: Path, s3: str) -> None:
    put(BUCKET, "half.jpg", b"x" * 60)
    spool = Spool(tmp_path / "spool", FileStores(), room=100, largest=100)
    there, go_on, second = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        with spool.fetched(f"{s3}/half.jpg"):
            there.set()
            assert go_on.wait(120)

    def follow() -> None:
        with spool.fetched(f"{s3}/half.jpg"):
            second.set()

    threads = [threading.Thread(target=hold), threading.Thread(target=follow)]
    threads[0].start()
    assert there.wait(120)
    threads[1].start()
    assert not second.wait(0.3)
    go_on.set()
    assert second.wait(120)
    for thread in threads:
        thread.join(30)


def test_a_file_larger_than_the_whole_room_is_refused(tmp_path: Path, s3: str) -> None:
    put(BUCKET, "whole.jpg", b"x" * 60)
    spool = Spool(tmp_path, FileStores(), room=50, largest=100)
    with pytest.raises(LimitError), spool.fetched(f"{s3}/whole.jpg"):
        raise AssertionError


def test_stills_in_a_bucket(s3: str) -> None:
    store = RemoteMediaStore(f"{s3}/stills")
    name = store.put(b"a still", ".jpg")
    assert store.put(b"a still", ".jpg") == name
    with store.open(name) as stream:
        stream.seek(2)
        assert stream.read() == b"still"


def test_a_store_that_may_not_be_read_ends_the_job_and_says_why(
    world: World, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libraries of stores raise errors of their own, such as a lack of credentials."""

    class NoCredentialsError(Exception):
        pass

    def refused(*_: object, **__: object) -> object:
        raise NoCredentialsError("Unable to locate credentials")

    monkeypatch.setattr("s3fs.S3FileSystem.find", refused)
    job = world.desk.start(Request((f"{s3}/closed",), (), ("wire",)), Priority.BACKFILL)
    world.work()
    assert world.jobs.job(job.id).state is JobState.FINISHED
    assert "Unable to locate credentials" in world.jobs.job(job.id).trouble
