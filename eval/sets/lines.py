"""Reads the lines of a judged collection's files, with the place of each mistake."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from core.errors import DocumentError, InputError


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its end, and its place; `number` counts from 1."""

    path: Path
    number: int
    data: bytes

    @property
    def where(self) -> str:
        """File and line, as messages show them."""
        return f"{self.path}:{self.number}"

    def mistake(self, what: str, *, field: str = "", mend: str = "") -> DocumentError:
        """Return the error that reports a mistake in this line."""
        return DocumentError(what, where=self.where, field=field, mend=mend)

    def text(self) -> str:
        """Return the line as UTF-8. Raises DocumentError."""
        try:
            return self.data.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise self.mistake("not UTF-8", mend="write the file in UTF-8") from error

    def json_object(self) -> Mapping[str, Any]:
        """Return the line as a JSON object. Raises DocumentError."""
        try:
            tree = orjson.loads(self.data)
        except orjson.JSONDecodeError as error:
            raise self.mistake(f"not JSON: {error}", mend="one JSON object a line") from error
        if not isinstance(tree, dict):
            raise self.mistake("not a JSON object", mend="one JSON object a line")
        return tree

    def string(self, tree: Mapping[str, Any], field: str) -> str:
        """Return the member `field`, which must be a text and not blank. Raises DocumentError."""
        value = tree.get(field)
        if not isinstance(value, str):
            what = "is missing" if value is None else f"is {type(value).__name__}, not a text"
            raise self.mistake(what, field=field, mend="put it in quotes" if value else "add it")
        if not value.strip():
            raise self.mistake("is blank", field=field, mend="give it a value")
        return value


def find(folder: Path, *names: str) -> Path | None:
    """Return the first of `names` in `folder`, plain or with .gz; None if there is none."""
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def read_lines(path: Path) -> Iterator[Line]:
    """Yield the lines of a file that are not blank. Raises InputError if it can't be read."""
    for number, data in raw_lines(path):
        yield Line(path, number, data.rstrip(b"\r\n"))


def raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the numbers and bytes of these lines, without a `Line` for each, for files of several
    100,000 lines.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            for number, data in enumerate(stream, start=1):
                if data.strip():
                    yield number, data
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"file not readable: {error}", where=str(path)) from error
