"""Orders that an earlier version left under way, finished by this one: nothing is lost, and what
was halted stays halted. `tests/fixtures/write_orders.py` is how they were written.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from storage.databases import Database, open_database
from storage.work.jobs import StoredJobs
from storage.work.orders import StoredOrders
from tests.dateline.conftest import Cli
from tests.postgres_server import Server
from tests.unpacking import unpack

pytest.importorskip("av")
PACKED = Path(__file__).parent.parent / "fixtures" / "orders-2026-11.tar.xz"
QUEUES = dict.fromkeys(("read", "decode", "shots", "describe", "embed", "apply"), 100)
LEFT = {  # what waits of each job, as (queue, chunk)
    "paused": {("apply", 0), ("apply", 1)},
    "cut": {("apply", 0), ("apply", 1), ("apply", 3), ("decode", 2), ("decode", 3)},
    "unread": {("read", -1)},
}


@pytest.fixture
def unpacked(folder: Path) -> Path:
    """A folder with the archive and its photos, whose places are those of this folder."""
    unpack(PACKED, folder)
    before = json.loads((folder / "told.json").read_text("utf-8"))["folder"]
    with sqlite3.connect(folder / "archive" / "work.sqlite") as database:
        for table, column in {"dateline_jobs": "request", "dateline_assets": "location"}.items():
            moved = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            database.execute(moved, (before, str(folder)))
    database.close()
    return folder


@pytest.fixture
def jobs(unpacked: Path) -> dict[str, str]:
    """The names of the jobs by what became of them."""
    found: dict[str, str] = json.loads((unpacked / "told.json").read_text("utf-8"))["jobs"]
    return found


def test_jobs_of_an_earlier_version_go_on_to_their_end(
    unpacked: Path, jobs: dict[str, str]
) -> None:
    old = Cli(unpacked / "archive")
    states = {job["job"]: job["state"] for job in old.json("jobs", "list")}
    assert states == {jobs["paused"]: "paused", jobs["cut"]: "running", jobs["unread"]: "running"}
    old("worker", "--until-done", code=None)
    assert standing(old, jobs["paused"]) == ("paused", 3, 0, 0)
    assert standing(old, jobs["unread"]) == ("finished", 2, 2, 0)
    assert standing(old, jobs["cut"]) == ("finished", 8, 7, 1)
    (dead,) = old.json("jobs", "failed")
    assert dead["location"].endswith("torn.jpg")
    assert dead["attempts"] == 3  # two more tries than the earlier version made
    old("jobs", "resume", jobs["paused"])
    old("worker", "--until-done")
    assert standing(old, jobs["paused"]) == ("finished", 3, 3, 0)
    assert old.json("status")["items"] == 12
    assert {job["decoded"] for job in old.json("jobs", "list")} == {2, 3, 7}


def standing(old: Cli, job: str) -> tuple[str, int, int, int]:
    tree = old.json("jobs", "show", job)
    return tree["state"], tree["found"], tree["done"], tree["failed"]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, unpacked: Path) -> Iterator[Database]:
    """The earlier version's tables of jobs, in the file as they are or copied to a server."""
    place = unpacked / "archive" / "work.sqlite"
    if request.param == "sqlite":
        found = open_database(place)
    else:
        server: Server = request.getfixturevalue("postgres")
        name = f"old_{os.urandom(4).hex()}"
        server.run(f"CREATE DATABASE {name}")
        found = open_database(server.url(name))
        copy_tables(place, found)
    yield found
    found.close()


def copy_tables(place: Path, into: Database) -> None:
    """Copies the tables of jobs, assets and workers."""
    source, tables = open_database(place), sa.MetaData()
    tables.reflect(source.engine, only=lambda name, _: name.startswith("dateline_"))
    tables.create_all(into.engine)
    for table in tables.sorted_tables:
        rows = source.run(lambda c, table=table: c.execute(sa.select(table)).mappings().all())  # type: ignore[misc]
        if rows:
            values: list[Any] = [dict(row) for row in rows]
            into.run(lambda c, t=table, v=values: c.execute(sa.insert(t), v))  # type: ignore[misc]
    source.close()


def test_every_stage_that_waits_has_its_order_once(
    database: Database, jobs: dict[str, str]
) -> None:
    for _ in range(2):
        stored = StoredJobs(database)
    query = sa.text("SELECT job, queue, chunk, priority, holder FROM dateline_orders")
    rows = database.run(lambda connection: connection.execute(query).all())
    names = {name: kind for kind, name in jobs.items()}
    found: dict[str, set[tuple[str, int]]] = {}
    for row in rows:
        found.setdefault(names[row.job], set()).add((row.queue, row.chunk))
    assert found == LEFT
    assert len(rows) == sum(map(len, LEFT.values()))
    assert {(row.priority, row.holder) for row in rows} == {(10, "")}
    leased = StoredOrders(database).lease("one", QUEUES)
    assert {order.job for order in leased} == {jobs["cut"], jobs["unread"]}
    assert stored.counts(jobs["cut"]).waiting() == 8


def test_the_earlier_version_s_tables_are_gone(database: Database) -> None:
    StoredJobs(database)
    there = sa.inspect(database.engine)
    assert set(there.get_table_names()) == {"dateline_jobs", "dateline_assets", "dateline_orders"}
    assert "trail" not in {column["name"] for column in there.get_columns("dateline_assets")}
    assert "epoch" not in {column["name"] for column in there.get_columns("dateline_jobs")}
