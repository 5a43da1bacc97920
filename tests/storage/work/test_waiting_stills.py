"""Stills that wait for a batch: each is in one state, and what changed meanwhile is taken back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from core.work import WaitingStill
from storage.databases import Database, open_database
from storage.work.waiting_stills import StoredWaitingStills


@pytest.fixture
def waiting(database: Database) -> StoredWaitingStills:
    return StoredWaitingStills(database)


def still(key: str, location: str = "/a.jpg", **changed: object) -> WaitingStill:
    made = WaitingStill(key, location, "job", 1, "still", "00" * 32, "space", "words", "en", True)
    return replace(made, **changed)  # type: ignore[arg-type]


def keys(stills: tuple[WaitingStill, ...]) -> list[str]:
    return [one.key for one in stills]


def test_a_still_goes_through_its_states(waiting: StoredWaitingStills) -> None:
    waiting.replace(["/a.jpg"], [still("a"), still("b")])
    assert keys(waiting.unsent()) == ["a", "b"]
    assert keys(waiting.unsent(after=waiting.unsent()[0].id)) == ["b"]
    assert keys(waiting.unsent(limit=1)) == ["a"]
    waiting.pack("p", ["a"])
    assert keys(waiting.unsent()) == ["b"]
    assert [(s.key, s.packet, s.batch) for s in waiting.under_way()] == [("a", "p", "")]
    waiting.send("p", "batch-1")
    assert [s.batch for s in waiting.under_way()] == ["batch-1"]
    assert waiting.count() == {"unsent": 1, "sent": 1, "answered": 0}
    waiting.answer("p", ["a"])
    assert waiting.under_way() == ()
    assert keys(waiting.answered()) == ["a"]
    waiting.drop([one.id for one in waiting.answered()])
    assert waiting.count() == {"unsent": 1, "sent": 0, "answered": 0}


def test_of_an_asset_all_is_told_however_far_it_is(waiting: StoredWaitingStills) -> None:
    places = ["/a.jpg", "/b.jpg", "/c.jpg"]
    waiting.replace(places, [still(key, place) for key, place in zip("abc", places, strict=True)])
    waiting.pack("p", ["a", "b"])
    waiting.answer("p", ["a"])
    assert sorted(keys(waiting.of_assets(["/a.jpg", "/b.jpg", "/d.jpg"]))) == ["a", "b"]


def test_what_failed_counts_its_tries_and_what_was_put_off_does_not(
    waiting: StoredWaitingStills,
) -> None:
    waiting.replace(["/a.jpg"], [still("a"), still("b")])
    waiting.pack("p", ["a", "b"])
    waiting.send("p", "batch-1")
    waiting.unpack("p", ["a"], failed=True)
    waiting.unpack("p", ["b"])
    assert [(s.key, s.tries, s.packet, s.batch) for s in waiting.unsent()] == [
        ("a", 1, "", ""),
        ("b", 0, "", ""),
    ]


def test_one_picture_in_two_places_is_one_key(waiting: StoredWaitingStills) -> None:
    waiting.replace(["/a.jpg"], [still("a")])
    waiting.replace(["/b.jpg"], [still("a", "/b.jpg", number=2)])
    waiting.pack("p", ["a"])
    assert waiting.unsent() == ()
    assert waiting.count()["sent"] == 1
    waiting.answer("p", ["a"])
    assert {one.number for one in waiting.answered()} == {1, 2}


def test_what_an_asset_is_not_asked_about_any_more_is_taken_back_unless_it_was_sent(
    waiting: StoredWaitingStills,
) -> None:
    waiting.replace(["/a.jpg"], [still(key) for key in "abcd"])
    for name, key in (("sent", "b"), ("packed", "c"), ("done", "d")):
        waiting.pack(name, [key])
    waiting.send("sent", "batch-1")
    waiting.answer("done", ["d"])
    waiting.replace(["/b.jpg"], [])
    assert len(waiting.unsent()) + len(waiting.under_way()) == 3
    waiting.replace(["/a.jpg"], [still("b", job="later", number=7), still("e")])
    assert [(s.key, s.job, s.number, s.batch) for s in waiting.under_way()] == [
        ("b", "later", 7, "batch-1")
    ]
    assert keys(waiting.unsent()) == ["e"]
    assert waiting.answered() == ()


def test_an_asset_of_which_something_is_under_way_is_not_answered_yet(
    waiting: StoredWaitingStills,
) -> None:
    waiting.replace(["/a.jpg"], [still("a"), still("b")])
    waiting.pack("p", ["a"])
    waiting.pack("q", ["b"])
    waiting.answer("p", ["a"])
    assert waiting.answered() == ()
    waiting.unpack("q", ["b"])  # there was no room under the cap: that may take days
    assert keys(waiting.answered()) == ["a"]


def test_a_key_in_another_packet_is_left_alone(waiting: StoredWaitingStills) -> None:
    waiting.replace(["/a.jpg"], [still("a")])
    waiting.pack("p", ["a"])
    waiting.pack("q", ["a"])
    waiting.answer("", ["a"])
    waiting.unpack("q", ["a"])
    assert [one.packet for one in waiting.under_way()] == ["p"]


def test_a_table_of_an_earlier_version_gets_its_columns(database: Database) -> None:
    StoredWaitingStills(database).replace(["/a.jpg"], [still("a")])
    for name in ("uri", "terms"):
        database.run(
            lambda c, n=name: c.execute(sa.text(f"ALTER TABLE waiting_stills DROP COLUMN {n}"))
        )  # type: ignore[misc]
    for _ in range(2):
        later = StoredWaitingStills(database)
    assert [(one.key, one.uri, one.terms) for one in later.unsent()] == [("a", "", "")]
    later.replace(["/a.jpg"], [still("a", uri="urn:a"), still("b", uri="urn:a", terms="model")])
    assert [(one.uri, one.terms) for one in later.unsent()] == [("urn:a", ""), ("urn:a", "model")]


@pytest.mark.parametrize(
    ("lost", "made"),
    [
        ("ALTER TABLE waiting_stills DROP COLUMN uri", "ALTER"),
        ("DROP TABLE waiting_stills", "\nCRE"),
    ],
)
def test_two_that_start_together_do_not_both_make_what_is_missing(
    folder: Path, lost: str, made: str
) -> None:
    """Whoever is about to make it waits for the other one to be about to."""
    both = [open_database(folder / "work.sqlite") for _ in range(2)]
    StoredWaitingStills(both[0])
    both[0].run(lambda connection: connection.execute(sa.text(lost)))
    meet = threading.Barrier(2)

    def before(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith(made):
            with suppress(threading.BrokenBarrierError):
                meet.wait(0.5)

    for each in both:
        sa.event.listen(each.engine, "before_cursor_execute", before)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(StoredWaitingStills, both)
    first.replace(["/a.jpg"], [still("a", uri="urn:a")])
    assert [one.uri for one in second.unsent()] == ["urn:a"]
    for each in both:
        each.close()
