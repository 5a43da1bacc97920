"""Names and shapes of the tensors in a safetensors file, whose length is checked.

Source: the format's description in the safetensors repository: eight bytes with the header's
length,
the header in JSON, then every tensor's bytes without gap or overlap.
"""

import json
import math
from typing import Any

LONGEST_HEADER = 100 * 10**6  # bytes, the format's own limit
_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64"), 64),
}


def read_shapes(content: bytes) -> dict[str, tuple[int, ...]]:
    """Each tensor's shape by name. Raises ValueError for bytes that are no such file, or that have
    more or less than the header says.
    """
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= size <= min(LONGEST_HEADER, len(content) - 8):
        raise ValueError("the header's length does not fit the file")
    try:
        header = json.loads(content[8 : 8 + size], object_pairs_hook=_unique)
    except RecursionError as error:
        raise ValueError("the header is nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("the header is not a JSON object")
    header.pop("__metadata__", None)
    tensors = {name: _tensor(name, entry) for name, entry in header.items()}
    end = 0
    for name, (_, begin, after) in sorted(tensors.items(), key=lambda item: item[1][1:]):
        if begin != end:
            raise ValueError(f"there is a gap or an overlap before {name!r}")
        end = after
    if end != len(content) - 8 - size:
        raise ValueError(f"it has {len(content) - 8 - size} bytes of weights instead of {end}")
    return {name: shape for name, (shape, _, _) in tensors.items()}


def _tensor(name: str, entry: Any) -> tuple[tuple[int, ...], int, int]:
    """Shape, first byte and the byte after the last of a header's entry."""
    try:
        bits, shape = _BITS[entry["dtype"]], tuple(entry["shape"])
        begin, after = entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the header's entry {name!r} can't be read") from error
    if any(type(number) is not int or number < 0 for number in (*shape, begin, after)):
        raise ValueError(f"the header's entry {name!r} has something else than whole numbers")
    if (after - begin) * 8 != bits * math.prod(shape):
        raise ValueError(f"{name!r} has {after - begin} bytes, which is not its shape {shape}")
    return shape, begin, after


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("the header has a name twice")
    return found
