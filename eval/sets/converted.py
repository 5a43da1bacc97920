"""Converts documents of other formats, once, to a BEIR corpus that ingest reads.

    CACHE/dateline/collections/<digest>/LABEL/corpus.jsonl.gz

CACHE is $XDG_CACHE_HOME, or ~/.cache. The digest is of the source of the documents. The folder has
the collection's label, which ingest puts in every uri. The same documents give the same bytes, so
that the file's digest identifies a version of the collection.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from core.errors import StorageError

FORMAT = 1  # raise it when the conversion of documents changes
_EVERY = 1000

Said = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Document:
    """One document to index; `title` may be empty."""

    identifier: str
    title: str
    text: str


def silent(documents: int) -> None:
    """Do nothing with the number of converted documents."""


def place_of(label: str, key: bytes) -> Path:
    """Return the file for a collection's documents; `key` is a digest of their source."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(home) if Path(home).is_absolute() else Path.home() / ".cache"
    digest = hashlib.sha256(b"%d " % FORMAT + key).hexdigest()[:32]
    return cache / "dateline" / "collections" / digest / label / "corpus.jsonl.gz"


def convert(documents: Iterable[Document], path: Path, said: Said = silent) -> Path:
    """Write the documents to `path` unless the file exists; `said` gets the progress from time to
    time. The file appears when it is complete. Raises StorageError, and the errors of `documents`.
    """
    if path.is_file():
        return path
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as raw:
            _write(documents, gzip.GzipFile("", "wb", 1, raw, mtime=0), said)
        part.replace(path)
    except OSError as error:
        raise StorageError(
            f"can't be written: {error}", where=str(path), mend="set XDG_CACHE_HOME to another disk"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _write(documents: Iterable[Document], stream: gzip.GzipFile, said: Said) -> None:
    done = 0
    with stream:
        for done, document in enumerate(documents, start=1):
            row = {"_id": document.identifier, "title": document.title, "text": document.text}
            stream.write(orjson.dumps(row) + b"\n")
            if done % _EVERY == 0:
                said(done)
    said(done)
