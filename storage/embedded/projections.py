"""The life of an archive's projections in one process: opened, kept up with the record, taken over
from a process that ended, compacted, closed.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from math import inf
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np

from core.ports import Clock
from storage.embedded.columns.facts import Columns
from storage.embedded.commit_note import lacking
from storage.embedded.opening import Opening, note_source
from storage.embedded.ownership import Ownership
from storage.embedded.projector import Mask, Projector, count_both
from storage.embedded.vectors.merge_plan import ProjectionSettings
from storage.graphs.settings import HnswSettings
from storage.record.port import RecordOfTruth

_LOOK_S = 0.02  # between two looks at another process's files


class Projections:
    """`columns` in memory, and the lexical index and the vector fields in `folder`, of a `record`;
    `encoders` maps each field to the digest of its encoder.

    The first process there owns the files and writes them; others follow what it publishes. What is
    damaged is made anew by the owner, which `repairs` tells of. Raises StorageError where a process
    keeps those of another record there, CorruptError for what only the owner may make anew.
    """

    def __init__(
        self,
        folder: Path,
        encoders: Mapping[str, str],
        record: RecordOfTruth,
        columns: Columns,
        clock: Clock,
        hnsw: HnswSettings,
        settings: ProjectionSettings,
    ) -> None:
        self._folder = folder
        self._record = record
        self._columns = columns
        self._follows = settings.follows
        self._noted = -1
        self.repairs: list[str] = []
        self.owns = False  # what is needed for writing the files is open, too
        self._lexical_lock = threading.RLock()
        self.ownership = Ownership(folder / "owner.lock")
        try:
            self._acquire()
            opening = self._opening()
            opening.check_source(record)
            self.fields = {
                name: opening.field(name, encoder, hnsw) for name, encoder in encoders.items()
            }
            self.projector = Projector(record, columns, self.fields, clock, settings)
            self.projector.load()
            self.lexical = self._opening().lexical()
            self.owns = self.ownership.held
        except BaseException:
            self.ownership.release()
            raise

    def _acquire(self) -> bool:
        return not self._follows and self.ownership.try_acquire()

    def _opening(self) -> Opening:
        return Opening(self._folder, self.ownership.held, self.repairs)

    def refresh(self) -> None:
        """Brings what is in memory up with the record: before each answer."""
        self.projector.refresh()

    def catch_up(self) -> None:
        """Brings every projection up to date now; only the owner writes files."""
        self._record.settle()
        self.projector.refresh()
        if self.owns:
            self._note_source()
            self._write_lexical(inf)
        else:
            self._follow_lexical()
            self.projector.follow_segments()

    def _note_source(self) -> None:
        """Before the indexes take in what the record has become since."""
        applied = self.projector.progress.applied
        if applied != self._noted:
            note_source(self._folder, self._record, applied)
            self._noted = applied

    def cover(self, within_s: float) -> int:
        """Lets searches by words see what is recorded, within so many seconds: how many items they
        may lack then. The owner writes the index itself, others wait for it.
        """
        until = monotonic() + within_s
        self.projector.refresh()
        applied = self.projector.progress.applied
        while missing := self._lacking(applied):
            left = until - monotonic()
            if left <= 0:
                break
            if self.owns:
                self._write_lexical(left)
            else:
                sleep(min(left, _LOOK_S))
                self._follow_lexical()
        return missing

    def _lacking(self, applied: int) -> int:
        """How many visible items searches by words may lack. Where a commit is not known to have
        all that was visible at change number `applied`, the one that follows may drop what this one
        holds: one item for each change since.
        """
        contents, visible = self.lexical.contents, self._columns.view().visible
        behind = max(0, applied - contents.applied)
        return lacking(contents.held, visible) or min(behind, int(np.count_nonzero(visible)))

    def _write_lexical(self, within_s: float) -> None:
        """Who waits here for another thread finds little left to do: it has committed for both.
        After a failure the index is opened anew, or what it was given would come twice.
        """
        if not self._lexical_lock.acquire(timeout=-1 if within_s == inf else within_s):
            return
        try:
            self.projector.index_lexical(self.lexical, within_s)
        except Exception:
            self.reopen_lexical()
            raise
        finally:
            self._lexical_lock.release()

    def _follow_lexical(self) -> None:
        """Sees the owner's newest commit; the owner may have made the index after this opened."""
        with self._lexical_lock:
            if self.lexical.on_disk:
                self.projector.follow_lexical(self.lexical)
            else:
                self.lexical = self._opening().lexical()

    def look_for_words(self) -> bool:
        """Sees what another process has indexed since; says whether that is possible."""
        if not self.owns:
            self._follow_lexical()
        return not self.owns

    def compact(self) -> None:
        """Seals tails and merges segments as far as an idle process would."""
        if self.owns:
            for name in self.fields:
                self.projector.seal(name, 1)
                while self.projector.merge(name, idle=True):
                    pass

    def take_over(self) -> bool:
        """Becomes the owner where there is none; says whether this process owns now."""
        if self.owns:
            return True
        if not self._acquire():
            return False
        self._opening().check_source(self._record)
        self.projector.follow_segments()
        for field in self.fields.values():
            field.sweep()
        with self._lexical_lock:
            self.lexical = self._opening().lexical()
        self.owns = True
        return True

    def reopen_lexical(self) -> None:
        """Opens the lexical index anew, after a failed write."""
        with self._lexical_lock:
            with suppress(Exception):
                self.lexical.close()
            self.lexical = self._opening().lexical()

    def status(self, visible: Mask) -> dict[str, Any]:
        """How far each is and what it lacks of the `visible` items (bool by seq), for JSON."""
        progress = self.projector.progress
        return {
            "owner": self.ownership.held,
            "applied_change": progress.applied,
            "lexical": {
                "pending": progress.lexical_pending,
                "documents": int(np.count_nonzero(self.lexical.contents.held)),
            },
            "vectors": {
                name: {
                    "segments": list(field.segment_sizes),
                    "tail": field.tail_size,
                    "lacking": count_both(self.projector.lacking(name), visible),
                }
                for name, field in self.fields.items()
            },
            "repairs": list(self.repairs),
            "failures": list(progress.failures),
        }

    def close(self) -> None:
        """Waits for what is being written, and lets the next process own the files."""
        if self.ownership.held:
            self.lexical.close()
        self.ownership.release()
