"""The rows of CSV, TSV and Parquet files, one at a time.

A row of CSV that is malformed costs only its first line: reading goes on with the next line. Bytes
that the encoding lacks cost only their row.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from typing import Any, BinaryIO

from core.errors import DocumentError, InputError
from indexing.formats.advice import ending_of
from indexing.formats.entries import Row
from indexing.formats.mapping import Csv, RowMapping

MAX_COLUMNS = 1_000
_ROWS_AT_ONCE = 64
_SURROGATE = re.compile("[\ud800-\udfff]")  # what a byte becomes that the encoding lacks
_OPTIONAL = "A column that may be missing is mapped with optional = true"
_PACKAGE = "pip install 'dateline-search[parquet]'"


def need_parquet(path: PurePath) -> None:
    """Raise InputError if the package that reads Parquet is not installed."""
    try:
        import pyarrow.parquet  # type: ignore[import-untyped]  # noqa: F401
    except ImportError as error:
        raise InputError("Parquet needs pyarrow", where=str(path), mend=_PACKAGE) from error


def csv_rows(stream: BinaryIO, path: PurePath, mapping: RowMapping, limit: int) -> Iterator[Row]:
    """Yield the rows of a CSV file whose first line names its columns. A column that the mapping
    needs and the file lacks is an error of the whole file.
    """
    said = mapping.csv
    delimiter = said.delimiter or ("\t" if ending_of(path) == ".tsv" else ",")
    try:
        text = io.TextIOWrapper(stream, said.encoding, errors="surrogateescape", newline="")
    except LookupError:
        yield Row(0, error=DocumentError(f"no such encoding: {said.encoding[:40]}"))
        return
    with text:
        yield from _rows(_cells(text, delimiter, said, limit), mapping, delimiter)


def _rows(
    lines: Iterator[tuple[int, list[str] | DocumentError]], mapping: RowMapping, delimiter: str
) -> Iterator[Row]:
    names: list[str] | None = None
    for line, cells in lines:
        if isinstance(cells, DocumentError):
            yield Row(line, error=cells)
        elif names is None:
            names = [name.strip() for name in cells]
            if problem := _problem(names, mapping, f"is {delimiter!r} the delimiter? {_OPTIONAL}"):
                yield Row(line, error=problem)
                return
        elif len(cells) != len(names):
            what = f"the row has {len(cells)} values, the header {len(names)}"
            yield Row(line, error=DocumentError(what))
        else:
            size = sum(map(len, cells))
            yield Row(line, dict(zip(names, cells, strict=True)), size, is_table=True)


def _problem(names: list[str], mapping: RowMapping, mend: str) -> DocumentError | None:
    """Return why a file with these columns can't be read by the mapping."""
    if any(_SURROGATE.search(name) for name in names):
        return DocumentError("the header is not in the encoding of the mapping")
    if len(names) > MAX_COLUMNS:
        return DocumentError(f"too many columns: over {MAX_COLUMNS}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        return DocumentError("a column is there twice", field=twice)
    there = {*names, *(f"{name}." for name in names)}
    lacking = next((path for path in mapping.needed() if not _starts(path) & there), None)
    if lacking is None:
        return None
    return DocumentError("no such column", field=lacking, mend=mend)


def _starts(path: str) -> set[str]:
    """Return a path, and each part of it that ends with a full stop."""
    steps = path.split(".")
    return {path, *(".".join(steps[:number]) + "." for number in range(1, len(steps)))}


def _cells(
    text: io.TextIOBase, delimiter: str, said: Csv, limit: int
) -> Iterator[tuple[int, list[str] | DocumentError]]:
    """Yield each row that is not blank with the line where it begins, or why it is malformed."""
    csv.field_size_limit(max(csv.field_size_limit(), limit))
    lines = _Lines(text, limit)
    while True:
        reader = csv.reader(
            lines,
            delimiter=delimiter,
            strict=True,
            quoting=csv.QUOTE_MINIMAL if said.quote else csv.QUOTE_NONE,
        )
        try:
            for cells in reader:
                line = lines.begun()
                if cells:
                    yield line, cells
            return
        except csv.Error as error:
            yield lines.again(), DocumentError(f"malformed CSV: {error}")


class _Lines:
    """The lines of a text. Those of a row that turns out malformed are read again, but the first. A
    row and a line have at most `limit` characters.
    """

    def __init__(self, text: io.TextIOBase, limit: int) -> None:
        self._text = text
        self._limit = limit
        self._waiting: deque[str] = deque()
        self._row: list[str] = []
        self._size = 0
        self._first = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else self._read()
        if not line:
            raise StopIteration
        self._row.append(line)
        self._size += len(line)
        if self._size > self._limit:
            raise csv.Error(f"a row of over {self._limit} characters")
        return line

    def begun(self) -> int:
        """Return the line in which the last row began."""
        return self._end(len(self._row))

    def again(self) -> int:
        """Return the line where the malformed row began; its other lines come again."""
        self._waiting.extendleft(reversed(self._row[1:]))
        return self._end(1)

    def _end(self, lines: int) -> int:
        first = self._first
        self._first += lines
        self._row, self._size = [], 0
        return first

    def _read(self) -> str:
        line = self._text.readline(self._limit + 1)
        if len(line) > self._limit:  # the rest of it is not a separate line
            while (more := self._text.readline(self._limit)) and not more.endswith("\n"):
                pass
        return line


def parquet_rows(stream: BinaryIO, size: int, mapping: RowMapping) -> Iterator[Row]:
    """Yield the rows of a Parquet file of `size` bytes, a few at a time. The size of each is its
    share of the file. Arrow's native code reads it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        file = pq.ParquetFile(stream)
        if problem := _problem(list(file.schema_arrow.names), mapping, _OPTIONAL):
            yield Row(0, error=problem)
            return
        share = size // max(1, file.metadata.num_rows)
        for batch in file.iter_batches(_ROWS_AT_ONCE):
            for values in _without_null(batch.to_pylist()):
                number += 1
                yield Row(number, values, share, is_table=True)
    except (pa.ArrowException, ValueError, OSError) as error:
        yield Row(number, error=DocumentError(f"no Parquet: {str(error)[:200]}"))


def _without_null(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield rows without null and NaN, which pandas writes for no value."""
    for row in rows:
        yield {name: value for name, value in row.items() if value is not None and value == value}
