"""Adds sources, credit lines, orientation and size to the facts of the recorded versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.record.item_rows import ITEM_COLUMNS, completed_facts

revision = "0008"
down_revision = "0007"
_ITEMS = sa.text(
    f"SELECT {ITEM_COLUMNS} FROM items WHERE seq > :after ORDER BY seq LIMIT 500"  # noqa: S608
)
_UPDATE = sa.text("UPDATE items SET facts = :facts WHERE seq = :seq")


def upgrade() -> None:
    """Add the facts, page by page."""
    bind, after = op.get_bind(), -1
    while rows := bind.execute(_ITEMS, {"after": after}).all():
        bind.execute(_UPDATE, [{"facts": completed_facts(row), "seq": row.seq} for row in rows])
        after = rows[-1].seq
