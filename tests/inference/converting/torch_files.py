"""Files as PyTorch 1.5 wrote them, without PyTorch."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping

import numpy as np

from inference.converting.torch_tensors import MAGIC, VERSION, Tensor

_KINDS = {"float32": b"ctorch\nFloatStorage\n", "int64": b"ctorch\nLongStorage\n"}


def torch_file(table: Mapping[str, Tensor], *, offset: int = 0) -> bytes:
    """The file of a table of tensors; with an `offset`, each begins so far into its storage."""
    sizes = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {}}
    head = b"".join(pickle.dumps(part, 2) for part in (MAGIC, VERSION, sizes))
    entries = b"".join(
        _text(name) + _tensor(str(number), value, offset)
        for number, (name, value) in enumerate(table.items())
    )
    main = b"\x80\x02ccollections\nOrderedDict\n)R(" + entries + b"u."
    keys = pickle.dumps([str(number) for number in range(len(table))], 2)
    return head + main + keys + b"".join(_storage(value) for value in table.values())


def _tensor(key: str, value: Tensor, offset: int) -> bytes:
    storage = b"(" + _text("storage") + _KINDS[str(value.dtype)] + _text(key) + _text("cpu")
    storage += _whole(value.size) + b"NtQ"
    strides = [step // value.itemsize for step in value.strides]
    shape = b"(" + b"".join(map(_whole, value.shape)) + b"t"
    steps = b"(" + b"".join(map(_whole, strides)) + b"t"
    rest = b"\x89ccollections\nOrderedDict\n)RtR"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + _whole(offset) + shape + steps + rest


def _storage(value: Tensor) -> bytes:
    raw = np.frombuffer(value.base if value.base is not None else value, value.dtype)
    return struct.pack("<q", raw.size) + raw.tobytes()


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def _whole(number: int) -> bytes:
    return b"J" + struct.pack("<i", number)
