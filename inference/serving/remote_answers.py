"""Reading the answers of a model service. They are untrusted input: plain functions raise
ValueError, TypeError or KeyError for what can't be right.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from core.entities import Entity, EntityLabel
from core.items import FloatMatrix

Names = tuple[Entity, ...]
_LABELS = frozenset(EntityLabel)


def by_index(entries: object, count: int) -> list[dict[str, Any]] | None:
    """The `count` objects in the order of their `index`; None unless each is there once."""
    if not isinstance(entries, list) or len(entries) != count:
        return None
    placed: dict[object, dict[str, Any]] = {
        entry["index"]: entry
        for entry in entries
        if isinstance(entry, dict) and type(entry.get("index")) is int
    }
    if set(placed) != set(range(count)):
        return None
    return [placed[index] for index in range(count)]


def vector_row(value: object) -> FloatMatrix:
    """A vector [d] from base64 of little-endian float32, or from a list of numbers."""
    if isinstance(value, str):
        return np.frombuffer(base64.b64decode(value, validate=True), "<f4").astype(np.float32)
    if not isinstance(value, list) or not all(is_real(number) for number in value):
        raise ValueError("neither numbers nor base64")
    with np.errstate(over="raise"):
        row: FloatMatrix = np.array(value, np.float64).astype(np.float32)
    return row


def is_real(value: object) -> bool:
    """Whether a JSON value is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def entities_of(found: object, text: str) -> Names:
    """The names of one text; raises where one is not at its place in the text, or overlaps."""
    if not isinstance(found, list):
        raise TypeError("no list")
    made: list[Entity] = []
    reached = 0
    for entry in found:
        start, end, score = entry["start"], entry["end"], entry["score"]
        if (
            type(start) is not int
            or type(end) is not int
            or not reached <= start < end <= len(text)
        ):
            raise ValueError("its place is outside of the text or before the last")
        if entry["text"] != text[start:end]:
            raise ValueError("it is not what stands there")
        if entry["label"] not in _LABELS or not is_real(score) or not 0 <= score <= 1:
            raise ValueError("its label or score is unknown")
        made.append(Entity(entry["text"], EntityLabel(entry["label"]), start, end, float(score)))
        reached = end
    return tuple(made)
