"""Backup and restore of the record of truth. Projections are not copied, but made anew from it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import suppress
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
from storage.record.unsettled import read_change

PROJECTIONS = "projections"


def backup(folder: Path, target: Path) -> int:
    """Copy the record in `folder` to `target` while others read and write it; return the copy's
    size in bytes. The copy is one moment of the record (SQLite's online backup) and is checked
    before it gets its name. Raises InputError if there is no record, ConflictError if `target`
    exists.
    """
    source = folder / FILE
    if not source.exists():
        raise InputError(
            "there is no archive in this folder", where=str(folder), mend="name its folder"
        )
    if target.exists():
        raise ConflictError("this file exists", where=str(target), mend="choose another name")
    if not target.parent.is_dir():
        raise InputError("there is no such folder", where=str(target.parent), mend="make it first")
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        _copy(source, partial)
        check(partial)
        _sync(partial)
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(target.parent)
    return target.stat().st_size


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


def restore(source: Path, folder: Path, *, force: bool) -> None:
    """Replace the record in `folder` by a backup, and drop the projections.

    Raises ConflictError if a process uses the archive, or if there is a record and not `force`.
    """
    if not source.is_file():
        raise InputError(
            "there is no such file", where=str(source), mend="name what `dateline backup` wrote"
        )
    check(source)
    if (folder / FILE).exists() and not force:
        raise ConflictError(
            "there is an archive already", where=str(folder), mend="--force replaces it"
        )
    ownership = alone(folder)
    try:
        fresh = folder / f"{FILE}.restored"
        shutil.copyfile(source, fresh)
        _sync(fresh)
        _drop_projections(folder)  # else words of the old record would find the new one's items
        _fold(folder)
        for name in (f"{FILE}-wal", f"{FILE}-shm", JOURNAL):
            (folder / name).unlink(missing_ok=True)
        sync_folder(folder)
        fresh.replace(folder / FILE)
        sync_path(folder)
    finally:
        ownership.release()


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
            path.unlink()
    sync_folder(projections)


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
