"""Adds the table of limits: for each key the moment when all that it took is paid back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Creates the table. It is not worth the server's log: a crash forgives what was taken."""
    op.create_table(
        "limits",
        sa.Column("name", Text, primary_key=True),
        sa.Column("paid_back", BigInteger, nullable=False),
        prefixes=["UNLOGGED"],
    )


def downgrade() -> None:
    """Is not offered: a record is restored from a backup."""
    raise NotImplementedError("restore the backup that was made before the upgrade")
