"""An ONNX file of a single matrix product, written byte by byte.

To know what a machine can do, a bare product has to run in the runtime that serves. The library
that writes ONNX files is needed for training only, and these few fields don't need it.
Source: onnx.proto3 of ONNX 1.17 (field numbers).
"""

import numpy as np
import numpy.typing as npt

from inference.models.wire import part_field, text_field, whole_field

FLOAT, UINT8, INT8, INT32, INT64 = 1, 2, 3, 6, 7  # TensorProto.DataType
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
    tensor = b"".join(whole_field(1, size) for size in kernel.shape)
    tensor += whole_field(2, _TYPES[kernel.dtype]) + text_field(8, "kernel")
    tensor += part_field(9, np.ascontiguousarray(kernel).tobytes())
    node = text_field(1, "x") + text_field(1, "kernel") + text_field(2, "y")
    node += text_field(3, "product") + text_field(4, operator)
    graph = part_field(1, node) + text_field(2, "product") + part_field(5, tensor)
    graph += part_field(11, _value("x", taken, (rows, inner)))
    graph += part_field(12, _value("y", given, (rows, columns)))
    opset = part_field(8, whole_field(2, _OPSET))
    return whole_field(1, _IR_VERSION) + part_field(7, graph) + opset


def _value(name: str, element: int, shape: tuple[int, ...]) -> bytes:
    """A ValueInfoProto: the name, element type and shape of an input or output."""
    sizes = b"".join(part_field(1, whole_field(1, size)) for size in shape)
    tensor = whole_field(1, element) + part_field(2, sizes)
    return text_field(1, name) + part_field(2, part_field(1, tensor))
