"""Keeps candidate sets for their later pages: in memory, and on a shelf that all processes share.

On the shelf a set is bytes, JSON and arrays, never pickle:

    magic (4) · format (1) · CRC-32 of all that follows (4) · length of the JSON (4) · JSON · arrays

Our frozen types are written as {"~": "Word", member: value, …}, tuples as lists, frozensets as
{"~": "frozenset", "of": […]}, enums as {"~": "SortOrder", "is": value}, arrays as {"~": "array",
"type": "<f4", "at": offset, "count": n}. The reader makes only types of the modules below.
"""

from __future__ import annotations

import logging
import secrets
import struct
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from functools import cache
from math import isfinite
from threading import Lock
from time import monotonic
from types import ModuleType
from typing import Any, Protocol

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
from core.callers import Caller
from core.errors import ExpiredError
from core.ports.engine import Shelf
from search.candidates import CandidateSet, Listing
from search.cursors import write_cursor

log = logging.getLogger(__name__)
_KEPT = 512
_LIFETIME_S = 600.0
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


class KeptCandidates(Protocol):
    """Keeps candidate sets for their later pages. Safe from any thread."""

    def keep(self, candidates: CandidateSet) -> str:
        """Keep a set for a while and return its token, which can't be guessed."""
        ...

    def find(self, token: str, caller: Caller) -> CandidateSet:
        """Return the set of a token, for the caller it was made for. Raises ExpiredError, with the
        same message for a set that is gone and for another caller's set.
        """
        ...


class CandidateStore:
    """Keeps the last few hundred candidate sets for ten minutes, in this process's memory."""

    def __init__(self, kept: int = _KEPT, lifetime_s: float = _LIFETIME_S) -> None:
        self._kept = kept
        self._lifetime_s = lifetime_s
        self._sets: OrderedDict[str, tuple[float, CandidateSet]] = OrderedDict()
        self._lock = Lock()

    def keep(self, candidates: CandidateSet) -> str:
        """Keep a set in memory."""
        token = new_token()
        self.put(token, candidates)
        return token

    def put(self, token: str, candidates: CandidateSet) -> None:
        """Keep a set under the given token."""
        with self._lock:
            self._sets[token] = (monotonic() + self._lifetime_s, candidates)
            while len(self._sets) > self._kept:
                self._sets.popitem(last=False)

    def find(self, token: str, caller: Caller) -> CandidateSet:
        """Return the set in memory; raises ExpiredError."""
        with self._lock:
            until, candidates = self._sets.get(token, (0.0, None))
            if candidates is None or until < monotonic() or candidates.caller != caller:
                self._sets.pop(token, None) if candidates and until < monotonic() else None
                raise no_longer_known()
            return candidates


class SharedCandidateStore:
    """Keeps each set in memory for this process, and on the shelf for other processes and for this
    one after a restart. If the shelf fails, the set stays in memory.
    """

    def __init__(self, shelf: Shelf, memory: CandidateStore | None = None) -> None:
        self._shelf = shelf
        self._memory = memory or CandidateStore()

    def keep(self, candidates: CandidateSet) -> str:
        """Keep a set in memory and on the shelf before the cursor is given out, so that the next
        request may go to any process.
        """
        token = new_token()
        self._memory.put(token, candidates)
        try:
            self._shelf.put(token, to_bytes(candidates))
        except FormatError as error:
            log.warning("a cursor is not shared: %s", error)
        return token

    def find(self, token: str, caller: Caller) -> CandidateSet:
        """Return the set in memory or on the shelf; raises ExpiredError."""
        try:
            return self._memory.find(token, caller)
        except ExpiredError:
            pass
        kept = self._shelf.get(token)
        if kept is None:
            raise no_longer_known()
        try:
            candidates = from_bytes(kept)
        except FormatError as error:
            raise no_longer_known() from error
        if candidates.caller != caller:
            raise no_longer_known()
        return candidates


def new_token() -> str:
    """Return 96 random bits as text that fits into a URL."""
    return secrets.token_urlsafe(12)


def next_cursor(kept: KeptCandidates, listing: Listing, following: int | None) -> str:
    """Return the cursor of the page that begins at number `following` of the list; "" at the end.
    Ranked candidates are kept with their first cursor.
    """
    if listing.by_date is not None:
        return listing.by_date.cursor
    if following is None:
        return ""
    token = listing.token or kept.keep(listing.candidates)
    return write_cursor(token, following, listing.page.number + 1)


def no_longer_known() -> ExpiredError:
    """Return the error for every cursor that leads to no candidates."""
    return ExpiredError(
        "this cursor is no longer known",
        mend="ask the query again; a cursor lives for ten minutes",
    )


class FormatError(ValueError):
    """The bytes are not a candidate set of this format, or the set can't be written."""


def to_bytes(candidates: CandidateSet) -> bytes:
    """Return the set as bytes, without a `retrieval` that holds encoders. Raises FormatError for a
    value that the format can't hold.
    """
    writer, asked = _Writer(), candidates.retrieval
    kept = None if asked is None or asked.vectors else asked
    try:
        text = orjson.dumps(writer.written(replace(candidates, retrieval=kept)))
    except (TypeError, RecursionError) as error:  # the query nests too deep
        raise FormatError(f"can't be written: {error}") from error
    body = b"".join((struct.pack("<I", len(text)), text, *writer.arrays))
    return _HEAD.pack(_MAGIC, FORMAT, zlib.crc32(body), len(body)) + body


def from_bytes(data: bytes) -> CandidateSet:
    """Return the candidate set in `data`. Raises FormatError for anything else, also for a damaged
    set or a later format.
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
    """Return the dataclasses and enums of the modules, by name."""
    found: dict[str, type] = {}
    for module in _MODULES:
        for name, value in vars(module).items():
            ours = isinstance(value, type) and value.__module__ == module.__name__
            if ours and (is_dataclass(value) or issubclass(value, Enum)):
                found[name] = value
    return found


@cache
def _members() -> Mapping[type, tuple[str, ...]]:
    """Return the names of each dataclass's members."""
    kinds = [kind for kind in _types().values() if is_dataclass(kind)]
    return {kind: tuple(field.name for field in fields(kind)) for kind in kinds}


def _endless(value: float) -> dict[str, object]:
    """Return a float that JSON lacks (infinity or NaN), as an object."""
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
