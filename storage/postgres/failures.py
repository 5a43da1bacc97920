"""Turns Postgres's errors into ours, by SQLSTATE
(https://www.postgresql.org/docs/current/errcodes-appendix.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import orjson
import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from core.errors import BusyError, CorruptError, DocumentError, StorageError, StorageFullError

Failure = SQLAlchemyError | psycopg.Error
_RESTORE = "restore it from a backup (docs/postgres.md)"
_MIGRATE = "run `dateline migrate` as the role that owns the tables"
_BUSY = {
    "55P03": "another host is writing",  # lock_not_available
    "57014": "it took too long and was ended",  # query_canceled, by statement_timeout
    "53300": "the server has no connection left",  # too_many_connections
    "40001": "two writes met",  # serialization_failure
    "40P01": "two writes met",  # deadlock_detected
    "25P03": "it stood still for too long and was ended",  # idle_in_transaction_session_timeout
}
_SETUP = {
    "42501": ("this role may not do that", "grant what docs/postgres.md lists"),
    "42P01": ("a table is missing", _MIGRATE),
    "42703": ("a column is missing", _MIGRATE),
    "3D000": ("there is no such database", "create it (docs/postgres.md)"),
    "28P01": ("the password is wrong", "check the setting `record` or ~/.pgpass"),
    "28000": ("this role may not connect", "check the setting `record` and pg_hba.conf"),
    "25006": ("this server takes no writes: it is a standby", "name the primary in `record`"),
}
_REACH = "start it, or check the setting `record`; what was not acknowledged is to be sent again"
NOT_COMMITTED = frozenset({"25P03"})  # the server ended the transaction before the commit
_DAMAGED = ("XX001", "XX002")  # data_corrupted, index_corrupted
UNKNOWN = (
    "the connection was lost while a batch was being committed: it is recorded wholly or not at all"
)


@contextmanager
def storage_errors(where: str) -> Iterator[None]:
    """Turn errors of SQLAlchemy and psycopg into ours; each names `where`."""
    try:
        yield
    except orjson.JSONDecodeError as error:
        raise CorruptError(
            f"a recorded document can't be read: {error}", where=where, mend=_RESTORE
        ) from error
    except sa.exc.TimeoutError as error:
        raise BusyError("every connection is in use", where=where, mend="try again") from error
    except (SQLAlchemyError, psycopg.Error) as error:
        raise as_ours(error, where) from error


def as_ours(error: Failure, where: str) -> StorageError | DocumentError:
    """Return our error for one of SQLAlchemy or psycopg."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = state_of(error)
    what = " ".join(str(cause).split())
    if state == "53100":
        return StorageFullError(
            "no space left to write; nothing of this batch was recorded",
            where=where,
            mend="free space on the server's file system and send it again",
        )
    if state in _DAMAGED:
        return CorruptError(what, where=where, mend=_RESTORE)
    if state in _SETUP:
        short, mend = _SETUP[state]
        return StorageError(f"{short}: {what}", where=where, mend=mend)
    if state in _BUSY:
        return BusyError(_BUSY[state], where=where, mend="try again")
    if is_lost(error):
        return BusyError(f"Postgres can't be reached: {what}", where=where, mend=_REACH)
    if isinstance(cause, psycopg.DataError):
        return DocumentError(
            f"can't be recorded: {what}", where=where, mend="send texts without NUL characters"
        )
    return StorageError(what, where=where, mend="see `dateline doctor`")


def state_of(error: BaseException | None) -> str:
    """Return the SQLSTATE of an error of SQLAlchemy or the driver, "" if it has none."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return getattr(cause, "sqlstate", None) or ""


def is_denied(error: StorageError) -> bool:
    """Return whether the server said that the role lacks a right."""
    return state_of(error.__cause__) == "42501"


def is_lost(error: Failure) -> bool:
    """Return whether there was no connection, or it broke. Class 08 and 57P01 to 57P05 say so, and
    errors of libpq without a SQLSTATE.
    """
    state = state_of(error)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    unsaid = not state and isinstance(cause, psycopg.OperationalError)
    return unsaid or state.startswith(("08", "57P"))
