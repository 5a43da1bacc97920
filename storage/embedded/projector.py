"""Keeps the projections up with the record of truth.

Columns, visibility and the vectors' tail follow at once (`refresh`, before a write is acknowledged
and before each search). The owner updates the lexical index and the sealed segments in the
background: it compares what they hold with what is visible, and applies the difference. So a
projection heals itself after any failure; a replay runs no model.
"""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from time import monotonic

import numpy as np
import numpy.typing as npt

from core.errors import StorageError
from core.ports.engine import Clock
from core.retrieval import Ids
from storage.embedded.checkpoint import Checkpoint
from storage.embedded.columns.facts import Columns
from storage.embedded.commit_note import lacking
from storage.embedded.lexical.files import LexicalIndex
from storage.embedded.vectors.merge_plan import ProjectionSettings, merge_plan
from storage.embedded.vectors.segments import VectorField
from storage.record.item_rows import to_micros
from storage.record.port import Change, RecordOfTruth, RecordReads
from storage.record.unsettled import SETTLED
from storage.record.visibility import StoryView

Mask = npt.NDArray[np.bool_]
log = logging.getLogger(__name__)
_PAGE = 1000
_SAMPLE = 200  # versions of a checkpoint that are compared with the record


@dataclass(slots=True)
class Progress:
    """How far the projections are; `dateline status` shows it."""

    applied: int = 0
    lexical_pending: int = 0
    failures: list[str] = field(default_factory=list)


