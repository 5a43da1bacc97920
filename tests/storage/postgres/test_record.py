"""The record on Postgres by itself: tables, the order of changes, writers at once, what fails."""

from __future__ import annotations

import re
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from core.errors import (
    BusyError,
    CorruptError,
    DocumentError,
    SettingsError,
    StorageError,
    StorageFullError,
)
from core.items import PubStatus
from core.limits import Limit, MemoryLimiter
from core.query_tree import EVERYTHING
from core.writes import Outcome, PutItem, SetStatus
from storage.postgres import connections, reads, schema, writes
from storage.postgres.candidate_lists import PostgresCandidateLists
from storage.postgres.limits import PostgresLimits
from storage.postgres.media_roots import PostgresMediaRoots
from storage.postgres.record import PostgresRecord
from storage.postgres.tables import METADATA
from storage.record.item_rows import to_micros
from storage.record.port import Change
from tests.postgres_server import Server
from tests.storage.postgres_world import address_of, on, schema_of
from tests.storage.world import (
    ENCODER,
    FIELD,
    SetClock,
    lexical,
    make_item,
    opened,
    unit,
    vectors,
    write,
)

DOCS = Path(__file__).resolve().parents[3] / "docs" / "postgres.md"
SPACES = {FIELD: ENCODER}


@pytest.fixture
def address(postgres: Server, folder: Path) -> str:
    return address_of(postgres, folder)


@pytest.fixture
def record(address: str) -> Iterator[PostgresRecord]:
    opened = PostgresRecord(address, SPACES, SetClock())
    yield opened
    opened.close()


def puts(*names: str, version: int = 1) -> list[PutItem]:
    return [PutItem(make_item(name, version), (vectors(unit(1)),)) for name in names]


# --- tables


def test_the_migrations_make_the_tables_that_the_program_knows(
    address: str, record: PostgresRecord
) -> None:
    with record._pool.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": "dateline_schema", "compare_type": True}
        )
        assert compare_metadata(context, METADATA) == []
    assert schema.migrate_at(address)[1:] == ("0008", "0008")


def test_hosts_that_start_at_once_make_the_tables_once(address: str) -> None:
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda _: PostgresRecord(address, SPACES, SetClock()), range(6)))
    assert len({record.identity for record in opened}) == 1
    for record in opened:
        record.close()


def test_a_host_waits_for_a_migration_longer_than_for_a_write(
    address: str, record: PostgresRecord
) -> None:
    pool = connections.pool_of(address, limits={**connections.LIMITS, "lock_timeout": 50})
    with psycopg.connect(address) as other, ThreadPoolExecutor(1) as threads:
        other.execute("SELECT pg_advisory_xact_lock(7351901)")
        host = threads.submit(schema.migrate, pool, "here")
        with pytest.raises(TimeoutError):
            host.result(timeout=0.5)
        other.commit()
        assert host.result(timeout=120) == (schema.newest(), schema.newest())
    pool.dispose()


def test_tables_of_a_newer_program_are_left_alone(address: str, record: PostgresRecord) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("UPDATE dateline_schema SET version_num = '0999'")
    with pytest.raises(StorageError, match="has schema 0999, this program knows 0008"):
        PostgresRecord(address, SPACES, SetClock())
    with pytest.raises(StorageError, match="has schema 0999, this program knows 0008"):
        schema.migrate_at(address)


