"""What an engine keeps beside its archive does not grow with what happens to it."""

from __future__ import annotations

import gc
import platform
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.items import PubStatus
from core.query_tree import EVERYTHING, Keyword, Word
from storage.embedded import background, moments
from storage.embedded.background import give_back
from storage.embedded.columns.facts import Columns, View
from storage.embedded.moments import AllowedMasks
from storage.embedded.projector import Mask
from tests.storage.world import (
    FIELD,
    HOUR,
    NOW,
    SMALL,
    WIRE,
    SetClock,
    ask,
    change,
    lexical,
    make_item,
    nearest,
    opened,
    vector_of,
    write,
)


@contextmanager
def counted_references() -> Iterator[None]:
    """What is not used any more is gone at once, but for cycles, which stay."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def view_of(columns: Columns, generation: int) -> View:
    return View(columns, np.ones(3, np.bool_), generation)


def test_bitmaps_of_an_older_state_are_not_kept() -> None:
    masks, columns = AllowedMasks(), Columns()
    with counted_references():
        older, newer = view_of(columns, 1), view_of(columns, 2)
        kept = [
            weakref.ref(masks.of(older, WIRE.products, node))
            for node in (EVERYTHING, Keyword("place", ("Coast",)))
        ]
        assert masks.is_everything(older, masks.of(older, frozenset(), EVERYTHING)) is False
        assert all(one() is not None for one in kept)
        latest = masks.of(newer, WIRE.products, EVERYTHING)
        assert masks.of(newer, WIRE.products, EVERYTHING) is latest
        assert [one() for one in kept] == [None, None]
        assert masks.of(older, WIRE.products, EVERYTHING) is not latest
        assert masks.of(newer, WIRE.products, EVERYTHING) is latest


@pytest.mark.parametrize(("most_bytes", "most"), [(10**9, 64), (21, 7), (0, 4)])
def test_only_so_many_bitmaps_are_kept(
    monkeypatch: pytest.MonkeyPatch, most_bytes: int, most: int
) -> None:
    monkeypatch.setattr(moments, "_MOST_BYTES", most_bytes)
    masks, view = AllowedMasks(), view_of(Columns(), 1)
    kept = []
    for number in range(most + 1):
        mask = masks.of(view, WIRE.products, Keyword("place", (str(number),)))
        assert masks.is_everything(view, mask) is False
        assert masks.count(view, mask, mask) == 0
        kept.append(weakref.ref(mask))
        del mask
        if number < most:
            assert all(one() is not None for one in kept)
    assert [one() is None for one in kept] == [True] * most + [False]


def bitmap(*marks: int) -> Mask:
    return np.array(marks, np.bool_)


def test_counts_are_kept_for_both_bitmaps_of_the_newest_state() -> None:
    masks, columns = AllowedMasks(), Columns()
    with counted_references():
        older, newer = view_of(columns, 1), view_of(columns, 2)
        assert masks.of(older, frozenset(), EVERYTHING).tolist() == [False] * 3
        every, two, some, one = bitmap(1, 1, 1), bitmap(1, 1, 0), bitmap(0, 1, 1), bitmap(0, 0, 1)
        pairs = ((every, some), (two, some), (every, one), (two, one))
        assert [masks.count(older, *pair) for pair in pairs] == [2, 1, 1, 0]
        every[:] = two[:] = False  # nobody does this: so a kept count can be told from a new one
        assert [masks.count(older, *pair) for pair in pairs] == [2, 1, 1, 0]
        kept, gone = weakref.ref(two), weakref.ref(one)
        del two, one, pairs
        assert kept() is not None
        assert gone() is not None
        masks.of(newer, WIRE.products, EVERYTHING)
        assert kept() is None
        assert gone() is None
        late = bitmap(1, 0, 0)
        assert masks.count(older, late, late) == 1
        kept = weakref.ref(late)
        del late
        assert kept() is None


def test_a_story_that_changes_often_is_due_once(folder: Path) -> None:
    clock = SetClock()
    with opened(folder, clock) as engine:
        write(engine, make_item("a", expires=NOW + HOUR))
        for _ in range(20):
            change(engine, "a", pubstatus=PubStatus.WITHHELD)
            change(engine, "a", pubstatus=PubStatus.USABLE)
        assert len(engine.projections.projector._due) == 1
        assert ask(engine, lexical(EVERYTHING)) == [("a", 1)]
        clock.advance(HOUR)
        assert ask(engine, lexical(EVERYTHING)) == []
        assert engine.projections.projector._due == []


def test_a_snapshot_of_the_words_goes_with_its_last_user(folder: Path) -> None:
    """Or it would keep files that were merged away until the next full collection."""
    with opened(folder, SetClock()) as engine, counted_references():
        write(engine, make_item("a", headline="zebra"))
        engine.cover()
        engine.retrieve(lexical(Word("zebra")))
        engine.similar_words([("zebrb", 1)], WIRE)
        engine.rarities(["zebra"], "en", WIRE)
        before = weakref.ref(engine.moments.lexical())
        write(engine, make_item("b", headline="zebra"))
        engine.cover()
        assert len(engine.retrieve(lexical(Word("zebra"))).ids) == 2
        assert before() is None


def test_a_tail_does_not_keep_what_its_owner_left_out_of_a_segment(folder: Path) -> None:
    """In a process that follows: versions that had a successor, and stories that were hidden."""
    with opened(folder, SetClock()) as owner, opened(folder, SetClock()) as follower:
        field = follower.projections.fields[FIELD]
        for version in (1, 2, 3):
            write(owner, make_item("a", version))
            assert ask(follower, nearest(vector_of(f"a/{version}"))) == [("a", version)]
        write(owner, make_item("b"))
        follower.catch_up()
        change(owner, "b", pubstatus=PubStatus.WITHHELD)
        follower.catch_up()
        assert field.tail_size == 4
        owner.compact()
        follower.catch_up()
        assert field.tail_size == 0
        change(owner, "b", pubstatus=PubStatus.USABLE)
        assert ask(follower, nearest(vector_of("b/1"), depth=1)) == [("b", 1)]
        assert ask(owner, nearest(vector_of("b/1"), depth=1)) == [("b", 1)]


def open_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


def test_a_thread_that_ended_leaves_no_connection(folder: Path) -> None:
    """Each has three files open and two megabytes of pages."""
    with opened(folder, SetClock()) as engine:
        write(engine, make_item("a"))
        before = open_files()
        for _ in range(30):
            reader = threading.Thread(target=lambda: engine.record.reads.count_items())
            reader.start()
            reader.join()
        assert open_files() < before + 20
        assert ask(engine, lexical(EVERYTHING)) == [("a", 1)]


def private_bytes() -> int:
    """What this process holds in memory that is no file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others give it back themselves")
def test_memory_that_was_freed_is_given_back() -> None:
    many = [np.ones(50_000, np.uint8) for _ in range(2000)]
    last = np.ones(50_000, np.uint8)  # above them in the heap
    del many
    before = private_bytes()
    give_back()
    assert private_bytes() < before - 50_000_000
    assert last.all()


def test_each_process_gives_memory_back_now_and_then(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = threading.Event()
    monkeypatch.setattr(background, "_FREED_S", 0.0)
    monkeypatch.setattr(background, "give_back", given.set)
    follows = replace(SMALL, follows=True)
    with opened(folder, SetClock(), background=True, projections=follows):
        assert given.wait(60)
