"""The operators and constants of an ONNX file's graph, and an ONNX file of a single matrix product.

To measure a machine or a processor's arithmetic, a bare product has to run in the runtime that
serves. The library that writes ONNX files is needed for training only, and these few fields don't
need it. Source: onnx.proto3 of ONNX 1.17 (field numbers).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.models.wire import (
    Field,
    fields,
    only,
    part_field,
    parts,
    text_field,
    whole_field,
    wholes,
)

MODEL_GRAPH, MODEL_FUNCTION = 7, 25
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 5, 11, 12
NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN = 1, 2, 4, 5, 7
ATTRIBUTE_NAME, ATTRIBUTE_WHOLE, ATTRIBUTE_GRAPHS = 1, 3, (6, 11)
TENSOR_SIZES, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW = 1, 2, 8, 9
_NODE_MEMBERS = (NODE_INPUT, NODE_OUTPUT, NODE_OPERATOR, NODE_ATTRIBUTE, NODE_DOMAIN)
_DEEPEST = 64  # levels of inner graphs
_MOST_NODES = 200_000  # in a graph; each takes half a kilobyte here
_LONGEST_SHAPE = 160  # bytes: sixteen axes


@dataclass(frozen=True, slots=True)
class Node:
    """An operator in a graph: the `field` of the graph that holds its `message`, the operator and
    its domain, the names of its inputs and outputs (empty for one that is left out), and its
    attributes.
    """

    field: Field
    message: memoryview
    domain: bytes
    operator: bytes
    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    attributes: tuple[memoryview, ...]

    @property
    def settings(self) -> dict[bytes, memoryview]:
        """The attributes by name; ValueError for one without a name."""
        return {bytes(only(each, ATTRIBUTE_NAME)): each for each in self.attributes}


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor in the graph: its element type, its shape, and its numbers as they lie in the file
    (little-endian).
    """

    type: int | None
    shape: tuple[int, ...]
    numbers: bytes | memoryview


def nodes_of(graph: memoryview) -> Iterator[Node]:
    """Yield the operators of a graph in order, without those of inner graphs.

    Raises ValueError if there are more than 200,000.
    """
    count = 0
    for field in fields(graph):
        if field.number != GRAPH_NODE or field.part is None:
            continue
        count += 1
        if count > _MOST_NODES:
            raise ValueError(f"a graph has more than {_MOST_NODES:,} operators")
        members: dict[int, list[memoryview]] = {number: [] for number in _NODE_MEMBERS}
        for member in fields(field.part):
            if member.number in members and member.part is not None:
                members[member.number].append(member.part)
        inputs, outputs, operators, attributes, domains = members.values()
        yield Node(
            field,
            field.part,
            bytes(domains[-1]) if domains else b"",
            bytes(operators[-1]) if operators else b"",
            tuple(map(bytes, inputs)),
            tuple(map(bytes, outputs)),
            tuple(attributes),
        )


def constants_of(graph: memoryview) -> Iterator[tuple[bytes, Constant]]:
    """Yield the constants of a graph by name; ValueError for one without a name."""
    for tensor in parts(graph, GRAPH_INITIALIZER):
        name = kind = None
        shape: list[int] = []
        numbers: bytes | memoryview = b""
        for member in fields(tensor):
            if member.number == TENSOR_SIZES:
                if len(shape) + len(member.part or b"") > _LONGEST_SHAPE:
                    raise ValueError("a constant has too many axes")
                shape += wholes(member)
            elif member.number == TENSOR_TYPE:
                kind = member.whole
            elif member.number == TENSOR_NAME:
                name = member.part
            elif member.number == TENSOR_RAW and member.part is not None:
                numbers = member.part
        if name is None:
            raise ValueError("a name or a shape is missing")
        yield bytes(name), Constant(kind, tuple(shape), numbers)


def uses_of(graph: memoryview, nodes: Iterable[Node], depth: int = 0) -> Counter[bytes]:
    """Return how often each name is an input of `nodes` or an output of the graph, inner graphs
    included.

    Raises ValueError if these lie more than 64 deep.
    """
    if depth > _DEEPEST:
        raise ValueError("graphs lie within graphs too deeply")
    found = Counter(bytes(only(output, 1)) for output in parts(graph, GRAPH_OUTPUT))
    for node in nodes:
        found.update(node.inputs)
        for attribute in node.attributes:
            for inner in parts(attribute, *ATTRIBUTE_GRAPHS):
                found.update(uses_of(inner, nodes_of(inner), depth + 1))
    return found


FLOAT, UINT8, INT8, INT32, INT64 = 1, 2, 3, 6, 7  # TensorProto.DataType
_IR_VERSION, _OPSET = 8, 17
_TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.uint8): UINT8, np.dtype(np.int8): INT8}


def product_graph(
    operator: str, rows: int, kernel: npt.NDArray[np.generic], taken: int, given: int
) -> bytes:
    """Return `y = operator(x, kernel)` for x [rows, k] and a constant `kernel` [k, n], floats or
    bytes.

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
    """Return a ValueInfoProto: the name, element type and shape of an input or output."""
    sizes = b"".join(part_field(1, whole_field(1, size)) for size in shape)
    tensor = whole_field(1, element) + part_field(2, sizes)
    return text_field(1, name) + part_field(2, part_field(1, tensor))
