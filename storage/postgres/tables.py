"""The tables of the record, as the newest migration leaves them.

Table names have no schema, so the connection's search_path decides. Items are found by the sha256
of uri and chain, because a B-tree's entry has at most 2,704 bytes and a uri may have more. Facts,
documents and passages are JSON as bytes: they are read back byte for byte, NUL characters included,
which Postgres's text and jsonb can't hold.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from sqlalchemy import BigInteger, DateTime, Identity, Integer, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import UUID

METADATA = sa.MetaData()

# One row. A writer locks it (writes.py); `id` distinguishes this record from any other.
ARCHIVE = sa.Table(
    "archive",
    METADATA,
    sa.Column("number", SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("id", UUID(as_uuid=False), nullable=False),
)
SEQS = sa.Sequence("items_seq", metadata=METADATA)
ITEMS = sa.Table(
    "items",
    METADATA,
    sa.Column("seq", BigInteger, primary_key=True, autoincrement=False),
    sa.Column("uri", Text, nullable=False),
    sa.Column("uri_key", LargeBinary, nullable=False),
    sa.Column("version", BigInteger, nullable=False),
    sa.Column("chain", Text, nullable=False),
    sa.Column("chain_key", LargeBinary, nullable=False),
    sa.Column("language", Text, nullable=False),
    sa.Column("pubstatus", Text, nullable=False),
    sa.Column("versioncreated", BigInteger, nullable=False),
    sa.Column("embargoed", BigInteger),
    sa.Column("expires", BigInteger),
    sa.Column("digest", LargeBinary, nullable=False),
    sa.Column("facts", LargeBinary, nullable=False),
    sa.Column("document", LargeBinary, nullable=False),
    sa.UniqueConstraint("uri_key", "version", name="items_of_uri"),
    sa.Index("items_of_chain", "chain_key", "seq"),
)


def _of_item(name: str) -> sa.Column[int]:
    """Return a column with an item's seq, which follows it when the item is rewritten."""
    to = sa.ForeignKey("items.seq", ondelete="CASCADE", onupdate="CASCADE")
    return sa.Column(name, BigInteger, to, primary_key=True, autoincrement=False)


VECTORS = sa.Table(
    "vectors",
    METADATA,
    _of_item("seq"),
    sa.Column("field", Text, primary_key=True),
    sa.Column("encoder", Text, primary_key=True),
    sa.Column("passages", LargeBinary, nullable=False),
    sa.Column("matrix", LargeBinary, nullable=False),
    sa.Column("truncated", Integer, nullable=False),
)
SIGNATURES = sa.Table(
    "signatures",
    METADATA,
    _of_item("seq"),
    sa.Column("scheme", Integer, nullable=False),
    sa.Column("signature", LargeBinary, nullable=False),
)
CHANGES = sa.Table(
    "changes",
    METADATA,
    sa.Column("n", BigInteger, primary_key=True, autoincrement=False),
    sa.Column("chain", Text, nullable=False),
    sa.Column("seq", BigInteger, nullable=False),
    sa.Column("kind", Text, nullable=False),
    sa.Column("at", BigInteger, nullable=False),
)
# By uri; the item need not be recorded: see storage/record/holds.py.
HOLDS = sa.Table(
    "holds",
    METADATA,
    sa.Column("uri_key", LargeBinary, primary_key=True),
    sa.Column("writes", Text, primary_key=True),
    sa.Column("pubstatus", Text, nullable=False),
    sa.Column("embargoed", BigInteger),
)

# What hosts share besides the record: see candidate_lists.py, media_roots.py and limits.py.
CANDIDATE_LISTS = sa.Table(
    "candidate_lists",
    METADATA,
    sa.Column("n", BigInteger, Identity(always=True), primary_key=True),
    sa.Column("key", Text, nullable=False, unique=True),
    sa.Column("until", DateTime(timezone=True), nullable=False),
    sa.Column("size", Integer, nullable=False),
    sa.Column("seen_n", BigInteger),
    sa.Column("seen", Text),
    sa.Column("value", LargeBinary, nullable=False),
    prefixes=["UNLOGGED"],
)
MEDIA_ROOTS = sa.Table(
    "media_roots",
    METADATA,
    sa.Column("n", BigInteger, Identity(always=True), primary_key=True),
    sa.Column("root", Text, nullable=False),
    sa.Column("root_key", LargeBinary, nullable=False, unique=True),
)
LIMITS = sa.Table(
    "limits",
    METADATA,
    sa.Column("name", Text, primary_key=True),
    sa.Column("paid_back", BigInteger, nullable=False),
    prefixes=["UNLOGGED"],
)


def key_of(name: str) -> bytes:
    """Return the key of a uri or a chain. A text that can't be recorded has a key too, by which
    nothing is found.
    """
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
