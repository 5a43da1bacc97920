"""An ONNX file's outputs, and the files that its weights lie in, read without loading it.

A runtime parses, optimizes and allocates before it can be asked for shapes, and opens other files
that a graph names. Neither should happen to a file that does not fit its manifest, so the few
fields that matter are read here. Source: onnx.proto3 of ONNX 1.17 (field numbers).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from inference.models.wire import fields, only, parts, whole

_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT, _GRAPH_SPARSE = 1, 5, 12, 15
_FUNCTION_NODE = 7
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_SPARSE_TENSORS = (1, 2)  # its values, and their places
_TENSOR_EXTERNAL, _TENSOR_LOCATION, _EXTERNAL = 13, 14, 1
_DEEPEST = 8  # levels of inner graphs


@dataclass(frozen=True, slots=True)
class OnnxOutline:
    """A graph's outputs by name, each with its shape (None where a size is open), and the names of
    other files that its weights lie in.
    """

    outputs: dict[str, tuple[int | None, ...]]
    external: frozenset[str]


def read_outline(content: bytes) -> OnnxOutline:
    """The outline of an ONNX file. Raises ValueError for bytes that are no such file."""
    found = {_MODEL_GRAPH: [], _MODEL_FUNCTION: []}  # type: dict[int, list[memoryview]]
    for field in fields(memoryview(content)):
        if field.number in found and field.part is not None:
            found[field.number].append(field.part)
    if len(found[_MODEL_GRAPH]) != 1:
        raise ValueError("there is no graph in it")
    (graph,) = found[_MODEL_GRAPH]
    outputs = dict(_output(value) for value in parts(graph, _GRAPH_OUTPUT))
    if not outputs:
        raise ValueError("the graph has no output")
    external = set(_places_in_graph(graph, 0))
    for function in found[_MODEL_FUNCTION]:
        for node in parts(function, _FUNCTION_NODE):
            external.update(_places_in_node(node, 0))
    return OnnxOutline(outputs, frozenset(external))


def _output(value: memoryview) -> tuple[str, tuple[int | None, ...]]:
    """Name and shape of a ValueInfoProto."""
    name = bytes(only(value, 1)).decode()
    tensor = only(only(value, 2), 1)
    sizes = [whole(part, 1) for shape in parts(tensor, 2) for part in parts(shape, 1)]
    return name, tuple(sizes)


def _places_in_graph(graph: memoryview, depth: int) -> Iterator[str]:
    """The other files that the weights of a graph, and of graphs within it, lie in."""
    if depth > _DEEPEST:
        raise ValueError("graphs lie within graphs too deeply")
    for tensor in parts(graph, _GRAPH_INITIALIZER):
        yield from _place(tensor)
    for sparse in parts(graph, _GRAPH_SPARSE):
        yield from _places_in_sparse(sparse)
    for node in parts(graph, _GRAPH_NODE):
        yield from _places_in_node(node, depth)


def _places_in_node(node: memoryview, depth: int) -> Iterator[str]:
    for attribute in parts(node, _NODE_ATTRIBUTE):
        for tensor in parts(attribute, *_ATTRIBUTE_TENSORS):
            yield from _place(tensor)
        for sparse in parts(attribute, *_ATTRIBUTE_SPARSE):
            yield from _places_in_sparse(sparse)
        for graph in parts(attribute, *_ATTRIBUTE_GRAPHS):
            yield from _places_in_graph(graph, depth + 1)


def _places_in_sparse(sparse: memoryview) -> Iterator[str]:
    for tensor in parts(sparse, *_SPARSE_TENSORS):
        yield from _place(tensor)


def _place(tensor: memoryview) -> Iterator[str]:
    """The file that a tensor's numbers are in, if they are not in the tensor."""
    if whole(tensor, _TENSOR_LOCATION) != _EXTERNAL:
        return
    for entry in parts(tensor, _TENSOR_EXTERNAL):
        if bytes(only(entry, 1)) == b"location":
            yield bytes(only(entry, 2)).decode()
