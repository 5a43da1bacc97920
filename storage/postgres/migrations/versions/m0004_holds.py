"""Adds holds by uri. What is killed in an older record, without holds, stays killed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table and fill it from the newest version of each item."""
    op.create_table(
        "holds",
        sa.Column("uri_key", sa.LargeBinary, primary_key=True),
        sa.Column("writes", sa.Text, primary_key=True),
        sa.Column("pubstatus", sa.Text, nullable=False),
        sa.Column("embargoed", sa.BigInteger),
    )
    op.execute(
        "INSERT INTO holds (uri_key, writes, pubstatus)"
        """ SELECT uri_key, '["*"]', pubstatus FROM items AS newest"""
        " WHERE pubstatus = 'canceled' AND version ="
        " (SELECT max(version) FROM items WHERE uri_key = newest.uri_key)"
    )
