"""An ONNX file of a single matrix product, written byte by byte.

To know what a machine can do, a bare product has to run through the runtime that serves. The
library that writes ONNX files is a training dependency, and these few fields don't need it.
Source: onnx.proto3 of ONNX 1.17 (field numbers), the protocol buffers encoding guide (wire types).
"""

import numpy as np
import numpy.typing as npt

FLOAT, UINT8, INT8, INT32 = 1, 2, 3, 6  # TensorProto.DataType
_IR_VERSION, _OPSET = 8, 17
_TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.uint8): UINT8, np.dtype(np.int8): INT8}


def product_graph(
    operator: str, rows: int, kernel: npt.NDArray[np.generic], taken: int, given: int
) -> bytes:
    """`y = operator(x, kernel)` for x [rows, k] and a constant `kernel` [k, n], floats or bytes.

    `taken` and `given` are the element types of x and y. The kernel is a constant, so that the
    runtime packs it once, as it does with a layer's weights.
    """
    inner, columns = kernel.shape
    tensor = b"".join(_number(1, size) for size in kernel.shape)
    tensor += _number(2, _TYPES[kernel.dtype]) + _text(8, "kernel")
    tensor += _bytes(9, np.ascontiguousarray(kernel).tobytes())
    node = _text(1, "x") + _text(1, "kernel") + _text(2, "y") + _text(3, "product")
    graph = _bytes(1, node + _text(4, operator)) + _text(2, "product") + _bytes(5, tensor)
    graph += _bytes(11, _value("x", taken, (rows, inner)))
    graph += _bytes(12, _value("y", given, (rows, columns)))
    return _number(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, _number(2, _OPSET))


def _value(name: str, element: int, shape: tuple[int, ...]) -> bytes:
    """A ValueInfoProto: the name, element type and shape of an input or output."""
    sizes = b"".join(_bytes(1, _number(1, size)) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, element) + _bytes(2, sizes)))


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    """A field of wire type 2: its length, then its bytes."""
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    """A field of wire type 0."""
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
