"""Where a judged collection's index is kept, and whether it is complete.

    FOLDER/<digest>/           an archive like any other
    FOLDER/<digest>/eval.json  what it was made of; written last, so that it means "complete"

The digest covers everything that the index depends on. A folder without the file is half built; the
next run continues it, because ingest skips what is recorded.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from core.errors import InputError, StorageError
from eval.sets.judged import JudgedSet
from eval.sets.lines import read_lines

FORMAT = 1  # raise it when other parts of a document are indexed
_MARKER = "eval.json"


@dataclass(frozen=True, slots=True)
class CacheKey:
    """What an index depends on: the documents (sha256 of their file, and the folder's name, which
    is in every uri), the encoder's digest, whether titles are left out, and the settings that shape
    an index.
    """

    collection: str
    corpus_sha256: str
    encoder: str
    body_only: bool
    settings: Mapping[str, str | int | float | bool]
    format: int = FORMAT

    @classmethod
    def of(
        cls, judged: JudgedSet, encoder: str, settings: Mapping[str, str | int | float | bool]
    ) -> CacheKey:
        """Return the key of a collection that was read from files. Raises InputError if its digest
        is unknown.
        """
        if not judged.corpus_sha256:
            raise InputError(f"the documents of {judged.name} have no digest")
        digest = judged.corpus_sha256
        return cls(_folder(judged), digest, encoder, judged.conventions.body_only, dict(settings))

    def as_dict(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        return {
            "collection": self.collection,
            "corpus_sha256": self.corpus_sha256,
            "encoder": self.encoder,
            "body_only": self.body_only,
            "settings": dict(self.settings),
            "format": self.format,
        }

    @property
    def digest(self) -> str:
        """The first 32 hexadecimal digits of the sha256 over the whole key."""
        data = orjson.dumps(self.as_dict(), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(data).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class CachedIndex:
    """The place of one index below `top`."""

    top: Path
    key: CacheKey

    @property
    def folder(self) -> Path:
        """The archive's folder."""
        return self.top / self.key.digest

    def report(self) -> Mapping[str, Any] | None:
        """Return the report that `complete` kept; None while the index is not complete."""
        try:
            kept = orjson.loads((self.folder / _MARKER).read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return None
        if not isinstance(kept, dict) or kept.get("key") != self.key.as_dict():
            return None
        report: Mapping[str, Any] = kept["report"]
        return report

    def complete(self, report: Mapping[str, Any]) -> None:
        """Mark the index as complete, with the counts of its ingest. Raises StorageError."""
        data = orjson.dumps({"key": self.key.as_dict(), "report": dict(report)})
        path = self.folder / _MARKER
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        except OSError as error:
            raise StorageError(f"can't be written: {error}", where=str(path)) from error


def documents_to_index(judged: JudgedSet, cached: CachedIndex) -> Path:
    """Return the file to ingest: the collection's own, or a copy without titles beside the index.
    The copy is in a folder with the collection's name, which is in every uri.
    """
    if not judged.conventions.body_only:
        return judged.corpus
    path = cached.folder / "body-only" / _folder(judged) / "corpus.jsonl.gz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with gzip.open(part, "wb", compresslevel=1) as stream:
            for line in read_lines(judged.corpus):
                kept = {name: v for name, v in line.json_object().items() if name != "title"}
                stream.write(orjson.dumps(kept) + b"\n")
        part.replace(path)
    return path


def _folder(judged: JudgedSet) -> str:
    """Return the name of the documents' folder, which is in every uri, so that sets over the same
    documents share an index.
    """
    return judged.corpus_name or judged.name
