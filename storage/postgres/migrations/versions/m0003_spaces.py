"""Vectors of several encoders lie side by side in one field."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Makes the encoder a part of the key. It builds one index anew and copies no rows."""
    op.drop_constraint("vectors_pkey", "vectors", type_="primary")
    op.create_primary_key("vectors_pkey", "vectors", ["seq", "field", "encoder"])


def downgrade() -> None:
    """Is not offered: a record is restored from a backup."""
    raise NotImplementedError("restore the backup that was made before the upgrade")
