"""The tables of webhooks, and how rows become values."""

from __future__ import annotations

from typing import Any

import orjson
import sqlalchemy as sa

from core.customers.transitions import TransitionKind
from core.customers.webhooks import Endpoint, EndpointState, Message
from storage.record.item_rows import from_micros, to_micros

TABLES = sa.MetaData()
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
ENDPOINTS = sa.Table(
    "dateline_webhook_endpoints",
    TABLES,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("account", sa.Text, nullable=False, index=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("topics", sa.Text, nullable=False),  # JSON
    sa.Column("kinds", sa.Text, nullable=False),  # JSON
    sa.Column(
        "secret", sa.Text, nullable=False
    ),  # signing needs the secret itself; the file is 0600
    sa.Column("old_secret", sa.Text, nullable=False),
    sa.Column("old_until", sa.Float, nullable=False),
    sa.Column("begins", sa.BigInteger, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("sent", sa.BigInteger, nullable=False),
    sa.Column("sent_at", sa.Float, nullable=False),
    sa.Column("failed_at", sa.Float, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)
LANES = sa.Table(  # two for each endpoint: of its kills, and of all else
    "dateline_webhook_lanes",
    TABLES,
    sa.Column("endpoint", sa.String(40), primary_key=True),
    sa.Column("kills", sa.Boolean, primary_key=True),
    sa.Column("holder", sa.String(240), nullable=False),  # "" if it is not leased
    sa.Column("free_at", sa.Float, nullable=False),  # the end of the lease, or the next try
    sa.Column("boot", sa.String(40), nullable=False),  # the machine's start; "" in Postgres
    sa.Column("failures", sa.Integer, nullable=False),  # in a row
    sa.Column("slow", sa.Boolean, nullable=False),
)
MESSAGES = sa.Table(
    "dateline_webhook_messages",
    TABLES,
    sa.Column("row", _NUMBER, primary_key=True),
    sa.Column("endpoint", sa.String(40), nullable=False),
    sa.Column("kills", sa.Boolean, nullable=False),
    sa.Column("dead", sa.Boolean, nullable=False),
    sa.Column("event", sa.String(16), nullable=False),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),  # microseconds since 1970
    sa.Column("uri", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("queued_at", sa.Float, nullable=False),
    sa.Column("ended", sa.Float, nullable=False),
    sa.Index("dateline_webhook_messages_in_order", "endpoint", "dead", "kills", "n", "row"),
    sa.Index("dateline_webhook_messages_by_uri", "uri"),
)
POSITION = sa.Table(  # one row: the transitions up to it are queued
    "dateline_webhook_position",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.String(80), nullable=False),
    sa.Column("n", sa.BigInteger, nullable=False),
)


def endpoint_row(endpoint: Endpoint) -> dict[str, Any]:
    """Return the row of an endpoint."""
    plain = {name: getattr(endpoint, name) for name in ENDPOINTS.c.keys()}  # noqa: SIM118
    return plain | {
        "state": str(endpoint.state),
        "topics": orjson.dumps(endpoint.topics).decode(),
        "kinds": orjson.dumps(sorted(endpoint.kinds)).decode(),
    }


def endpoint_of(row: Any) -> Endpoint:
    """Return the endpoint of a row."""
    values = {name: getattr(row, name) for name in ENDPOINTS.c.keys()}  # noqa: SIM118
    values["state"] = EndpointState(row.state)
    values["topics"] = tuple(orjson.loads(row.topics))
    values["kinds"] = frozenset(TransitionKind(kind) for kind in orjson.loads(row.kinds))
    return Endpoint(**values)


def message_row(message: Message, now: float) -> dict[str, Any]:
    """Return the row of a new message."""
    return {
        "endpoint": message.endpoint,
        "kills": message.is_kill,
        "dead": False,
        "event": str(message.event),
        "name": message.name,
        "n": message.n,
        "at": to_micros(message.at),
        "uri": message.uri,
        "version": message.version,
        "seq": message.seq,
        "attempts": 0,
        "why": "",
        "queued_at": now,
        "ended": 0.0,
    }


def message_of(row: Any) -> Message:
    """Return the message of a row."""
    names = ("endpoint", "event", "name", "n", "uri", "version", "seq", "attempts", "why", "row")
    values = {name: row._mapping[name] for name in names}  # noqa: SLF001 - documented
    return Message(at=from_micros(row.at), queued_at=row.queued_at, **values)
