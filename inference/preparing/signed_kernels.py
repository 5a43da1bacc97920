"""The same product of whole numbers, in the form that this processor multiplies fastest.

Our int8 kernels are unsigned, and every processor sums their products exactly. On a processor with
a dot product of bytes (VNNI), ONNX Runtime uses it only for unsigned times signed: 430 against 154
thousand million operations a second. A kernel that is shifted by 128 together with its zero point
gives the same numbers to the last bit. Without VNNI that form overflows 16 bits, so a trial product
decides.
Source: ONNX Runtime's contributed operators.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from inference.models.wire import Field, fields, only, parts
from inference.preparing.one_node import INT8, INT32, UINT8, product_graph
from inference.preparing.onnx_nodes import (
    GRAPH_INITIALIZER,
    MODEL_GRAPH,
    TENSOR_NAME,
    TENSOR_RAW,
    TENSOR_TYPE,
    Node,
    nodes_of,
    uses_of,
)

# Where each operator takes a kernel and the kernel's zero point.
_KERNELS: Mapping[bytes, tuple[int, int]] = {
    b"MatMulInteger": (1, 3),
    b"MatMulIntegerToFloat": (1, 5),
    b"DynamicQuantizeMatMul": (1, 3),
    b"QLinearConv": (3, 5),
}
_SHIFT = 0x80  # flips the highest bit: uint8 x becomes int8 x - 128


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor of unsigned bytes: the byte of the graph that says its type, and its numbers."""

    type_digit: memoryview
    numbers: memoryview


@cache
def sums_signed_exactly() -> bool:
    """Whether this processor sums unsigned times signed bytes exactly. It tries the largest
    products, two of which overflow 16 bits.
    """
    import onnxruntime as ort

    kernel = np.full((64, 16), 127, np.int8)
    left = np.full((4, 64), 255, np.uint8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    graph = product_graph("MatMulInteger", 4, kernel, UINT8, INT32)
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": left})
    return bool((found == left.astype(np.int32) @ kernel.astype(np.int32)).all())


def with_exact_kernels(content: bytes) -> bytes | bytearray:
    """An ONNX file with signed kernels where this processor sums them exactly, else the file
    itself.

    Raises ValueError for bytes that are no ONNX file, if it has to read them.
    """
    return with_signed_kernels(content) if sums_signed_exactly() else content


def with_signed_kernels(content: bytes) -> bytes | bytearray:
    """An ONNX file of the same size and the same answers, in which unsigned kernels with a zero
    point of their own are signed. The file itself where it has none.

    Raises ValueError for bytes that are no ONNX file.
    """
    changed = bytearray(content)
    graph = only(memoryview(changed), MODEL_GRAPH)
    tensors = dict(_unsigned(graph))
    wanted = _free(graph, frozenset(tensors)) if tensors else frozenset()
    for name in wanted:
        tensor = tensors[name]
        tensor.type_digit[0] = INT8
        numbers = np.frombuffer(tensor.numbers, np.uint8)
        np.bitwise_xor(numbers, _SHIFT, out=numbers)  # in place: no second copy of a large file
    return changed if wanted else content


def _free(graph: memoryview, unsigned: frozenset[bytes]) -> frozenset[bytes]:
    """Those of the `unsigned` constants that can be shifted: kernels and zero points used only as
    such.
    """
    nodes = list(nodes_of(graph))
    pairs = [pair for pair in _kernels(nodes) if unsigned.issuperset(pair)]
    if not pairs:
        return frozenset()
    uses = uses_of(graph, nodes)
    while True:
        own = Counter(name for pair in pairs for name in pair)
        free = [pair for pair in pairs if all(own[name] == uses[name] for name in pair)]
        if len(free) == len(pairs):
            return frozenset(own)
        pairs = free


def _unsigned(graph: memoryview) -> Iterator[tuple[bytes, _Tensor]]:
    """The constants of unsigned bytes whose numbers lie in the graph itself, by name."""
    for tensor in parts(graph, GRAPH_INITIALIZER):
        members: dict[int, Field] = {field.number: field for field in fields(tensor)}
        type_, numbers = members.get(TENSOR_TYPE), members.get(TENSOR_RAW)
        if type_ is None or numbers is None or type_.whole != UINT8 or numbers.part is None:
            continue
        yield (
            bytes(only(tensor, TENSOR_NAME)),
            _Tensor(tensor[type_.start : type_.stop], numbers.part),
        )


def _kernels(nodes: Iterable[Node]) -> Iterator[tuple[bytes, bytes]]:
    """The names of each product's kernel and of the kernel's zero point."""
    for node in nodes:
        places = _KERNELS.get(node.operator)
        if places is not None and len(node.inputs) > max(places):
            yield node.inputs[places[0]], node.inputs[places[1]]
