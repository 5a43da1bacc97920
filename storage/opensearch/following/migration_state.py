"""How far an archive is on its way to another index: one document, so that any host can go on.

    building    the next index is there, or about to be, and follows the record
    flipped     the alias is on it; the index before is kept, for the way back

The document is written before what it tells of is done, and only in the place of the state that it
was made from. Which index is served is what the alias says, not this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from core.errors import StorageError
from storage.opensearch.index.body import VectorSpace
from storage.opensearch.nodes.connection import Cluster, MissingError, StaleError

BUILDING, FLIPPED = "building", "flipped"
_ID = "migration"
_MEND = "see `dateline migration status`"


@dataclass(frozen=True, slots=True)
class Migration:
    """From the index `source` ("" from another engine) to `target`, whose vectors are of `spaces`.
    `began` and `flipped` are in microseconds; `flipped` is when the alias last moved, on or back, 0
    where it has not. `verdict` is what the last evaluation found, ready for JSON.
    """

    phase: str
    source: str
    target: str
    spaces: Mapping[str, VectorSpace]
    began: int
    flipped: int = 0
    verdict: Mapping[str, Any] = field(default_factory=dict)


class MigrationState:
    """The document of the family `name`."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._path = f"/{name}-meta/_doc/{_ID}"

    def read(self) -> Migration | None:
        """The migration under way; None where there is none."""
        return self._read()[0]

    def begin(self, migration: Migration) -> None:
        """Notes a new one. Raises StorageError where there is one."""
        try:
            self._cluster.ask("PUT", self._path, asdict(migration), op_type="create")
        except StaleError as error:
            raise StorageError(
                "a migration is under way already", where=self._cluster.where, mend=_MEND
            ) from error

    def change(self, before: Migration, after: Migration) -> None:
        """Notes `after` in the place of `before`. Raises StorageError where that does not hold any
        more: somebody else works on the same migration.
        """
        found, place = self._read()
        if found != before:
            raise self._contended()
        try:
            self._cluster.ask("PUT", self._path, asdict(after), **place)
        except StaleError as error:
            raise self._contended() from error

    def end(self) -> None:
        """Forgets it."""
        try:
            self._cluster.ask("DELETE", self._path)
        except MissingError:
            return

    def _contended(self) -> StorageError:
        what = "somebody else works on this migration"
        return StorageError(what, where=self._cluster.where, mend=_MEND)

    def _read(self) -> tuple[Migration | None, dict[str, Any]]:
        try:
            found = self._cluster.ask("GET", self._path)
        except MissingError:
            return None, {}
        body = dict(found["_source"])
        spaces = {name: VectorSpace(**space) for name, space in body.pop("spaces").items()}
        place = {"if_seq_no": found["_seq_no"], "if_primary_term": found["_primary_term"]}
        return Migration(**body, spaces=spaces), place
