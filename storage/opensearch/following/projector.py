"""Keeps an index up with the record of truth.

Any process may do the work, and several may do it at once. Each document holds the state of a story
after a change of the record. The number of that change is the document's version, so an older state
never replaces a newer one, however late it comes (`documents.py`). A note beside the index says how
far it is (`index/family.py`). A projection reads only the record; making one again runs no model.

When a write returns, it is in the index, if the cluster takes it. A search first makes all changes
searchable, those of other processes too. Neither waits long: when one request finds the cluster
away, hung or full, the others fail at once for the next second. The follower brings the rest
(`follower.py`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any

from core.errors import BusyError, DatelineError, StorageError, StorageFullError
from core.items import FloatMatrix
from core.ports.engine import Clock
from storage.opensearch.index.body import EMBEDDED
from storage.opensearch.index.bulk import BulkWriter, Operation
from storage.opensearch.index.documents import hidden, indexed_vectors, restated
from storage.opensearch.index.family import IndexFamily, Note
from storage.opensearch.index.vector_sums import Vectors, difference
from storage.opensearch.nodes.connection import MissingError
from storage.opensearch.nodes.nodes import AwayError, SlowError, within
from storage.record.item_rows import to_micros
from storage.record.port import Change, LogLine, RecordOfTruth

log = logging.getLogger(__name__)
_PAGE = 500  # changes
_SHORT_PAGE = 100  # for a caller who can't wait: a page that is begun should end in time
_KEPT_FAILURES = 20
_ALIKE = 3  # a failure equal to one of the last this many is not noted again
_GAP_MEND = "bring a backup of it back (`dateline restore`), then `dateline rebuild`"
_REFUSED_MEND = "`dateline index diff` tells whether the index's fields are as they should be"
_STUCK = (AwayError, SlowError, StorageFullError)
# A caller with this much time takes whole pages, and tries a cluster that has just been stuck.
AT_LEISURE_S = 10.0
_STUCK_S = 1.0  # how long other callers do not try after a failure


@dataclass(frozen=True, slots=True)
class _Step:
    """The changes up to a line of the log as operations on documents, with their vectors."""

    line: LogLine
    operations: Sequence[Operation]
    vectors: Vectors


class Projector:
    """Applies the record to the index of `family`. Any thread may call any method."""

    def __init__(
        self, record: RecordOfTruth, family: IndexFamily, writer: BulkWriter, clock: Clock
    ) -> None:
        self._record = record
        self._family = family
        self._writer = writer
        self._clock = clock
        self._lock = threading.Lock()
        self._began = 0.0  # when the thread that holds the lock took it
        self._stuck: tuple[StorageError | None, float] = (None, 0.0)  # why, and until when
        self._is_lost = False
        # The change that the last step began from, and its documents as the index held them before.
        self._sent: tuple[int, Mapping[int, Mapping[str, Any]]] = (0, {})
        self.applied = 0
        self.searchable = -1
        self.note = Note()
        self.failures: list[str] = []

    def open(self) -> None:
        """Find the index or make it. Raises StorageError if it follows another record."""
        with self._lock:
            self._open()

    def _open(self) -> None:
        self._family.open()
        self.note = self._family.note()
        self._check_source(self.note)
        self.applied, self.searchable = self.note.applied, -1

    def _check_source(self, note: Note) -> None:
        if not note.applied:
            return
        line = self._record.reads.line(note.applied)
        if note.record != self._record.identity or tuple(line or ()) != note.seen:
            raise StorageError(
                f"index {self._family.concrete} follows another record than that of"
                f" {self._record.where}, or one that was restored to an earlier state",
                where=self._family.cluster.where,
                mend="name another one in the setting opensearch_index, or remove it",
            )

    def project(self, pages: int | None = None, within_s: float = inf) -> None:
        """Write the record's changes into the index: at most `pages` pages of them, or all. Raises
        StorageError; BusyError if that takes longer than `within_s`, or the cluster is known to be
        stuck.
        """
        if within_s < AT_LEISURE_S:
            self._check_stuck()
        with self._held(within_s), within(within_s):
            self._project(pages, within_s)

    def lost(self) -> None:
        """Note that the index is gone; the next write makes it again."""
        self._is_lost = True
        self.searchable = -1

    @contextmanager
    def _held(self, wait_s: float) -> Iterator[None]:
        """Hold the lock. Waits until its holder has held it for `wait_s`, then raises BusyError."""
        left = wait_s - (monotonic() - self._began) if self._began else wait_s
        if not self._lock.acquire(timeout=-1 if wait_s == inf else max(0.0, left)):
            what = "others are at work on the index"
            raise BusyError(what, where=self._family.cluster.where, mend="try again")
        self._began = monotonic()
        try:
            yield
        except StorageError as error:
            if isinstance(error, _STUCK):
                self._stuck = (error, monotonic() + _STUCK_S)
            raise
        finally:
            self._began = 0.0
            self._lock.release()

    def _check_stuck(self) -> None:
        why, until = self._stuck
        if why is not None and monotonic() < until:
            raise type(why)(why.what, where=why.where, mend=why.mend)

    def make_searchable(self, patience_s: float) -> str:
        """Make every acknowledged change searchable. Return "", or why some are not after
        `patience_s` or a refusal of the cluster. Raises StorageError if the record has gone back
        behind the index.
        """
        newest, unsettled = self._record.last_change(), len(self._record.unsettled.changes)
        if unsettled:
            return f"index: {unsettled:,} changes of state are not in the record's log yet"
        if newest == self.searchable and not self._is_lost:
            return ""
        if newest < self.searchable:
            self._went_back()
        try:
            self._check_stuck()
            with self._held(patience_s), within(patience_s):
                self._project(None, patience_s)
                self._refresh()
        except DatelineError as error:
            self.failed(error)
            return self._behind(newest, error.what)
        return "" if self.searchable >= newest else self._behind(newest, "they are many")

    def _refresh(self) -> None:
        if self.applied != self.searchable:
            applied = self.applied
            try:
                self._family.refresh()
            except MissingError:
                self.lost()
                raise
            self.searchable = applied

    def is_behind(self) -> bool:
        """Return whether the record has changes that the index lacks."""
        return self._is_lost or self._record.last_change() > self.applied

    def failed(self, error: Exception) -> None:
        """Note a failure for the status and log it, unless it equals one of the last few."""
        told = f"{type(error).__name__}: {error}"
        if told not in self.failures[-_ALIKE:]:
            self.failures.append(told)
            log.warning("the index waits: %s", told)
        del self.failures[:-_KEPT_FAILURES]

    def _behind(self, newest: int, why: str) -> str:
        if self._is_lost:
            return f"index: it is lost and made again from the record ({why})"
        if self.searchable >= newest:
            return ""
        return f"index: {newest - max(0, self.searchable):,} changes behind the record ({why})"

    def _went_back(self) -> None:
        raise StorageError(
            "the record of truth has gone back to an earlier state",
            where=self._record.where,
            mend="start this process again",
        )

    def _project(self, pages: int | None, within_s: float) -> None:
        if self._is_lost:
            self._open_anew()
        newest = self._record.last_change()
        if newest <= self.applied:
            return
        done, until = 0, monotonic() + within_s
        page = _PAGE if within_s >= AT_LEISURE_S else _SHORT_PAGE
        try:
            self._take_over(self._family.note())
            while self.applied < newest and (pages is None or done < pages) and monotonic() < until:
                self._apply(self._step(page), until)
                done += 1
        except MissingError:
            self._open_anew()
            self._project(pages, within_s)

    def _open_anew(self) -> None:
        self._is_lost = True  # until the index is open
        what = f"index {self._family.concrete} is lost and made again"
        mend = "nothing is to be done; searches say how far it is"
        self.failed(StorageError(what, where=self._family.cluster.where, mend=mend))
        self._open()
        self._is_lost = False

    def _take_over(self, note: Note, own: LogLine | None = None) -> None:
        """Go on from `note`, which other processes may have written; `own` is the line that this
        process has just noted. Raises StorageError if `note` is of another record: two records that
        began on the same empty index see that only here.
        """
        if note.seen not in (self.note.seen, own):
            self._check_source(note)
        self.note = note
        self.applied = note.applied
        self.searchable = min(self.searchable, note.applied)  # less where it was made again

    def _step(self, page: int) -> _Step:
        now = to_micros(self._clock())
        with self._record.moment() as reads:  # one state of the record for all that follows
            newest = reads.line(None)
            changes = reads.changes_after(self.applied, page)
            line = reads.line(changes[-1].n) if changes else None
            if newest is None or line is None:
                raise StorageError(
                    "the record's log has a gap", where=self._record.where, mend=_GAP_MEND
                )
            touched = {change.chain for change in changes if self._concerns(change)}
            stated = restated(reads, touched, self._family.spaces, now, newest[0])
            gone = sorted({change.seq for change in changes if change.kind == "replaced"})
            removed = [hidden(seq, newest[0]) for seq in gone]
            return _Step(line, [*stated.operations, *removed], stated.vectors)

    def _concerns(self, change: Change) -> bool:
        """Return whether the change concerns this index, not only the vectors of another one."""
        return not change.encoder or any(
            change.encoder == space.encoder for space in self._family.spaces.values()
        )

    def _apply(self, step: _Step, until: float) -> None:
        held = self._held_before(step)
        written = self._writer.write(step.operations, until - monotonic())
        for seq, reason in written.refused.items():
            what = f"the index refuses document {seq}: {reason}"
            where = self._family.cluster.where
            self.failed(StorageError(what, where=where, mend=_REFUSED_MEND))
        sums = difference(self._before(step, held), step.vectors, written.refused)
        identity = self._record.identity
        line = step.line
        note = self._family.advance(self.applied, line[0], line, identity, sums)
        self._take_over(note, line)

    def _held_before(self, step: _Step) -> Mapping[int, Mapping[str, Any]]:
        """Return what the index held of a step's documents before the step was first sent. After a
        lost answer the index may hold the new ones, so the earlier reading is kept.
        """
        since, held = self._sent
        if since != self.applied:
            held = {}
        unsent = [operation.id for operation in step.operations if operation.id not in held]
        found = self._family.sources(unsent)
        held = {**held, **{seq: found.get(seq, {}) for seq in unsent}}
        self._sent = (self.applied, held)
        return held

    def _before(self, step: _Step, held: Mapping[int, Mapping[str, Any]]) -> Vectors:
        """Return the vectors that the documents of a step had before it."""
        reads = self._record.reads
        found: dict[str, dict[int, FloatMatrix]] = {}
        for name in self._family.spaces:
            seqs = [seq for seq, source in held.items() if name in source.get(EMBEDDED, ())]
            stated = step.vectors.get(name, {})
            gone = [seq for seq in seqs if seq not in stated]
            found[name] = {seq: stated[seq] for seq in seqs if seq in stated}
            if gone:
                found[name] |= indexed_vectors(reads, self._family.spaces, name, gone)
        return found
