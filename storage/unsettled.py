"""Changes of state that are in force and not in the record's tables yet: its disk took none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import orjson

from core.items import PubStatus
from core.writes import SetStatus
from storage.item_rows import from_micros, to_micros
from storage.visibility import VersionRow
from storage.write_rules import state_after


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The changes in order; `mark` is another one whenever they are others. Those `here` are known
    to this process alone.
    """

    mark: tuple[int, int] = (0, 0)
    changes: tuple[SetStatus, ...] = ()
    here: int = 0

    @property
    def uris(self) -> frozenset[str]:
        """The items that are concerned."""
        return frozenset(change.uri for change in self.changes)

    def over(self, rows: Iterable[VersionRow]) -> list[VersionRow]:
        """Rows as they are with the changes: the newest version of each item has its state."""
        found = list(rows)
        if not self.changes:
            return found
        newest: dict[str, int] = {}
        for place, row in enumerate(found):
            if row.uri not in newest or found[newest[row.uri]].version < row.version:
                newest[row.uri] = place
        for change in self.changes:
            if (at := newest.get(change.uri)) is not None:
                pubstatus, embargoed = state_after(change, found[at].pubstatus, found[at].embargoed)
                found[at] = replace(found[at], pubstatus=pubstatus, embargoed=embargoed)
        return found


SETTLED = Unsettled()


def change_bytes(change: SetStatus) -> bytes:
    """A change as it is kept."""
    embargoed = None if change.embargoed is None else to_micros(change.embargoed)
    return orjson.dumps([change.uri, change.pubstatus, embargoed])


def read_change(data: bytes) -> SetStatus:
    """The inverse of `change_bytes`."""
    uri, pubstatus, embargoed = orjson.loads(data)
    return SetStatus(
        uri,
        None if pubstatus is None else PubStatus(pubstatus),
        None if embargoed is None else from_micros(embargoed),
    )
