"""Text in pictures and shots: what is read, how often, and what it becomes."""

from __future__ import annotations

import json

import pytest

from core.items import Item
from indexing.work.stages.read_text import ReadTextStage
from tests.indexing.work.world import Speller, World


@pytest.fixture
def speller(world: World) -> Speller:
    world.speller = Speller()
    return world.speller


def item_of(world: World) -> Item:
    """The only item."""
    (uri,) = world.writer.versions
    return world.writer.newest(uri).item


def test_a_picture_s_lines_become_its_seen_text(world: World, speller: Speller) -> None:
    world.write("sign.jpg", "picture NO-ENTRY")
    world.ingest()
    item = item_of(world)
    assert [(one.text, one.at_s, one.score) for one in item.seen] == [
        ("NO", 0.0, 0.9),
        ("ENTRY", 0.0, 0.9),
    ]
    assert item.seen[0].box == (0.1, 0.2, 0.3, 0.4)
    assert item.seen_by == "speller@1"


def test_lines_of_a_video_have_the_seconds_of_their_shots_stills(
    world: World, speller: Speller
) -> None:
    world.write("clip.mp4", "video SLATE black LIVE-NOW")
    world.ingest()
    item = item_of(world)
    assert [(one.text, one.at_s) for one in item.seen] == [
        ("SLATE", 0.0),
        ("LIVE", 8.0),
        ("NOW", 8.0),
    ]
    assert b"jpeg of black" not in speller.asked


def test_a_still_is_read_once_and_again_by_another_reader(world: World, speller: Speller) -> None:
    world.write("a.jpg", "picture SIGN")
    world.ingest()
    world.write("b/copy.mp4", "video SIGN SIGN")
    world.ingest()
    assert speller.asked == [b"jpeg of SIGN"]
    world.speller = Speller("speller-2")
    world.ingest()
    assert world.speller.asked == [b"jpeg of SIGN"]


def test_what_rights_forbid_is_not_read_nor_taken_from_elsewhere(
    world: World, speller: Speller
) -> None:
    world.write("free.jpg", "picture SIGN")
    world.ingest()
    world.write("held.jpg", "picture SIGN held")
    world.write("held.json", json.dumps({"uri": "urn:held", "external_processing": False}))
    world.write("other.jpg", "picture SECRET")
    world.write("other.json", json.dumps({"uri": "urn:other", "external_processing": False}))
    job = world.ingest()
    assert speller.asked == [b"jpeg of SIGN"]
    for uri in ("urn:held", "urn:other"):
        assert world.writer.newest(uri).item.seen == ()
        assert world.writer.newest(uri).item.seen_by == ""
    assert world.assets(job)["other.jpg"].cause


def test_rights_that_are_withdrawn_take_the_words_away(world: World, speller: Speller) -> None:
    world.write("a.jpg", "picture SIGN")
    world.write("a.json", json.dumps({"uri": "urn:a"}))
    world.ingest()
    assert world.writer.newest("urn:a").item.seen
    world.write("a.json", json.dumps({"uri": "urn:a", "external_processing": False}))
    world.ingest()
    assert world.writer.newest("urn:a").item.seen == ()


def test_a_still_that_can_t_be_read_stops_nothing_and_is_tried_again(
    world: World, speller: Speller
) -> None:
    speller.illegible = {"BROKEN"}
    world.write("a.jpg", "picture BROKEN")
    world.write("b.jpg", "picture SIGN")
    job = world.ingest()
    assets = world.assets(job)
    assert "can't be read" in assets["a.jpg"].cause
    assert assets["b.jpg"].cause == ""
    speller.illegible = set()
    world.ingest()
    found = {
        one.text for uri in world.writer.versions for one in world.writer.newest(uri).item.seen
    }
    assert found == {"BROKEN", "SIGN"}


def test_a_stop_loses_no_still_that_was_read(world: World) -> None:
    world.write("clip.mp4", "video ONE TWO THREE")
    asset = world.assets(world.ingest())["clip.mp4"]
    world.speller = speller = Speller()
    legible = world.legible()
    assert legible is not None
    stage = ReadTextStage(world.preparing(), world.store, legible)
    assert list(stage.work([asset], lambda: bool(speller.asked))) == []
    assert speller.asked == [b"jpeg of ONE"]
    assert len(list(stage.work([asset], lambda: False))) == 1
    assert speller.asked == [b"jpeg of ONE", b"jpeg of TWO", b"jpeg of THREE"]
