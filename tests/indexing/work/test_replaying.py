"""Dead letters that are tried again: what is said of their files holds, whatever could be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]
import pytest

from core.errors import StorageError
from core.work import AssetState, Job, JobState, Priority
from indexing.work.request import Request
from indexing.work.sources.stores import FileStores
from tests.indexing.work.world import Describer, World

EMBARGO = "2999-01-01T00:00:00+00:00"


@pytest.fixture
def bucket(folder: Path) -> Iterator[str]:
    """A folder in a store that lies in memory."""
    name = f"replaying-{folder.name}"
    yield f"memory://{name}"
    fsspec.filesystem("memory").rm(f"/{name}", recursive=True)


def put(url: str, text: str) -> None:
    fsspec.filesystem("memory").pipe(url.removeprefix("memory:/"), text.encode())


def ingested(world: World, *paths: str, manifests: tuple[str, ...] = ()) -> Job:
    job = world.desk.start(Request(paths, manifests, ("wire",)), Priority.BACKFILL)
    world.work()
    return job


def the_item(world: World) -> Any:
    (uri,) = world.writer.versions
    return world.writer.newest(uri).item


def test_a_store_s_file_stays_a_dead_letter_until_its_sidecar_can_be_read(
    world: World, bucket: str
) -> None:
    put(f"{bucket}/a.jpg", "picture a")
    put(f"{bucket}/a.json", '{"external_processing": false, "headline": ')
    world.captioner = Describer()
    job = ingested(world, bucket)
    assert world.desk.replay(job.id) == 0
    world.work()
    dead = world.assets(job)["a.jpg"]
    assert (dead.state, world.captioner.asked, world.writer.versions) == (AssetState.DEAD, [], {})
    assert "a.json" in dead.cause
    put(f"{bucket}/a.json", json.dumps({"external_processing": False, "embargoed": EMBARGO}))
    assert world.desk.replay(job.id) == 1
    world.work()
    assert world.jobs.job(job.id).state is JobState.FINISHED
    assert [asked.may_leave for asked in world.captioner.asked] in ([], [False])
    item = the_item(world)
    assert item.embargoed is not None
    assert item.products == ("wire",)


def test_a_store_that_does_not_answer_keeps_its_file_a_dead_letter(
    world: World, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f"{bucket}/a.jpg", "picture a")
    put(f"{bucket}/a.json", "no JSON")
    job = ingested(world, bucket)
    with monkeypatch.context() as context:

        def refused(*_: object) -> bytes:
            raise PermissionError("Access Denied")

        context.setattr(FileStores, "read", refused)
        assert world.desk.replay(job.id) == 0
    assert "Access Denied" in world.assets(job)["a.jpg"].cause
    world.work()
    assert not world.writer.versions


@pytest.mark.parametrize("error", [StorageError("the database is restarted"), KeyboardInterrupt()])
def test_what_was_rejected_is_a_dead_letter_at_once(
    world: World, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader ends, or finds no database, as soon as it has made the chunk."""
    world.write("a.jpg", "picture a")
    world.write("a.json", '{"external_processing": false, "headline": ')
    world.write("b.jpg", "picture b")
    world.captioner = Describer()
    job = world.start()
    with monkeypatch.context() as context:

        def refused(*_: object) -> None:
            raise error

        context.setattr(world.jobs, "update", refused)
        context.setattr(world.orders, "complete_reading", refused)
        with suppress(KeyboardInterrupt, StorageError):
            world.work(1)
    world.orders.forsake()
    world.work()
    states = {name: asset.state for name, asset in world.assets(job).items()}
    assert states == {"a.jpg": AssetState.DEAD, "b.jpg": AssetState.DONE}
    assert "a.json" in world.assets(job)["a.jpg"].cause
    assert [asked.jpeg for asked in world.captioner.asked] == [b"jpeg of b"]


def test_one_file_of_a_store_has_what_lies_beside_it(world: World, bucket: str) -> None:
    put(f"{bucket}/a.jpg", "picture a")
    put(f"{bucket}/a.json", json.dumps({"headline": "Ferry"}))
    put(f"{bucket}/b.jpg", "picture b")
    ingested(world, f"{bucket}/a.jpg")
    assert the_item(world).headline == "Ferry"


def test_a_mended_file_of_a_store_is_looked_at_anew(world: World, bucket: str) -> None:
    put(f"{bucket}/a.jpg", "poison")
    job = ingested(world, bucket)
    put(f"{bucket}/a.jpg", "picture mended")
    assert world.desk.replay(job.id) == 1
    world.work()
    assert world.assets(job)["a.jpg"].state is AssetState.DONE


def manifest(world: World, **row: object) -> str:
    line = json.dumps({"location": "b.jpg", **row})
    return str(world.write("list.jsonl", f"{line}\n"))


def test_a_manifest_s_row_goes_before_what_lies_beside_the_file(world: World) -> None:
    world.write("b.jpg", "poison")
    listed = manifest(world, uri="urn:row", embargoed=EMBARGO)
    job = ingested(world, manifests=(listed,))
    world.write("b.jpg", "picture mended")
    world.write("b.json", json.dumps({"uri": "urn:beside", "headline": "Ferry"}))
    assert world.desk.replay(job.id) == 1
    world.work()
    item = the_item(world)
    assert (item.uri, item.headline) == ("urn:row", "Ferry")
    assert item.embargoed is not None


def test_a_manifest_s_row_of_a_store_stays_what_is_said(world: World, bucket: str) -> None:
    put(f"{bucket}/b.jpg", "poison")
    put(f"{bucket}/list.jsonl", json.dumps({"location": "b.jpg", "uri": "urn:row"}) + "\nno JSON\n")
    job = ingested(world, manifests=(f"{bucket}/list.jsonl",))
    put(f"{bucket}/b.jpg", "picture mended")
    assert world.desk.replay(job.id) == 1  # the row that is no JSON has no file
    world.work()
    assert list(world.writer.versions) == ["urn:row"]
    (dead,) = world.jobs.find(job.id, [AssetState.DEAD])
    assert "mend its manifest" in dead.cause


def test_a_manifest_s_file_without_an_ending_is_tried_again(world: World, bucket: str) -> None:
    put(f"{bucket}/rows.jsonl", json.dumps({"location": f"{bucket}/photo-123", "uri": "a"}))
    put(f"{bucket}/photo-123", "poison")
    job = ingested(world, manifests=(f"{bucket}/rows.jsonl",))
    (dead,) = world.jobs.find(job.id, [AssetState.DEAD])
    assert dead.found.location.endswith("photo-123")
    put(f"{bucket}/photo-123", "picture a")
    assert world.desk.replay(job.id) == 1
    world.work()
    assert the_item(world).uri == "a"


def test_where_it_can_t_be_told_what_holds_a_file_stays_a_dead_letter(world: World) -> None:
    """A folder and a manifest of one ingest name it, and what lies beside it has changed."""
    world.write("b.jpg", "poison")
    listed = manifest(world, embargoed=EMBARGO)
    job = ingested(world, str(world.folder / "in"), manifests=(listed,))
    world.write("b.jpg", "picture mended")
    world.write("b.json", json.dumps({"headline": "Ferry"}))
    assert world.desk.replay(job.id) == 1  # of the folder nothing was said of it
    (dead,) = world.jobs.find(job.id, [AssetState.DEAD])
    assert "ingest it again" in dead.cause
