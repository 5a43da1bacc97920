"""Creates and migrates the tables of the record of truth, and opens connections to them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from core.errors import CorruptError, StorageError
from storage.embedded.integrity import sync_path
from storage.record.holds import first_holds
from storage.record.item_rows import ITEM_COLUMNS, completed_facts

SCHEMA_VERSION = 1

_TABLES = """
CREATE TABLE items (
    seq            INTEGER PRIMARY KEY AUTOINCREMENT,
    uri            TEXT NOT NULL,
    version        INTEGER NOT NULL,
    chain          TEXT NOT NULL,
    language       TEXT NOT NULL,
    pubstatus      TEXT NOT NULL,
    versioncreated INTEGER NOT NULL,
    embargoed      INTEGER,
    expires        INTEGER,
    digest         BLOB NOT NULL,
    facts          BLOB NOT NULL,
    document       BLOB NOT NULL,
    UNIQUE (uri, version)
) STRICT;
CREATE INDEX items_chain ON items (chain);
CREATE TABLE vectors (
    seq       INTEGER NOT NULL REFERENCES items (seq) ON DELETE CASCADE,
    field     TEXT NOT NULL,
    encoder   TEXT NOT NULL,
    passages  BLOB NOT NULL,
    matrix    BLOB NOT NULL,
    truncated INTEGER NOT NULL,
    PRIMARY KEY (seq, field, encoder)
) STRICT, WITHOUT ROWID;
CREATE TABLE changes (
    n     INTEGER PRIMARY KEY AUTOINCREMENT,
    chain TEXT NOT NULL,
    seq   INTEGER NOT NULL,
    kind  TEXT NOT NULL,
    at    INTEGER NOT NULL
) STRICT;
"""
# Older records hold vectors of one encoder in a field. They get the table above only when vectors
# of a second encoder are needed, as that takes the time and the space of a copy. An older program
# can use this table too.
_WIDER = (
    "ALTER TABLE vectors RENAME TO narrow_vectors",
    _TABLES[_TABLES.index("CREATE TABLE vectors") :].partition(";")[0],
    "INSERT INTO vectors SELECT * FROM narrow_vectors",
    "DROP TABLE narrow_vectors",
)
# Added to a record that lacks it. An older program leaves the table alone, so the schema keeps its
# number.
_SIGNATURES = """
CREATE TABLE IF NOT EXISTS signatures (
    seq       INTEGER PRIMARY KEY REFERENCES items (seq) ON DELETE CASCADE,
    scheme    INTEGER NOT NULL,
    signature BLOB NOT NULL
) STRICT
"""
# Added likewise. In a record without this table, items that were hidden explicitly get holds.
_HOLDS = """
CREATE TABLE holds (
    uri       TEXT NOT NULL,
    writes    TEXT NOT NULL,
    pubstatus TEXT NOT NULL,
    embargoed INTEGER,
    PRIMARY KEY (uri, writes)
) STRICT, WITHOUT ROWID
"""
# Added likewise, when the facts of all recorded versions have the facts of their documents. Its
# rows are the sets of such facts that were added later.
_SOURCE_FACTS = "CREATE TABLE IF NOT EXISTS source_facts (recorded INTEGER NOT NULL) STRICT"
_FACTS_SET = 2
_FACTS_PAGE = 500
_HIDDEN = """
SELECT uri, pubstatus, embargoed, document FROM items AS newest
WHERE (pubstatus <> 'usable' OR embargoed IS NOT NULL)
AND version = (SELECT max(version) FROM items WHERE uri = newest.uri)
"""


_ITEMS_AFTER = f"SELECT {ITEM_COLUMNS} FROM items WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608


def connect(path: Path, *, readonly: bool = False, wait_s: float = 30) -> sqlite3.Connection:
    """Return a connection in autocommit mode. Writes are durable: with WAL and synchronous=FULL, a
    commit is on the disk when it returns (https://sqlite.org/pragma.html#pragma_synchronous).
    """
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=wait_s
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA mmap_size = 268435456")
    if readonly:
        connection.execute("PRAGMA query_only = ON")
    return connection


def prepare(path: Path, *, beside: bool = False) -> None:
    """Create the record if there is none, and migrate an older one. With `beside` one field can
    hold vectors of several encoders.

    Raises CorruptError if the file is not a database, StorageError for another schema.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = connect(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # Checked without the write lock, so that a process that hangs with the lock blocks nobody.
        if not _is_current(connection, beside):
            _migrate(connection, path, beside)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise CorruptError(
            f"the record of truth can't be read: {error}",
            where=str(path),
            mend="restore it with `dateline restore`",
        ) from error
    finally:
        connection.close()


def _is_current(connection: sqlite3.Connection, beside: bool) -> bool:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    return (
        found == SCHEMA_VERSION
        and {"signatures", "holds", "source_facts"} <= tables
        and _has_facts(connection)
        and (not beside or _is_wide(connection))
    )


def _migrate(connection: sqlite3.Connection, path: Path, beside: bool) -> None:
    connection.execute("BEGIN IMMEDIATE")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, SCHEMA_VERSION):
        connection.execute("ROLLBACK")
        raise StorageError(
            f"the record has schema {found}, this program knows {SCHEMA_VERSION}",
            where=str(path),
            mend="run the version of Dateline that wrote it, or ingest again into an empty folder",
        )
    if found == 0:
        sync_path(path.parent)  # else a power failure could lose the whole folder
        for statement in _TABLES.split(";\n"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute(_SIGNATURES)
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'holds'").fetchone():
        connection.execute(_HOLDS)
        rows = first_holds(connection.execute(_HIDDEN))
        connection.executemany("INSERT INTO holds VALUES (?, ?, ?, ?)", rows)
    connection.execute(_SOURCE_FACTS)
    if not _has_facts(connection):
        connection.execute("INSERT INTO source_facts VALUES (?)", (_FACTS_SET,))
        _add_source_facts(connection)
    if beside and not _is_wide(connection):
        for statement in _WIDER:
            connection.execute(statement)
    connection.execute("COMMIT")


def _has_facts(connection: sqlite3.Connection) -> bool:
    newest = connection.execute("SELECT max(recorded) FROM source_facts").fetchone()[0]
    return newest is not None and int(newest) >= _FACTS_SET


def _add_source_facts(connection: sqlite3.Connection) -> None:
    """Add the facts of their documents to versions that an older program recorded."""
    after = -1
    while page := connection.execute(_ITEMS_AFTER, (after, _FACTS_PAGE)).fetchall():
        changed = [(completed_facts(row), row[0]) for row in page]
        connection.executemany("UPDATE items SET facts = ? WHERE seq = ?", changed)
        after = page[-1][0]


def _is_wide(connection: sqlite3.Connection) -> bool:
    columns = connection.execute("SELECT name, pk FROM pragma_table_info('vectors')")
    places: dict[str, int] = dict(columns.fetchall())
    return places["encoder"] > 0
