"""Searches by words keep up with the record, or say how far they are behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from core.callers import Caller
from core.items import PubStatus
from core.query_tree import Word
from storage.embedded.engine import EmbeddedEngine
from tests.storage.world import (
    SMALL,
    WIRE,
    SetClock,
    change,
    lexical,
    make_item,
    nearest,
    opened,
    unit,
    uris,
    write,
)

OTHER = Caller("other", frozenset({"other"}))


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[EmbeddedEngine]:
    """It commits words when it is told to."""
    with opened(tmp_path, SetClock()) as engine:
        yield engine


@pytest.fixture
def follower(owner: EmbeddedEngine, tmp_path: Path) -> Iterator[EmbeddedEngine]:
    """As another process: it does not own the projections."""
    with opened(tmp_path, SetClock()) as engine:
        assert not engine.projections.ownership.held
        yield engine


def flags(engine: EmbeddedEngine, caller: Caller = WIRE) -> tuple[str, ...]:
    return engine.retrieve(lexical(Word("zebra"), caller)).degraded


def test_what_is_covered_is_found_by_words_at_once(owner: EmbeddedEngine) -> None:
    write(owner, make_item("a", headline="zebra"))
    assert owner.cover() == ""
    assert uris(owner, Word("zebra")) == {"a"}
    assert flags(owner) == ()


def test_an_answer_says_how_many_items_it_lacks(owner: EmbeddedEngine) -> None:
    write(owner, make_item("a", headline="zebra"))
    owner.cover()
    write(owner, make_item("b", headline="zebra"))
    assert flags(owner) == ("words: 1 of 2 items are not found by words yet",)
    assert flags(owner, OTHER) == ()  # not even that there is one
    assert owner.retrieve(nearest(unit(1))).degraded == ()
    change(owner, "b", pubstatus=PubStatus.CANCELED)
    assert flags(owner) == ()


def test_another_process_waits_for_the_owner(
    owner: EmbeddedEngine, follower: EmbeddedEngine
) -> None:
    write(follower, make_item("a", headline="zebra"))
    assert follower.projections.cover(0.05) == 1
    assert flags(follower) == ("words: 1 of 1 items are not found by words yet",)
    commit = threading.Timer(0.1, owner.catch_up)
    commit.start()
    assert follower.projections.cover(20.0) == 0
    commit.join()
    assert uris(follower, Word("zebra")) == {"a"}
    assert flags(follower) == ()


def test_what_one_process_covers_is_found_by_words_in_another_at_once(
    owner: EmbeddedEngine, follower: EmbeddedEngine
) -> None:
    for uri in "ab":
        write(owner, make_item(uri, headline="zebra"))
        owner.cover()
        before = follower.moments.lexical()
        assert flags(follower) == ()
        assert uri in uris(follower, Word("zebra"))
        assert follower.moments.lexical() is not before
    known = follower.moments.lexical()
    follower.catch_up()
    assert follower.moments.lexical() is known, "without a newer commit, what was asked stays known"


def test_a_process_that_follows_never_owns_the_files(tmp_path: Path) -> None:
    with ExitStack() as running:
        owner = running.enter_context(opened(tmp_path, SetClock()))
        follows = replace(SMALL, follows=True)
        follower = running.enter_context(opened(tmp_path, SetClock(), projections=follows))
        owner.close()
        assert not follower.projections.take_over()
        other = running.enter_context(opened(tmp_path, SetClock()))
        assert other.projections.owns


def test_what_comes_back_is_looked_for_again(
    owner: EmbeddedEngine, follower: EmbeddedEngine
) -> None:
    write(owner, make_item("a", headline="zebra"))
    owner.cover()
    assert follower.projections.cover(20.0) == 0
    change(owner, "a", pubstatus=PubStatus.CANCELED)
    owner.catch_up()
    follower.catch_up()
    change(owner, "a", pubstatus=PubStatus.USABLE)
    assert follower.projections.cover(0.05) == 1
    owner.catch_up()
    assert follower.projections.cover(20.0) == 0
    assert uris(follower, Word("zebra")) == {"a"}


def test_frequencies_are_not_the_callers_while_a_killed_item_is_indexed(
    owner: EmbeddedEngine, follower: EmbeddedEngine
) -> None:
    for uri in "ab":
        write(owner, make_item(uri, headline="zebra"))
    owner.cover()
    follower.projections.cover(20.0)
    assert follower.moments.words(WIRE)[1].everything
    change(owner, "b", pubstatus=PubStatus.CANCELED)
    follower.catch_up()
    assert not follower.moments.words(WIRE)[1].everything
    owner.catch_up()
    follower.catch_up()
    assert follower.moments.words(WIRE)[1].everything


def test_many_writers_are_covered_together(owner: EmbeddedEngine) -> None:
    behind: list[str] = []

    def write_one(number: int) -> None:
        write(owner, make_item(f"urn:{number}", headline="zebra"))
        behind.append(owner.cover())

    threads = [threading.Thread(target=write_one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert behind == [""] * 8
    assert uris(owner, Word("zebra")) == {f"urn:{number}" for number in range(8)}
