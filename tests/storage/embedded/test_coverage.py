"""Searches by words keep up with the record, or say how far they are behind."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.callers import Caller
from core.errors import BusyError
from core.items import PubStatus
from core.query_tree import Word
from storage.embedded.engine import EmbeddedEngine
from storage.embedded.lexical.files import LexicalIndex
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


def test_what_could_not_be_looked_at_is_not_called_covered(
    owner: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(owner, make_item("a", headline="zebra"))
    owner.cover()

    def fail(_: float) -> int:
        raise BusyError("the record can't be asked")

    with monkeypatch.context() as patched:
        patched.setattr(owner.projections, "cover", fail)
        assert owner.cover()
    assert owner.cover() == ""


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


def test_what_an_older_commit_held_is_not_taken_for_found_in_a_newer_one(
    owner: EmbeddedEngine, follower: EmbeddedEngine
) -> None:
    write(owner, make_item("a", headline="zebra"))
    owner.cover()
    assert follower.projections.cover(20.0) == 0
    change(owner, "a", pubstatus=PubStatus.WITHHELD)
    owner.catch_up()  # takes the item out of the index
    change(owner, "a", pubstatus=PubStatus.USABLE)
    follower.catch_up()  # which never saw the item hidden
    assert uris(follower, Word("zebra")) == set()
    assert flags(follower) == ("words: 1 of 1 items are not found by words yet",)
    owner.catch_up()
    assert uris(follower, Word("zebra")) == {"a"}
    assert flags(follower) == ()


def test_nothing_is_called_covered_that_a_commit_under_way_takes_out(
    owner: EmbeddedEngine, follower: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes back while the owner commits that it is gone is not found by that commit."""
    write(owner, make_item("a", headline="zebra"))
    owner.cover()
    assert follower.projections.cover(20.0) == 0
    change(owner, "a", pubstatus=PubStatus.WITHHELD)
    promised: list[int] = []
    update = LexicalIndex.update

    def late(index: LexicalIndex, *given: Any) -> None:
        change(follower, "a", pubstatus=PubStatus.USABLE)
        for engine in (owner, follower):
            with ThreadPoolExecutor(1) as other:  # the owner's commit holds a lock of its thread
                promised.append(other.submit(engine.projections.cover, 0.05).result())
        update(index, *given)

    with monkeypatch.context() as patched:
        patched.setattr(LexicalIndex, "update", late)
        owner.catch_up()
    assert promised == [1, 1]
    for engine in (owner, follower):
        engine.projections.look_for_words()
        assert uris(engine, Word("zebra")) == set()
        assert flags(engine) == ("words: 1 of 1 items are not found by words yet",)
    assert owner.cover() == ""
    assert follower.projections.cover(20.0) == 0


@pytest.mark.parametrize("seed", range(2))
def test_what_a_commit_holds_is_known_exactly_whatever_came_before(
    owner: EmbeddedEngine, follower: EmbeddedEngine, seed: int
) -> None:
    """Segments merge meanwhile, and notes are lost or damaged."""
    rng = random.Random(seed)
    note = owner.projections.lexical.folder.with_suffix(".held")

    def hide_or_show() -> None:
        state = rng.choice([PubStatus.WITHHELD, PubStatus.USABLE])
        change(owner, f"urn:{rng.randrange(9)}", pubstatus=state)

    steps: list[Callable[[], object]] = [
        *[lambda: write(owner, make_item(f"urn:{rng.randrange(9)}", rng.randrange(1, 40)))] * 3,
        *[hide_or_show] * 4,
        *[owner.catch_up] * 6,
        *[follower.projections.look_for_words] * 3,
        lambda: note.write_bytes(note.read_bytes()[:-1]) if note.exists() else None,
        lambda: note.unlink(missing_ok=True),
        owner.projections.reopen_lexical,
    ]
    for _ in range(100):
        rng.choice(steps)()
        for engine in (owner, follower):
            index = engine.projections.lexical
            assert np.flatnonzero(index.contents.held).tolist() == sorted(index.ids().tolist())
            assert index.contents.applied <= owner.projections.projector.progress.applied
    write(owner, make_item("urn:last"))  # after which there is a note again
    owner.catch_up()
    assert follower.projections.cover(20.0) == 0
    assert follower.status()["lexical"]["documents"] == owner.status()["visible"]


def test_segments_were_merged_meanwhile(owner: EmbeddedEngine, follower: EmbeddedEngine) -> None:
    """The number of a commit stays where segments merge: what it holds stays known."""
    for number in range(10):
        write(owner, make_item(f"urn:{number}", headline="zebra"))
        owner.cover()
        assert flags(follower) == ()
        assert len(uris(follower, Word("zebra"))) == number + 1
    owner.projections.lexical.close()  # waits for the merges
    follower.catch_up()
    assert follower.projections.lexical._loaded.searcher.num_segments < 10
    assert flags(follower) == ()
