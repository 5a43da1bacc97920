"""Lets one field hold vectors of several encoders."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the encoder a part of the key. This builds one index again and copies no rows."""
    op.drop_constraint("vectors_pkey", "vectors", type_="primary")
    op.create_primary_key("vectors_pkey", "vectors", ["seq", "field", "encoder"])
