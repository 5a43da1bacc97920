"""Writes changes of state and the holds of uris (storage/record/holds.py)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from core.callers import Caller
from core.writes import Outcome, SetStatus, Written
from storage.postgres.reads import PostgresReads
from storage.postgres.tables import HOLDS, ITEMS, key_of
from storage.postgres.writes import Log, asking, execute, newest_of, waves_of
from storage.record.holds import Hold, writes_text
from storage.record.write_rules import status_change

_STATE = (
    sa.update(ITEMS)
    .where(ITEMS.c.seq == sa.bindparam("old"))
    .values(pubstatus=sa.bindparam("state"), embargoed=sa.bindparam("until"))
)
_FREE = sa.delete(HOLDS).where(HOLDS.c.uri_key == sa.bindparam("key"))


def set_all(
    connection: sa.Connection, changes: Sequence[SetStatus], by: Caller, log: Log
) -> list[Written]:
    """Change the states in order that `by` may change; return an outcome for each."""
    return [done for wave in waves_of(changes) for done in _set_wave(connection, wave, by, log)]


def _set_wave(
    connection: sa.Connection, wave: Sequence[SetStatus], by: Caller, log: Log
) -> list[Written]:
    uris = [change.uri for change in wave]
    newest = newest_of(asking(connection), uris)
    holds = Holds.of(connection, uris)
    states: list[dict[str, Any]] = []
    done: list[Written] = []
    for change in wave:
        old = newest.get(change.uri)
        written, state, after = status_change(change, by.writes, old, holds.before(change.uri))
        holds.keep(change.uri, after)
        if old is not None and written.outcome is Outcome.UPDATED:
            states.append({"old": old.seq, "state": state[0], "until": state[1]})
            written = replace(written, change=log.add(old.chain, old.seq, "status"))
        done.append(written)
    execute(connection, _STATE, states)
    holds.write(connection)
    return done


@dataclass(slots=True)
class Holds:
    """The holds of a wave by uri: as they were found, and as they are to be kept."""

    _before: Mapping[str, Sequence[Hold]]
    _after: dict[str, tuple[Hold, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, connection: sa.Connection, uris: Collection[str]) -> Holds:
        """Read the recorded holds of these uris."""
        return cls(PostgresReads(asking(connection)).holds_of(uris))

    def before(self, uri: str) -> Sequence[Hold]:
        """Return the holds of `uri` that were found."""
        return self._before.get(uri, ())

    def keep(self, uri: str, holds: tuple[Hold, ...]) -> None:
        """Note the holds that `uri` is to have."""
        if set(holds) != set(self.before(uri)):
            self._after[uri] = holds

    def write(self, connection: sa.Connection) -> None:
        """Write the holds that differ from those that were found."""
        execute(connection, _FREE, [{"key": key_of(uri)} for uri in self._after])
        names = ("writes", "pubstatus", "embargoed")
        rows = [
            {
                "uri_key": key_of(uri),
                **dict(zip(names, (writes_text(hold.writes), *hold.state), strict=True)),
            }
            for uri, holds in self._after.items()
            for hold in holds
        ]
        execute(connection, sa.insert(HOLDS), rows)