class Projector:
    """Applies the record to columns, vector fields and the lexical index.

    Any thread may call any method, but only one thread at a time those of the lexical index. Only
    the owner of the projections calls `index_lexical`, `seal` and `merge`.
    """

    def __init__(
        self,
        record: RecordOfTruth,
        columns: Columns,
        fields: Mapping[str, VectorField],
        clock: Clock,
        settings: ProjectionSettings,
    ) -> None:
        self._record = record
        self._columns = columns
        self._fields = fields
        self._clock = clock
        self.settings = settings
        self._lock = threading.RLock()  # columns, visibility, tails
        self._build_lock = threading.Lock()  # one build of segments at a time
        self._due: list[tuple[int, str]] = []  # a heap of moments and stories, each once
        self._noted: set[tuple[int, str]] = set()  # the entries of the heap
        self._in_field: dict[str, Mask] = {name: np.zeros(0, np.bool_) for name in fields}
        # The versions that were looked up in the record and lack vectors of the field's encoder.
        self._lacking: dict[str, Mask] = dict(self._in_field)
        self._saved = 0  # the change up to which a checkpoint is on disk
        self._unsettled = SETTLED  # the unsettled changes that are applied here
        self.progress = Progress()

    @property
    def field_names(self) -> tuple[str, ...]:
        """The names of the vector fields."""
        return tuple(self._fields)

    def load(self, checkpoint: Checkpoint | None) -> None:
        """Go on from a checkpoint, or read the record from the start; afterwards `refresh` follows
        it.
        """
        if checkpoint is not None and self._restored(checkpoint):
            self.refresh()
        else:
            self._read_all()

    def _restored(self, checkpoint: Checkpoint) -> bool:
        """Take in a checkpoint that agrees with the record; return whether it does."""
        with self._lock, self._record.moment() as reads:
            agrees = self._agrees(reads, checkpoint)
            if agrees:
                self._restore(reads, checkpoint)
            return agrees

    def _agrees(self, reads: RecordReads, checkpoint: Checkpoint) -> bool:
        """Return whether the record has the last change of a checkpoint, and the same facts of some
        versions. It checks those because a later program may read facts in another way.
        """
        size = len(checkpoint.visible)
        asked = np.unique(np.linspace(1, max(1, size - 1), _SAMPLE).astype(int)).tolist()
        rows = [row for row in reads.facts_by_seq(asked).values() if row.seq < size]
        same = tuple(reads.line(checkpoint.line[0]) or ()) == checkpoint.line
        if same and self._columns.would_hold(checkpoint.columns, rows):
            return True
        log.warning("the checkpoint does not agree with the record, so every version is read")
        return False

    def _restore(self, reads: RecordReads, checkpoint: Checkpoint) -> None:
        self._columns.restore(checkpoint.columns)
        self._columns.restore_visible(checkpoint.visible, checkpoint.moved)
        self.progress.applied = self._saved = checkpoint.line[0]
        self._due = [*checkpoint.due]
        heapq.heapify(self._due)
        self._noted = {*self._due}
        self._fill_fields(reads, np.flatnonzero(checkpoint.visible))

    def checkpoint(self, share: float) -> Checkpoint | None:
        """Return what this process holds, for `load`; None while a change is unsettled, or if there
        were few changes since the last one: less than this share of all versions, for example.
        """
        with self._lock:
            since = self.progress.applied - self._saved
            least = max(self.settings.checkpoint_changes, int(share * self._columns.size))
            if since < least or self._unsettled.changes:
                return None
            line = self._record.reads.line(self.progress.applied)
            if line is None:
                return None
            self._saved = self.progress.applied
            return Checkpoint(
                line,
                self._columns.saved(),
                self._columns.view().visible,
                self._columns.moved(),
                [*self._due],
            )

    def _read_all(self) -> None:
        self._unsettled = self._record.unsettled
        with self._lock, self._record.moment() as reads:
            newest = reads.line(None)
            self.progress.applied = 0 if newest is None else newest[0]
            for page in reads.facts_from(0):
                self._columns.append(page)
            now = to_micros(self._clock())
            heads = self._views(reads.all_views(now))
            self._fill_fields(reads, np.array(heads, np.int64))
            self._columns.set_visible(heads, [])

    def refresh(self) -> None:
        """Apply every acknowledged change, and every embargo or expiry that is due."""
        now = to_micros(self._clock())
        newest, unsettled = self._record.last_change(), self._record.unsettled
        same = newest == self.progress.applied and unsettled.mark == self._unsettled.mark
        if same and not self._is_due(now):
            return
        with self._lock, self._record.moment() as reads:  # all see one state
            if newest < self.progress.applied:
                self._check_going_on(reads)
            for page in reads.facts_from(self._columns.size):
                self._columns.append(page)
            while changes := reads.changes_after(self.progress.applied, _PAGE):
                self._apply(reads, changes, now)
            if unsettled.mark != self._unsettled.mark:
                uris = unsettled.uris | self._unsettled.uris
                chains = {chain for uri in uris if (chain := reads.chain_of(uri)) is not None}
                self._update(reads, chains, [], now)
                self._unsettled = unsettled
            if self._is_due(now):
                self._update(reads, self._due_chains(now), [], now)
                while self._is_due(now):  # only now, so that a failure is tried again
                    self._noted.discard(heapq.heappop(self._due))

    def _check_going_on(self, reads: RecordReads) -> None:
        """Raise StorageError if the record has fewer changes than were applied here: a backup was
        restored, or a standby that was behind took over.
        """
        newest = reads.line(None)
        if (newest[0] if newest else 0) < self.progress.applied:
            raise StorageError(
                "the record of truth has gone back to an earlier state",
                where=self._record.where,
                mend="start this process again: its indexes are then made again",
            )

    def index_lexical(self, index: LexicalIndex, within_s: float = inf) -> None:
        """Make `index` hold exactly the visible versions; stop after `within_s` between batches."""
        until = monotonic() + within_s
        applied = self.progress.applied  # read before `visible`, which then has all of it
        visible = self._columns.view().visible
        held = _padded(index.contents.held, len(visible))[: len(visible)]
        add = np.flatnonzero(visible & ~held)
        remove = np.flatnonzero(held & ~visible)
        step, left = self.settings.lexical_batch, max(len(add), len(remove))
        for start in range(0, left, step):
            batch = slice(start, start + step)
            self.progress.lexical_pending = len(add[start:]) + len(remove[start:])
            items = self._record.reads.items_by_seq(add[batch].tolist())
            last = start + step >= left
            index.update(remove[batch], items, applied if last else index.contents.applied)
            if monotonic() > until and not last:
                return
        index.keep_up(applied)
        self.progress.lexical_pending = 0

    def follow_lexical(self, index: LexicalIndex) -> None:
        """Load the newest commit of another process."""
        index.reload()
        visible = self._columns.view().visible
        self.progress.lexical_pending = lacking(index.contents.held, visible)

    def lacking(self, name: str) -> Mask:
        """Return the versions that the field's encoder never embedded: bool by seq. A later look at
        the field may find vectors of some of them.
        """
        return self._lacking[name]

    def seal(self, name: str, least: int) -> bool:
        """Seal the tail of a field if it has `least` rows, or the first rows of a very long one;
        return whether it did.
        """
        with self._build_lock:
            vectors = self._fields[name]
            rows = vectors.tail_size
            if rows < max(1, least):
                return False
            rows = min(rows, self.settings.most_rows)
            segment = vectors.seal(rows, self.settings.build_threads, self._live())
            with self._lock:
                vectors.adopt(segment, [], rows, self._live())
                self._recover(name)
            return True

    def merge(self, name: str, *, idle: bool) -> bool:
        """Merge a field's segments if `merge_plan` says so; return whether it did."""
        with self._build_lock:
            vectors = self._fields[name]
            segments = vectors.view().segments
            live = self._live()
            dead = [float(np.mean(~live[segment.seqs])) for segment in segments]
            sizes = [len(segment.seqs) for segment in segments]
            places = merge_plan(sizes, dead, self.settings, idle=idle)
            if not places:
                return False
            chosen = [segments[place] for place in places]
            merged = vectors.merge(chosen, self.settings.build_threads, live)
            with self._lock:
                vectors.adopt(merged, chosen, 0, self._live())
                self._recover(name)
            return True

    def follow_segments(self) -> None:
        """Load the segments that another process published."""
        for name, vectors in self._fields.items():
            with self._lock:
                if vectors.load(self._live()):
                    self._recover(name)

    def _live(self) -> Mask:
        return _padded(self._columns.view().visible, self._columns.size)

    def _recover(self, name: str) -> None:
        """Bring back versions that were hidden during a build and are visible now."""
        vectors = self._fields[name]
        held = self._mask_of(vectors.segment_ids()) | self._mask_of(vectors.tail_ids())
        lacking = _padded(self._lacking[name], self._columns.size) & ~held
        self._lacking[name] = lacking
        held |= lacking & _padded(
            self._in_field[name], len(lacking)
        )  # the record has no vectors of them
        self._in_field[name] = held
        missing = np.flatnonzero(self._live() & ~held)
        self._fill_tails(self._record.reads, missing)

    def _apply(self, reads: RecordReads, changes: Sequence[Change], now: int) -> None:
        replaced = [change.seq for change in changes if change.kind == "replaced"]
        self._look_again([change.seq for change in changes if change.brings_vectors])
        chains = dict.fromkeys(change.chain for change in changes)
        self._update(reads, chains, replaced, now)
        self.progress.applied = changes[-1].n

    def _update(
        self,
        reads: RecordReads,
        chains: Iterable[str],
        replaced: Sequence[int],
        now: int,
    ) -> None:
        heads: list[int] = []
        hidden = [seq for seq in replaced if seq < self._columns.size]
        for chain, (view, seqs) in reads.views_of(list(chains), now).items():
            heads.extend(self._views([(chain, view)]))
            hidden.extend(seqs)
        self._fill_tails(reads, np.array(heads, np.int64))
        self._columns.set_visible(heads, hidden)

    def _views(self, views: Iterable[tuple[str, StoryView]]) -> list[int]:
        """Return the heads of stories; note when each story changes by itself."""
        heads: list[int] = []
        for chain, view in views:
            if view.head:
                heads.append(view.head)
                self._columns.set_story(view.head, chain)
            if view.changes_at is not None and (view.changes_at, chain) not in self._noted:
                self._noted.add((view.changes_at, chain))
                heapq.heappush(self._due, (view.changes_at, chain))
        return heads

    def _look_again(self, seqs: Sequence[int]) -> None:
        """Mark the versions that fields lack to be looked up again, because they may have vectors
        now. They count as lacking until their vectors are in the tail.
        """
        asked = np.array([seq for seq in seqs if seq < self._columns.size], np.int64)
        for name in self._fields if len(asked) else ():
            held = _padded(self._in_field[name], self._columns.size).copy()
            held[asked[_padded(self._lacking[name], self._columns.size)[asked]]] = False
            self._in_field[name] = held

    def _fill_fields(self, reads: RecordReads, seqs: Ids) -> None:
        """Note what the segments hold, and put the passages of the other `seqs` into the tails."""
        for name, vectors in self._fields.items():
            self._in_field[name] = self._mask_of(vectors.segment_ids())
        self._fill_tails(reads, seqs)

    def _fill_tails(self, reads: RecordReads, seqs: Ids) -> None:
        """Put the passages of the `seqs` that a field lacks into its tail."""
        for name in self._fields:
            held = _padded(self._in_field[name], self._columns.size)
            missing = seqs[~held[seqs]]
            for start in range(0, len(missing), _PAGE):
                self._fill_tail(reads, name, missing[start : start + _PAGE])

    def _fill_tail(self, reads: RecordReads, name: str, missing: Ids) -> None:
        """Fill a tail with a whole page or nothing, so that a failed page is read again."""
        encoder = self._record.spaces[name]
        rows = list(reads.vectors_by_seq(name, encoder, missing.tolist()))
        self._fields[name].append(rows)
        held = _padded(self._in_field[name], self._columns.size).copy()
        held[missing] = True
        self._in_field[name] = held
        lacking = _padded(self._lacking[name], self._columns.size).copy()
        lacking[missing] = True
        lacking[np.array([seq for seq, _ in rows], np.int64)] = False
        self._lacking[name] = lacking

    def _is_due(self, now: int) -> bool:
        return any(moment <= now for moment, _ in self._due[:1])  # another thread may empty it

    def _due_chains(self, now: int) -> list[str]:
        return list(dict.fromkeys(chain for moment, chain in self._due if moment <= now))

    def _mask_of(self, ids: Ids) -> Mask:
        mask = np.zeros(self._columns.size, np.bool_)
        mask[ids[ids < self._columns.size]] = True
        return mask


def count_both(one: Mask, other: Mask) -> int:
    """Return how many items (bool by seq) are in both."""
    shared = min(len(one), len(other))
    return int(np.count_nonzero(one[:shared] & other[:shared]))


def _padded(mask: Mask, size: int) -> Mask:
    """Return the mask, padded with False up to `size` rows."""
    if len(mask) >= size:
        return mask
    longer = np.zeros(size, np.bool_)
    longer[: len(mask)] = mask
    return longer
