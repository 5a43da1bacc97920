"""What a reader of the feed is told of single items."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from core.callers import Caller
from core.customers.transitions import START, Position, TransitionKind
from core.items import PubStatus
from customers.feed import (
    IDLE,
    SessionEndedError,
    position_text,
    read_position,
)
from tests.customers.feed_world import BOTH, A, B, FeedWorld, Reader
from tests.storage.world import HOUR, NOW, SetClock, change, make_item, write

SHOWN, UPDATED, HIDDEN, KILLED, EXPIRED = TransitionKind


@pytest.fixture
def world(folder: Path) -> Iterator[FeedWorld]:
    found = FeedWorld(folder, SetClock())
    yield found
    found.close()


def put(world: FeedWorld, uri: str, version: int = 1, **members: object) -> None:
    write(world.engine, make_item(uri, version, **{"products": ("a",), **members}))
    world.maker.run()


def status(world: FeedWorld, uri: str, pubstatus: PubStatus) -> None:
    change(world.engine, uri, pubstatus=pubstatus)
    world.maker.run()


def test_a_reader_is_told_what_becomes_of_an_item(world: FeedWorld) -> None:
    reader = Reader.begin(world, A)
    steps = [
        lambda: put(world, "x"),
        lambda: put(world, "x", 2),
        lambda: status(world, "x", PubStatus.WITHHELD),
        lambda: status(world, "x", PubStatus.USABLE),
        lambda: status(world, "x", PubStatus.CANCELED),
    ]
    for step in steps:
        step()
        reader.page()
    assert [kind for _, kind in reader.kinds()] == [SHOWN, UPDATED, HIDDEN, SHOWN, KILLED]
    assert [entry.pubstatus for entry in reader.told] == [
        "usable",
        "usable",
        "hidden",
        "usable",
        "canceled",
    ]
    assert [entry.version for entry in reader.told] == [1, 2, 2, 2, 2]
    assert reader.mirror == {}
    assert all(entry.item is None for entry in reader.told if entry.pubstatus != "usable")


def test_who_received_nothing_hears_of_no_end(world: FeedWorld) -> None:
    put(world, "x")
    status(world, "x", PubStatus.CANCELED)
    late = Reader.begin(world, A)
    page = late.page()
    assert page.entries == ()
    assert late.position.n == 2


def test_an_embargo_that_lifts_and_an_item_that_expires(world: FeedWorld) -> None:
    reader = Reader.begin(world, A)
    put(world, "x", embargoed=NOW + HOUR, expires=NOW + 2 * HOUR)
    assert reader.page().entries == ()
    for kinds in ([SHOWN], [SHOWN, EXPIRED]):
        world.clock.advance(HOUR)
        assert world.maker.has_work()
        world.maker.run()
        reader.page()
        assert [kind for _, kind in reader.kinds()] == kinds
    assert not world.maker.has_work()
    assert reader.told[-1].pubstatus == "expired"


def test_a_version_under_embargo_says_nothing(world: FeedWorld) -> None:
    reader = Reader.begin(world, A)
    put(world, "x")
    put(world, "x", 2, embargoed=NOW + HOUR)
    reader.page()
    assert reader.kinds() == [("x", SHOWN)]
    world.clock.advance(HOUR)
    world.maker.run()
    reader.page()
    assert reader.kinds() == [("x", SHOWN), ("x", UPDATED)]


def test_a_write_through_takes_the_place_of_its_story(world: FeedWorld) -> None:
    reader = Reader.begin(world, A)
    put(world, "x", chain="s")
    reader.page()
    put(world, "y", chain="s", versioncreated=NOW)
    reader.page()
    assert reader.kinds() == [("x", SHOWN), ("x", HIDDEN), ("y", SHOWN)]
    status(world, "y", PubStatus.CANCELED)
    reader.page()
    assert reader.kinds()[3:] == [("y", KILLED), ("x", SHOWN)]
    assert reader.mirror == {"x": 1}


def test_a_story_that_an_item_leaves_shows_its_other_item(world: FeedWorld) -> None:
    reader = Reader.begin(world, A)
    put(world, "x", chain="s")
    put(world, "y", chain="s", versioncreated=NOW)
    put(world, "y", 2, chain="t", versioncreated=NOW)
    reader.to_the_end()
    assert reader.mirror == {"x": 1, "y": 2}
    status(world, "x", PubStatus.CANCELED)
    reader.to_the_end()
    assert reader.mirror == {"y": 2}


def test_a_poll_over_its_quota_gets_a_kill_behind_many_of_others(
    world: FeedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("customers.feed._BATCH", 2)
    uris = [f"other-{n}" for n in range(5)]
    for uri in uris:
        put(world, uri, products=("b",))
    put(world, "x")
    assert world.search(A, "x")
    for uri in [*uris, "x"]:
        status(world, uri, PubStatus.CANCELED)
    assert [entry.transition.uri for entry in world.feed.all_kills(A, 0)] == ["x"]
    place = world.feed.all_kills(A, 0)[0].transition.n
    assert world.feed.all_kills(A, place) == []


def test_a_kill_reaches_whoever_received_the_item_by_any_channel(world: FeedWorld) -> None:
    put(world, "x", products=("a", "b"))
    assert world.search(A, "x")
    readers = [
        Reader.begin(world, A, "nothing like it"),
        Reader.begin(world, A),
        Reader.begin(world, B),
    ]
    status(world, "x", PubStatus.CANCELED)
    for reader in readers:
        reader.to_the_end()
    assert [len(reader.kills("x")) for reader in readers] == [1, 1, 0]


def test_the_undo_of_a_kill_reaches_whoever_received_the_kill(world: FeedWorld) -> None:
    """Its query does not match the item, which it has by a search."""
    searcher, stranger = (Reader.begin(world, c, "headline:train") for c in (A, BOTH))
    put(world, "x", headline="A ferry sails")
    put(world, "y", headline="A ferry waits")
    for uri in ("x", "y"):
        assert world.search(A, uri)
    for reader in (searcher, stranger):
        reader.to_the_end()
    status(world, "x", PubStatus.CANCELED)
    status(world, "y", PubStatus.WITHHELD)
    for uri in ("x", "y"):
        status(world, uri, PubStatus.USABLE)
    for reader in (searcher, stranger):
        reader.to_the_end()
    assert searcher.kinds() == [("x", KILLED), ("y", HIDDEN), ("x", SHOWN)]
    assert searcher.mirror == {"x": 1}
    assert stranger.kinds() == []


def test_a_kill_reaches_an_account_that_lost_its_products(world: FeedWorld) -> None:
    world.entitled = {"a": A.products}
    put(world, "x")
    reader = Reader.begin(world, A)
    reader.to_the_end()
    world.entitled = {"a": frozenset({"other"})}
    world.maker.run()
    reader.caller = replace(A, products=frozenset({"other"}))
    reader.to_the_end()
    status(world, "x", PubStatus.CANCELED)
    reader.to_the_end()
    assert reader.kinds() == [("x", SHOWN), ("x", HIDDEN), ("x", KILLED)]


def test_a_lost_entitlement_hides_what_was_received_and_a_gained_one_shows_nothing(
    world: FeedWorld,
) -> None:
    world.entitled = {"a": A.products, "b": B.products}
    put(world, "x")
    put(world, "never received")
    put(world, "both", products=("a", "b"))
    for uri in ("x", "both"):
        assert world.search(A, uri)
    readers = [Reader.begin(world, caller) for caller in (A, B)]
    for reader in readers:
        reader.position = world.book.last()
    world.entitled = {"a": B.products, "b": BOTH.products}
    world.maker.run()
    readers[0].caller = replace(A, products=B.products)
    readers[1].caller = replace(B, products=BOTH.products)
    for reader in readers:
        reader.to_the_end()
    assert readers[0].kinds() == [("x", HIDDEN)]
    assert readers[1].kinds() == []


def test_an_item_that_leaves_the_products_of_an_account(world: FeedWorld) -> None:
    readers = [Reader.begin(world, caller) for caller in (A, B)]
    put(world, "x")
    for reader in readers:
        reader.page()
    put(world, "x", products=("b",))
    for reader in readers:
        reader.page()
    assert readers[0].kinds() == [("x", SHOWN), ("x", HIDDEN)]
    assert readers[0].told[-1].item is None
    assert readers[1].kinds() == [("x", UPDATED)]


def test_a_tombstone_has_the_id_of_the_version_that_was_received(world: FeedWorld) -> None:
    """A version that was recorded after the kill was shown to nobody."""
    reader = Reader.begin(world, A)
    put(world, "x", source={"altids": {"itemid": "first"}})
    reader.page()
    change(world.engine, "x", pubstatus=PubStatus.CANCELED)
    put(world, "x", 2, source={"altIds": [{"role": "itemid", "value": "second"}]})
    reader.page()
    assert [(e.itemid, e.pubstatus) for e in reader.told] == [
        ("", "usable"),
        ("first", "canceled"),
    ]


def test_a_tombstone_names_no_item_that_is_hidden(world: FeedWorld) -> None:
    reader = Reader.begin(world, A)
    put(world, "hidden", products=("b",))
    put(world, "x", source={"altids": {"itemid": "hidden"}})
    reader.page()
    status(world, "x", PubStatus.CANCELED)
    reader.page()
    assert [(e.itemid, e.pubstatus) for e in reader.told] == [("", "usable"), ("", "canceled")]


def test_an_item_that_was_on_its_way_when_it_was_killed(world: FeedWorld) -> None:
    """The guard was asked before the kill, and the receipt is written after the transition."""
    put(world, "x")
    reader = Reader.begin(world, A)
    reader.position = world.book.last()
    status(world, "x", PubStatus.CANCELED)
    reader.page()
    assert reader.told == []
    world.receipts.add("a", "search", [("x", 1)])
    reader.to_the_end()
    assert len(reader.kills("x")) == 1


def test_a_repeated_link_never_shows_what_was_killed_since(world: FeedWorld) -> None:
    reader = Reader.begin(world, A)
    for uri in ("x", "y", "z"):
        put(world, uri)
    reader.to_the_end()
    first = [entry.transition.n for entry in reader.told]
    again = world.feed.page(A, reader.session, reader.links[0], 100)
    assert [entry.transition.n for entry in again.entries] == first
    change(world.engine, "y", pubstatus=PubStatus.CANCELED)  # told to nobody yet
    again = world.feed.page(A, reader.session, reader.links[0], 100)
    assert [e.transition.uri for e in again.entries if e.item is not None] == ["x", "z"]


def test_the_query_of_a_session_is_frozen_and_strict(world: FeedWorld) -> None:
    reader = Reader.begin(world, A, "headline:ferry")
    put(world, "x", headline="A ferry sails")
    put(world, "y", headline="A train leaves")
    reader.to_the_end()
    assert [entry.transition.uri for entry in reader.told] == ["x"]
    assert reader.position == world.book.last()


def test_a_version_that_went_before_it_was_told(world: FeedWorld) -> None:
    """The archive shows what it did before, so nothing differs from what was told."""
    put(world, "x")
    reader = Reader.begin(world, A)
    write(world.engine, make_item("x", 2, products=("a",)))
    reader.page()
    assert reader.mirror == {"x": 2}
    change(world.engine, "x", embargoed=NOW + HOUR)
    world.maker.run()
    reader.to_the_end()
    assert reader.mirror == {"x": 1}
    world.maker.run()
    assert (world.book.owed(9), world.book.count()) == ([], 2)


def test_an_item_that_was_passed_over_while_it_was_away_and_came_back(world: FeedWorld) -> None:
    put(world, "x")
    reader = Reader.begin(world, A)
    change(world.engine, "x", pubstatus=PubStatus.WITHHELD)
    reader.page()
    assert reader.mirror == {}
    change(world.engine, "x", pubstatus=PubStatus.USABLE)
    world.maker.run()
    reader.to_the_end()
    assert reader.mirror == {"x": 1}


def test_a_held_reader_is_not_moved_past_an_item_that_was_away(world: FeedWorld) -> None:
    put(world, "x")
    change(world.engine, "x", pubstatus=PubStatus.WITHHELD)
    tree = world.feed.tree(world.feed.begin(A, {}))
    assert world.feed.concerned(world.book.after(0, 9, "a"), [(A, tree)]) == [False]
    change(world.engine, "x", pubstatus=PubStatus.USABLE)
    world.maker.run()
    last = world.book.after(0, 9, "a")[1:]
    assert [t.kind for t in last] == [UPDATED]
    assert world.feed.concerned(last, [(A, tree)]) == [True]


@pytest.mark.parametrize(
    ("ending", "kind"),
    [
        ({"pubstatus": PubStatus.WITHHELD}, HIDDEN),
        ({"embargoed": NOW + HOUR}, HIDDEN),
        ({"pubstatus": PubStatus.CANCELED}, KILLED),
    ],
)
@pytest.mark.parametrize("searched_first", [True, False])
def test_who_found_an_item_that_went_before_it_was_told(
    world: FeedWorld, ending: dict[str, object], kind: TransitionKind, searched_first: bool
) -> None:
    readers = [Reader.begin(world, caller) for caller in (A, BOTH)]
    write(world.engine, make_item("x", products=("a",)))
    item = world.engine.item("x", A)
    assert item is not None
    if searched_first:
        assert world.search(A, "x")
    change(world.engine, "x", **ending)
    world.maker.run()
    if not searched_first:  # the receipt of a search that was under way
        world.receipts.add("a", "search", [(item.uri, item.version)])
        world.maker.run()
    for reader in readers:
        reader.to_the_end()
    told = {e.transition.id: (e.kind, e.version, e.item) for e in readers[0].told}
    assert [*told.values()] == [(kind, 1, None)]
    assert readers[1].told == []
    assert not world.maker.has_work()


def test_who_found_an_item_that_expired_before_it_was_told(world: FeedWorld) -> None:
    write(world.engine, make_item("x", products=("a",), expires=NOW + HOUR))
    assert world.search(A, "x")
    world.clock.advance(HOUR)
    world.maker.run()
    reader = Reader.begin(world, A)
    reader.to_the_end()
    assert [e.pubstatus for e in reader.told] == ["expired"]


def test_who_found_a_version_that_went_before_it_was_told(world: FeedWorld) -> None:
    put(world, "x")
    reader = Reader.begin(world, A)
    reader.to_the_end()
    write(world.engine, make_item("x", 2, products=("a",)))
    assert world.search(A, "x")
    change(world.engine, "x", embargoed=NOW + HOUR)
    world.maker.run()
    reader.to_the_end()
    assert [(e.kind, e.version) for e in reader.told] == [(SHOWN, 1), (UPDATED, 1)]


def test_an_older_version_that_is_read_owes_nothing(world: FeedWorld) -> None:
    put(world, "x")
    put(world, "x", 2)
    world.receipts.add("a", "versions", [("x", 1)])
    assert not world.maker.has_work()


def test_an_update_that_leaves_the_query_is_told_to_who_received_the_item(
    world: FeedWorld,
) -> None:
    query = "headline:ferry"
    follower, late, other = (Reader.begin(world, c, query) for c in (A, BOTH, A))
    put(world, "x", headline="A ferry sails")
    put(world, "y", headline="A train leaves")
    for reader in (follower, other):
        reader.to_the_end()
    assert world.search(A, "y")
    put(world, "x", 2, headline="A ship sails")
    put(world, "y", 2, headline="A train left")
    assert world.search(A, "x")  # the newest version has a receipt before the feed is read
    for reader in (follower, late):
        reader.to_the_end()
    assert follower.mirror == {"x": 2}
    assert follower.kinds() == [("x", SHOWN), ("x", UPDATED)]
    assert late.mirror == {}
    put(world, "x", 3, headline="A boat sails")
    status(world, "x", PubStatus.CANCELED)
    for reader in (follower, other):
        reader.to_the_end()
        assert reader.mirror == {}


def test_an_item_that_goes_back_to_a_version_out_of_the_query(world: FeedWorld) -> None:
    """The version that matched is under embargo: who received it gets the one before it."""
    follower, late = (Reader.begin(world, caller, "headline:ferry") for caller in (A, BOTH))
    put(world, "x", headline="A train leaves")
    put(world, "x", 2, headline="A ferry sails")
    follower.to_the_end()
    assert follower.mirror == {"x": 2}
    change(world.engine, "x", embargoed=NOW + HOUR)
    world.maker.run()
    for reader in (follower, late):
        reader.to_the_end()
    assert follower.kinds()[-1] == ("x", UPDATED)
    assert (follower.mirror, late.mirror) == ({"x": 1}, {})


def test_pages_of_any_size_are_the_same_transitions(world: FeedWorld) -> None:
    for number in range(7):
        put(world, f"u{number}")
    whole, small = Reader.begin(world, A), Reader.begin(world, A)
    whole.to_the_end()
    small.to_the_end(size=2)
    assert [e.transition.n for e in small.told] == [e.transition.n for e in whole.told]
    assert [e.transition.n for e in whole.told] == [1, 2, 3, 4, 5, 6, 7]


def test_a_session_ends(world: FeedWorld) -> None:
    put(world, "x")
    reader = Reader.begin(world, A)
    reader.page()
    with pytest.raises(SessionEndedError):
        world.feed.resume(B, reader.session.id, reader.position)
    with pytest.raises(SessionEndedError):
        world.feed.resume(A, reader.session.id, Position(1, "another"))
    world.clock.advance(IDLE - timedelta(minutes=10))
    reader.page()
    world.clock.advance(IDLE - timedelta(minutes=10))
    reader.page()
    world.clock.advance(IDLE + timedelta(minutes=10))
    with pytest.raises(SessionEndedError):
        reader.page()


def test_a_session_begins_where_it_is_told_to(world: FeedWorld) -> None:
    put(world, "x")
    world.clock.advance(HOUR)
    put(world, "y")
    end = world.feed.begin(A, {}, at=None)
    since = world.feed.begin(A, {}, at=NOW + HOUR)
    assert (since.first.n, end.first.n) == (1, 2)
    assert world.sessions.session(end.id) == end


def test_an_old_archive_is_told_in_the_order_of_its_record(folder: Path) -> None:
    world = FeedWorld(folder, SetClock())
    for number in range(30):
        write(world.engine, make_item(f"u{number}", products=("a",)))
    write(world.engine, make_item("u3", 2, products=("a",)))
    change(world.engine, "u7", pubstatus=PubStatus.CANCELED)
    world.maker.run()
    reader = Reader.begin(world, A)
    reader.to_the_end(size=4)
    rest = [f"u{n}" for n in range(30) if n not in (3, 7)]
    assert reader.kinds() == [(uri, SHOWN) for uri in (*rest, "u3")]
    world.close()


def test_a_record_that_went_back_begins_another_history(world: FeedWorld, tmp_path: Path) -> None:
    from storage.embedded.record import copies

    folder = world.engine.record.path.parent  # type: ignore[attr-defined]
    put(world, "x")
    world.engine.catch_up()
    copies.backup(folder, tmp_path / "copy")
    reader = Reader.begin(world, A)
    put(world, "y")
    reader.to_the_end()
    epoch, clock = world.book.epoch, world.clock
    world.close()
    copies.beside(tmp_path / "copy").unlink()
    copies.restore(tmp_path / "copy", folder, force=True)
    back = FeedWorld(folder, clock)
    write(back.engine, make_item("z", products=("a",)))
    back.maker.run()
    assert back.book.epoch != epoch
    with pytest.raises(SessionEndedError):
        back.feed.resume(A, reader.session.id, reader.position)
    fresh = Reader.begin(back, A)
    fresh.to_the_end()
    assert fresh.mirror == {"x": 1, "z": 1}
    assert ("y", HIDDEN) in fresh.kinds()
    back.close()


def test_a_restore_brings_customers_back_and_begins_another_history(
    world: FeedWorld, tmp_path: Path
) -> None:
    from storage.embedded.record import copies

    folder = world.engine.record.path.parent  # type: ignore[attr-defined]
    put(world, "x")
    copies.backup(folder, tmp_path / "copy")
    assert copies.beside(tmp_path / "copy").stat().st_mode & 0o777 <= 0o644
    put(world, "y")
    reader = Reader.begin(world, A)
    reader.to_the_end()
    old, clock = world.feed.begin(A, {}), world.clock
    world.close()
    copies.restore(tmp_path / "copy", folder, force=True)
    back = FeedWorld(folder, clock)
    back.maker.run()
    for session, position in ((old, START), (reader.session, reader.position)):
        with pytest.raises(SessionEndedError):
            back.feed.resume(A, session.id, position)
    assert back.receipts.received("a", ["x", "y"]) == {"x": 1, "y": 1}
    again = Reader.begin(back, A)
    again.to_the_end()
    assert again.mirror == {"x": 1}
    write(back.engine, make_item("y", products=("a",)))
    change(back.engine, "y", pubstatus=PubStatus.CANCELED)
    back.maker.run()
    again.to_the_end()
    assert len(again.kills("y")) == 1
    back.close()


def test_positions_in_links() -> None:
    for position in (Position(), Position(7, "ab12")):
        assert read_position(position_text(position)) == position
    assert read_position("9" * 18).n == int("9" * 18)
    for text in ("", "x", "-1", "1.5", "9" * 19, "½-a"):
        with pytest.raises(SessionEndedError):
            read_position(text)


def test_only_who_is_told_something_is_concerned(world: FeedWorld) -> None:
    put(world, "x", headline="ferry")
    put(world, "y", products=("b",))
    put(world, "z")
    assert world.search(A, "z")
    status(world, "z", PubStatus.CANCELED)
    every = world.book.after(0, 100, "")
    trees = {q: world.feed.tree(world.feed.begin(A, {"q": q})) for q in ("", "headline:ferry")}
    nobody = Caller("c", frozenset({"c"}))
    readers = [(A, trees[""]), (B, trees["headline:ferry"]), (B, trees[""]), (nobody, trees[""])]
    first = [t for t in every if t.uri == "x"]
    assert world.feed.concerned(first, readers) == [True, False, False, False]
    kill = [t for t in every if t.kind is KILLED]
    assert world.feed.concerned(kill, readers) == [True, False, False, False]
    assert world.feed.concerned([t for t in every if t.uri == "y"], readers) == [
        False,
        False,
        True,
        False,
    ]


def test_a_session_that_waits_at_the_end_is_known_without_reading(
    world: FeedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("customers.feed._EPOCH_S", 3600.0)
    feed = world.feed
    put(world, "x")
    session, end = feed.begin(A, {}), world.book.last()
    feed.end = end  # as the readers of the process say
    assert feed.waiting(A, session.id, end) is None  # this process has not seen it yet
    feed.resume(A, session.id, end)
    assert feed.waiting(A, session.id, end) == session
    assert feed.waiting(B, session.id, end) is None
    assert feed.waiting(A, session.id, START) is None
    world.clock.advance(IDLE)
    assert feed.waiting(A, session.id, end) is None
    feed.end = Position(end.n + 1, "another")
    assert feed.waiting(A, session.id, end) is None
