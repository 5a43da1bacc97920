"""Reads the vectors that a document brings, so that no model has to compute them.

A document of a JSON or JSON Lines file may have the member `_vectors`: a list with an object for
each vector field. Its members are `field`; `encoder`, the digest of the model; `passages`, a list
of [member, start, end]; `matrix`, the rows in float16 (little endian) as base64; and, if it is not
0, `truncated`, the number of passages that the encoder did not read to the end.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from core.errors import DocumentError
from core.items import FloatMatrix, Item, Passage, PassageVectors

MEMBER = "_vectors"
_MARK = b'"_vectors"'
_MEMBERS = frozenset({"headline", "description", "body", "caption", "shotlist"})
_UNIT = 0.01  # how far a row's length may be from 1: float16 takes less


@dataclass(frozen=True, slots=True)
class Space:
    """A vector field's encoder: its digest, and the numbers of a vector."""

    encoder: str
    dimension: int


Spaces: TypeAlias = Mapping[str, Space]


def may_be_in(data: bytes) -> bool:
    """Return whether a document in JSON may have vectors."""
    return _MARK in data


def read(given: object, item: Item, spaces: Spaces) -> tuple[PassageVectors, ...]:
    """Return the vectors of an item for fields of the archive. Raises DocumentError."""
    entries = given if isinstance(given, list) else [given]
    found = tuple(_entry(entry, n, item, spaces) for n, entry in enumerate(entries))
    if len({entry.field for entry in found}) < len(found):
        raise DocumentError("a vector field occurs twice", field=MEMBER)
    return found


def _entry(entry: object, number: int, item: Item, spaces: Spaces) -> PassageVectors:
    where = f"{MEMBER}[{number}]"
    if not isinstance(entry, dict):
        raise DocumentError("must be an object", field=where)
    name = entry.get("field")
    space = spaces.get(name) if isinstance(name, str) else None
    if space is None or entry.get("encoder") != space.encoder:
        wanted = "; ".join(f"{field}: {space.encoder}" for field, space in spaces.items())
        raise DocumentError(
            "vectors of another field or encoder than the archive's",
            field=where,
            mend=f"the archive has {wanted}; without {MEMBER} they are computed",
        )
    passages = _passages(entry.get("passages"), where, item)
    vectors = _matrix(entry.get("matrix"), where, len(passages), space.dimension)
    truncated = entry.get("truncated", 0)
    if not isinstance(truncated, int) or not 0 <= truncated <= len(passages):
        raise DocumentError("must be a number of passages", field=f"{where}.truncated")
    return PassageVectors(str(name), space.encoder, passages, vectors, truncated)


def _passages(given: Any, where: str, item: Item) -> tuple[Passage, ...]:
    where = f"{where}.passages"
    if not isinstance(given, list):
        raise DocumentError("must be a list of [member, start, end]", field=where)
    return tuple(_passage(each, where, item) for each in given)


def _passage(given: object, where: str, item: Item) -> Passage:
    match given:
        case [str(name), int(start), int(end)] if name in _MEMBERS:
            if 0 <= start <= end <= len(getattr(item, name)):
                return Passage(name, start, end)
    raise DocumentError(f"{str(given)[:60]} is no place in the item's texts", field=where)


def _matrix(given: object, where: str, rows: int, dimension: int) -> FloatMatrix:
    where = f"{where}.matrix"
    try:
        data = a2b_base64(given if isinstance(given, str) else "!", strict_mode=True)
    except (Base64Error, ValueError) as error:
        raise DocumentError("must be base64", field=where) from error
    if len(data) != 2 * rows * dimension:
        what = f"{len(data)} bytes, not {rows} rows of {dimension} numbers in float16"
        raise DocumentError(what, field=where)
    vectors = np.frombuffer(data, "<f2").astype(np.float32).reshape(rows, dimension)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    if not (np.abs(lengths - 1) < _UNIT).all():
        raise DocumentError("a row is not of length 1", field=where)
    return vectors
