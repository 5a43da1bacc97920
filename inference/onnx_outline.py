"""What an ONNX file says of itself, read without loading it: outputs, and where weights lie.

A runtime parses, optimizes and allocates before it can be asked for shapes, and follows a graph's
references to other files. Neither should happen to a file that is not what its manifest says, so
the few fields that matter are walked here. Source: onnx.proto3 of ONNX 1.17 (field numbers), the
protocol buffers encoding guide (wire types).
"""

from collections.abc import Iterator
from dataclasses import dataclass

_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_FUNCTION_NODE = 7
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = (5, 10), (6, 11)
_TENSOR_EXTERNAL, _TENSOR_LOCATION, _EXTERNAL = 13, 14, 1
_DEEPEST = 8  # graphs within graphs


@dataclass(frozen=True, slots=True)
class OnnxOutline:
    """A graph's outputs by name, each with its shape, None where a size is left open; and the
    other files that weights lie in, as the graph names them.
    """

    outputs: dict[str, tuple[int | None, ...]]
    external: frozenset[str]


def read_outline(content: bytes) -> OnnxOutline:
    """The outline of an ONNX file's bytes. Raises ValueError for bytes that are none."""
    found = {_MODEL_GRAPH: [], _MODEL_FUNCTION: []}  # type: dict[int, list[memoryview]]
    for number, value in _fields(memoryview(content)):
        if number in found and isinstance(value, memoryview):
            found[number].append(value)
    if len(found[_MODEL_GRAPH]) != 1:
        raise ValueError("there is no graph in it")
    (graph,) = found[_MODEL_GRAPH]
    outputs = dict(_output(value) for value in _parts(graph, _GRAPH_OUTPUT))
    if not outputs:
        raise ValueError("the graph has no output")
    external = set(_places_in_graph(graph, 0))
    for function in found[_MODEL_FUNCTION]:
        for node in _parts(function, _FUNCTION_NODE):
            external.update(_places_in_node(node, 0))
    return OnnxOutline(outputs, frozenset(external))


def _output(value: memoryview) -> tuple[str, tuple[int | None, ...]]:
    """Name and shape of a ValueInfoProto."""
    name = bytes(_only(value, 1)).decode()
    tensor = _only(_only(value, 2), 1)
    sizes = [
        next((size for number, size in _fields(part) if number == 1), None)
        for shape in _parts(tensor, 2)
        for part in _parts(shape, 1)
    ]
    return name, tuple(size if isinstance(size, int) else None for size in sizes)


def _places_in_graph(graph: memoryview, depth: int) -> Iterator[str]:
    """The other files that the weights of a graph, and of graphs within it, lie in."""
    if depth > _DEEPEST:
        raise ValueError("graphs lie within graphs too deeply")
    for tensor in _parts(graph, _GRAPH_INITIALIZER):
        yield from _place(tensor)
    for node in _parts(graph, _GRAPH_NODE):
        yield from _places_in_node(node, depth)


def _places_in_node(node: memoryview, depth: int) -> Iterator[str]:
    for attribute in _parts(node, _NODE_ATTRIBUTE):
        for tensor in _parts(attribute, *_ATTRIBUTE_TENSORS):
            yield from _place(tensor)
        for graph in _parts(attribute, *_ATTRIBUTE_GRAPHS):
            yield from _places_in_graph(graph, depth + 1)


def _place(tensor: memoryview) -> Iterator[str]:
    """The file that a tensor's numbers are in, if they are not in the tensor."""
    if not any(
        number == _TENSOR_LOCATION and value == _EXTERNAL for number, value in _fields(tensor)
    ):
        return
    for entry in _parts(tensor, _TENSOR_EXTERNAL):
        if bytes(_only(entry, 1)) == b"location":
            yield bytes(_only(entry, 2)).decode()


def _only(message: memoryview, field: int) -> memoryview:
    """The last part under `field`, which is the one that counts; ValueError if there is none."""
    parts = list(_parts(message, field))
    if not parts:
        raise ValueError("a name or a shape is missing")
    return parts[-1]


def _parts(message: memoryview, *wanted: int) -> Iterator[memoryview]:
    """The texts, bytes and messages under the `wanted` field numbers."""
    for number, value in _fields(message):
        if number in wanted and isinstance(value, memoryview):
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers with their values: whole numbers, or what lies between two places."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        if kind == 2:
            size, place = _varint(message, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError("the encoding is not that of a protocol buffer")
        if place + size > len(message):
            raise ValueError("it is cut off")
        yield key >> 3, message[place : place + size]
        place += size


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """The number at `place`, seven bits a byte with the lowest first, and the place after it."""
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
