"""Attention and the product that makes its queries, keys and values, as one operator.

Our int8 graphs have three operators: `MatMulIntegerToFloat`, `Split`, `MultiHeadAttention`. ONNX
Runtime's `QAttention` does the same arithmetic in the same order, and writes each head's numbers
where attention reads them. That saves two operators a layer and the copies between them. The
answers are equal to the last bit, with signed kernels and with unsigned ones. The stored graphs
keep the three, because other runtimes read them too.
Source: ONNX Runtime's contributed operators.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from inference.models.wire import Field, fields, only, part_field, part_key, parts, spliced, whole
from inference.preparing.one_node import FLOAT, INT8, INT32, INT64, UINT8
from inference.preparing.onnx_nodes import (
    ATTRIBUTE_WHOLE,
    GRAPH_INPUT,
    GRAPH_NODE,
    MODEL_FUNCTION,
    MODEL_GRAPH,
    NODE_INPUT,
    NODE_OPERATOR,
    Constant,
    Node,
    constants_of,
    nodes_of,
    uses_of,
)

_RUNTIME = b"com.microsoft"  # the domain of ONNX Runtime's own operators
_PRODUCT, _SPLIT = (_RUNTIME, b"MatMulIntegerToFloat"), (b"", b"Split")
_ATTENTION, _FUSED = (_RUNTIME, b"MultiHeadAttention"), b"QAttention"
# The product's inputs in the order of QAttention's: x, kernel, bias, step, scale, then the mask of
# attention, zero and the kernel's zero.
_BEFORE_MASK, _AFTER_MASK = (0, 1, 6, 2, 3), (4, 5)
_LAST_AXIS = (2, (1 << 64) - 1)  # of three, and -1 as it is written
_ONE = ((), (1,))  # shapes of one number
_KEPT = frozenset({b"num_heads", b"scale", b"mask_filter_value"})  # attributes that both have


@dataclass(frozen=True, slots=True)
class _Graph:
    """The names of a graph: the node that makes each, how often each is used, the constants, and
    the int32 inputs of two axes.
    """

    makers: Mapping[bytes, Node]
    uses: Counter[bytes]
    constants: Mapping[bytes, Constant]
    masks: frozenset[bytes]


def with_fused_attention(content: bytes | bytearray) -> bytes | bytearray:
    """An ONNX file in which attention and the product before it are one operator; all else is kept
    byte by byte. The file itself where it has no such place.

    Raises ValueError for bytes that are no ONNX file.
    """
    model = memoryview(content)
    graph = only(model, MODEL_GRAPH)
    places = [field for field in fields(model) if field.number in (MODEL_GRAPH, MODEL_FUNCTION)]
    changes = _changes(graph) if len(places) == 1 else []
    if not changes:
        return content
    pieces = list(spliced(graph, changes))
    head = part_key(MODEL_GRAPH, sum(map(len, pieces)))
    (place,) = places
    return b"".join((model[: place.at], head, *pieces, model[place.stop :]))


def _changes(graph: memoryview) -> list[tuple[Field, bytes]]:
    """The fields of the graph to replace, each with its new bytes."""
    nodes = list(nodes_of(graph))
    attentions = [node for node in nodes if (node.domain, node.operator) == _ATTENTION]
    if not attentions:
        return []
    known = _Graph(
        {name: node for node in nodes for name in node.outputs},
        uses_of(graph, nodes),
        dict(constants_of(graph)),
        frozenset(_masks(graph)),
    )
    changes = []
    for attention in attentions:
        split = _split(known, attention)
        product = None if split is None else _product(known, attention, split)
        if split is not None and product is not None:
            # The fused operator replaces the last of the three, after all of their inputs.
            changes += [(product.field, b""), (split.field, b"")]
            fused = part_field(GRAPH_NODE, _fused(attention, product))
            changes.append((attention.field, fused))
    return changes


def _fused(attention: Node, product: Node) -> bytes:
    """The fused operator: attention's name, outputs and attributes, with the product's inputs."""
    names = [product.inputs[place] for place in _BEFORE_MASK]
    names += [attention.inputs[4], *(product.inputs[place] for place in _AFTER_MASK)]
    message = attention.message
    others = [
        message[field.at : field.stop]
        for field in fields(message)
        if field.number not in (NODE_INPUT, NODE_OPERATOR)
    ]
    taken = [part_field(NODE_INPUT, name) for name in names]
    return b"".join((*taken, part_field(NODE_OPERATOR, _FUSED), *others))


def _split(known: _Graph, attention: Node) -> Node | None:
    """The split whose three outputs are this attention's queries, keys and values, and used nowhere
    else. None where attention does more than QAttention can.
    """
    if len(attention.inputs) != 5 or attention.inputs[3] or len(attention.outputs) != 1:
        return None
    if attention.inputs[4] not in known.masks or not _KEPT.issuperset(attention.settings):
        return None
    thirds = attention.inputs[:3]
    split = known.makers.get(thirds[0])
    if split is None or (split.domain, split.operator) != _SPLIT or split.outputs != thirds:
        return None
    if len(split.inputs) != 2 or any(known.uses[name] != 1 for name in (*thirds, split.inputs[0])):
        return None
    given = {name: whole(found, ATTRIBUTE_WHOLE) for name, found in split.settings.items()}
    return split if given in [{b"axis": axis} for axis in _LAST_AXIS] else None


def _product(known: _Graph, attention: Node, split: Node) -> Node | None:
    """The product that is split in three equal parts; None unless its constants have the right
    shapes.
    """
    product = known.makers.get(split.inputs[0])
    if product is None or (product.domain, product.operator) != _PRODUCT:
        return None
    if len(product.inputs) != 7 or len(product.outputs) != 1:
        return None
    heads = attention.settings.get(b"num_heads", memoryview(b""))
    width = _width(known, product, whole(heads, ATTRIBUTE_WHOLE) or 0)
    sizes = known.constants.get(split.inputs[1])
    if not width or sizes is None:
        return None
    thirds = np.full(3, width, "<i8").tobytes()
    equal = (sizes.type, sizes.shape, bytes(sizes.numbers)) == (INT64, (3,), thirds)
    return product if equal else None


def _width(known: _Graph, product: Node, heads: int) -> int:
    """A third of the product's columns; 0 where its constants are not what QAttention takes, or
    `heads` does not divide it.
    """
    found = [known.constants.get(name) for name in product.inputs[1:]]
    kernel = found[0]
    if kernel is None or kernel.type not in (UINT8, INT8) or len(kernel.shape) != 2:
        return 0
    columns = kernel.shape[1]
    if not heads or columns % (3 * heads):
        return 0
    row = ((columns,),)
    expected = [(FLOAT, _ONE), (FLOAT, row), (UINT8, _ONE), (kernel.type, row), (FLOAT, row)]
    for constant, (type_, shapes) in zip(found[1:], expected, strict=True):
        if constant is None or constant.type != type_ or constant.shape not in shapes:
            return 0
    return columns // 3


def _masks(graph: memoryview) -> Iterator[bytes]:
    """The names of int32 inputs of two axes, which have one number for each token of each text."""
    for value in parts(graph, GRAPH_INPUT):
        for tensor in (tensor for type_ in parts(value, 2) for tensor in parts(type_, 1)):
            axes = [axis for shape in parts(tensor, 2) for axis in parts(shape, 1)]
            if whole(tensor, 1) == INT32 and len(axes) == 2:
                yield bytes(only(value, 1))
