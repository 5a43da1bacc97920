"""What is computed again, and what is not, when bytes, models, texts and places change."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from core.errors import MediaError
from core.media import Uncaptioned
from core.work import AssetState, JobState
from tests.indexing.work.world import Describer, EachFrameAShot, World


def opened(world: World) -> list[str]:
    """What decoders were asked for since the last look."""
    kinds = [what for what, _ in world.reader.opened]
    world.reader.opened.clear()
    return kinds


def test_another_detector_finds_the_shots_anew_and_nothing_else(world: World) -> None:
    world.write("clip.mp4", "video one two three four")
    world.write("a.jpg", "picture a")
    world.ingest()
    assert sorted(opened(world)) == ["picture", "probe", "shots"]
    world.finder = EachFrameAShot("shots-2")
    again = world.ingest()
    assert opened(world) == ["shots"]
    assert world.made(again) == {"decoded": 1, "shots": 4}
    world.finder = EachFrameAShot("shots-3", joined=2)
    fewer = world.ingest()
    assert opened(world) == ["shots"]
    assert world.made(fewer) == {"decoded": 1, "shots": 2, "embedded": 0, "written": 1} | {
        "embedded": world.made(fewer).get("embedded", 0)
    }


def test_a_shot_too_short_for_a_still_on_the_way_gets_one_from_the_file(world: World) -> None:
    world.write("clip.mp4", "video one short three")
    world.ingest()
    assert opened(world) == ["probe", "shots", "stills"]
    (uri,) = world.writer.versions
    shots = world.writer.newest(uri).item.shots
    stills = [world.store.kept[shot.thumbnail] for shot in shots]
    assert stills == [b"jpeg of one", b"jpeg of short", b"jpeg of three"]
    assert world.made(world.ingest()) == {}


def test_another_captioner_only_describes_anew(world: World) -> None:
    world.captioner = Describer()
    for name in "ab":
        world.write(f"{name}.jpg", f"picture {name}")
    first = world.ingest()
    assert world.made(first) == {"decoded": 2, "captioned": 2, "embedded": 2, "written": 2}
    opened(world)
    world.captioner = Describer("captioner-2")
    second = world.ingest()
    assert opened(world) == []
    assert world.made(second) == {"captioned": 2, "embedded": 2, "written": 2}
    for versions in world.writer.versions.values():
        newest = versions[max(versions)].item
        assert newest.caption_by == "captioner-2"
        assert len(versions) == 2
    assert world.made(world.ingest()) == {}


def test_a_changed_text_of_the_agency_s_only_embeds_anew(world: World) -> None:
    world.captioner = Describer()
    world.write("a.jpg", "picture a")
    world.write("a.json", json.dumps({"headline": "Ferry at the quay"}))
    world.ingest()
    opened(world)
    asked, embedded = len(world.captioner.asked), len(world.encoder.texts)
    world.write("a.json", json.dumps({"headline": "Ferry leaves the quay"}))
    again = world.ingest()
    assert opened(world) == []
    assert len(world.captioner.asked) == asked
    assert len(world.encoder.texts) > embedded
    assert world.made(again) == {"embedded": 1, "written": 1}
    (versions,) = world.writer.versions.values()
    assert [versions[n].item.headline for n in sorted(versions)] == [
        "Ferry at the quay",
        "Ferry leaves the quay",
    ]
    assert world.made(world.ingest()) == {}


def test_the_same_bytes_in_two_places_are_decoded_once(world: World) -> None:
    for number in range(8):
        world.write(f"{number}/same.jpg", "picture same")
    job = world.ingest()
    assert opened(world) == ["picture"]
    assert len(world.writer.versions) == 1
    assert world.jobs.counts(job.id).found == 8


def test_a_moved_file_is_known(world: World) -> None:
    path = world.write("a.jpg", "picture a")
    world.ingest()
    opened(world)
    path.rename(path.with_name("b.jpg"))
    job = world.ingest()
    assert opened(world) == []
    (versions,) = world.writer.versions.values()
    assert Path(versions[max(versions)].item.media.location).name == "b.jpg"  # type: ignore[union-attr]
    assert job.state is JobState.FINISHED


def test_other_bytes_under_the_same_name_are_another_picture(world: World) -> None:
    path = world.write("a.jpg", "picture a")
    world.ingest()
    opened(world)
    path.write_text("picture b", "utf-8")
    world.ingest()
    assert opened(world) == ["picture"]
    assert len(world.writer.versions) == 2


def test_a_file_that_changes_while_it_is_read_is_not_taken_for_what_it_was(world: World) -> None:
    path = world.write("a.jpg", "picture a")

    class Meddling(type(world.reader)):  # type: ignore[misc]
        def picture(self, path: Path, edges: object) -> object:
            found = super().picture(path, edges)
            path.write_text("picture changed", "utf-8")
            os.utime(path, ns=(1, len(self.opened)))
            return found

    world.reader = Meddling()
    found = world.start()
    with pytest.raises(MediaError, match="changed while"):
        world.decoder().decode(_found(path))
    del found


@pytest.mark.parametrize("at", ["probe", "shots", "stills"])
def test_nothing_of_a_video_s_successor_is_remembered_as_the_video_s(world: World, at: str) -> None:
    """The file is replaced before it is opened for a step; then the old bytes come back."""
    lines = [{"start": at, "end": at + 4, "description": "Quay"} for at in (0, 4)]
    path = world.write("clip.mp4", "video one two")
    if at == "stills":  # a person names the shots
        world.finder = None
        path.with_suffix(".json").write_text(json.dumps({"shotlist": lines}), "utf-8")

    class Meddling(type(world.reader)):  # type: ignore[misc]
        def _read(self, what: str, path: Path) -> object:
            if what == at and not any(step == at for step, _ in self.opened):
                path.write_text("video three four five", "utf-8")
            return super()._read(what, path)

    world.reader = Meddling()
    with pytest.raises(MediaError, match="changed while"):
        world.decoder().decode(_found(path))
    path.write_text("video one two", "utf-8")
    world.ingest()
    (uri,) = world.writer.versions
    item = world.writer.newest(uri).item
    assert item.media is not None
    assert item.media.duration_s == 8.0
    stills = [world.store.kept[shot.thumbnail] for shot in item.shots]
    assert stills == [b"jpeg of one", b"jpeg of two"]


def test_a_video_with_a_picture_s_name_is_a_video(world: World) -> None:
    world.write("clip.jpg", "video one two")
    world.ingest()
    (versions,) = world.writer.versions.values()
    item = versions[max(versions)].item
    assert item.type == "video"
    assert len(item.shots) == 2


def test_what_can_t_be_described_now_is_applied_and_asked_about_next_time(world: World) -> None:
    world.captioner = Describer()
    world.captioner.refusing = Uncaptioned("the day's spend is reached", again=True)
    world.write("a.jpg", "picture a")
    first = world.ingest()
    asset = world.assets(first)["a.jpg"]
    assert "spend is reached" in asset.cause
    assert world.made(first) == {"decoded": 1, "embedded": 1, "written": 1}
    world.captioner.refusing = None
    second = world.ingest()
    assert world.made(second) == {"captioned": 1, "embedded": 1, "written": 1}
    assert world.assets(second)["a.jpg"].cause == ""


@pytest.mark.parametrize("text", ["picture a", "video a b"])
def test_what_is_described_late_waits_for_the_next_version_of_a_document(
    world: World, text: str
) -> None:
    """A version that the agency has numbered stays what it was."""
    name = "a.jpg" if text.startswith("picture") else "a.mp4"
    world.captioner = Describer()
    world.captioner.refusing = Uncaptioned("the day's spend is reached", again=True)
    world.write(name, text)
    world.write("a.json", json.dumps({"version": "3", "uri": "a"}))
    world.ingest()
    world.captioner.refusing = None
    late = world.assets(world.ingest())[name]
    assert late.state is AssetState.DONE
    assert "version 3 stays" in late.cause
    assert list(world.writer.versions["a"]) == [3]
    assert "jpeg of a" not in _said(world)
    asked = len(world.captioner.asked)
    world.write("a.json", json.dumps({"version": "4", "uri": "a"}))
    assert world.assets(world.ingest())[name].cause == ""
    assert "jpeg of a" in _said(world)
    assert len(world.captioner.asked) == asked  # what was paid for is taken
    world.captioner = None
    without = world.assets(world.ingest())[name]
    assert without.state is AssetState.DONE
    assert "jpeg of a" in _said(world)


def test_words_of_a_model_are_not_taken_along_to_more_products(world: World) -> None:
    """They may come from what looks alike within the products before."""
    world.captioner = Describer()
    world.write("a.jpg", "picture a")
    world.write("a.json", json.dumps({"version": "3", "uri": "a"}))
    world.ingest("wire")
    assert "jpeg of a" in _said(world)
    world.captioner = None
    late = world.assets(world.ingest("wire", "public"))["a.jpg"]
    assert late.state is AssetState.DEAD
    assert world.writer.newest("a").item.products == ("wire",)


def _said(world: World) -> list[str]:
    """What a model says of the item `a`."""
    item = world.writer.newest("a").item
    return [item.caption, *(shot.description for shot in item.shots)]


def test_what_can_never_be_described_is_asked_about_once(world: World) -> None:
    world.captioner = Describer()
    world.captioner.refusing = Uncaptioned("the provider's policy", again=False)
    world.write("a.jpg", "picture a")
    world.ingest()
    world.ingest()
    assert len(world.captioner.asked) == 1


def _found(path: Path) -> object:
    from indexing.work.sources.listing import look_at

    return look_at(path)


def test_shots_of_a_supplied_list_have_stills_where_no_model_finds_shots(world: World) -> None:
    world.finder = None
    world.captioner = Describer()
    world.write("clip.mp4", "video one two three")
    lines = [
        {"start": "0", "end": "4", "description": "A quay"},
        {"start": "4", "end": "90", "description": "The ferry"},
        {"start": "95", "end": "99", "description": "Beyond the end"},
    ]
    world.write("clip.shots.json", json.dumps(lines))
    job = world.ingest()
    assert opened(world) == ["probe", "stills"]
    (uri,) = world.writer.versions
    item = world.writer.newest(uri).item
    assert [(s.start_s, s.end_s, s.description) for s in item.shots] == [
        (0, 4, "A quay"),
        (4, 12, "The ferry"),
    ]
    stills = [world.store.kept[shot.thumbnail] for shot in item.shots]
    assert stills == [b"jpeg of one", b"jpeg of two"]
    assert item.media is not None
    assert item.media.thumbnail == item.shots[0].thumbnail
    assert "Beyond the end" in item.body
    assert world.captioner.asked == []  # the agency says what they show
    assert world.made(job) == {"decoded": 1, "embedded": 1, "written": 1}
    assert world.made(world.ingest()) == {}
    assert opened(world) == []
    world.write("clip.shots.json", json.dumps(lines[:1]))
    world.ingest()
    assert opened(world) == ["stills"]
    assert len(world.writer.newest(uri).item.shots) == 1


def test_a_list_that_can_t_be_read_leaves_a_video_without_shots(world: World) -> None:
    world.finder = None
    world.write("clip.mp4", "video one two")
    world.write("clip.json", json.dumps({"shotlist": [7], "headline": "Ferry"}))
    job = world.ingest()
    assert world.assets(job)["clip.mp4"].state is AssetState.DEAD
    assert "shot list" in world.assets(job)["clip.mp4"].cause
    assert opened(world)[0] == "probe"
