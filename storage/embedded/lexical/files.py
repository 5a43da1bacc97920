"""The files of the lexical index: a projection with tantivy that holds exactly the visible
versions.

Each item is one document with these fields: `all` (headline, description, body and names together),
each of these for `field:word`, their unstemmed words for `begin*`, keywords and dates for filters,
and `seq`. Machines' words for pictures and shots are in `machine`, not in `all`
(`apart_words.py`).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import orjson
import tantivy

from core.errors import CorruptError
from core.items import Item
from core.retrieval import Ids
from storage.embedded.commit_note import (
    CommitNote,
    Contents,
    note_mark,
    read_note,
    write_note,
)
from storage.embedded.integrity import META, seal_lexical, sweep_lexical, verify_lexical
from storage.embedded.lexical.fields import build_schema, document_of, take_words
from storage.embedded.lexical.reader import LexicalReader
from storage.words.stop_words import main_languages

_HEAP_BYTES = 48_000_000

Mask: TypeAlias = npt.NDArray[np.bool_]
FileMark: TypeAlias = tuple[int, int]  # inode and nanoseconds of META


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The commit that readers see, tantivy's number of it, what it holds, and the marks of the
    files that it was read from. It is one value, so that all of it is of the same commit.
    """

    mark: FileMark
    note: bytes
    stamp: int
    searcher: tantivy.Searcher
    contents: Contents


class LexicalIndex:
    """The tantivy index in `folder`. One process writes; any process may read.

    Raises CorruptError if a file does not match its checksum, before anything is opened.
    """

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self.folder = folder
        self._note = _note_path(folder)
        if writable:
            folder.mkdir(parents=True, exist_ok=True)
        self.on_disk = writable or (folder / META).exists()
        if (folder / META).exists():
            self._index = _open_verified(folder)
            if writable:
                sweep_lexical(folder)
        elif writable:
            self._index = tantivy.Index(build_schema(), path=str(folder))
        else:
            self._index = tantivy.Index(build_schema())
        take_words(self._index)
        self._index.config_reader(reload_policy="manual")
        if writable:  # before any commit
            self._note.unlink(missing_ok=True)
        self._loaded = self._load(None)
        self._reader: LexicalReader | None = None
        self._writer = self._index.writer(_HEAP_BYTES, 1) if writable else None

    @staticmethod
    def destroy(folder: Path) -> None:
        """Remove the index's files, for a rebuild."""
        _note_path(folder).unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(folder.name + ".sha256").unlink(missing_ok=True)

    @property
    def contents(self) -> Contents:
        """The versions that the last loaded commit holds."""
        return self._loaded.contents

    def reader(self, languages: Mapping[str, int]) -> LexicalReader:
        """Return a snapshot of the last loaded commit, the same one until the next commit.
        `languages` are those of the archive, with their numbers of items.
        """
        loaded, kept = self._loaded, self._reader
        searcher, holds = loaded.searcher, loaded.contents.held
        held, main = tuple(sorted(languages)), main_languages(dict(languages))
        if kept is not None and kept.reads(searcher, held, main):
            return kept
        self._reader = LexicalReader(searcher, self._index.schema, held, main, holds)
        return self._reader

    def reload(self) -> None:
        """Show readers the newest commit, of this process or another. Without a newer commit, what
        readers have kept stays.
        """
        before = self._loaded
        if not (self.folder / META).exists():
            return  # the owner is making it again
        if _mark(self.folder) != before.mark:
            self._loaded = self._load(before)
            self._reader = None  # else it would keep files that were merged away
        elif note_mark(self._note) != before.note:
            mark, note = note_mark(self._note), read_note(self._note)
            contents = _contents(note, before.stamp, before.searcher, before)
            self._loaded = replace(before, note=mark, contents=contents)

    def _load(self, before: _Loaded | None) -> _Loaded:
        """Open and return the newest commit. Numbers rise with each commit; if the number is the
        same before and after opening, it is the number of what was opened.
        """
        while True:
            mark, stamp = _mark(self.folder), _stamp(self.folder)
            noted, note = note_mark(self._note), read_note(self._note)
            if self.on_disk:
                self._index.reload()
            searcher = self._index.searcher()
            if _stamp(self.folder) == stamp:
                contents = _contents(note, stamp, searcher, before)
                return _Loaded(mark, noted, stamp, searcher, contents)

    def ids(self) -> Ids:
        """Return the seq of every indexed document."""
        return _ids(self._loaded.searcher)

    def update(self, gone: Ids, fresh: Mapping[int, Item], applied: int) -> None:
        """Remove and add documents, commit, and show readers the commit. It holds what was visible
        at change number `applied` of the record.
        """
        if self._writer is None:
            raise RuntimeError("this process does not own the projections")
        self._write_note(gone, np.array([*fresh], np.int64), applied)
        for seq in gone.tolist():
            self._writer.delete_documents_by_term("seq", seq)
        for seq, item in fresh.items():
            self._writer.add_document(document_of(seq, item))
        self._writer.commit()
        self.reload()
        seal_lexical(self.folder)

    def _write_note(self, gone: Ids, fresh: Ids, applied: int) -> None:
        now = self.contents
        held = np.zeros(max(len(now.held), 1 + int(fresh.max(initial=-1))), np.bool_)
        held[: len(now.held)] = now.held
        held[gone], held[fresh] = False, True
        self._tell(now, Contents(held, applied))

    def keep_up(self, applied: int) -> None:
        """Note that the commit holds all that was visible at change number `applied`."""
        if applied != self.contents.applied:
            contents = replace(self.contents, applied=applied)
            self._tell(contents, contents)
            self.reload()

    def _tell(self, now: Contents, later: Contents) -> None:
        write_note(self._note, CommitNote(self._loaded.stamp, now, later))

    def close(self) -> None:
        """Wait for merges and seal the index; nothing can be written afterwards."""
        if self._writer is not None:
            self._writer.wait_merging_threads()
            self._writer = None
            self._reader = None
            seal_lexical(self.folder)


