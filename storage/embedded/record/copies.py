"""Backup and restore of the record of truth, and of the tables about customers in a second file
beside the copy. Projections are not copied, but made again from the record.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import ConflictError, CorruptError, InputError, StorageError
from storage.embedded.integrity import sync_folder, sync_path
from storage.embedded.ownership import Ownership
from storage.embedded.record import schema
from storage.embedded.record.archive import FILE
from storage.embedded.record.failures import storage_errors
from storage.embedded.record.journal import FILE as JOURNAL
from storage.embedded.record.journal import Journal
from storage.embedded.record.writing import set_status
from storage.record.holds import FREE, State, stricter
from storage.record.unsettled import read_change

PROJECTIONS = "projections"
CUSTOMERS = "customers.sqlite"
_BESIDE = ".customers"  # the end of the second file's name
_TURN = "dateline_transition_turn"
_RECEIPTS = "dateline_receipts"
_KEYS, _ACCOUNTS, _VERSION = (
    "dateline_account_keys",
    "dateline_accounts",
    "dateline_accounts_version",
)
_HIDDEN = (
    (
        "SELECT uri, pubstatus, embargoed FROM items AS newest WHERE"
        " (pubstatus <> 'usable' OR embargoed IS NOT NULL)"
        " AND version = (SELECT max(version) FROM items WHERE uri = newest.uri)"
    ),
    "SELECT uri, pubstatus, embargoed FROM holds",
)
_OF_A_KEY = "id, account, name, sha256, created, writes, may_inspect, may_use_models, expires"
# A revoked key stays revoked, whichever of both files is newer.
_REVOKE = (
    f"UPDATE main.{_KEYS} SET revoked = (SELECT revoked FROM present.{_KEYS} AS there"  # noqa: S608
    f" WHERE there.id = {_KEYS}.id) WHERE revoked IS NULL AND id IN"
    f" (SELECT id FROM present.{_KEYS} WHERE revoked IS NOT NULL)"
)
_TAKE = (
    f"INSERT OR REPLACE INTO main.{_KEYS} ({_OF_A_KEY}, revoked)"  # noqa: S608 - constants
    f" SELECT {_OF_A_KEY}, revoked FROM present.{_KEYS}"
    f" WHERE account IN (SELECT id FROM main.{_ACCOUNTS})"
)


def backup(folder: Path, target: Path) -> int:
    """Copy the record in `folder` to `target` while others read and write it; return the copy's
    size in bytes. The copy is one moment of the record (SQLite's online backup) and is checked
    before it gets its name. If there are customers, a file beside it has them, as they were just
    before: the transitions of their copy are never ahead of the record's. Raises InputError if
    there is no record, ConflictError if `target` exists.
    """
    source = folder / FILE
    if not source.exists():
        raise InputError(
            "there is no archive in this folder", where=str(folder), mend="name its folder"
        )
    for each in (target, beside(target)):
        if each.exists():
            raise ConflictError("this file exists", where=str(each), mend="choose another name")
    if not target.parent.is_dir():
        raise InputError("there is no such folder", where=str(target.parent), mend="make it first")
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        if (folder / CUSTOMERS).exists():
            _copy_customers(folder / CUSTOMERS, partial)
            partial.rename(beside(target))
        _copy(source, partial)
        check(partial)
        _sync(partial)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(target.parent)
    return target.stat().st_size


def beside(copy: Path) -> Path:
    """Return the file beside a backup that has the tables about customers."""
    return copy.with_name(copy.name + _BESIDE)


def _copy_customers(source: Path, target: Path) -> None:
    with storage_errors(source):
        reading, writing = sqlite3.connect(source), sqlite3.connect(target)
        try:
            reading.backup(writing)
            writing.execute("PRAGMA journal_mode = DELETE")
        finally:
            writing.close()
            reading.close()
    _sync(target)


def _copy(source: Path, target: Path) -> None:
    with storage_errors(source):
        reading = schema.connect(source, readonly=True)
        writing = sqlite3.connect(target)
        try:
            reading.backup(writing)
            writing.execute("PRAGMA journal_mode = DELETE")
            _settle(source.parent, writing)
        finally:
            writing.close()
            reading.close()


def _settle(folder: Path, copy: sqlite3.Connection) -> None:
    """Apply the changes of state in the journal to the copy."""
    if not (folder / JOURNAL).exists():
        return
    journal = Journal(folder)
    try:
        found = [read_change(data) for data in journal.read().data]
    finally:
        journal.close()
    with copy:
        for asked in found:
            set_status(copy.cursor(), asked.change, asked.writes, int(time.time() * 1_000_000))


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore can't know to be right, for an operator to look at."""

    keys: tuple[str, ...]  # `account/name (id)`, in force as they were at the backup
    states: tuple[tuple[str, State], ...]  # uris and what hid them in the replaced record


def restore(source: Path, folder: Path, *, force: bool) -> Restored:
    """Replace the record in `folder` by a backup, and drop the projections. Customers are those of
    the file beside the backup, else those that are there. Their transitions are another history
    from then on, what an account has received is not forgotten, and keys stay as they are now.
    Return the restored keys that nothing here knew, and the items that were killed, withheld or
    embargoed since the backup: it shows them again.

    Raises ConflictError if a process uses the archive, or if there is a record and not `force`.
    """
    if not source.is_file():
        raise InputError(
            "there is no such file", where=str(source), mend="name what `dateline backup` wrote"
        )
    check(source)
    if beside(source).exists():
        _quick_check(beside(source))
    if (folder / FILE).exists() and not force:
        raise ConflictError(
            "there is an archive already", where=str(folder), mend="--force replaces it"
        )
    ownership = alone(folder)
    try:
        fresh = folder / f"{FILE}.restored"
        shutil.copyfile(source, fresh)
        _sync(fresh)
        unknown = _restore_customers(beside(source), folder)
        _drop_projections(folder)  # else words of the old record would find the new one's items
        _fold(folder)
        states = _hidden_since(folder / FILE, fresh)
        for name in (f"{FILE}-wal", f"{FILE}-shm", JOURNAL):
            (folder / name).unlink(missing_ok=True)
        sync_folder(folder)
        fresh.replace(folder / FILE)
        sync_path(folder)
    finally:
        ownership.release()
    return Restored(unknown, states)


def _hidden_since(present: Path, fresh: Path) -> tuple[tuple[str, State], ...]:
    """Return what is hidden in the present record and less so in its copy, by uri. A record that
    can't be read has nothing to tell.
    """
    if not present.exists():
        return ()
    with suppress(sqlite3.Error), closing(sqlite3.connect(present)) as record:
        now, then = _states(record), dict[str, State]()
        with closing(sqlite3.connect(fresh)) as copy:
            then = _states(copy)
        return tuple(
            (uri, state)
            for uri, state in sorted(now.items())
            if stricter(state, then.get(uri, FREE)) != then.get(uri, FREE)
        )
    return ()


def _states(record: sqlite3.Connection) -> dict[str, State]:
    """Return the strictest state of each uri that is hidden, in its newest version or by holds."""
    found: dict[str, State] = {}
    for query in _HIDDEN if _has(record, "holds") else _HIDDEN[:1]:
        for uri, *state in record.execute(query):
            found[uri] = stricter(found.get(uri, FREE), (state[0], state[1]))
    return found


def _restore_customers(source: Path, folder: Path) -> tuple[str, ...]:
    """Put a backup of the tables about customers in place, and begin another history of
    transitions: positions of the earlier one may mean other transitions. Return the keys of the
    backup that are not revoked and that the archive here did not know.
    """
    present, unknown = folder / CUSTOMERS, tuple[str, ...]()
    if source.exists():
        fresh = folder / f"{CUSTOMERS}.restored"
        shutil.copyfile(source, fresh)
        if present.exists():
            with suppress(sqlite3.Error):  # a damaged file has nothing to keep
                _keep_receipts(present, fresh)
        unknown = _keep_keys(present, fresh)
        for name in (f"{CUSTOMERS}-wal", f"{CUSTOMERS}-shm"):
            (folder / name).unlink(missing_ok=True)
        fresh.replace(present)
    if present.exists():
        with storage_errors(present), closing(sqlite3.connect(present)) as customers, customers:
            if _has(customers, _TURN):
                customers.execute(f"UPDATE {_TURN} SET epoch = ?", (secrets.token_hex(8),))  # noqa: S608 - a constant
        _sync(present)
    return unknown


def _keep_receipts(present: Path, fresh: Path) -> None:
    """Add the receipts since the backup to it: who received an item hears of its kill."""
    with closing(sqlite3.connect(fresh)) as customers:
        customers.execute("ATTACH ? AS present", (str(present),))
        if _has(customers, _RECEIPTS) and _has(customers, _RECEIPTS, "present"):
            with customers:
                customers.execute(
                    f"INSERT OR IGNORE INTO main.{_RECEIPTS} SELECT * FROM present.{_RECEIPTS}"  # noqa: S608 - constants
                )
        customers.execute("DETACH present")


def _keep_keys(present: Path, fresh: Path) -> tuple[str, ...]:
    """Keep the present state of the keys of the copy's accounts: which ones were revoked, expired,
    rotated or made since the backup. Return the copy's other keys that are not revoked.
    """
    with storage_errors(fresh), closing(sqlite3.connect(fresh)) as customers:
        if not _has(customers, _KEYS):
            return ()
        known: set[str] = set()
        if present.exists():
            with suppress(sqlite3.DatabaseError):  # a damaged file has nothing to keep
                known = _merge_keys(customers, present)
        rows = customers.execute(
            f"SELECT id, account, name FROM {_KEYS} WHERE revoked IS NULL ORDER BY account, name"  # noqa: S608
        )
        return tuple(f"{account}/{name} ({id_})" for id_, account, name in rows if id_ not in known)


def _merge_keys(customers: sqlite3.Connection, present: Path) -> set[str]:
    """Merge the keys of `present` into the copy; return their ids."""
    customers.execute("ATTACH ? AS present", (str(present),))
    if not _has(customers, _KEYS, "present"):
        return set()
    here, there = (
        customers.execute(f"SELECT max(version) FROM {name}.{_VERSION}").fetchone()[0]  # noqa: S608
        for name in ("main", "present")
    )
    with customers:
        customers.execute(_REVOKE)
        if there >= here:  # else the copy is newer than what it replaces
            customers.execute(_TAKE)
        # No later state of this archive has a lower number.
        customers.execute(f"UPDATE main.{_VERSION} SET version = ?", (max(here, there) + 1,))  # noqa: S608
    return {id_ for (id_,) in customers.execute(f"SELECT id FROM present.{_KEYS}")}  # noqa: S608


def _has(connection: sqlite3.Connection, table: str, schema_name: str = "main") -> bool:
    query = f"SELECT 1 FROM {schema_name}.sqlite_master WHERE type = 'table' AND name = ?"  # noqa: S608
    return connection.execute(query, (table,)).fetchone() is not None


def _quick_check(path: Path) -> None:
    """Raise CorruptError unless `path` is a whole database."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            found = connection.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise CorruptError(f"this is not a backup: {error}", where=str(path)) from error
    if found != "ok":
        raise CorruptError(f"this backup can't be used: {found}", where=str(path))


def _fold(folder: Path) -> None:
    """Move the log and the journal of the old record into its file, so that the record is whole if
    the restore ends here. A record that can't be read stays as it is.
    """
    if not (folder / FILE).exists():
        return
    with suppress(sqlite3.Error, StorageError):
        old = schema.connect(folder / FILE)
        try:
            _settle(folder, old)
            old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            old.close()


def drop_projections(folder: Path) -> None:
    """Remove every projection of an archive. Raises ConflictError if a process uses it."""
    ownership = alone(folder)
    try:
        _drop_projections(folder)
    finally:
        ownership.release()


def alone(folder: Path) -> Ownership:
    """Take the ownership of the projections. Raises ConflictError if another process has it."""
    ownership = Ownership(folder / PROJECTIONS / "owner.lock")
    if not ownership.try_acquire():
        raise ConflictError(
            f"process {ownership.owner()} uses this archive",
            where=str(folder),
            mend="stop it and try again",
        )
    return ownership


def check(path: Path) -> None:
    """Raise CorruptError unless `path` is a whole record of this program's schema."""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            found = connection.execute("PRAGMA quick_check").fetchone()[0]
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise CorruptError(f"this is not a backup: {error}", where=str(path)) from error
    if found != "ok" or version != schema.SCHEMA_VERSION:
        what = found if found != "ok" else f"schema {version}, not {schema.SCHEMA_VERSION}"
        raise CorruptError(f"this backup can't be used: {what}", where=str(path))


def _drop_projections(folder: Path) -> None:
    projections = folder / PROJECTIONS
    for path in projections.iterdir():
        if path.name == "owner.lock":
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # a search process that ends takes its own lists away
    sync_folder(projections)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