def test_the_roles_of_the_documentation_have_the_least_rights(postgres: Server) -> None:
    """The page's own statements: the owner migrates, the program's role only reads and writes."""
    blocks = re.findall(r"```sql\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    create, grant = (re.sub(r"--.*", "", block).split(";") for block in blocks[:2])
    roles = [line for line in create if "DATABASE" not in line and line.strip()]
    postgres.run("CREATE DATABASE dateline ENCODING 'UTF8' TEMPLATE template0")
    postgres.run(*roles, database="dateline")
    program = postgres.url("dateline", "dateline_program")
    with pytest.raises(StorageError, match="this role may not change them") as refused:
        PostgresRecord(program, SPACES, SetClock())
    assert "dateline migrate" in refused.value.mend
    assert schema.migrate_at(postgres.url("dateline", "dateline_tables"))[1:] == ("", "0008")
    postgres.run(*(line for line in grant if line.strip()), database="dateline")
    record = PostgresRecord(program, SPACES, SetClock())
    try:
        assert record.put(puts("a"))[0].outcome is Outcome.CREATED
        again = [PutItem(make_item("a", products=("other",)), (vectors(unit(0, 1)),))]
        assert record.put(again)[0].outcome is Outcome.UPDATED
        assert record.set_status([SetStatus("a", PubStatus.CANCELED)])[0].change == 4
        with pytest.raises(StorageError, match="this role may not do that"):
            record._ask(sa.text("DELETE FROM changes"))
    finally:
        record.close()
    lists, roots = PostgresCandidateLists(program), PostgresMediaRoots(program)
    try:
        assert lists.put("a", b"x")
        assert lists.get("a") == b"x"
        lists._keep_small()
        roots.add(["/photos"])
        assert roots.read() == ("/photos",)
    finally:
        lists.close()
        roots.close()
    limits = PostgresLimits(program, MemoryLimiter())
    try:
        assert limits._lease(Limit("requests", 1, 60.0, 40), "a", 1)[0] == 2
    finally:
        limits.close()


# --- the order of changes


def test_changes_are_in_the_order_in_which_they_are_seen(
    address: str, record: PostgresRecord
) -> None:
    """Six writers on connections of their own; who follows meets every number, in order, and every
    seq above those before it.
    """
    total = 6 * 25
    done = threading.Event()
    seen: list[Change] = []

    def follow() -> None:
        last = False
        while not last:
            last = done.is_set()
            while changes := record.reads.changes_after(len(seen), 7):
                seen.extend(changes)

    def write(number: int) -> None:
        own = PostgresRecord(address, SPACES, SetClock())
        for turn in range(25):
            own.put(puts(f"{number}:{turn}"))
        own.close()

    follower = threading.Thread(target=follow)
    follower.start()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    done.set()
    follower.join()
    assert [change.n for change in seen] == list(range(1, total + 1))
    assert [change.seq for change in seen] == sorted(change.seq for change in seen)
    assert record.last_change() == total


def test_a_batch_that_fails_leaves_no_gap_in_the_log(record: PostgresRecord) -> None:
    record.put(puts("a"))
    with pytest.raises(StorageError):
        record.put([*puts("b"), PutItem(make_item("c"), (vectors(unit(1)), vectors(unit(1))))])
    assert record.put(puts("d"))[0].change == 2
    assert record.reads.count_items() == 2


def test_a_write_is_durable_where_the_server_is_told_not_to_wait(
    postgres: Server, address: str, record: PostgresRecord
) -> None:
    with record._writing() as (connection, _):
        connection.execute(sa.text("SET synchronous_commit = off"))  # as a role may have it
        writes.take_turn(connection, 0)
        assert connection.execute(sa.text("SHOW synchronous_commit")).scalar_one() == "on"


def test_two_hosts_that_write_one_item_get_the_outcomes_of_one_after_the_other(
    address: str,
) -> None:
    opened = [PostgresRecord(address, SPACES, SetClock()) for _ in range(4)]
    try:
        for version in range(1, 16):
            with ThreadPoolExecutor(4) as pool:
                same = list(pool.map(lambda r, v=version: r.put(puts("a", version=v)), opened))
            outcomes = Counter(written[0].outcome for written in same)
            first = Outcome.CREATED if version == 1 else Outcome.SUPERSEDED
            assert outcomes == {first: 1, Outcome.UNCHANGED: 3}

        def write(number: int) -> Outcome:
            changed = make_item("b", headline=str(number % 2))
            return opened[number].put([PutItem(changed)])[0].outcome

        with ThreadPoolExecutor(4) as pool:
            outcomes = Counter(pool.map(write, range(4)))
        assert outcomes == {Outcome.CREATED: 1, Outcome.UNCHANGED: 1, Outcome.CONFLICT: 2}
    finally:
        for each in opened:
            each.close()


def test_a_version_that_is_written_again_takes_its_products_along(record: PostgresRecord) -> None:
    record.put([PutItem(make_item("a"), (vectors(unit(1)), vectors(unit(2), field="second")))])
    again = PutItem(make_item("a", products=("x",)), (vectors(unit(0, 1)),))
    (written,) = record.put([again])
    (seq,) = [row.seq for row in record.reads.versions_of("a")]
    assert (written.outcome, seq) == (Outcome.UPDATED, 2)
    assert record.reads.items_by_seq([1]) == {}
    (_, first), (_, second) = (
        *record.reads.vectors_by_seq(FIELD, ENCODER, [seq]),
        *record.reads.vectors_by_seq("second", ENCODER, [seq]),
    )
    assert first.tolist() == unit(0, 1).tolist()
    assert second.tolist() == unit(2).tolist()
    kinds = [(c.kind, c.seq) for c in record.reads.changes_after(0, 9)]
    assert kinds == [("put", 1), ("replaced", 1), ("put", 2)]


# --- limits of Postgres


def test_a_uri_longer_than_an_index_takes(record: PostgresRecord) -> None:
    long = "\U0001f30d" * 2048  # 8 KiB in UTF-8
    record.put([PutItem(make_item(long, chain=long[::-1] + "!"))])
    assert record.reads.chain_of(long) == long[::-1] + "!"


def test_a_uri_that_postgres_can_t_hold(record: PostgresRecord) -> None:
    with pytest.raises(DocumentError, match="can't be recorded"):
        record.put([PutItem(make_item("a\x00b"))])
    assert record.reads.chain_of("a\x00b") is None
    assert record.reads.versions_of("\ud800") == []
    assert record.put(puts("a"))[0].change == 1


# --- what is read besides


def test_signatures_are_written_with_versions_and_made_where_they_lack(
    postgres: Server, folder: Path
) -> None:
    schema_name = schema_of(folder)
    texts = ["one two three four five six", "one two three four five seven", ""]
    with on(postgres), opened(folder, SetClock()) as engine:
        for number, body in enumerate(texts):
            write(engine, make_item(f"urn:{number}", headline="", body=body))
        ids = np.sort(engine.retrieve(lexical(EVERYTHING)).ids)
        written = engine.signatures(ids)
        assert written.comparable.tolist() == [True, True, False]
        assert 0 < np.mean(written.rows[0] == written.rows[1]) < 1
        for damage in ("DELETE FROM", "UPDATE"):
            change = " SET scheme = 0" if damage == "UPDATE" else ""
            postgres.run(f"{damage} {schema_name}.signatures{change}")
            assert np.array_equal(engine.signatures(ids).rows, written.rows)
            assert engine.add_signatures() == 3
            assert engine.add_signatures() == 0
            assert np.array_equal(engine.signatures(ids).rows, written.rows)


def test_the_whole_record_is_read_in_pages(
    record: PostgresRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads, "_PAGE", 3)
    monkeypatch.setattr(reads, "_FEW", 2)
    names = [f"urn:{number}" for number in range(10)]
    record.put([PutItem(make_item(name, chain=f"story {n % 4}")) for n, name in enumerate(names)])
    record.put([PutItem(make_item("urn:9", 2, chain="story 0"))])
    with record.moment() as moment:
        assert [item.uri for item in moment.all_items()] == [*names, "urn:9"]
        assert [row.seq for page in moment.facts_from(4) for row in page] == list(range(4, 12))
        assert [seq for seq, _ in moment.headlines(2, 7)] == [2, 3, 4, 5, 6]
        views = dict(moment.all_views(0))
        assert {chain: sorted(view.members) for chain, view in views.items()} == {
            "story 0": [1, 5, 9, 10, 11],
            "story 1": [2, 6],
            "story 2": [3, 7],
            "story 3": [4, 8],
        }
        assert set(moment.items_by_seq(range(1, 12))) == set(range(1, 12))


def test_a_moment_stays_what_it_was(address: str, record: PostgresRecord) -> None:
    record.put(puts("a"))
    with record.moment() as moment:
        assert moment.line(None) == (1, "a", 1, "put", record_time())
        record.put(puts("b"))
        assert moment.count_items() == 1
        assert moment.changes_after(1, 9) == []
        assert record.reads.count_items() == 2


def record_time() -> int:
    return to_micros(SetClock()())


# --- what fails


def test_no_error_tells_the_password(postgres: Server) -> None:
    """Nor does what stands behind it in a traceback."""
    port = postgres.port
    for address, kind in (
        ("postgresql://desk:hunter2@127.0.0.1:1/x", BusyError),
        ("postgresql://127.0.0.1:1/x?password=hunter2", BusyError),
        (f"postgresql://dateline_owner:hunter2@127.0.0.1:{port}/absent", StorageError),
        (f"postgresql://nobody_here:hunter2@127.0.0.1:{port}/postgres", StorageError),
        ("mysql://desk:hunter2@127.0.0.1/x", SettingsError),
        ("desk:hunter2", SettingsError),
        ("postgresql://desk:hunter2@127.0.0.1:port/x", SettingsError),
    ):
        with pytest.raises(kind) as failure:
            PostgresRecord(address, SPACES, SetClock())
        told = "".join(traceback.format_exception(failure.value))
        assert "hunter2" not in told.replace(address, ""), told
        assert failure.value.mend


@pytest.mark.parametrize(
    ("state", "kind", "says"),
    [
        ("53100", StorageFullError, "no space left to write; nothing of this batch was recorded"),
        ("XX001", CorruptError, "raised by the test"),
        ("57014", BusyError, "took too long"),
        ("42501", StorageError, "this role may not do that"),
        ("0A000", StorageError, "raised by the test"),
    ],
)
def test_what_the_server_refuses_is_said_as_ours(
    address: str, record: PostgresRecord, state: str, kind: type[StorageError], says: str
) -> None:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
            f" 'raised by the test' USING ERRCODE = '{state}'; END $$;"
            "CREATE TRIGGER refuse BEFORE INSERT ON vectors EXECUTE FUNCTION refuse()"
        )
        with pytest.raises(kind, match=says) as failure:
            record.put(puts("a"))
        assert (failure.value.where, bool(failure.value.mend)) == (record.where, True)
        assert (record.last_change(), record.reads.count_items()) == (0, 0)
        connection.execute("DROP FUNCTION refuse CASCADE")
    assert record.put(puts("a"))[0].change == 1


