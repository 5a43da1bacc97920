"""Changes of state that could not be recorded but are in force.

They are in the journal, which all processes of the archive read. If the journal fails too, they are
kept in this process's memory, and the caller is told so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import DiskError, HiddenHereError, StorageError
from storage.embedded.record.journal import Entries, Journal
from storage.record.unsettled import SETTLED, Asked, Unsettled, change_bytes, read_change

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Journaled:
    """The content of the journal: changes that are still to be recorded."""

    changes: tuple[Asked, ...] = ()
    entries: Entries | None = None


class Aside:
    """The changes beside the record in `folder`. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._here: tuple[Asked, ...] = ()
        self._turn = 0  # rises whenever `_here` changes
        self._known = SETTLED
        self._read = Journaled()
        self._journal: Journal | None = None
        try:
            self._journal = Journal(folder)
        except OSError as error:  # for example a full disk; opened again when needed
            log.warning("the journal of changes of state can't be opened: %s", error)

    @property
    def unsettled(self) -> Unsettled:
        """The changes in the journal and in this process."""
        known, mark = self._known, self._mark
        if known.mark != mark:
            with self._lock:
                changes = (*self.journaled().changes, *self._here)
                known = self._known = Unsettled(mark, changes, len(self._here))
        return known

    @property
    def _mark(self) -> tuple[int, int]:
        return (0 if self._journal is None else self._journal.sequence, self._turn)

    def journaled(self) -> Journaled:
        """Return the current content of the journal."""
        journal, known = self._journal, self._read
        if journal is None:
            return known
        if known.entries is None or known.entries.sequence != journal.sequence:
            entries = journal.read()
            known = self._read = Journaled(tuple(map(read_change, entries.data)), entries)
        return known

    def keep(self, changes: Sequence[Asked], why: StorageError) -> None:
        """Put changes in force; they are durable when it returns. Raises HiddenHereError if they
        are in force only in this process.
        """
        try:
            self._append(changes)
        except (OSError, StorageError) as error:
            with self._lock:
                self._here = (*self._here, *changes)
                self._turn += 1
            raise HiddenHereError(
                f"not recorded ({why.what}); hidden in this process only, as long as it runs",
                where=str(self._folder),
                mend="free space or mend the disk; it is tried again until it is recorded",
            ) from error

    @property
    def here(self) -> tuple[Asked, ...]:
        """The changes that only this process knows."""
        return self._here

    def write_down(self) -> None:
        """Write the changes that only this process knows into the journal, if possible."""
        with suppress(OSError, StorageError):
            changes = self._here
            self._append(changes)
            self.forget(changes)

    def forget(self, here: Sequence[Asked]) -> None:
        """Remove the changes `here`, the first of this process, because others know them now."""
        with self._lock:
            self._here = self._here[len(here) :]
            self._turn += 1

    def take(self, journaled: Journaled) -> None:
        """Note that the record has these changes now. Raises DiskError."""
        if self._journal is None or journaled.entries is None or not journaled.changes:
            return
        try:
            self._journal.take(journaled.entries)
        except OSError as error:
            raise DiskError(
                f"the disk failed: {error.strerror}. The write may be undone by an older one",
                where=str(self._journal.path),
                mend="look into the system's log for this disk, then send it again",
            ) from error

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def _append(self, changes: Sequence[Asked]) -> None:
        if not changes:
            return
        if self._journal is None:
            self._journal = Journal(self._folder)
        self._journal.append([change_bytes(change) for change in changes])
