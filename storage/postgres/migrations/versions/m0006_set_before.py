"""Adds holds for items that were explicitly withheld or embargoed before there were holds."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.record.holds import first_holds

revision = "0006"
down_revision = "0005"
_HIDDEN = """
SELECT seq, uri_key, pubstatus, embargoed, document FROM items AS newest
WHERE (pubstatus <> 'usable' OR embargoed IS NOT NULL) AND seq > :after
AND version = (SELECT max(version) FROM items WHERE uri_key = newest.uri_key)
ORDER BY seq LIMIT 500
"""
_HOLD = """
INSERT INTO holds (uri_key, writes, pubstatus, embargoed)
VALUES (:uri_key, :writes, :pubstatus, :embargoed) ON CONFLICT DO NOTHING
"""


def upgrade() -> None:
    """Add the holds; a uri that has a hold already keeps it."""
    bind, after = op.get_bind(), -1
    names = ("uri_key", "writes", "pubstatus", "embargoed")
    while some := bind.execute(sa.text(_HIDDEN), {"after": after}).all():
        found = first_holds((o.uri_key, o.pubstatus, o.embargoed, o.document) for o in some)
        if holds := [dict(zip(names, hold, strict=True)) for hold in found]:
            bind.execute(sa.text(_HOLD), holds)
        after = some[-1].seq
