"""The fields of a protocol buffer's message, walked without its schema.

Source: the protocol buffers encoding guide (wire types).
"""

from collections.abc import Iterator
from dataclasses import dataclass

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its number, and what lies under it between `start` and `stop` of the message: a
    `whole` number, or the `part` that is a text, bytes or a message (None for a number).
    """

    number: int
    start: int
    stop: int
    whole: int
    part: memoryview | None


def fields(message: memoryview) -> Iterator[Field]:
    """The fields of `message` in order; ValueError where it is none."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind, start = key & 7, place
        if kind == VARINT:
            whole, place = _varint(message, place)
            yield Field(key >> 3, start, place, whole, None)
            continue
        size, place = _size(message, place, kind)
        if place + size > len(message):
            raise ValueError("it is cut off")
        yield Field(key >> 3, place, place + size, 0, message[place : place + size])
        place += size


def parts(message: memoryview, *wanted: int) -> Iterator[memoryview]:
    """The texts, bytes and messages under the `wanted` field numbers."""
    for field in fields(message):
        if field.number in wanted and field.part is not None:
            yield field.part


def only(message: memoryview, number: int) -> memoryview:
    """The last part under `number`, which is the one that counts; ValueError if there is none."""
    found = list(parts(message, number))
    if not found:
        raise ValueError("a name or a shape is missing")
    return found[-1]


def whole(message: memoryview, number: int) -> int | None:
    """The last whole number under `number`, None if there is none."""
    found = [each.whole for each in fields(message) if each.number == number and each.part is None]
    return found[-1] if found else None


def _size(message: memoryview, place: int, kind: int) -> tuple[int, int]:
    """The length of what follows, and where it begins."""
    if kind == LENGTH:
        return _varint(message, place)
    if kind in (EIGHT_BYTES, FOUR_BYTES):
        return (8 if kind == EIGHT_BYTES else 4), place
    raise ValueError("the encoding is not that of a protocol buffer")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """The number at `place`, seven bits a byte with the lowest first, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("it is cut off")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number in it is too long")
