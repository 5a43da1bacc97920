"""The log of a sweep: one JSON line for each measurement, so that a killed sweep can continue.

    {"key": {…what was measured, of what, where…}, "value": {…}}

A value is found by its whole key: the digest of the vectors and queries, the machine, the versions,
the cell. Anything else is measured again; a changed grid keeps what it shares with the old one. A
line that a kill cut short is dropped when the log is opened.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from core.errors import StorageError

Tree = Mapping[str, Any]


class SweepLog:
    """The log in `path`, created if missing. Only one process may write it at a time. Raises
    StorageError if the file can't be read or written.
    """

    def __init__(self, path: Path, context: Mapping[str, str | int | float]) -> None:
        self._path = path
        self._context = dict(context)
        self._known: dict[bytes, Tree] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._read()
        except OSError as error:
            raise StorageError(f"can't be read: {error}", where=str(path)) from error

    def get(self, **key: Any) -> Tree | None:
        """Return the value under this key and the log's context; None if it was not measured."""
        return self._known.get(self._key(key))

    def put(self, value: Tree, **key: Any) -> None:
        """Append a value; it is on disk when this returns."""
        line = orjson.dumps({"key": {**self._context, **key}, "value": dict(value)})
        try:
            with self._path.open("ab") as stream:
                stream.write(line + b"\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise StorageError(f"can't be written: {error}", where=str(self._path)) from error
        self._known[self._key(key)] = dict(value)

    def _key(self, key: Tree) -> bytes:
        return orjson.dumps({**self._context, **key}, option=orjson.OPT_SORT_KEYS)

    def _read(self) -> None:
        if not self._path.exists():
            return
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with self._path.open("r+b") as stream:
                stream.truncate(whole)
        for line in data[:whole].splitlines():
            try:
                tree = orjson.loads(line)
                key, value = tree["key"], tree["value"]
            except (ValueError, KeyError, TypeError):
                continue  # measured again
            self._known[orjson.dumps(key, option=orjson.OPT_SORT_KEYS)] = value
