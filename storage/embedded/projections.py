"""An archive's projections in one process: opens them, keeps them up with the record, takes them
over from a process that ended, compacts and closes them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from math import inf
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np

from core.ports.engine import Clock
from storage.embedded.checkpoint import read_checkpoint, write_checkpoint
from storage.embedded.columns.facts import Columns
from storage.embedded.commit_note import lacking
from storage.embedded.opening import Opening, note_source
from storage.embedded.ownership import Ownership
from storage.embedded.projector import Mask, Projector, count_both
from storage.embedded.vectors.merge_plan import ProjectionSettings
from storage.graphs.settings import HnswSettings
from storage.record.port import RecordOfTruth

log = logging.getLogger(__name__)
_CHECKPOINT = "columns.npz"
_LOOK_S = 0.02  # between two looks at another process's files


class Projections:
    """The projections of a `record`: `columns` in memory, and the lexical index and the vector
    fields in `folder`; `encoders` maps each field to the digest of its encoder.

    The first process owns the files and writes them; others follow what it publishes. The owner
    makes damaged projections again and notes them in `repairs`. Raises StorageError if a process
    keeps projections of another record there, CorruptError for damage that only the owner may mend.
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
        self.owns = False  # whether this is the owner and all files are open for writing
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
            self.projector.load(read_checkpoint(self._folder / _CHECKPOINT))
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
        """Bring columns and tails up to date with the record; called before each answer."""
        self.projector.refresh()

    def catch_up(self) -> None:
        """Bring every projection up to date now; only the owner writes files."""
        self._record.settle()
        self.projector.refresh()
        if self.owns:
            self._note_source()
            self._write_lexical(inf)
        else:
            self._follow_lexical()
            self.projector.follow_segments()

    def _note_source(self) -> None:
        """Note the applied change, before the indexes get newer changes."""
        applied = self.projector.progress.applied
        if applied != self._noted:
            note_source(self._folder, self._record, applied)
            self._noted = applied

    def cover(self, within_s: float) -> int:
        """Let searches by words find what is recorded, within this many seconds; return how many
        items they may still lack. The owner writes the index itself, other processes wait for it.
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
        """Return how many visible items searches by words may lack. If the commit may not have all
        that was visible at change number `applied`, the next commit may drop items that this one
        holds; that counts one item for each change since.
        """
        contents, visible = self.lexical.contents, self._columns.view().visible
        behind = max(0, applied - contents.applied)
        return lacking(contents.held, visible) or min(behind, int(np.count_nonzero(visible)))

    def _write_lexical(self, within_s: float) -> None:
        """Write the lexical index. A thread that waits here finds little to do, because the other
        thread has committed for both. After a failure the index is opened again, or documents would
        be added twice.
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
        """Load the owner's newest commit, or open the index if the owner has made it since."""
        with self._lexical_lock:
            if self.lexical.on_disk:
                self.projector.follow_lexical(self.lexical)
            else:
                self.lexical = self._opening().lexical()

    def look_for_words(self) -> bool:
        """Load what another process has indexed; return False if this process is the owner."""
        if not self.owns:
            self._follow_lexical()
        return not self.owns

    def compact(self) -> None:
        """Seal tails and merge segments as an idle process would."""
        if self.owns:
            for name in self.fields:
                while self.projector.seal(name, 1):
                    pass
                while self.projector.merge(name, idle=True):
                    pass

    def save(self, share: float = 0.0) -> None:
        """Write a checkpoint if this is the owner, and if enough has changed since the last one: at
        least this share of all versions.
        """
        if self.owns and (checkpoint := self.projector.checkpoint(share)) is not None:
            write_checkpoint(self._folder / _CHECKPOINT, checkpoint)

    def take_over(self) -> bool:
        """Become the owner if there is none; return whether this process is the owner."""
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
        """Open the lexical index again, after a failed write."""
        with self._lexical_lock:
            with suppress(Exception):
                self.lexical.close()
            self.lexical = self._opening().lexical()

    def status(self, visible: Mask) -> dict[str, Any]:
        """Return how far each projection is and what it lacks of the `visible` items (bool by seq),
        as values for JSON.
        """
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
        """Wait for writes under way, then let the next process own the files."""
        try:
            self.save()
        except Exception:
            log.exception("no checkpoint was written; the next start reads every version")
        if self.ownership.held:
            self.lexical.close()
        self.ownership.release()
