"""Leases of parts, on SQLite and on Postgres."""

from __future__ import annotations

from pathlib import Path

from storage.databases import Database, open_database
from storage.record.steady_clock import TimeSources
from storage.work.parts import StoredParts


def test_a_part_is_leased_by_one_until_it_is_done(database: Database) -> None:
    one, other = StoredParts(database), StoredParts(database)
    one.divide("text", [4, 2])
    other.divide("text", [2, 4, 9])
    other.divide("second", [1])
    assert (one.lease("text"), other.lease("text"), one.lease("text")) == (2, 4, 9)
    assert other.lease("text") is None
    other.end("text", 2)  # of another holder
    assert one.left("text") == 3
    one.end("text", 2)
    one.divide("text", [4])  # leased already
    one.give_back("text", 9)
    assert (other.left("text"), other.lease("text"), one.lease("text")) == (2, 9, None)
    assert one.lease("second") == 1


def test_a_lease_that_ends_goes_to_the_next_and_a_renewed_one_stays(folder: Path) -> None:
    database, seconds = open_database(folder / "parts.sqlite"), [1_000.0]
    clock = TimeSources(lambda: 0, lambda: int(seconds[0] * 1e9), lambda: "first")
    one, other = (StoredParts(database, lease_s=10, clock=clock) for _ in range(2))
    one.divide("text", [1, 2])
    assert (one.lease("text"), one.lease("text")) == (1, 2)
    seconds[0] += 6
    one.renew("text", 1)
    seconds[0] += 6
    assert (other.lease("text"), other.lease("text")) == (2, None)
    one.renew("text", 2)  # lost
    one.end("text", 2)
    assert other.left("text") == 2
    database.close()