def _contents(
    note: CommitNote | None, stamp: int, searcher: tantivy.Searcher, before: _Loaded | None
) -> Contents:
    """Return what the commit numbered `stamp` holds. The note says that if it fits the commit. When
    the index is first opened, the documents are listed instead, because after a power failure the
    note may be older than the index.
    """
    told = None if note is None else note.of(stamp)
    if before is not None and searcher is before.searcher:
        known = before.contents
        return known if told is None else replace(known, applied=told.applied)
    if before is not None and told is not None:
        return told
    return Contents(_mask_of(_ids(searcher)), 0 if told is None else told.applied)


def _note_path(folder: Path) -> Path:
    return folder.with_name(folder.name + ".held")


def _mark(folder: Path) -> FileMark:
    """Return a mark that changes with each commit or merge; zeros if there is no index."""
    try:
        file = (folder / META).stat()
    except FileNotFoundError:
        return 0, 0
    return file.st_ino, file.st_mtime_ns


def _stamp(folder: Path) -> int:
    """Return tantivy's number of the newest commit in `folder`; -1 if there is no index."""
    try:
        return int(orjson.loads((folder / META).read_bytes())["opstamp"])
    except FileNotFoundError:  # the owner has not made it yet, or is making it again
        return -1


def _ids(searcher: tantivy.Searcher) -> Ids:
    """Return the seq of every document; it takes a third of a second for a million."""
    if not searcher.num_docs:
        return np.zeros(0, np.int64)
    every = tantivy.Query.all_query()
    hits = searcher.search(every, searcher.num_docs, count=False, order_by_field="seq").hits
    return np.array([seq for seq, _ in hits], np.int64)


def _mask_of(ids: Ids) -> Mask:
    mask = np.zeros(1 + int(ids.max(initial=-1)), np.bool_)
    mask[ids] = True
    return mask


def _open_verified(folder: Path) -> tantivy.Index:
    """Open an index after checking its checksums. If the owner commits meanwhile, files may be
    gone; then this starts again.
    """
    while True:
        before = (folder / META).read_bytes()
        try:
            verify_lexical(folder)
            try:
                index = tantivy.Index.open(str(folder))
            except (ValueError, OSError) as error:
                raise CorruptError(
                    f"the lexical index can't be opened: {error}",
                    where=str(folder),
                    mend="`dateline rebuild` makes it anew",
                ) from error
            _check_schema(index, folder)
        except CorruptError:
            if (folder / META).read_bytes() == before:
                raise
        else:
            return index


def _check_schema(index: tantivy.Index, folder: Path) -> None:
    if index.schema != build_schema():
        raise CorruptError(
            "the lexical index was made for other fields",
            where=str(folder),
            mend="`dateline rebuild` makes it anew",
        )
