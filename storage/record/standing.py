"""Says why an item is not shown, by the rule of visibility.py."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from core.items import PubStatus
from core.standing import Hiding, Standing
from storage.record.port import RecordReads
from storage.record.visibility import VersionRow

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BY_STATUS = {PubStatus.CANCELED: Hiding.CANCELED, PubStatus.WITHHELD: Hiding.WITHHELD}


def standing_of(reads: RecordReads, uri: str, now: int) -> Standing:
    """Return how `uri` stands at `now` (microseconds), for any caller."""
    versions = reads.versions_of(uri)
    if not versions:
        return Standing(Hiding.UNKNOWN)
    chain = versions[0].chain
    view, _ = reads.views_of([chain], now)[chain]
    shown = next((row for row in versions if row.seq in view.members), None)
    if shown is None:
        return _hidden(versions, now)
    items = reads.items_by_seq([shown.seq, view.head])
    products = items[shown.seq].products if shown.seq in items else ()
    if shown.seq == view.head:
        return Standing(Hiding.NOTHING, shown.seq, products=products)
    head = items[view.head].uri if view.head in items else ""
    return Standing(Hiding.SUPERSEDED, head=head, products=products)


def _hidden(versions: Sequence[VersionRow], now: int) -> Standing:
    """Return what hides an item that has no visible version."""
    embargoes: list[int] = []
    for row in versions:
        if row.pubstatus != PubStatus.USABLE:
            return Standing(_BY_STATUS.get(PubStatus(row.pubstatus), Hiding.WITHHELD))
        if row.expires is not None and row.expires <= now:
            return Standing(Hiding.EXPIRED, moment=_moment(row.expires))
        if row.embargoed is not None and row.embargoed > now:
            embargoes.append(row.embargoed)
    return Standing(Hiding.EMBARGOED, moment=_moment(min(embargoes, default=now)))


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
