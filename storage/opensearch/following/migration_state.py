"""The state of a migration: one document on the cluster, so that any host can go on with it.

    building    the next index exists, or soon will, and follows the record
    flipped     the alias points to it; the old index is kept for a rollback

The document is replaced only if it is still the state that the change began from. The alias, not
this document, says which index is served.
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
    """A move from the index `source` ("" from another engine) to `target`, which has `spaces`.
    `began` and `flipped` are in microseconds; `flipped` is when the alias last moved, forward or
    back, 0 if it has not. `verdict` is the result of the last evaluation, as values for JSON.
    """

    phase: str
    source: str
    target: str
    spaces: Mapping[str, VectorSpace]
    began: int
    flipped: int = 0
    verdict: Mapping[str, Any] = field(default_factory=dict)


class MigrationState:
    """Reads and writes the document of the family `name`."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._path = f"/{name}-meta/_doc/{_ID}"

    def read(self) -> Migration | None:
        """Return the migration under way, or None."""
        return self._read()[0]

    def begin(self, migration: Migration) -> None:
        """Note a new migration. Raises StorageError if one is under way."""
        try:
            self._cluster.ask("PUT", self._path, asdict(migration), op_type="create")
        except StaleError as error:
            raise StorageError(
                "a migration is under way already", where=self._cluster.where, mend=_MEND
            ) from error

    def change(self, before: Migration, after: Migration) -> None:
        """Replace `before` by `after`. Raises StorageError if the document is not `before` now:
        then somebody else works on the same migration.
        """
        found, place = self._read()
        if found != before:
            raise self._contended()
        try:
            self._cluster.ask("PUT", self._path, asdict(after), **place)
        except StaleError as error:
            raise self._contended() from error

    def end(self) -> None:
        """Delete the document, if there is one."""
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
