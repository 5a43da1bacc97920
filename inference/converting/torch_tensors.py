"""The tensors of a file that PyTorch wrote, without PyTorch and without running what the file says.

The file is a row of pickles: a magic number, a version, the sizes of C types, an ordered table of
tensors by name, and the list of its storages; then the storages as raw numbers, each after its
count. Nothing is unpickled: the instructions of a pickle are read one by one, and those that tables
of tensors need are followed here. Four names may stand in them, and each means what is written
below. Later versions of PyTorch write an archive instead, which is refused here.

Source: PyTorch 1.5, `torch/serialization.py` (`_legacy_save`); the instructions are those of
Python's `pickletools`.
"""

from __future__ import annotations

import io
import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import ModelError

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
_KINDS = {"torch FloatStorage": "<f4", "torch LongStorage": "<i8"}
_TABLE, _REBUILD = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
_NAMES = frozenset({*_KINDS, _TABLE, _REBUILD})
_MOST = 100_000  # tensors, or storages
_MEND = "pull the model again; if it stays so, the package has another form"

Tensor = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor before its storage is read: elements of `storage` from `offset` on, by `strides`."""

    kind: str
    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(slots=True)
class _Stack:
    """The values of a pickle that is being read, where groups of them begin, and what is kept."""

    values: list[Any] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    kept: dict[int, Any] = field(default_factory=dict)

    def group(self) -> list[Any]:
        """Take the values since the last mark."""
        start = self.marks.pop()
        found, self.values[start:] = self.values[start:], []
        return found

    def last(self, count: int) -> tuple[Any, ...]:
        """Take the last values."""
        if count > len(self.values):
            raise ValueError("it has too few values")
        found, self.values[-count:] = self.values[-count:], []
        return tuple(found)


def read_tensors(content: bytes, where: str) -> dict[str, Tensor]:
    """Return the tensors of a file by name, float32 or int64; `where` is named in errors.

    Raises ModelError for bytes that are not such a file, and for one that holds anything else.
    """
    try:
        return _read(io.BytesIO(content))
    except (
        struct.error,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        EOFError,
        OverflowError,
        MemoryError,
    ) as error:
        what = f"it is no table of tensors: {error or type(error).__name__}"
        raise ModelError(what, where=where, mend=_MEND) from error


def _read(stream: io.BytesIO) -> dict[str, Tensor]:
    magic, version, told = (_value(stream) for _ in range(3))
    if magic != MAGIC or version != VERSION or told.get("little_endian") is not True:
        raise ValueError("it does not begin as PyTorch 1.5 writes a file")
    table, keys = _value(stream), _value(stream)
    views = {str(name): view for name, view in table.items()}
    if len(views) > _MOST or len(keys) > _MOST:
        raise ValueError("there are too many tensors")
    if not all(isinstance(view, _View) for view in views.values()):
        raise ValueError("a value of its table is no tensor")
    kinds = {view.storage: view.kind for view in views.values()}
    storages = {key: _storage(stream, np.dtype(kinds[key])) for key in keys}
    return {name: _tensor(view, storages) for name, view in views.items()}


def _value(stream: io.BytesIO) -> Any:
    """Return the value of the pickle that begins here. Raises ValueError for an instruction that no
    table of tensors needs.
    """
    stack = _Stack()
    for instruction, argument, _ in pickletools.genops(stream):
        if instruction.name == "STOP":
            (found,) = stack.last(1)
            return found
        follow = _FOLLOWED.get(instruction.name)
        if follow is None:
            raise ValueError(f"it has the instruction {instruction.name}")
        follow(stack, argument)
    raise ValueError("it is cut off")


def _push(stack: _Stack, value: Any) -> None:
    stack.values.append(value)


def _name(stack: _Stack, name: str) -> None:
    if name not in _NAMES:
        raise ValueError(f"it names {name}")
    stack.values.append(name)


def _keep(stack: _Stack, place: int) -> None:
    stack.kept[place] = stack.values[-1]


def _call(stack: _Stack, _: Any) -> None:
    """What a name means that is called with values."""
    name, given = stack.last(2)
    if name == _TABLE and given == ():
        stack.values.append({})
    elif name == _REBUILD:
        (_, kind, key, *_rest), offset, shape, strides = given[:4]
        view = _View(_KINDS[kind], str(key), int(offset), tuple(shape), tuple(strides))
        stack.values.append(view)
    else:
        raise ValueError("it calls something else")


def _set_items(stack: _Stack, values: list[Any]) -> None:
    stack.values[-1].update(zip(values[::2], values[1::2], strict=True))


def _extend(stack: _Stack, values: list[Any]) -> None:
    stack.values[-1].extend(values)


def _build(stack: _Stack, _: Any) -> None:
    stack.last(1)  # attributes of the table, which nobody needs


_FOLLOWED: Mapping[str, Callable[[_Stack, Any], None]] = {
    "PROTO": lambda stack, _: None,
    **dict.fromkeys(("LONG1", "BININT", "BININT1", "BININT2", "BINUNICODE"), _push),
    "NONE": lambda stack, _: _push(stack, None),
    "NEWTRUE": lambda stack, _: _push(stack, True),
    "NEWFALSE": lambda stack, _: _push(stack, False),
    "GLOBAL": _name,
    "MARK": lambda stack, _: stack.marks.append(len(stack.values)),
    "EMPTY_TUPLE": lambda stack, _: _push(stack, ()),
    "EMPTY_DICT": lambda stack, _: _push(stack, {}),
    "EMPTY_LIST": lambda stack, _: _push(stack, []),
    "TUPLE": lambda stack, _: _push(stack, tuple(stack.group())),
    "TUPLE1": lambda stack, _: _push(stack, stack.last(1)),
    "TUPLE2": lambda stack, _: _push(stack, stack.last(2)),
    "TUPLE3": lambda stack, _: _push(stack, stack.last(3)),
    "BINPERSID": lambda stack, _: None,  # the values of a storage stand for it
    "REDUCE": _call,
    "BUILD": _build,
    "SETITEM": lambda stack, _: _set_items(stack, list(stack.last(2))),
    "SETITEMS": lambda stack, _: _set_items(stack, stack.group()),
    "APPEND": lambda stack, _: stack.values[-2].append(stack.values.pop()),
    "APPENDS": lambda stack, _: _extend(stack, stack.group()),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _keep),
    **dict.fromkeys(
        ("BINGET", "LONG_BINGET"), lambda stack, place: _push(stack, stack.kept[place])
    ),
}


def _storage(stream: io.BytesIO, kind: np.dtype[Any]) -> Tensor:
    (count,) = struct.unpack("<q", stream.read(8))
    left = len(stream.getbuffer()) - stream.tell()
    if not 0 <= count * kind.itemsize <= left:
        raise ValueError("it is cut off")
    return np.frombuffer(stream.read(count * kind.itemsize), kind)


def _tensor(view: _View, storages: Mapping[str, Tensor]) -> Tensor:
    """Return a tensor in order. Raises ValueError for one that leaves its storage."""
    storage = storages[view.storage][view.offset :]
    steps = list(zip(view.shape, view.strides, strict=True))
    last = sum((size - 1) * stride for size, stride in steps)
    if view.offset < 0 or last >= len(storage) or any(n < 1 or step < 0 for n, step in steps):
        raise ValueError("a tensor leaves its storage")
    strides = [step * storage.itemsize for step in view.strides]
    return np.lib.stride_tricks.as_strided(storage, view.shape, strides, writeable=False).copy()
