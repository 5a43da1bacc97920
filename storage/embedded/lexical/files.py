"""The files of the lexical index: a projection by tantivy that holds exactly the visible versions.

Each item is one document: `all` (headline, description, body and names together), each of them
apart for `field:word`, their words unstemmed for `begin*`, keywords and dates for filters, and
`seq`. Machines' words for pictures and shots are in `machine`, apart from `all`
(`machine_words.py`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import tantivy

from core.errors import CorruptError
from core.items import Item
from core.retrieval import Ids
from storage.embedded.integrity import META, seal_lexical, sweep_lexical, verify_lexical
from storage.embedded.lexical.fields import build_schema, document_of, take_unstemmed
from storage.embedded.lexical.reader import LexicalReader
from storage.words.stop_words import main_languages

_HEAP_BYTES = 48_000_000
_LOOKED_UP = 1000  # items; more are found by reading all

Commit: TypeAlias = tuple[int, int]  # the file that lists its segments: inode, nanoseconds


class LexicalIndex:
    """The tantivy index in `folder`. One process writes; any may read.

    Raises CorruptError when a file does not match its checksum; nothing of it was opened then.
    """

    def __init__(self, folder: Path, *, writable: bool) -> None:
        self.folder = folder
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
        take_unstemmed(self._index)
        self._index.config_reader(reload_policy="manual")
        self._loaded = self._newest()
        self._reader: tuple[Commit, LexicalReader] | None = None
        self._writer = self._index.writer(_HEAP_BYTES, 1) if writable else None

    @staticmethod
    def destroy(folder: Path) -> None:
        """Removes the index's files, for a rebuild."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.with_name(folder.name + ".sha256").unlink(missing_ok=True)

    def reader(self, languages: Mapping[str, int]) -> LexicalReader:
        """A snapshot of the last commit that was loaded, the same one until the next. `languages`
        are those of the archive, with their numbers of items.
        """
        loaded, kept = self._loaded, self._reader
        held, main = tuple(sorted(languages)), main_languages(dict(languages))
        if kept is not None and kept[0] == loaded and kept[1].reads(held, main):
            return kept[1]
        reader = LexicalReader(self._index.searcher(), self._index.schema, held, main)
        # Under the number of before: if a commit was loaded meanwhile, nobody takes this one.
        self._reader = (loaded, reader)
        return reader

    def reload(self) -> None:
        """Makes the newest commit, this process's or another's, the one that readers see. What was
        asked of the one before stays known where there is no newer one.
        """
        newest = self._newest()
        if newest == self._loaded:
            return
        self._index.reload()
        self._loaded = newest
        self._reader = None  # or it would keep files that were merged away

    def _newest(self) -> Commit:
        """The newest commit or merge, before or while it is loaded: each replaces one file."""
        try:
            file = (self.folder / META).stat()
        except FileNotFoundError:  # the owner has not made it yet, or makes it anew
            return 0, 0
        return file.st_ino, file.st_mtime_ns

    def ids(self) -> Ids:
        """The seq of every indexed document."""
        searcher = self._index.searcher()
        if not searcher.num_docs:
            return np.zeros(0, np.int64)
        every = tantivy.Query.all_query()
        hits = searcher.search(every, searcher.num_docs, count=False, order_by_field="seq").hits
        return np.array([seq for seq, _ in hits], np.int64)

    def among(self, seqs: Ids) -> Ids:
        """Those of `seqs` that are indexed."""
        if not len(seqs):
            return seqs
        if len(seqs) > _LOOKED_UP:
            return seqs[np.isin(seqs, self.ids())]
        wanted = tantivy.Query.term_set_query(self._index.schema, "seq", seqs.tolist())
        hits = (
            self._index.searcher().search(wanted, len(seqs), count=False, order_by_field="seq").hits
        )
        return np.array([seq for seq, _ in hits], np.int64)

    def update(self, remove: Iterable[int], add: Iterable[tuple[int, Item]]) -> None:
        """Removes and adds documents, commits, and makes the commit visible here."""
        if self._writer is None:
            raise RuntimeError("this process does not own the projections")
        for seq in remove:
            self._writer.delete_documents_by_term("seq", int(seq))
        for seq, item in add:
            self._writer.add_document(document_of(seq, item))
        self._writer.commit()
        self.reload()
        seal_lexical(self.folder)

    def close(self) -> None:
        """Waits for merges and seals the index; nothing can be written afterwards."""
        if self._writer is not None:
            self._writer.wait_merging_threads()
            self._writer = None
            self._reader = None
            seal_lexical(self.folder)


def _open_verified(folder: Path) -> tantivy.Index:
    """Opens an index whose checksums match. Where its owner commits meanwhile, files that were just
    read about may be gone: then it is looked at anew.
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
