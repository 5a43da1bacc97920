"""Keeps an index up with the record of truth.

Any process may do the work, and several at once do no harm: what is written is the state of a story
as of a change of the record, and that number is the document's version, so that an older state
never takes the place of a newer one, however late it comes (`restate.py`). How far the index is
stands beside it (`index/family.py`). A projection is read from the record alone; making one anew
runs no model.

What is acknowledged is in the index when a write returns, as far as the cluster takes it; a search
first makes it searchable, and what another process has recorded meanwhile. Neither waits for long:
where the cluster is away, hangs or is full, one of them has found that out, and the others go by it
for a moment. What is left is the follower's (`follower.py`).
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
from core.ports import Clock
from storage.opensearch.following.indexed_vectors import indexed_vectors
from storage.opensearch.following.restate import hidden, restated
from storage.opensearch.index.body import EMBEDDED
from storage.opensearch.index.bulk import BulkWriter, Operation
from storage.opensearch.index.family import IndexFamily, Note
from storage.opensearch.index.vector_sums import Vectors, difference
from storage.opensearch.nodes.connection import MissingError
from storage.opensearch.nodes.nodes import AwayError, SlowError, within
from storage.record.item_rows import to_micros
from storage.record.port import Change, LogLine, RecordOfTruth

log = logging.getLogger(__name__)
_PAGE = 500  # changes
_SHORT_PAGE = 100  # of somebody who can't wait: what is begun should be ended, not given up
_KEPT_FAILURES = 20
_ALIKE = 3  # of these, one that comes again is not told again
_GAP_MEND = "bring a backup of it back (`dateline restore`), then `dateline rebuild`"
_REFUSED_MEND = "`dateline index diff` tells whether the index's fields are as they should be"
_STUCK = (AwayError, SlowError, StorageFullError)
AT_LEISURE_S = (
    10.0  # who has so long takes whole pages, and tries what others have just found stuck
)
_STUCK_S = 1.0  # for how long nobody else tries what has just come to nothing


@dataclass(frozen=True, slots=True)
class _Step:
    """The changes up to a line of the log as operations on documents, with the vectors in these."""

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
        self._began = 0.0  # when the one who holds it took it
        self._stuck: tuple[StorageError | None, float] = (None, 0.0)  # why, and until when
        self._is_lost = False
        # Beyond which change, and what the index held of documents before they were sent.
        self._sent: tuple[int, Mapping[int, Mapping[str, Any]]] = (0, {})
        self.applied = 0
        self.searchable = -1
        self.note = Note()
        self.failures: list[str] = []

    def open(self) -> None:
        """Finds the index or makes it. Raises StorageError where it is of another record."""
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
        """Writes what the record has become into the index: at most `pages` of its changes, all
        without. Raises StorageError; BusyError where that takes longer than `within_s`, or is
        known to.
        """
        if within_s < AT_LEISURE_S:
            self._check_stuck()
        with self._held(within_s), within(within_s):
            self._project(pages, within_s)

    def lost(self) -> None:
        """Tells that there is no such index: it is made anew when it is next written to."""
        self._is_lost = True
        self.searchable = -1

    @contextmanager
    def _held(self, wait_s: float) -> Iterator[None]:
        """With the lock; waits at most until whoever has it has had it for `wait_s`."""
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
        """Lets the next search see every acknowledged change; what is to be said where it won't,
        after `patience_s` or because the cluster refuses. Raises StorageError where the record has
        less than the index.
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
        """Whether the record has changes that the index lacks."""
        return self._is_lost or self._record.last_change() > self.applied

    def failed(self, error: Exception) -> None:
        """Notes a failure for the status, and logs it, unless it is one of those just before."""
        told = f"{type(error).__name__}: {error}"
        if told not in self.failures[-_ALIKE:]:
            self.failures.append(told)
            log.warning("the index waits: %s", told)
        del self.failures[:-_KEPT_FAILURES]

    def _behind(self, newest: int, why: str) -> str:
        if self._is_lost:
            return f"index: it is lost and made anew from the record ({why})"
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
        self._is_lost = True  # until it is open
        what = f"index {self._family.concrete} is lost and made anew"
        mend = "nothing is to be done; searches say how far it is"
        self.failed(StorageError(what, where=self._family.cluster.where, mend=mend))
        self._open()
        self._is_lost = False

    def _take_over(self, note: Note, own: LogLine | None = None) -> None:
        """What other processes have done since; `own` is what this one has just noted. Raises
        StorageError where it was for another record: two that began on one empty index see that
        only now.
        """
        if note.seen not in (self.note.seen, own):
            self._check_source(note)
        self.note = note
        self.applied = note.applied
        self.searchable = min(self.searchable, note.applied)  # less where it was made anew

    def _step(self, page: int) -> _Step:
        now = to_micros(self._clock())
        with self._record.moment() as reads:  # one state of it for all that follows
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
        """Vectors for another index, while an archive moves, change nothing in this one."""
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
        """What the index held of a step's documents before it was sent: where the answer was lost,
        it may hold them by now.
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
        """The vectors that the documents of a step had before it."""
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