def test_a_standby_is_named_as_what_it_is(address: str, record: PostgresRecord) -> None:
    record.put(puts("a"))
    options = address + "%20-cdefault_transaction_read_only%3Don"
    standby = PostgresRecord(options, SPACES, SetClock())
    try:
        assert standby.last_change() == 1
        with pytest.raises(StorageError, match="takes no writes: it is a standby"):
            standby.put(puts("b"))
    finally:
        standby.close()


def test_a_statement_that_takes_too_long_is_ended(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.LIMITS, "statement_timeout", 1000)
    record = PostgresRecord(address, SPACES, SetClock())
    try:
        with pytest.raises(BusyError, match="took too long"):
            record._ask(sa.text("SELECT pg_sleep(60)"))
        assert record.last_change() == 0
    finally:
        record.close()


def test_a_database_in_another_encoding_is_refused(postgres: Server) -> None:
    postgres.run("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(StorageError, match="the database is in LATIN1"):
        PostgresRecord(postgres.url("latin"), SPACES, SetClock())


def test_a_writer_that_waits_too_long_for_another_host_is_told(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.LIMITS, "lock_timeout", 100)
    record = PostgresRecord(address, SPACES, SetClock())
    try:
        with psycopg.connect(address) as other:
            other.execute("SELECT id FROM archive FOR NO KEY UPDATE")
            with pytest.raises(BusyError, match="another host is writing"):
                record.put(puts("a"))
            assert record.last_change() == 0
        assert record.put(puts("a"))[0].change == 1
    finally:
        record.close()


def test_a_host_that_stands_still_in_a_write_does_not_stop_the_others(
    address: str, record: PostgresRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        connections.LIMITS, "idle_in_transaction_session_timeout", 2000
    )  # a busy machine stands still for less
    suspended = PostgresRecord(address, SPACES, SetClock())
    try:
        with pytest.raises(BusyError, match="stood still"):
            put_while(suspended, lambda: record.put(puts("a")))  # waits until the server ends it
        assert suspended.put(puts("b"))[0].change == 2
    finally:
        suspended.close()


def test_a_connection_that_is_gone_is_replaced(address: str, record: PostgresRecord) -> None:
    """A read is asked again; a write says that nothing was recorded, and the next one works."""
    record.put(puts("a"))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: record.last_change(), range(64)))
    end_connections(address)
    assert record.last_change() == 1
    end_connections(address)
    assert record.reads.count_items() == 1
    with pytest.raises(BusyError, match="can't be reached"):
        put_while(record, lambda: end_connections(address))
    assert record.put(puts("b"))[0].change == 2


def put_while(record: PostgresRecord, meanwhile: Callable[[], object]) -> None:
    """A write in the middle of which something happens."""
    with record._writing() as (connection, _):
        meanwhile()
        connection.execute(sa.text("SELECT 1"))


def end_connections(address: str, like: str = "%") -> None:
    """Ends the connections of every record in these tests, as a restart would."""
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE %s"
            " AND application_name = 'dateline'",
            (like,),
        )


def test_notices_come_from_other_hosts_and_come_again(address: str, record: PostgresRecord) -> None:
    other = PostgresRecord(address, SPACES, SetClock())
    told = threading.Event()
    other.follow(told.set)
    assert told.wait(120), "what was written before it listened is not told, so it looks at once"
    for turn in range(2):
        told.clear()
        record.put(puts(str(turn)))
        assert told.wait(120)
        told.clear()
        end_connections(address, f"LISTEN%{record.identity}%")
        assert told.wait(120), "it listens again, and looks"
    other.close()
