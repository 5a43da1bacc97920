"""Random histories: puts, versions, kills, embargoes, lifts, expiry, products, plans, crashes and
restores; what the feed, topics, RSS and downloads show against a dict, with two makers of
transitions.

FEED_HISTORIES says how many are played, FEED_FIRST the seed of the first one.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.customers.transitions import ENDS, TransitionKind
from tests.customers.feed_history import FileCopies, History, ServerCopies
from tests.customers.feed_world import FILE
from tests.storage.postgres_world import address_of, on

HISTORIES = int(os.environ.get("FEED_HISTORIES", "10"))
FIRST = int(os.environ.get("FEED_FIRST", "0"))
STEPS = 100


def play(found: History) -> None:
    try:
        for number in range(STEPS):
            found.step()
            if number % 15 == 14:
                found.settle()
                found.check()
        found.settle()
        found.check()
        found.check_readers(found.readers)
    except BaseException as error:
        error.add_note(f"steps: {' '.join(found.steps)}")
        raise
    finally:
        found.close()


@pytest.mark.parametrize("seed", range(FIRST, FIRST + HISTORIES))
def test_histories(folder: Path, seed: int) -> None:
    play(History(folder, seed, folder / FILE, FileCopies(folder)))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + max(2, HISTORIES // 6)))
def test_histories_on_postgres(folder: Path, seed: int, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("postgres")
    with on(server):
        play(History(folder, seed, address_of(server, folder), ServerCopies(server, folder)))


def test_an_end_is_no_content() -> None:
    assert {TransitionKind.SHOWN, TransitionKind.UPDATED}.isdisjoint(ENDS)
