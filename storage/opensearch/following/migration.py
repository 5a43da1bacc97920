"""Moves an archive to another index without a pause: for another encoder, other settings, or a
first index on a cluster. Each step can be repeated; it skips what is done already.

No search reads the next index while it is built. The flip is one atomic request that moves the
alias from one index to the other. Serving processes follow the alias by themselves (`views.py`).
The old index stays for a rollback until `clean`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from core.errors import InputError, StorageError
from core.ports.engine import Clock
from storage.opensearch.following.migration_state import (
    BUILDING,
    FLIPPED,
    Migration,
    MigrationState,
)
from storage.opensearch.index.body import IndexSettings, VectorSpace
from storage.opensearch.index.bulk import BulkSettings
from storage.opensearch.index.coverage import Coverage, coverage_of
from storage.opensearch.index.family import (
    ONLY_ONE,
    IndexFamily,
    first_index,
    make_index,
    served_index,
)
from storage.opensearch.nodes.connection import Cluster, MissingError
from storage.opensearch.view import projector_on
from storage.record.item_rows import to_micros
from storage.record.port import RecordOfTruth

_FORGOTTEN = 100  # versions in one transaction
_TRIES = 20
Told = Callable[[int, int], None]  # changes of the record that are in the index, and all


@dataclass(frozen=True, slots=True)
class Family:
    """The cluster, name and settings for the indexes of an archive from now on."""

    cluster: Cluster
    name: str
    index: IndexSettings
    bulk: BulkSettings


class Mover:
    """The steps of a migration of the archive behind `record`. Not thread-safe."""

    def __init__(self, record: RecordOfTruth, family: Family, clock: Clock) -> None:
        self._record = record
        self._family = family
        self._clock = clock
        self.cluster = family.cluster
        self._state = MigrationState(family.cluster, family.name)

    def state(self) -> Migration:
        """Return the migration under way, as `find` does. Raises InputError if there is none."""
        found = self.find()
        if found is None:
            raise InputError(
                "no migration is under way", mend="begin with `dateline migration start`"
            )
        return found

    def find(self) -> Migration | None:
        """Return the migration under way, or None. If its last step moved the alias but did not
        write the document of its state, this writes it.
        """
        found = self._state.read()
        if found is None:
            return None
        served = self.served()
        phase = FLIPPED if served == found.target else BUILDING
        if phase == found.phase:
            return found
        # The alias is back on the old index: the verdict was on the index that it left.
        verdict = {} if phase == BUILDING else found.verdict
        after = replace(found, phase=phase, flipped=self._now(), verdict=verdict)
        self._state.change(found, after)
        return after

    def served(self) -> str:
        """Return the index that the alias points to, "" if there is none."""
        return served_index(self._family.cluster, self._family.name)

    def start(self, spaces: Mapping[str, VectorSpace]) -> Migration:
        """Begin a migration to an index with `spaces`, or go on with that one. Raises StorageError
        if another migration is under way.
        """
        found = self.find()
        if found is None:
            self._opened_notes(spaces)
            source = self.served()
            found = Migration(BUILDING, source, self._next_name(), dict(spaces), self._now())
            self._state.begin(found)
        elif dict(found.spaces) != dict(spaces):
            raise StorageError(
                f"a migration to {found.target} of other encoders is under way",
                where=self._family.cluster.where,
                mend="go on with that, or `dateline migration clean --abandon` first",
            )
        self.opened(found)
        return found

    def _opened_notes(self, spaces: Mapping[str, VectorSpace]) -> None:
        family = self._family
        IndexFamily(family.cluster, family.name, family.index, spaces).make_notes()

    def _next_name(self) -> str:
        name = self._family.name
        held = self._family.cluster.ask("GET", f"/{name}-*/_alias")
        own = re.compile(rf"{re.escape(name)}-(\d{{6}})")
        numbers = [int(match[1]) for index in held if (match := own.fullmatch(index))]
        return f"{name}-{max(numbers) + 1:06d}" if numbers else first_index(name)

    def opened(self, migration: Migration, concrete: str = "") -> IndexFamily:
        """Open the index `concrete`, or else the next one; make the next one if it is missing."""
        family = self._family
        wanted = concrete or migration.target
        if wanted == migration.target and migration.phase == BUILDING:
            make_index(family.cluster, wanted, family.index, migration.spaces)
        found = IndexFamily(family.cluster, family.name, family.index, {}, concrete=wanted)
        found.open()
        return found

    def project(self, index: IndexFamily, told: Told = lambda done, all_: None) -> None:
        """Bring an index up to the record's newest change. Raises StorageError after failures."""
        projector = projector_on(index, self._record, self._family.bulk, self._clock)
        projector.open()
        while projector.is_behind():
            projector.project(pages=1)
            told(projector.applied, self._record.last_change())
        if projector.failures:
            mend = "`dateline migration step` goes on when that is mended"
            raise StorageError(projector.failures[-1], where=index.concrete, mend=mend)

    def coverage(self, index: IndexFamily) -> Coverage:
        """Return how much of the record the index has."""
        with self._record.moment() as reads:
            return coverage_of(index, reads, self._now())

    def judged(self, migration: Migration, verdict: Mapping[str, Any]) -> Migration:
        """Note the verdict of an evaluation."""
        after = replace(migration, verdict=dict(verdict))
        self._state.change(migration, after)
        return after

    def flip(self, migration: Migration, least: float) -> Migration:
        """Move the alias to the next index. Raises InputError if that covers less than the share
        `least` of the record, StorageError if somebody else has moved the alias; then nothing
        changes.
        """
        if migration.phase == FLIPPED:
            return migration
        self._move(migration, migration.source, migration.target, least)
        after = replace(migration, phase=FLIPPED, flipped=self._now())
        self._state.change(migration, after)
        return after

    def roll_back(self, migration: Migration, least: float) -> Migration:
        """Move the alias back to the old index, as `flip` does. Raises InputError if there is none,
        because the archive was on another engine, which a setting chooses.
        """
        if migration.phase == BUILDING:
            return migration
        if not migration.source:
            raise InputError(
                "the archive was on another engine before",
                mend="set `engine` back to embedded, and begin the services again",
            )
        self._move(migration, migration.target, migration.source, least)
        after = replace(migration, phase=BUILDING, flipped=self._now(), verdict={})
        self._state.change(migration, after)
        return after

    def _move(self, migration: Migration, source: str, target: str, least: float) -> None:
        index = self.opened(migration, target)
        found = self._caught_up(index)
        if found.share < least:
            embedded = ", ".join(f"{count:,} of {name}" for name, count in found.embedded.items())
            raise InputError(
                f"{target} covers {found.share:.2%} of {found.wanted:,} items (shown: "
                f"{found.held:,}, embedded: {embedded or 'no fields'}), not {least:.2%}",
                mend="`dateline migration step` goes on with what is missing",
            )
        name = self._family.name
        actions: list[dict[str, Any]] = [{"add": {"index": target, "alias": name, **ONLY_ONE}}]
        if source:
            gone = {"index": source, "alias": name, "must_exist": True}
            actions.insert(0, {"remove": gone})
        if self.served() != source:
            raise self._moved()
        try:
            self._family.cluster.ask("POST", "/_aliases", {"actions": actions})
        except MissingError as error:
            raise self._moved() from error

    def _moved(self) -> StorageError:
        return StorageError(
            f"the alias is on {self.served() or 'no index'}: somebody else has moved it",
            where=self._family.cluster.where,
            mend="see `dateline migration status`",
        )

    def _caught_up(self, index: IndexFamily) -> Coverage:
        """Project until no change is missing, at most `_TRIES` times; return the coverage."""
        for _ in range(_TRIES):
            self.project(index)
            found = self.coverage(index)
            if not found.behind:
                break
        return found

    def since_move(self, migration: Migration) -> float:
        """Return the seconds since the alias moved, to the next index or back."""
        return (self._now() - migration.flipped) / 1e6

    def removable(self, migration: Migration, *, abandon: bool) -> str:
        """Return the index that `clean` removes, "" if there is none. A migration that has flipped
        can't be abandoned, and one that has not flipped must be: else raises InputError.
        """
        if migration.phase == FLIPPED and abandon:
            raise InputError(
                f"{migration.target} is served: the migration has flipped",
                mend="`dateline migration rollback` first, or `clean` to stay with it",
            )
        if migration.phase == BUILDING and not abandon:
            raise InputError(
                f"{migration.target} is not served yet",
                mend="`dateline migration flip` first, or `clean --abandon` to give it up",
            )
        return migration.source if migration.phase == FLIPPED else migration.target

    def clean(self, migration: Migration, *, abandon: bool) -> int:
        """End a migration: remove the index that is not served, and all vectors of encoders that
        the served index does not use. Return how many versions lost vectors. Raises as `removable`.
        """
        gone = self.removable(migration, abandon=abandon)
        if gone and gone == self.served():
            raise self._moved()
        if gone:
            self._remove(gone)
        served = self.served()
        kept = self.opened(migration, served).spaces if served else {}
        forgotten = sum(self._forget(name, space) for name, space in kept.items())
        self._state.end()
        return forgotten

    def _remove(self, concrete: str) -> None:
        with suppress(MissingError):
            self._family.cluster.ask("DELETE", f"/{concrete}", timeout_s=60)
        with suppress(MissingError):
            self._family.cluster.ask("DELETE", f"/{self._family.name}-meta/_doc/{concrete}")

    def _forget(self, name: str, space: VectorSpace) -> int:
        forgotten = after = 0
        keep = (space.encoder,)
        while seqs := self._record.forget_vectors(name, keep, after, _FORGOTTEN):
            forgotten, after = forgotten + len(seqs), seqs[-1]
        return forgotten

    def _now(self) -> int:
        return to_micros(self._clock())
