"""Is this JSON, and is it small enough? Parses and walks a document before it is read.

The depth, the length of each list, and the numbers of values and characters are limited here, once
for every member, because later code may walk all of them to read, record and answer a document. The
walk uses its own stack, so that depth costs no recursion, and builds a JSON path only for an error.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import orjson

from core.errors import DocumentError

MAX_DEPTH = 64
MAX_ENTRIES = 1_000  # of one list or object
MAX_VALUES = 50_000  # in all
MAX_CHARACTERS = 2 * 1024 * 1024  # of all texts together, members' names too
_LONG_LIST = "shotlist"  # a day of television has thousands: its reader limits it
_BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")
_INT64 = 2**63

Trail = tuple["Trail | None", str | int]
"""Where the walk is: the parent's trail and the key or index below it."""
Container = dict[str, Any] | list[Any]


def parse(data: bytes) -> dict[str, Any]:
    """Return the JSON object in `data` (UTF-8, a byte order mark is allowed).

    Raises DocumentError for malformed JSON (NaN, Infinity, lone surrogates and invalid UTF-8 are
    malformed: RFC 8259), for a value that is not an object, and for what `check` refuses.
    """
    try:
        tree = orjson.loads(data.removeprefix(_BOM))
    except orjson.JSONDecodeError as error:
        reason = "nested too deeply" if "depth limit" in error.msg else "malformed JSON"
        place = f"line {error.lineno}, column {error.colno} of the document"
        raise DocumentError(f"{reason}: {error.msg} at {place}") from error
    return check(tree)


def check(tree: object) -> dict[str, Any]:
    """Return `tree` itself, if it is an object with only JSON values, at most 64 levels deep, with
    at most 1,000 entries in each list and object, 50,000 values and 2 Mi characters in all.

    Raises DocumentError with the JSON path of a list that is too long, a lone surrogate, a number
    that is not finite or beyond 64 bits, a key that is not a string, or a value of another type.
    """
    if not isinstance(tree, dict):
        raise DocumentError("a document must be a JSON object")
    stack: list[tuple[Container, int, Trail | None]] = [(tree, 1, None)]
    values = characters = 0
    while stack:
        value, depth, trail = stack.pop()
        values += len(value)
        _check_size(value, values, depth, trail)
        for key, child in _children(value):
            characters += len(key) if isinstance(key, str) else 0
            if isinstance(child, str):
                characters += len(child)
                _check_string(child, (trail, key))
            elif isinstance(child, (dict, list)):
                stack.append((child, depth + 1, (trail, key)))
            else:
                _check_scalar(child, (trail, key))
    if characters > MAX_CHARACTERS:
        raise DocumentError(f"document too large: over {MAX_CHARACTERS} characters of text")
    return tree


def path(parts: tuple[str | int, ...]) -> str:
    """Return a JSON path such as `bodies[0].value`."""
    steps = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return "".join(steps).removeprefix(".")


def _check_size(value: Container, values: int, depth: int, trail: Trail | None) -> None:
    if depth > MAX_DEPTH:
        raise DocumentError(f"nested too deeply: more than {MAX_DEPTH} levels")
    if len(value) > MAX_ENTRIES and not _is_shot_list(trail):
        raise DocumentError(
            f"too many entries: {len(value)}, at most {MAX_ENTRIES} are taken",
            field=path(_parts(trail)),
            mend="send fewer entries, or several documents",
        )
    if values > MAX_VALUES:
        raise DocumentError(
            f"too many values: a document has at most {MAX_VALUES}",
            field=path(_parts(trail)[:1]),
            mend="send several documents",
        )


def _is_shot_list(trail: Trail | None) -> bool:
    """Return whether it is the document's own member `shotlist`, in any case."""
    parts = _parts(trail)
    return len(parts) == 1 and str(parts[0]).lower().removeprefix("$") == _LONG_LIST


def _children(value: Container) -> Iterator[tuple[str | int, object]]:
    if isinstance(value, list):
        yield from enumerate(value)
        return
    for key, child in value.items():
        if not isinstance(key, str):
            raise DocumentError(f"a member's name must be a string: {key!r}")
        if not key.isascii() and _SURROGATE.search(key):
            raise DocumentError("a lone surrogate in a member's name")
        yield key, child


def _check_string(text: str, trail: Trail) -> None:
    if not text.isascii() and _SURROGATE.search(text):
        raise DocumentError("a lone surrogate: not Unicode text", field=path(_parts(trail)))


def _check_scalar(value: object, trail: Trail) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise DocumentError("NaN or Infinity: not a JSON number", field=path(_parts(trail)))
    elif not isinstance(value, int):
        kind = type(value).__name__
        raise DocumentError(f"not a JSON value: {kind}", field=path(_parts(trail)))
    elif not -_INT64 <= value < _INT64:
        raise DocumentError("a whole number beyond 64 bits", field=path(_parts(trail)))


def _parts(trail: Trail | None) -> tuple[str | int, ...]:
    parts: list[str | int] = []
    step = trail
    while step is not None:
        above, part = step
        parts.append(part)
        step = above
    return tuple(reversed(parts))
