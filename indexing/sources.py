"""Which documents are in these paths? Files, gzipped files and folders, one document at a time.

`.json` is one document or an array of them, `.jsonl` and `.ndjson` hold one per line; `.xml`,
`.nitf`, `.rss` and `.atom` are NewsML-G2, NITF, RSS or Atom by their root. With a mapping, `.csv`,
`.tsv` and `.parquet` are read, too, and the mapping says what JSON means. Each also as `.gz`, but
for Parquet. `.txt` and `.pdf` are an item's body each; in a folder they are read only if a person
asks for `texts`, because many a folder has notes beside its documents. A folder is read recursively
in the order of names. Hidden files and files of other kinds are skipped and counted by kind, and
links that lead out of the folder are rejected. A folder with a `corpus.jsonl` or `corpus.jsonl.gz`
is a BEIR corpus; only that file of it is read.

A person who may put files into a folder must not choose other files of this machine to be read. A
link to another place below the folder counts as a file; so does a link that was named itself.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

from core.errors import DocumentError, InputError
from core.items import Item, PassageVectors
from core.ports.engine import Clock
from indexing import beir, json_tree, ninjs, records, supplied_vectors
from indexing.formats import bulk
from indexing.formats.advice import OTHERWISE, ending_of, how_to_convert
from indexing.formats.entries import Entry, Row
from indexing.ninjs import MAX_DOCUMENT_BYTES, Checked
from indexing.supplied_vectors import Spaces

if TYPE_CHECKING:
    from indexing.formats.mapping import RowMapping

LEADS_OUT = "a link that leads out of the folder: name its target to ingest that"


def is_inside(path: Path, top: Path) -> bool:
    """Return whether the real place of `path` is at or below that of `top`. A path that is missing
    or can't be looked at counts as inside: its reader says why it can't be read.
    """
    try:
        return path.resolve().is_relative_to(top.resolve())
    except (OSError, RuntimeError):
        return True


Kind = Literal["json", "lines", "beir", "xml", "csv", "parquet", "text", "pdf"]
_KINDS: dict[str, Kind] = {
    ".json": "json",
    ".jsonl": "lines",
    ".ndjson": "lines",
    **dict.fromkeys((".xml", ".nitf", ".rss", ".atom"), "xml"),
}
_TABLES: dict[str, Kind] = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
_PLAIN: dict[str, Kind] = {".txt": "text", ".pdf": "pdf"}
_LONGEST_ENDING = 12  # characters of it that are shown
_CORPUS = ("corpus.jsonl", "corpus.jsonl.gz")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to read, its kind, its size on disk in bytes, and whether a person named it itself."""

    path: Path
    kind: Kind
    size: int
    named: bool = True


