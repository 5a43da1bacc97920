"""An ONNX graph, written node by node without the library that writes ONNX files.

Source: onnx.proto3 of ONNX 1.17 (field numbers).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from inference.models.wire import part_field, text_field, whole_field

FLOAT, UINT8, INT32, INT64, INT4 = 1, 2, 6, 7, 22  # TensorProto.DataType
OPSET = 21  # the first with numbers of 4 bits
FUSED = "com.microsoft"  # the domain of ONNX Runtime's own operators
_IR_VERSION = 10  # the version that belongs to that opset
_FLOAT, _WHOLE, _WHOLES = 1, 2, 7  # AttributeProto.AttributeType
_KINDS = {"float32": FLOAT, "uint8": UINT8, "int32": INT32, "int64": INT64}
_FIXED_32 = 5  # the wire type of a float
Setting = float | int | Sequence[int]  # of an operator


@dataclass(frozen=True, slots=True)
class OnnxWriter:
    """Nodes and constants in the order in which they are added, which must be topological."""

    nodes: list[bytes] = field(default_factory=list)
    constants: list[bytes] = field(default_factory=list)

    def constant(self, name: str, value: npt.NDArray[np.generic]) -> str:
        """Add a tensor; return its name, for use as a node's input."""
        return self.raw(name, _KINDS[str(value.dtype)], value.shape, value)

    def raw(
        self, name: str, kind: int, shape: Sequence[int], value: npt.NDArray[np.generic]
    ) -> str:
        """Add a tensor of element type `kind` from the bytes of `value`; return its name."""
        tensor = b"".join(whole_field(1, size) for size in shape)
        tensor += whole_field(2, kind) + text_field(8, name)
        self.constants.append(part_field(5, tensor, part_field(9, _little_endian(value))))
        return name

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        domain: str = "",
        **settings: Setting,
    ) -> str:
        """Add an operator; return the name of its first output."""
        node = b"".join(text_field(1, name) for name in inputs)
        node += b"".join(text_field(2, name) for name in outputs)
        node += text_field(3, f"{outputs[0]}/op") + text_field(4, operator)
        node += b"".join(part_field(5, _attribute(*each)) for each in settings.items())
        self.nodes.append(part_field(1, node + (text_field(7, domain) if domain else b"")))
        return outputs[0]

    def model(
        self, inputs: Mapping[str, tuple[int, Shape]], outputs: Mapping[str, tuple[int, Shape]]
    ) -> bytes:
        """Return the bytes of the file; `inputs` and `outputs` are element type and shape by
        name.
        """
        graph = [*self.nodes, text_field(2, "encoder"), *self.constants]
        graph += [part_field(11, _value(name, *kind)) for name, kind in inputs.items()]
        graph += [part_field(12, _value(name, *kind)) for name, kind in outputs.items()]
        opsets = [part_field(8, whole_field(2, OPSET))]
        opsets.append(part_field(8, text_field(1, FUSED), whole_field(2, 1)))
        head = whole_field(1, _IR_VERSION) + text_field(2, "dateline")
        return b"".join((head, part_field(7, *graph), *opsets))


Shape = tuple[str | int, ...]  # a name for an open size


def _little_endian(value: npt.NDArray[np.generic]) -> bytes:
    return np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False).tobytes()


def _attribute(name: str, value: Setting) -> bytes:
    """Return an AttributeProto with one number, or with whole numbers from 0 on."""
    if isinstance(value, Sequence):
        packed = b"".join(whole_field(8, number) for number in value)
        return text_field(1, name) + packed + whole_field(20, _WHOLES)
    if isinstance(value, float):
        packed = bytes((2 << 3 | _FIXED_32,)) + struct.pack("<f", value)
        return text_field(1, name) + packed + whole_field(20, _FLOAT)
    written = value if value >= 0 else value + (1 << 64)
    return text_field(1, name) + whole_field(3, written) + whole_field(20, _WHOLE)


def _value(name: str, element: int, shape: Shape) -> bytes:
    """Return a ValueInfoProto: the name, element type and shape of an input or output."""
    sizes = [
        part_field(1, text_field(2, size) if isinstance(size, str) else whole_field(1, size))
        for size in shape
    ]
    tensor = whole_field(1, element) + part_field(2, *sizes)
    return text_field(1, name) + part_field(2, part_field(1, tensor))
