"""DBOS on the database of orders: its tables, its clients, and its errors as ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from core.errors import StorageError, StorageFullError

_THEIRS = logging.getLogger("dbos")
_THEIRS.setLevel(logging.WARNING)
if not _THEIRS.handlers and logging.lastResort is not None:
    _THEIRS.addHandler(logging.lastResort)  # or DBOS takes the error stream of the moment for good
    _THEIRS.propagate = False

APPLICATION = "dateline"
VERSION = "1"  # of what an order says; old orders are carried out by new programs
STAGE_WORK, READ_WORK = "dateline_stage", "dateline_read"


def migrate(engine: sa.Engine) -> None:
    """Makes DBOS's own tables where they are not there."""
    with storage_errors():
        url = engine.url.set(drivername=engine.url.get_backend_name())
        DBOS.migrate(url.render_as_string(hide_password=False))


def client_of(engine: sa.Engine) -> DBOSClient:
    """What gives and lists orders; to be destroyed at the end."""
    return DBOSClient(
        system_database_engine=engine,
        serializer=DBOSPortableJSONSerializer(),
        application_name=APPLICATION,
    )


@contextmanager
def client(engine: sa.Engine) -> Iterator[DBOSClient]:
    """As `client_of`, for a while."""
    opened = client_of(engine)
    try:
        yield opened
    finally:
        opened.destroy()


@contextmanager
def storage_errors() -> Iterator[None]:
    """Raises what the database refuses as StorageError, StorageFullError for a full disk."""
    try:
        yield
    except SQLAlchemyError as error:
        what = str(getattr(error, "orig", None) or error).strip()
        if "full" in what or "No space left" in what:
            raise StorageFullError(
                "no space left for orders", mend="free space; the work goes on then"
            ) from error
        raise StorageError(
            f"orders can't be kept: {what}", mend="is the database there?"
        ) from error
