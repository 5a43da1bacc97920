"""Creates the first tables: items, vectors, signatures, the log of changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Integer, LargeBinary, SmallInteger, Text
from sqlalchemy.dialects.postgresql import UUID

revision = "0001"
down_revision = None


def _of_item() -> sa.Column[int]:
    to = sa.ForeignKey("items.seq", ondelete="CASCADE", onupdate="CASCADE")
    return sa.Column("seq", BigInteger, to, primary_key=True, autoincrement=False)


def upgrade() -> None:
    """Create every table and the archive's id."""
    op.create_table(
        "archive",
        sa.Column("number", SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("id", UUID, nullable=False),
    )
    op.execute("INSERT INTO archive (number, id) VALUES (1, gen_random_uuid())")
    op.execute("CREATE SEQUENCE items_seq")
    op.create_table(
        "items",
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
    )
    op.create_index("items_of_chain", "items", ["chain_key", "seq"])
    _create_products()


def _create_products() -> None:
    """Create the tables for data made from an item, and for the log."""
    op.create_table(
        "vectors",
        _of_item(),
        sa.Column("field", Text, primary_key=True),
        sa.Column("encoder", Text, nullable=False),
        sa.Column("passages", LargeBinary, nullable=False),
        sa.Column("matrix", LargeBinary, nullable=False),
        sa.Column("truncated", Integer, nullable=False),
    )
    op.execute("ALTER TABLE vectors ALTER COLUMN matrix SET STORAGE EXTERNAL")  # no gain
    op.create_table(
        "signatures",
        _of_item(),
        sa.Column("scheme", Integer, nullable=False),
        sa.Column("signature", LargeBinary, nullable=False),
    )
    op.create_table(
        "changes",
        sa.Column("n", BigInteger, primary_key=True, autoincrement=False),
        sa.Column("chain", Text, nullable=False),
        sa.Column("seq", BigInteger, nullable=False),
        sa.Column("kind", Text, nullable=False),
        sa.Column("at", BigInteger, nullable=False),
    )
