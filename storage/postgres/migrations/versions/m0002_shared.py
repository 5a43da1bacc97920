"""What hosts share besides the record: the lists behind cursors, and where originals lie."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, DateTime, Identity, Integer, LargeBinary, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Creates both tables. Lists are not worth the server's log: a crash of it may end cursors."""
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
    op.execute("ALTER TABLE candidate_lists ALTER COLUMN value SET STORAGE EXTERNAL")  # see above
    op.create_table(
        "media_roots",
        sa.Column("n", BigInteger, Identity(always=True), primary_key=True),
        sa.Column("root", Text, nullable=False),
        sa.Column("root_key", LargeBinary, nullable=False, unique=True),
    )


def downgrade() -> None:
    """Is not offered: a record is restored from a backup."""
    raise NotImplementedError("restore the backup that was made before the upgrade")
