"""What a model sees in stills, on its way to the items: words with their seconds, vectors, and
nothing that is looked at twice.
"""

from __future__ import annotations

import pytest

from core.items import PICTURE, Item, Shot
from core.media_words import Look
from core.work import AssetState
from indexing.looks import MOST_OF_A_NAME, told
from indexing.work.stages.look import MOST_MOMENTS, moments_beside
from tests.indexing.work.world import EachFrameAShot, Onlooker, World


@pytest.fixture
def looking(world: World) -> World:
    world.onlooker = Onlooker()
    return world


def item_of(world: World, name: str) -> Item:
    found = [
        newest.item
        for uri in world.writer.versions
        if (newest := world.writer.newest(uri)).item.media is not None
        and newest.item.media.location.endswith(name)
    ]
    (item,) = found
    return item


def vectors_of(world: World, item: Item) -> list[tuple[str, int]]:
    (entry,) = [v for v in world.writer.newest(item.uri).vectors if v.field == "looks"]
    assert len(entry.vectors) == len(entry.passages)
    assert entry.encoder == world.onlooker.digest  # type: ignore[union-attr]
    return [(passage.field, passage.start) for passage in entry.passages]


def test_a_picture_and_each_shot_are_looked_at_and_say_when(looking: World) -> None:
    looking.write("a.jpg", "picture heron")
    looking.write("clip.mp4", "video ferry black quay")
    job = looking.ingest()
    picture, clip = item_of(looking, "a.jpg"), item_of(looking, "clip.mp4")
    assert picture.looks == (Look("heron", 0.8), Look("thing", 0.6))
    assert picture.looks_by == "onlooker@looks-1"
    assert [(look.name, look.at_s) for look in clip.looks] == [
        ("ferry", 0.0),
        ("thing", 0.0),
        ("quay", 8.0),
        ("thing", 8.0),
    ]
    assert vectors_of(looking, picture) == [(PICTURE, 0)]
    assert vectors_of(looking, clip) == [(PICTURE, 0), (PICTURE, 2)]  # nobody looks at black
    assert {asset.cause for asset in looking.assets(job).values()} == {""}


def test_the_second_time_and_for_a_copy_nothing_is_looked_at(looking: World) -> None:
    looking.write("a.jpg", "picture heron")
    looking.ingest()
    looking.write("b.jpg", "picture heron")
    looking.ingest()
    assert looking.onlooker is not None
    assert looking.onlooker.seen == ["heron"]


def test_another_model_looks_again_and_its_words_replace_the_old_ones(looking: World) -> None:
    looking.write("a.jpg", "picture heron")
    looking.ingest()
    looking.onlooker = Onlooker("looks-2")
    looking.ingest()
    assert looking.onlooker.seen == ["heron"]
    assert item_of(looking, "a.jpg").looks_by == "onlooker@looks-2"


def test_a_long_shot_is_looked_at_every_few_seconds_for_words(looking: World) -> None:
    looking.finder = EachFrameAShot(joined=3)
    looking.write("clip.mp4", "video ferry quay gull")
    looking.ingest()
    clip = item_of(looking, "clip.mp4")
    assert {look.name for look in clip.looks} == {"ferry", "quay", "gull", "thing"}
    assert vectors_of(looking, clip) == [(PICTURE, 0)]
    opened = len(looking.reader.opened)
    looking.ingest()
    assert len(looking.reader.opened) == opened
    assert [look.at_s for look in clip.looks] == sorted(look.at_s for look in clip.looks)


def test_a_still_that_can_t_be_looked_at_is_said_and_the_item_is_there(looking: World) -> None:
    looking.write("a.jpg", "picture fog")
    job = looking.ingest()
    (asset,) = looking.assets(job).values()
    assert asset.state is AssetState.DONE
    assert "1 stills can't be looked at" in asset.cause
    item = item_of(looking, "a.jpg")
    assert (item.looks, item.looks_by) == ((), "")
    assert vectors_of(looking, item) == []


def test_an_outside_service_sees_only_what_rights_let_it_see(world: World) -> None:
    world.onlooker = Onlooker(leaves=True)
    world.write("a.jpg", "picture heron")
    world.write("a.json", '{"uri": "urn:a", "type": "picture", "external_processing": false}')
    world.write("b.jpg", "picture gull")
    job = world.ingest()
    assert world.onlooker.seen == ["gull"]
    assert item_of(world, "a.jpg").looks == ()
    assert vectors_of(world, item_of(world, "a.jpg")) == []
    causes = {name: asset.cause for name, asset in world.assets(job).items()}
    assert "rights" in causes["a.jpg"]
    assert causes["b.jpg"] == ""


def test_of_each_name_the_surest_are_told_in_order_of_time() -> None:
    looks = [Look("gull", 0.5 + n / 100, float(n)) for n in range(20)]
    kept = told((*looks, Look("quay", 0.4, 3.0)))
    assert [look.at_s for look in kept] == [3.0, 17.0, 18.0, 19.0]
    assert len(kept) == MOST_OF_A_NAME + 1


def test_a_film_is_looked_at_so_often_and_no_more() -> None:
    short, long = Shot(0.0, 5.9, 0, 1), Shot(10.0, 22.0, 1, 2)
    assert moments_beside([short]) == ()
    assert moments_beside([short, long]) == (11.5, 14.5, 17.5, 20.5)
    assert len(moments_beside([long] * 1000)) == MOST_MOMENTS