@dataclass(frozen=True, slots=True)
class Accepted:
    """An item that can be indexed, its place, its size there in bytes, the doubts about it, and the
    vectors that came with it.
    """

    item: Item
    file: str
    line: int
    size: int
    warnings: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    vectors: tuple[PassageVectors, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A document that can't be indexed: its place, the member at fault, and the reason.

    `line` counts from 1, and is 0 for the file as a whole.
    """

    file: str
    line: int
    field: str
    reason: str


Reading = Accepted | Rejected


def rejected(file: str, line: int, error: DocumentError) -> Rejected:
    """Return the rejection for an error at a place."""
    mend = f" ({error.mend})" if error.mend else ""
    return Rejected(file, line, error.field, error.what + mend)


def nothing(_: Path) -> bool:
    """Skip no file."""
    return False


def is_document(path: Path, mapping: RowMapping | None = None, *, texts: bool = False) -> bool:
    """Return whether a file of this name is read as documents; `.txt` and `.pdf` if `texts`."""
    return _kind(path, mapping, texts=texts) is not None


class Sources:
    """The documents under `paths`; iterate over it once.

    `total_bytes` are the files' sizes on disk, `done_bytes` how much of that was read, `ignored`
    how many files of folders are not documents, by kind. Files in folders that are `passed_over`
    belong to others and are not counted. Raises InputError at once if a path is missing or is of a
    kind that is not read. Documents in JSON may come with vectors of `spaces`.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        clock: Clock,
        products: Sequence[str] = (),
        max_document_bytes: int = MAX_DOCUMENT_BYTES,
        passed_over: Callable[[Path], bool] = nothing,
        mapping: RowMapping | None = None,
        *,
        texts: bool = False,
        spaces: Spaces | None = None,
    ) -> None:
        self._spaces = spaces or {}
        self._clock = clock
        self._texts = texts
        self._mapping = mapping
        self._passed_over = passed_over
        self._products = tuple(products)
        self._limit = max_document_bytes
        self.ignored: Counter[str] = Counter()
        self._outside: list[Path] = []
        self.files = tuple(file for path in paths for file in self._find(path))
        self.total_bytes = sum(file.size for file in self.files)
        self.done_bytes = 0
        self._row_bytes = 0

    def __iter__(self) -> Iterator[Reading]:
        yield from (Rejected(str(path), 0, "", LEADS_OUT) for path in self._outside)
        before = 0
        for file in self.files:
            yield from self._read_file(file, before)
            before += file.size
            self.done_bytes = before

    def _find(self, path: Path) -> Iterator[SourceFile]:
        if path.is_dir():
            yield from self._find_in_folder(path)
        elif not path.exists():
            raise InputError("no such file or folder", where=str(path))
        elif (kind := self._kind(path, texts=True)) is None:
            raise InputError(
                f"{ending_of(path) or 'a file without an ending'} is not read as documents",
                where=str(path),
                mend=how_to_convert(ending_of(path)) or OTHERWISE,
            )
        else:
            yield SourceFile(path, kind, path.stat().st_size)

    def _kind(self, path: Path, *, texts: bool) -> Kind | None:
        kind = _kind(path, self._mapping, texts=texts)
        if kind == "parquet":
            from indexing.formats.tables import need_parquet

            need_parquet(path)
        return kind

    def _find_in_folder(self, top: Path) -> Iterator[SourceFile]:
        for name, folders, files in os.walk(top):
            folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
            corpus = [file for file in _CORPUS if file in files]
            if corpus:
                folders.clear()
            for file in corpus[:1] or sorted(files):
                path = Path(name, file)
                if self._passed_over(path):
                    continue
                kind = (
                    None
                    if file.startswith(".") or not path.is_file()
                    else self._kind(path, texts=self._texts)
                )
                if kind is None:
                    self.ignored[_kind_of_ignored(path)] += 1
                elif not is_inside(path, top):
                    self._outside.append(path)
                else:
                    yield SourceFile(path, kind, path.stat().st_size, named=False)

    def _read_file(self, file: SourceFile, before: int) -> Iterator[Reading]:
        """Yield the file's documents; if reading fails, a rejection at that place."""
        name, line = str(file.path), 0
        try:
            with file.path.open("rb") as raw, _decompressed(raw, file.path) as stream:
                for reading in self._readings(file, stream):
                    line = reading.line
                    # Arrow reads a file's end first, and jumps.
                    share = line * self._row_bytes if file.kind == "parquet" else raw.tell()
                    self.done_bytes = max(self.done_bytes, before + min(share, file.size))
                    yield reading
        except (OSError, EOFError, UnicodeError, zlib.error) as error:
            what = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            yield Rejected(name, line, "", f"file not readable: {what}")

    def _readings(self, file: SourceFile, stream: BinaryIO) -> Iterator[Reading]:
        """Yield the documents of an open file. What reads formats is loaded here: a command that
        searches needs none of it.
        """
        from indexing.formats.mapping import document
        from indexing.formats.plain import pdf_entry, text_entry

        if file.kind == "xml":
            for entry in self._entries(file, stream):
                yield self._take(file, entry)
        elif file.kind in ("text", "pdf"):
            yield self._take(file, text_entry(stream) if file.kind == "text" else pdf_entry(stream))
        elif file.kind == "beir":
            for record in records.lines(stream, self._limit):
                yield self._read(file, record)
        else:
            for row in self._rows(file, stream):
                if isinstance(row, Row):
                    self._row_bytes = row.size
                    yield self._take(file, document(row, self._mapping))
                else:
                    yield self._read(file, row)

    def _rows(self, file: SourceFile, stream: BinaryIO) -> Iterator[Row | records.Record]:
        """Yield rows that a mapping turns into ninjs, and records that are ninjs already."""
        from indexing.formats.tables import csv_rows, parquet_rows

        if self._mapping is not None and file.kind == "csv":
            yield from csv_rows(stream, file.path, self._mapping, self._limit)
        elif self._mapping is not None and file.kind == "parquet":
            yield from parquet_rows(stream, file.size, self._mapping)
        else:
            cut = records.documents if file.kind == "json" else records.lines
            for row in bulk.rows(cut(stream, self._limit)):
                if self._mapping is None or isinstance(row, Row):
                    yield row
                else:
                    yield bulk.row_of(row)

    def _entries(self, file: SourceFile, stream: BinaryIO) -> Iterator[Entry]:
        """Yield the documents of an XML file. One of another root is counted like a file of another
        kind, or is an error if a person named the file.
        """
        from indexing.formats import xml_documents, xml_tree

        try:
            tree = xml_tree.parse(stream.read(xml_tree.MAX_XML_BYTES + 1))
        except DocumentError as error:
            yield Entry(0, error=error)
            return
        found = xml_documents.documents(tree)
        if found is not None:
            yield from found
            return
        kind = f"{ending_of(file.path)} of root {xml_tree.name_of(tree.root)[:_LONGEST_ENDING]}"
        if file.named:
            mend = how_to_convert(kind)
            yield Entry(0, error=DocumentError(f"not understood: {kind}", mend=mend))
        else:
            self.ignored[kind] += 1

    def _take(self, file: SourceFile, entry: Entry) -> Reading:
        """Return what the checks of ninjs say about a document that was made from another."""
        name = str(file.path)
        try:
            if entry.tree is None:
                raise entry.error or DocumentError("empty")
            checked = ninjs.read_tree(entry.tree, self._clock, self._products)
        except DocumentError as error:
            return rejected(name, entry.line, error)
        item = checked.item
        size = entry.size or len(item.body) + len(item.description)
        warnings = (*checked.warnings, *entry.notes)
        return Accepted(item, name, entry.line, size, warnings, checked.unknown)

    def _read(self, file: SourceFile, record: records.Record) -> Reading:
        name = str(file.path)
        if record.problem:
            return Rejected(name, record.line, "", record.problem)
        try:
            checked, vectors = self._check(file, record.data)
        except DocumentError as error:
            return rejected(name, record.line, error)
        item, size = checked.item, len(record.data)
        return Accepted(item, name, record.line, size, checked.warnings, checked.unknown, vectors)

    def _check(self, file: SourceFile, data: bytes) -> tuple[Checked, tuple[PassageVectors, ...]]:
        if file.kind == "beir":
            folder = file.path.resolve().parent.name
            return beir.read_bytes(data, folder, self._products, self._limit), ()
        if not self._spaces or not supplied_vectors.may_be_in(data):
            return ninjs.read_bytes(data, self._clock, self._products, self._limit), ()
        tree = dict(json_tree.parse(data))
        given = tree.pop(supplied_vectors.MEMBER, [])
        checked = ninjs.read_tree(tree, self._clock, self._products)
        return checked, supplied_vectors.read(given, checked.item, self._spaces)


def _kind(path: Path, mapping: RowMapping | None, *, texts: bool) -> Kind | None:
    if path.name in _CORPUS:
        return "beir"
    ending = ending_of(path)
    if mapping is not None and (kind := _TABLES.get(ending)):
        return None if kind == "parquet" and path.suffix == ".gz" else kind
    return _KINDS.get(ending) or (_PLAIN.get(path.suffix.lower()) if texts else None)


def _kind_of_ignored(path: Path) -> str:
    """Return the kind under which a skipped file is counted: its ending, or why it has none."""
    if path.name.startswith("."):
        return "hidden"
    if not path.is_file():
        return "no file"
    return path.suffix.lower()[:_LONGEST_ENDING] or "no ending"


def _decompressed(raw: BinaryIO, path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
