"""Which operators does a TensorFlow SavedModel have, and is each of them known here?

A SavedModel is a program. Among TensorFlow's operators are some that read and write files, open
connections or call Python, and there are custom ones. So one is loaded only if it has no others
than those below: what our export writes. They are read here without TensorFlow, before it sees a
byte.

Sources: saved_model.proto, meta_graph.proto, graph.proto, function.proto and node_def.proto of
TensorFlow 2.21 (field numbers).
"""

from __future__ import annotations

from inference.models.wire import only, parts

_META_GRAPHS, _GRAPH, _NODES, _LIBRARY = 2, 2, 1, 2
_FUNCTIONS, _FUNCTION_NODES, _OPERATOR = 1, 3, 2

_CALLS = "Const Identity NoOp PartitionedCall Placeholder StatefulPartitionedCall"
_SIZES = """BroadcastArgs BroadcastTo Cast ConcatV2 ExpandDims Fill Pack Range Reshape Shape Slice
    Split SplitV Squeeze StridedSlice Tile Transpose Unpack"""
_NUMBERS = """AddV2 AvgPool BatchMatMulV2 BiasAdd Conv2D Erf Erfc Exp FloorDiv FloorMod GatherV2
    IsNan MatMul Max Maximum Mean Min Minimum Mul Neg Pad PadV2 Pow Prod RealDiv Reciprocal Relu
    Rsqrt ScatterNd Sigmoid Softmax Sqrt Square SquaredDifference Sub Sum Tanh"""
_CHOICES = """Equal Greater GreaterEqual Less LessEqual LogicalAnd LogicalNot LogicalOr NotEqual
    Select SelectV2"""
KNOWN = frozenset(f"{_CALLS} {_SIZES} {_NUMBERS} {_CHOICES}".split())


def check_saved_model(content: bytes) -> None:
    """Raise ValueError unless `content` is a SavedModel whose operators are all KNOWN."""
    if strange := sorted(operators(content) - KNOWN):
        raise ValueError(f"it has the operator {strange[0]!r}, which our export does not write")


def operators(content: bytes) -> frozenset[str]:
    """Return the names of all operators of a `saved_model.pb`. Raises ValueError for bytes that
    are no such file.
    """
    found: set[str] = set()
    for meta in parts(memoryview(content), _META_GRAPHS):
        graph = only(meta, _GRAPH)
        nodes = list(parts(graph, _NODES))
        for library in parts(graph, _LIBRARY):
            for function in parts(library, _FUNCTIONS):
                nodes += parts(function, _FUNCTION_NODES)
        found.update(bytes(only(node, _OPERATOR)).decode() for node in nodes)
    if not found:
        raise ValueError("there is no graph in it")
    return frozenset(found)
