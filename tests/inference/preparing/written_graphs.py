"""ONNX files of a few operators, written byte by byte as the library that writes them would."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from inference.models.wire import part_field, text_field, whole_field
from inference.preparing.onnx_nodes import FLOAT, INT8, INT32, INT64, UINT8

TYPES = {
    np.dtype(np.float32): FLOAT,
    np.dtype(np.uint8): UINT8,
    np.dtype(np.int8): INT8,
    np.dtype(np.int32): INT32,
    np.dtype(np.int64): INT64,
}
# The element types and shapes of inputs and outputs; a size with a name is left open.
Values = Mapping[str, tuple[int, Sequence[int | str]]]


def session(content: bytes | bytearray) -> ort.InferenceSession:
    """The file, loaded as our models are: without the optimizations that fuse operators."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    return ort.InferenceSession(bytes(content), options, providers=["CPUExecutionProvider"])


def tensor(name: str, numbers: np.ndarray[Any, Any]) -> bytes:
    """A constant."""
    sizes = b"".join(whole_field(1, size) for size in numbers.shape)
    kind = whole_field(2, TYPES[numbers.dtype])
    return sizes + kind + text_field(8, name) + part_field(9, numbers.tobytes())


def attribute(name: str, value: int | float | bytes) -> bytes:
    """A whole number, a number or, as bytes, a graph."""
    head = text_field(1, name)
    if isinstance(value, bytes):
        return head + part_field(6, value) + whole_field(20, 5)
    if isinstance(value, float):
        return head + b"\x15" + struct.pack("<f", value) + whole_field(20, 1)
    return head + whole_field(3, value % (1 << 64)) + whole_field(20, 2)


def node(
    operator: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    domain: str = "",
    **attributes: int | float | bytes,
) -> bytes:
    """An operator's call, named after its first output."""
    names = [text_field(1, name) for name in inputs] + [text_field(2, name) for name in outputs]
    names += [text_field(3, outputs[0] + "/op"), text_field(4, operator)]
    given = [part_field(5, attribute(*each)) for each in attributes.items()]
    return b"".join((*names, *given, text_field(7, domain) if domain else b""))


def value(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    """Name, element type and shape of an input or output."""
    axes = (
        text_field(2, size) if isinstance(size, str) else whole_field(1, size) for size in shape
    )
    sizes = b"".join(part_field(1, axis) for axis in axes)
    return text_field(1, name) + part_field(
        2, part_field(1, whole_field(1, kind) + part_field(2, sizes))
    )


def graph_of(
    nodes: Sequence[bytes], tensors: Sequence[bytes], inputs: Values, outputs: Values
) -> bytes:
    """A model for opset 17 and ONNX Runtime's own operators."""
    pieces = [part_field(1, each) for each in nodes] + [text_field(2, "g")]
    pieces += [part_field(5, each) for each in tensors]
    pieces += [part_field(11, value(name, *about)) for name, about in inputs.items()]
    pieces += [part_field(12, value(name, *about)) for name, about in outputs.items()]
    opsets = [whole_field(2, 17), text_field(1, "com.microsoft") + whole_field(2, 1)]
    after = b"".join(part_field(8, each) for each in opsets)
    return whole_field(1, 8) + part_field(7, *pieces) + after
