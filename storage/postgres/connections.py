"""Connects a process to Postgres: one pool, a limit on every wait, no password in a message.

Single reads run in autocommit, which is one round trip each. The pool needs no ping, because a read
on a dead connection is sent once more on a fresh one (record.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import event

from core.errors import SettingsError

SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
POOLED = 8  # connections that are kept
MORE = 24  # connections that may be opened above these, for a while
WAIT_S = 5  # for a connection of the pool, and for the server to take one
# In milliseconds, set on the server for each connection. A host that stops in the middle of a write
# (suspended, cut off) must not keep the others waiting. `lock_timeout` is how long a write waits
# for writes of other hosts before it answers "busy".
LIMITS = {
    "statement_timeout": 60_000,
    "lock_timeout": 30_000,
    "idle_in_transaction_session_timeout": 60_000,
}
# libpq: how soon a server that vanished is noticed, in seconds and (the last one) milliseconds.
_KEEPALIVE = {
    "connect_timeout": WAIT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


def pool_of(
    address: str,
    *,
    limits: Mapping[str, int] = LIMITS,
    pooled: int = POOLED,
    more: int = MORE,
    wait_s: float = WAIT_S,
) -> sa.Engine:
    """Return a pool of connections to `postgresql://…`, in autocommit by default. It connects
    later, when it is used. Raises SettingsError for another kind of address.
    """
    url = url_of(address)
    pool = sa.create_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=pooled,
        max_overflow=more,
        pool_timeout=wait_s,
        pool_use_lifo=True,  # so connections that a peak opened become idle and are closed
        hide_parameters=True,
        connect_args=_options(url),
    )
    event.listen(pool, "connect", lambda connection, _: _limit(connection, limits))
    return pool


def connection_of(address: str) -> psycopg.Connection:
    """Return a connection in autocommit outside of any pool, for LISTEN."""
    url = url_of(address)
    named = url.translate_connect_args(username="user", database="dbname")
    return psycopg.connect(**{**named, **url.query, **_options(url)}, autocommit=True)


def _options(url: sa.URL) -> dict[str, Any]:
    """Return our options for libpq; options in the address override them."""
    ours = {**_KEEPALIVE, "application_name": "dateline"}
    return {name: value for name, value in ours.items() if name not in url.query}


def url_of(address: str) -> sa.URL:
    """Return the address as SQLAlchemy's URL for psycopg 3. Raises SettingsError, which never
    quotes the address, because it may contain a password.
    """
    try:
        url = sa.make_url(address)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise SettingsError("not a URL", where="record", mend=_MEND) from error
    if url.drivername not in SCHEMES:
        raise SettingsError("not the URL of a Postgres database", where="record", mend=_MEND)
    return url.set(drivername="postgresql+psycopg")


def place_of(url: sa.URL) -> str:
    """Return host, port and database for messages, without user, password and options."""
    host = url.host or url.query.get("host", "") or "local socket"
    port = f":{url.port}" if url.port else ""
    return f"postgresql at {host if isinstance(host, str) else host[0]}{port}/{url.database or ''}"


_MEND = "write postgresql://user@host/database; the password may come from ~/.pgpass"


def _limit(connection: Any, limits: Mapping[str, int]) -> None:
    asked = ", ".join(["set_config(%s, %s, false)"] * len(limits))
    values = [each for name, limit in limits.items() for each in (name, str(limit))]
    connection.execute(f"SELECT {asked}", values)
    connection.commit()
