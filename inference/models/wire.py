"""The fields of a protocol buffer's message, read and written without its schema.

Source: the protocol buffers encoding guide (wire types).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5


class Field(NamedTuple):
    """One field of a message: its number, and its value between `start` and `stop`. The value is a
    `whole` number, or the `part` that is a text, bytes or a message (None for a number). The field
    begins `at` its key. It is a tuple, because a graph has tens of thousands.
    """

    number: int
    at: int
    start: int
    stop: int
    whole: int
    part: memoryview | None


def fields(message: memoryview) -> Iterator[Field]:
    """Yield the fields of `message` in order. Raises ValueError if it is not a message."""
    place, end = 0, len(message)
    while place < end:
        at = place
        key, place = _varint(message, at)
        kind, start = key & 7, place
        if kind == VARINT:
            whole, place = _varint(message, place)
            yield Field(key >> 3, at, start, place, whole, None)
            continue
        size, start = _size(message, place, kind)
        place = start + size
        if place > end:
            raise ValueError("it is cut off")
        yield Field(key >> 3, at, start, place, 0, message[start:place])


def parts(message: memoryview, *wanted: int) -> Iterator[memoryview]:
    """Yield the texts, bytes and messages under the `wanted` field numbers."""
    for field in fields(message):
        if field.number in wanted and field.part is not None:
            yield field.part


def only(message: memoryview, number: int) -> memoryview:
    """Return the last part under `number`, which is the one that counts. Raises ValueError if there
    is none.
    """
    found = list(parts(message, number))
    if not found:
        raise ValueError("a name or a shape is missing")
    return found[-1]


def whole(message: memoryview, number: int) -> int | None:
    """Return the last whole number under `number`, None if there is none."""
    found = [each.whole for each in fields(message) if each.number == number and each.part is None]
    return found[-1] if found else None


def wholes(field: Field) -> Iterator[int]:
    """Yield the whole numbers of a field that may have many packed into one part."""
    if field.part is None:
        yield field.whole
        return
    place = 0
    while place < len(field.part):
        value, place = _varint(field.part, place)
        yield value


def whole_field(number: int, value: int) -> bytes:
    """Return a field that holds a whole number, 0 or more."""
    return _written(number << 3 | VARINT) + _written(value)


def part_field(number: int, *pieces: bytes | memoryview) -> bytes:
    """Return a field that holds a text, bytes or a message, given in `pieces`."""
    return b"".join((part_key(number, sum(map(len, pieces))), *pieces))


def text_field(number: int, value: str) -> bytes:
    """Return a field that holds a text."""
    return part_field(number, value.encode())


def part_key(number: int, size: int) -> bytes:
    """Return what stands before the `size` bytes of a text, bytes or a message."""
    return _written(number << 3 | LENGTH) + _written(size)


def spliced(
    message: memoryview, changes: Sequence[tuple[Field, bytes]]
) -> Iterator[bytes | memoryview]:
    """Yield `message` in pieces, with the given bytes in place of each field; empty bytes remove
    it.
    """
    place = 0
    for field, instead in sorted(changes, key=lambda change: change[0].at):
        yield message[place : field.at]
        yield instead
        place = field.stop
    yield message[place:]


def _size(message: memoryview, place: int, kind: int) -> tuple[int, int]:
    """Return the length of what follows, and where it begins."""
    if kind == LENGTH:
        return _varint(message, place)
    if kind in (EIGHT_BYTES, FOUR_BYTES):
        return (8 if kind == EIGHT_BYTES else 4), place
    raise ValueError("the encoding is not that of a protocol buffer")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return the number at `place`, seven bits a byte with the lowest first, and the place after
    it.
    """
    if place < len(message) and (byte := message[place]) < 0x80:
        return byte, place + 1
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


def _written(value: int) -> bytes:
    """Return seven bits a byte, the lowest first; the top bit says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
