"""Writes a candidate set as bytes for other processes, and reads it: JSON and arrays, never pickle.

    magic (4) · format (1) · CRC-32 of all that follows (4) · length of the JSON (4) · JSON · arrays

Our frozen types are written as {"~": "Word", member: value, …}, tuples as lists, frozensets as
{"~": "frozenset", "of": […]}, enums as {"~": "SortOrder", "is": value}, arrays as {"~": "array",
"type": "<f4", "at": offset, "count": n}. The reader makes only types of the modules below.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from functools import cache
from math import isfinite
from types import ModuleType
from typing import Any

import numpy as np
import orjson

import core.callers
import core.entities
import core.limits
import core.query_tree
import core.retrieval
import rerank.deadline
import search.answers
import search.candidates
import search.ranking
from search.candidates import CandidateSet

FORMAT = 1
_MAGIC = b"DLCS"
_HEAD = struct.Struct("<4sBII")
_MODULES: tuple[ModuleType, ...] = (
    core.callers,
    core.entities,
    core.limits,
    core.query_tree,
    core.retrieval,
    rerank.deadline,
    search.answers,
    search.candidates,
    search.ranking,
)
_ARRAYS = {name: np.dtype(name) for name in ("<i8", "<i4", "<f4", "<f8", "|b1")}
_NAMES = {kind: name for name, kind in _ARRAYS.items()}
_PLAIN = frozenset((str, int, float, bool, type(None)))


class FormatError(ValueError):
    """The bytes are no candidate set of this format, or the set can't be written."""


def to_bytes(candidates: CandidateSet) -> bytes:
    """The set as bytes, without a `retrieval` that holds encoders. Raises FormatError for a value
    that the format can't hold.
    """
    writer, asked = _Writer(), candidates.retrieval
    kept = None if asked is None or asked.vectors else asked
    try:
        text = orjson.dumps(writer.written(replace(candidates, retrieval=kept)))
    except (TypeError, RecursionError) as error:  # a query of very many levels
        raise FormatError(f"can't be written: {error}") from error
    body = b"".join((struct.pack("<I", len(text)), text, *writer.arrays))
    return _HEAD.pack(_MAGIC, FORMAT, zlib.crc32(body), len(body)) + body


def from_bytes(data: bytes) -> CandidateSet:
    """The candidate set in `data`. Raises FormatError for anything else, also for a damaged set or
    a later format.
    """
    if len(data) < _HEAD.size + 4:
        raise FormatError("too short")
    magic, version, checksum, length = _HEAD.unpack_from(data)
    body = memoryview(data)[_HEAD.size :]
    if magic != _MAGIC or version != FORMAT:
        raise FormatError(f"format {version}, not {FORMAT}")
    if length != len(body) or zlib.crc32(body) != checksum:
        raise FormatError("damaged")
    start = 4 + struct.unpack_from("<I", body)[0]
    try:
        found = _Reader(body[start:]).read(orjson.loads(body[4:start]))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FormatError(f"not of this program's types: {error}") from error
    if not isinstance(found, CandidateSet):
        raise FormatError("no candidate set")
    return found


@cache
def _types() -> Mapping[str, type]:
    """The dataclasses and enums of the modules, by name."""
    found: dict[str, type] = {}
    for module in _MODULES:
        for name, value in vars(module).items():
            ours = isinstance(value, type) and value.__module__ == module.__name__
            if ours and (is_dataclass(value) or issubclass(value, Enum)):
                found[name] = value
    return found


@cache
def _members() -> Mapping[type, tuple[str, ...]]:
    """The names of each dataclass's members."""
    kinds = [kind for kind in _types().values() if is_dataclass(kind)]
    return {kind: tuple(field.name for field in fields(kind)) for kind in kinds}


def _endless(value: float) -> dict[str, object]:
    """A float that JSON lacks (infinity or NaN), as an object."""
    return {"~": "float", "is": str(value)}


class _Writer:
    """Collects the arrays beside the JSON; each begins at a multiple of 8."""

    def __init__(self) -> None:
        self.arrays: list[bytes] = []
        self._size = 0
        self._members = _members()

    def written(self, value: Any) -> Any:
        kind: type[Any] = type(value)
        if kind in _PLAIN:
            return value if kind is not float or isfinite(value) else _endless(value)
        if kind is np.ndarray:
            return self._array(value)
        if kind is tuple:
            return [self.written(part) for part in value]
        if (members := self._members.get(kind)) is not None:
            parts = {name: self.written(getattr(value, name)) for name in members}
            return {"~": kind.__name__, **parts}
        return self._rarer(value)

    def _rarer(self, value: Any) -> Any:
        if isinstance(value, Enum):
            return {"~": type(value).__name__, "is": value.value}
        if isinstance(value, np.generic):
            return self.written(value.item())
        if isinstance(value, frozenset):
            return {"~": "frozenset", "of": sorted(map(str, value))}
        if isinstance(value, datetime):
            return {"~": "datetime", "is": value.isoformat()}
        if isinstance(value, Mapping):
            pairs = [[key, self.written(part)] for key, part in value.items()]
            return {"~": "mapping", "of": pairs}
        raise FormatError(f"a {type(value).__name__} can't be kept")

    def _array(self, value: np.ndarray[Any, Any]) -> dict[str, object]:
        name = _NAMES.get(value.dtype, "")
        if not name or value.ndim != 1:
            raise FormatError(f"an array of {value.dtype} [{value.ndim}D] can't be kept")
        data = value.tobytes()
        at, padding = self._size, -len(data) % 8
        self.arrays.append(data + bytes(padding))
        self._size += len(data) + padding
        return {"~": "array", "type": name, "at": at, "count": len(value)}


class _Reader:
    """Makes the values again. Arrays are views of the bytes and read-only."""

    def __init__(self, arrays: memoryview) -> None:
        self._arrays = arrays

    def read(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return tuple(self.read(part) for part in tree)
        if not isinstance(tree, dict):
            return tree
        kind = tree.pop("~")
        if kind in _SPECIAL:
            return _SPECIAL[kind](self, tree)
        made = _types()[kind]
        if issubclass(made, Enum):
            return made(tree["is"])
        return made(**{name: self.read(part) for name, part in tree.items()})

    def array(self, tree: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        kind = _ARRAYS[tree["type"]]
        return np.frombuffer(self._arrays, kind, tree["count"], tree["at"])


_SPECIAL: Mapping[str, Callable[[_Reader, Mapping[str, Any]], Any]] = {
    "array": _Reader.array,
    "frozenset": lambda _, tree: frozenset(tree["of"]),
    "float": lambda _, tree: float(tree["is"]),
    "datetime": lambda _, tree: datetime.fromisoformat(tree["is"]),
    "mapping": lambda reader, tree: {key: reader.read(part) for key, part in tree["of"]},
}
