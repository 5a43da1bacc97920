"""Adds the table of limits: for each key the moment when all that it took is paid back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table. The server does not log it: a crash forgives what was taken."""
    op.create_table(
        "limits",
        sa.Column("name", Text, primary_key=True),
        sa.Column("paid_back", BigInteger, nullable=False),
        prefixes=["UNLOGGED"],
    )
