"""Opens the projections in an archive's folder; their owner makes damaged ones again."""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import orjson

from core.errors import CorruptError, StorageError
from storage.embedded.integrity import write_durably
from storage.embedded.lexical.files import LexicalIndex
from storage.embedded.vectors.segments import VectorField
from storage.graphs.settings import HnswSettings
from storage.record.port import RecordOfTruth

log = logging.getLogger(__name__)
_SOURCE = "record.json"
_PATIENCE_S = 10.0
_KEPT = frozenset({"owner.lock"})


@dataclass(frozen=True, slots=True)
class Opening:
    """Opens the projections in `folder`, as their `owner` or as a reader; notes damaged ones in
    `repairs`.
    """

    folder: Path
    owner: bool
    repairs: list[str]

    def field(self, name: str, encoder: str, hnsw: HnswSettings) -> VectorField:
        """Open a vector field."""
        folder = self.folder / "vectors" / name
        try:
            opened = VectorField(folder, encoder, hnsw)
        except CorruptError as error:
            self._note(error)
            VectorField.destroy(folder)
            opened = VectorField(folder, encoder, hnsw)
        if self.owner:
            opened.sweep()
        return opened

    def lexical(self) -> LexicalIndex:
        """Open the lexical index."""
        folder = self.folder / "lexical"
        try:
            return LexicalIndex(folder, writable=self.owner)
        except CorruptError as error:
            self._note(error)
            LexicalIndex.destroy(folder)
            return LexicalIndex(folder, writable=True)

    def check_source(self, record: RecordOfTruth) -> None:
        """Check that the projections are of `record`, and not of a state that it has gone back
        behind: the seqs of another record mean other items. The owner drops wrong projections.
        Raises StorageError if another process keeps projections of another record here.
        """
        if self.owner:
            if not is_source(self.folder, record):
                self._drop(record)
            note_source(self.folder, record, None)
            return
        deadline = time.monotonic() + _PATIENCE_S  # the owner may soon drop them
        while not is_source(self.folder, record):
            if time.monotonic() > deadline:
                raise StorageError(
                    f"another process keeps the indexes of another record than {record.where} here",
                    where=str(self.folder),
                    mend="give each record a folder of its own with --data",
                )
            time.sleep(0.02)

    def _drop(self, record: RecordOfTruth) -> None:
        stale = [path for path in self.folder.iterdir() if path.name not in _KEPT]
        for path in stale:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if stale:
            what = f"indexes of another state than that of {record.where}: made again"
            log.warning("%s (%s)", what, self.folder)
            self.repairs.append(what)

    def _note(self, error: CorruptError) -> None:
        """Note damage. Raises `error` unless this process is the owner, as only the owner may drop
        a projection and make it again from the record.
        """
        if not self.owner:
            raise error
        log.warning("a projection is damaged and made again: %s", error)
        self.repairs.append(str(error))


def is_source(folder: Path, record: RecordOfTruth) -> bool:
    """Return whether the projections in `folder` are of `record`, in a state that it has."""
    try:
        noted = orjson.loads((folder / _SOURCE).read_bytes())
        identity, seen = noted["record"], noted["seen"]
    except FileNotFoundError:
        return not record.identity
    except (ValueError, KeyError, TypeError):
        return False
    if identity != record.identity:
        return False
    return seen is None or seen == list(record.reads.line(seen[0]) or ())


def note_source(folder: Path, record: RecordOfTruth, applied: int | None) -> None:
    """Note the record of these projections, and that they may hold changes up to `applied` (None:
    the newest). A record beside its projections needs no note, because a restore drops them.
    """
    if record.identity:
        seen = record.reads.line(applied)
        folder.mkdir(parents=True, exist_ok=True)
        write_durably(folder / _SOURCE, orjson.dumps({"record": record.identity, "seen": seen}))
