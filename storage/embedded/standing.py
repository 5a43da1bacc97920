"""Why an item is not shown: `core.ports.Standings` in the embedded engine, by the rule of
visibility.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from core.items import PubStatus
from core.standing import Hiding, Standing
from storage.embedded import reading
from storage.embedded.visibility import StoryView, VersionRow

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSIONS = (
    "SELECT seq, uri, version, chain, pubstatus, versioncreated, embargoed, expires FROM items"
    " WHERE uri = ? ORDER BY version DESC"
)
_BY_STATUS = {PubStatus.CANCELED: Hiding.CANCELED, PubStatus.WITHHELD: Hiding.WITHHELD}


def standing_of(connection: sqlite3.Connection, uri: str, now: int) -> Standing:
    """How `uri` stands at `now` (microseconds), whoever asks."""
    versions = [VersionRow(*row) for row in connection.execute(_VERSIONS, (uri,))]
    if not versions:
        return Standing(Hiding.UNKNOWN)
    view, _ = reading.view_of(connection, versions[0].chain, now)
    shown = next((row for row in versions if row.seq in view.members), None)
    if shown is None:
        return _hidden(versions, now)
    products = _products(connection, shown.seq)
    if shown.seq == view.head:
        return Standing(Hiding.NOTHING, shown.seq, products=products)
    return Standing(Hiding.SUPERSEDED, head=_uri_of(connection, view), products=products)


def _hidden(versions: Sequence[VersionRow], now: int) -> Standing:
    """What hides an item of which no version is shown."""
    embargoes: list[int] = []
    for row in versions:
        if row.pubstatus != PubStatus.USABLE:
            return Standing(_BY_STATUS.get(PubStatus(row.pubstatus), Hiding.WITHHELD))
        if row.expires is not None and row.expires <= now:
            return Standing(Hiding.EXPIRED, moment=_moment(row.expires))
        if row.embargoed is not None and row.embargoed > now:
            embargoes.append(row.embargoed)
    return Standing(Hiding.EMBARGOED, moment=_moment(min(embargoes, default=now)))


def _uri_of(connection: sqlite3.Connection, view: StoryView) -> str:
    row = connection.execute("SELECT uri FROM items WHERE seq = ?", (view.head,)).fetchone()
    return str(row[0]) if row else ""


def _products(connection: sqlite3.Connection, seq: int) -> tuple[str, ...]:
    item = reading.items_by_seq(connection, [seq]).get(seq)
    return item.products if item else ()


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
