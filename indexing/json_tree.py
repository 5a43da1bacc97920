"""Is this JSON, and is it small enough in depth? Parses and walks a document before it is read.

The walk uses its own stack, so that depth costs no recursion, and builds a JSON path only when it
has something to say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import orjson

from core.errors import DocumentError

MAX_DEPTH = 64
_BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile("[\ud800-\udfff]")
_INT64 = 2**63

Trail = tuple["Trail | None", str | int]
"""Where the walk is: the parent's trail and the key or index below it."""


def parse(data: bytes) -> dict[str, Any]:
    """The JSON object in `data` (UTF-8, a byte order mark is tolerated).

    Raises DocumentError for malformed JSON (NaN, Infinity, lone surrogates and invalid UTF-8 are
    malformed: RFC 8259), for anything but an object, and for what `check` refuses.
    """
    try:
        tree = orjson.loads(data.removeprefix(_BOM))
    except orjson.JSONDecodeError as error:
        reason = "nested too deeply" if "depth limit" in error.msg else "malformed JSON"
        place = f"line {error.lineno}, column {error.colno} of the document"
        raise DocumentError(f"{reason}: {error.msg} at {place}") from error
    return check(tree)


def check(tree: object) -> dict[str, Any]:
    """`tree` itself, if it is an object of nothing but JSON values, at most 64 levels deep.

    Raises DocumentError with the JSON path of a lone surrogate, a number that is not finite or
    beyond 64 bits, a key that is no string, or a value of another type.
    """
    if not isinstance(tree, dict):
        raise DocumentError("a document must be a JSON object")
    stack: list[tuple[object, int, Trail | None]] = [(tree, 1, None)]
    while stack:
        value, depth, trail = stack.pop()
        if depth > MAX_DEPTH:
            raise DocumentError(f"nested too deeply: more than {MAX_DEPTH} levels")
        for key, child in _children(value):
            if isinstance(child, str):
                _check_string(child, (trail, key))
            elif isinstance(child, (dict, list)):
                stack.append((child, depth + 1, (trail, key)))
            else:
                _check_scalar(child, (trail, key))
    return tree


def path(parts: tuple[str | int, ...]) -> str:
    """A JSON path such as `bodies[0].value`."""
    steps = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return "".join(steps).removeprefix(".")


def _children(value: object) -> Iterator[tuple[str | int, object]]:
    if isinstance(value, list):
        yield from enumerate(value)
    elif isinstance(value, dict):
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


def _parts(trail: Trail) -> tuple[str | int, ...]:
    parts: list[str | int] = []
    step: Trail | None = trail
    while step is not None:
        above, part = step
        parts.append(part)
        step = above
    return tuple(reversed(parts))
