"""A kept form of an item never tells more, or anything else, than one that is made anew."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.customers.feed_json import entries_json
from api.formats.items import ItemView
from api.formats.kept_forms import KeptForms, told_versions
from api.media.links import Addresses
from core.callers import Caller
from core.customers.transitions import START
from core.items import Concept, MediaFile, PubStatus
from core.query_tree import EVERYTHING
from tests.customers.feed_world import BOTH, A, B, FeedWorld
from tests.storage.world import NOW, SetClock, change, make_item, write

WRITER = Caller("writer", frozenset({"a"}), writes=frozenset({"a"}))
SUBJECT = "urn:subject:harbours"
# Whole items, those of a list, and AP's.
VIEWS: tuple[dict[str, Any], ...] = (
    {},
    {"whole": False},
    {"whole": False, "addresses": Addresses("https://wire.example")},
)


@pytest.fixture
def world(folder: Path) -> Iterator[FeedWorld]:
    found = FeedWorld(folder, SetClock())
    put(found, "urn:photo")
    put(found, "urn:story")
    yield found
    found.close()


def put(world: FeedWorld, uri: str, version: int = 1, **members: Any) -> None:
    """Puts an item with its uri and version as a word. The story carries the photo, and names
    two texts that could be the uris of items.
    """
    word = f"word-of-{uri.rpartition(':')[2]}-{version}"
    source: dict[str, Any] = {"uri": uri, "profile": word}
    if uri == "urn:story":
        source["associations"] = {"main": {"uri": "urn:photo", "headline": "an old copy"}}
        source["seealso"] = [SUBJECT, "urn:subject:ferries"]
        source["subject"] = [{"name": "harbours", "code": SUBJECT, "creator": "Machine"}]
        members["subject"] = (Concept("harbours", SUBJECT),)
        source["products"] = ["a", "secret"]
    item = make_item(uri, version, **{"products": ("a",), "headline": word, **members})
    write(world.engine, replace(item, source=source))
    world.maker.run()


def told(world: FeedWorld, caller: Caller, kept: KeptForms | None, **view: Any) -> bytes:
    """A whole feed as one caller is told it, with the receipts that it leaves."""
    received: set[tuple[str, int]] = set()
    shows = ItemView(
        caller,
        receive=lambda items: received.update((one.uri, one.version) for one in items),
        **{"whole": True, **view},
    )
    page = world.feed.read(caller, EVERYTHING, START, 100, whole=kept is None)
    made = entries_json(page.entries, shows, world.engine, kept=kept)
    return orjson.dumps([made, sorted(received)])


def check(world: FeedWorld, kept: KeptForms, *callers: Caller) -> None:
    """Kept forms and new ones are the same, twice: as they were kept before, and now."""
    for caller in callers or (A, B, BOTH, WRITER):
        for view in VIEWS:
            new = told(world, caller, None, **view)
            assert told(world, caller, kept, **view) == new
            assert told(world, caller, kept, **view) == new


def test_a_form_is_kept(world: FeedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptForms()
    new = told(world, A, kept)
    monkeypatch.setattr(world.engine, "versions", lambda ids: pytest.fail("an item is read again"))
    assert told(world, A, kept) == new
    assert b"word-of-story-1" in new
    assert b"word-of-photo-1" in new


@pytest.mark.parametrize("pubstatus", [PubStatus.CANCELED, PubStatus.WITHHELD])
@pytest.mark.parametrize("uri", ["urn:story", "urn:photo"])
def test_what_is_taken_away_is_in_no_kept_form(
    world: FeedWorld, uri: str, pubstatus: PubStatus
) -> None:
    kept = KeptForms()
    check(world, kept)
    change(world.engine, uri, pubstatus=pubstatus)  # the maker of transitions has not looked yet
    assert f"word-of-{uri[4:]}".encode() not in told(world, A, kept)
    check(world, kept)
    world.maker.run()
    check(world, kept)


@pytest.mark.parametrize("uri", ["urn:story", "urn:photo"])
def test_an_embargo_and_its_end_hold_for_kept_forms(world: FeedWorld, uri: str) -> None:
    kept = KeptForms()
    check(world, kept)
    change(world.engine, uri, embargoed=NOW + timedelta(hours=1))
    assert f"word-of-{uri[4:]}".encode() not in told(world, A, kept)
    check(world, kept)
    world.clock.now = NOW + timedelta(hours=2)
    assert f"word-of-{uri[4:]}".encode() in told(world, A, kept)
    check(world, kept)


@pytest.mark.parametrize("uri", ["urn:story", "urn:photo"])
def test_other_products_hold_for_kept_forms(world: FeedWorld, uri: str) -> None:
    kept = KeptForms()
    check(world, kept)
    put(world, uri, products=("b",))
    assert f"word-of-{uri[4:]}".encode() not in told(world, A, kept)
    check(world, kept)


def test_a_name_becomes_an_item_that_nobody_may_know_of(world: FeedWorld) -> None:
    kept = KeptForms()
    check(world, kept)
    assert SUBJECT.encode() in told(world, A, kept)
    put(world, SUBJECT, products=("b",))
    assert SUBJECT.encode() not in told(world, A, kept)
    check(world, kept)


def test_a_kill_that_comes_before_its_item_hides_the_name(world: FeedWorld) -> None:
    kept = KeptForms()
    check(world, kept)
    change(world.engine, SUBJECT, pubstatus=PubStatus.CANCELED)
    check(world, kept)


def test_members_of_writers_are_in_no_form_of_readers(world: FeedWorld) -> None:
    kept = KeptForms()
    assert b"secret" in told(world, WRITER, kept)
    assert b"secret" not in told(world, A, kept)
    assert b"secret" in told(world, WRITER, kept)


def test_each_view_has_its_own_form(world: FeedWorld) -> None:
    kept = KeptForms()
    for view in ({}, {"include": ("headline",)}, {"exclude": ("associations",)}, {}):
        assert told(world, A, kept, **view) == told(world, A, None, **view)


def test_an_item_with_media_is_made_for_each_key(world: FeedWorld) -> None:
    kept = KeptForms()
    put(world, "urn:photo", 2, media=MediaFile("photo.jpg", "0" * 64, "image/jpeg", 10))
    told(world, A, kept)
    assert kept.count == 0


def test_forms_are_forgotten_by_their_size(world: FeedWorld) -> None:
    kept = KeptForms(most_bytes=700)
    told(world, A, kept)
    assert kept.count == 1


EXAMPLES = int(os.environ.get("EXAMPLES", "0"))
STEPS = ("put", "kill", "withhold", "release", "embargo", "lift", "sell", "tell")


@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2)), max_size=8))
@settings(
    max_examples=max(8, EXAMPLES // 4),
    deadline=None,
)
def test_kept_forms_tell_what_new_ones_do(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    world = FeedWorld(tmp_path_factory.mktemp("kept"), SetClock())
    kept, versions = KeptForms(), dict.fromkeys(range(3), 0)
    try:
        for step, number in (("put", 0), ("put", 1), *steps):
            uri = ("urn:story", "urn:photo", SUBJECT)[number]
            if step == "put":
                versions[number] += 1
                put(world, uri, versions[number])
            elif step == "sell" and versions[number]:
                products = ("b",) if versions[number] % 2 else ("a", "b")
                put(world, uri, versions[number], products=products)
            elif step == "tell":
                world.maker.run()
            elif step in ("kill", "withhold", "release"):
                change(world.engine, uri, pubstatus=PubStatus(STATUS[step]))
            elif step == "embargo":
                change(world.engine, uri, embargoed=world.clock.now + timedelta(hours=1))
            elif step == "lift":
                world.clock.now += timedelta(hours=2)
            check(world, kept)
    finally:
        world.close()


STATUS = {"kill": "canceled", "withhold": "withheld", "release": "usable"}


def test_a_number_that_another_item_has_after_a_restore_gives_no_old_form(
    world: FeedWorld,
) -> None:
    kept, view = KeptForms(), ItemView(A)
    story, photo = (world.engine.item(uri, A) for uri in ("urn:story", "urn:photo"))
    assert story is not None
    assert photo is not None
    for item in (story, photo):
        ((made, _),) = told_versions([(7, item)], view, world.engine, kept)
        assert item.headline.encode() in orjson.dumps(made)
