"""Adds what hosts share besides the record: the lists behind cursors, and where originals lie."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, DateTime, Identity, Integer, LargeBinary, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create both tables. Lists are not logged by the server: a crash of it may end cursors."""
    op.create_table(
        "candidate_lists",
        sa.Column("n", BigInteger, Identity(always=True), primary_key=True),
        sa.Column("key", Text, nullable=False, unique=True),
        sa.Column("until", DateTime(timezone=True), nullable=False),
        sa.Column("size", Integer, nullable=False),
        sa.Column("seen_n", BigInteger),
        sa.Column("seen", Text),
        sa.Column("value", LargeBinary, nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.execute("ALTER TABLE candidate_lists ALTER COLUMN value SET STORAGE EXTERNAL")
    op.create_table(
        "media_roots",
        sa.Column("n", BigInteger, Identity(always=True), primary_key=True),
        sa.Column("root", Text, nullable=False),
        sa.Column("root_key", LargeBinary, nullable=False, unique=True),
    )
