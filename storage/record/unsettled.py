"""Changes of state that are in force, but not yet on the record's disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import orjson

from core.items import PubStatus
from core.writes import SetStatus
from storage.record.holds import state_after
from storage.record.item_rows import from_micros, to_micros
from storage.record.visibility import VersionRow


@dataclass(frozen=True, slots=True)
class Asked:
    """A change, and the product codes that its caller may write."""

    change: SetStatus
    writes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Unsettled:
    """The changes in order. `mark` differs whenever the changes differ. `here` of them are known
    only to this process.
    """

    mark: tuple[int, int] = (0, 0)
    changes: tuple[Asked, ...] = ()
    here: int = 0

    @property
    def uris(self) -> frozenset[str]:
        """The uris of the changed items."""
        return frozenset(asked.change.uri for asked in self.changes)

    def over(self, rows: Iterable[VersionRow]) -> list[VersionRow]:
        """Return the rows with the changes applied to the newest version of each item."""
        found = list(rows)
        if not self.changes:
            return found
        newest: dict[str, int] = {}
        for place, row in enumerate(found):
            if row.uri not in newest or found[newest[row.uri]].version < row.version:
                newest[row.uri] = place
        for asked in self.changes:
            if (at := newest.get(asked.change.uri)) is not None:
                row = found[at]
                pubstatus, embargoed = state_after(asked.change, (row.pubstatus, row.embargoed))
                found[at] = replace(found[at], pubstatus=pubstatus, embargoed=embargoed)
        return found


SETTLED = Unsettled()


def change_bytes(asked: Asked) -> bytes:
    """Return a change as bytes."""
    change = asked.change
    embargoed = None if change.embargoed is None else to_micros(change.embargoed)
    return orjson.dumps([change.uri, change.pubstatus, embargoed, sorted(asked.writes)])


def read_change(data: bytes) -> Asked:
    """Return the change that `change_bytes` made bytes of."""
    uri, pubstatus, embargoed, writes = orjson.loads(data)
    change = SetStatus(
        uri,
        None if pubstatus is None else PubStatus(pubstatus),
        None if embargoed is None else from_micros(embargoed),
    )
    return Asked(change, frozenset(writes))
