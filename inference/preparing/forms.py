"""Makes, from a portable ONNX graph, the form that each runtime gets.

Every form gives the same answers as the portable graph, to the last bit. If you change the forms,
raise `VERSION` in `kept_forms`. Three changes are made:

- **One operator for attention.** Our int8 graphs have three operators: `MatMulIntegerToFloat`,
  `Split`, `MultiHeadAttention`. ONNX Runtime's `QAttention` does the same arithmetic in the same
  order, and writes each head's numbers where attention reads them. That saves two operators a layer
  and the copies between them. The stored graphs keep the three, because other runtimes read them.
- **Signed kernels.** Our int8 kernels are unsigned, and every processor sums their products
  exactly. On a processor with a dot product of bytes (VNNI), ONNX Runtime uses it only for unsigned
  times signed: 430 against 154 thousand million operations a second. A kernel that is shifted by
  128 together with its zero point gives the same numbers. Without VNNI that form overflows 16 bits,
  so a trial product decides. OpenVINO multiplies whole numbers only if kernels are signed; it turns
  unsigned ones into float32 first, which takes twice as long.
- **Three products for OpenVINO.** OpenVINO cuts the joined product of queries, keys and values
  apart number by number, which takes as long as all norms and sums of a layer. Three products with
  a third of the kernel each need no cut.

Sources: ONNX Runtime's contributed operators; OpenVINO's operation set 15.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from inference.models.wire import Field, fields, only, part_field, part_key, parts, spliced, whole
from inference.preparing.onnx_nodes import (
    ATTRIBUTE_WHOLE,
    FLOAT,
    GRAPH_INITIALIZER,
    GRAPH_INPUT,
    GRAPH_NODE,
    INT8,
    INT32,
    INT64,
    MODEL_FUNCTION,
    MODEL_GRAPH,
    NODE_INPUT,
    NODE_OPERATOR,
    TENSOR_NAME,
    TENSOR_RAW,
    TENSOR_TYPE,
    UINT8,
    Constant,
    Node,
    constants_of,
    nodes_of,
    product_graph,
    uses_of,
)
from inference.runtimes.loading import library

_RUNTIME = b"com.microsoft"  # the domain of ONNX Runtime's own operators
_PRODUCT, _SPLIT = (_RUNTIME, b"MatMulIntegerToFloat"), (b"", b"Split")
_ATTENTION, _FUSED = (_RUNTIME, b"MultiHeadAttention"), b"QAttention"
# The product's inputs in the order of QAttention's: x, kernel, bias, step, scale, then the mask of
# attention, zero and the kernel's zero.
_BEFORE_MASK, _AFTER_MASK = (0, 1, 6, 2, 3), (4, 5)
_LAST_AXIS = (2, (1 << 64) - 1)  # the last axis of three, and -1 as it is encoded
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
    """Return an ONNX file in which attention and the product before it are one operator; all else
    is kept byte by byte. The file itself if it has no such place.

    Raises ValueError for bytes that are not an ONNX file.
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
    """Return the fields of the graph to replace, each with its new bytes."""
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
    """Return the fused operator: attention's name, outputs and attributes, with the product's
    inputs.
    """
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
    """Return the split whose three outputs are this attention's queries, keys and values, and used
    nowhere else. None if attention does more than QAttention can.
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
    """Return the product that is split in three equal parts; None unless its constants have the
    right shapes.
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
    """Return a third of the product's columns; 0 if its constants are not what QAttention takes, or
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
    """Yield the names of int32 inputs of two axes, which have one number for each token of each
    text.
    """
    for value in parts(graph, GRAPH_INPUT):
        for tensor in (tensor for type_ in parts(value, 2) for tensor in parts(type_, 1)):
            axes = [axis for shape in parts(tensor, 2) for axis in parts(shape, 1)]
            if whole(tensor, 1) == INT32 and len(axes) == 2:
                yield bytes(only(value, 1))


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
    """Return whether this processor sums unsigned times signed bytes exactly. It tries the largest
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
    """Return an ONNX file with signed kernels where this processor sums them exactly, else the file
    itself.

    Raises ValueError for bytes that are not an ONNX file, if it has to read them.
    """
    return with_signed_kernels(content) if sums_signed_exactly() else content


def with_signed_kernels(content: bytes) -> bytes | bytearray:
    """Return an ONNX file of the same size and the same answers, in which unsigned kernels with a
    zero point of their own are signed. The file itself if it has none.

    Raises ValueError for bytes that are not an ONNX file.
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
    """Return those of the `unsigned` constants that can be shifted: kernels and zero points used
    only as such.
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
    """Yield the constants of unsigned bytes whose numbers lie in the graph itself, by name."""
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
    """Yield the names of each product's kernel and of the kernel's zero point."""
    for node in nodes:
        places = _KERNELS.get(node.operator)
        if places is not None and len(node.inputs) > max(places):
            yield node.inputs[places[0]], node.inputs[places[1]]


def cut_products(model: Any, operations: Any) -> int:
    """Replace every product in whole numbers that is cut by columns with one product for each part;
    return how many were replaced. `model` is an openvino.Model and changes, `operations` the module
    of operation set 15.
    """
    found = [each for each in map(_product_of, model.get_ops()) if each is not None]
    for product in found:
        for part, columns in zip(product.split.outputs(), product.columns(), strict=True):
            replacement = product.part(columns, operations)
            replacement.set_friendly_name(part.get_node().get_friendly_name())
            for taker in list(part.get_target_inputs()):
                taker.replace_source_output(replacement.output(0))
    if found:
        model.validate_nodes_and_infer_types()
    return len(found)


@dataclass(frozen=True, slots=True)
class _Product:
    """The nodes of a dense layer whose output the node `split` cuts by columns.

    The layer multiplies `activations` by a kernel and adds a bias [m]. The kernel is quantized: to
    get its values, subtract `zero` [m] from the integers [k, m] and multiply by `scale` [m].
    """

    split: Any
    activations: Any
    kernel: Any
    zero: Any
    scale: Any
    bias: Any

    def columns(self) -> Iterator[slice]:
        """Yield the columns of each part."""
        begin = 0
        for size in _constant(self.split, 2).data.tolist():
            yield slice(begin, begin + size)
            begin += size

    def part(self, columns: slice, operations: Any) -> Any:
        """Return the product of these columns alone."""

        def floats(constant: Any) -> Any:
            own = np.ascontiguousarray(constant.data[..., columns])
            return operations.convert(operations.constant(own), "f32")

        def numbers(constant: Any) -> Any:
            return operations.constant(np.ascontiguousarray(constant.data[..., columns]))

        centred = operations.subtract(floats(self.kernel), floats(self.zero))
        kernel = operations.multiply(centred, numbers(self.scale))
        product = operations.matmul(self.activations, kernel, False, False)
        return operations.add(product, numbers(self.bias))


def _product_of(split: Any) -> _Product | None:
    """Return the product that `split` cuts, or None if the parts would not be the same numbers."""
    added = _source(split, "VariadicSplit", 0, "Add")
    product = _source(added, "Add", 0, "MatMul")
    kernel = _source(product, "MatMul", 1, "Multiply")
    centred = _source(kernel, "Multiply", 0, "Subtract")
    whole = _source(_source(centred, "Subtract", 0, "Convert"), "Convert", 0, "Constant")
    zero = _source(_source(centred, "Subtract", 1, "Convert"), "Convert", 0, "Constant")
    parts = [whole, zero, _constant(kernel, 1), _constant(added, 1)]
    sizes, axis = _constant(split, 2), _constant(split, 1)
    if any(part is None for part in (*parts, sizes, axis)):
        return None
    width = whole.data.shape[-1]
    plain = not any(product.get_attributes().values())
    lined_up = all(part.data.shape == (width,) for part in parts[1:])
    last = int(axis.data) in (-1, len(added.get_output_partial_shape(0)) - 1)
    counted = sizes.data.min() > 0 and int(sizes.data.sum()) == width
    alone = all(len(node.output(0).get_target_inputs()) == 1 for node in (added, product))
    if not (plain and lined_up and last and counted and alone and whole.data.ndim == 2):
        return None
    return _Product(split, product.input_value(0), *parts)


def _constant(node: Any, place: int) -> Any:
    """Return the constant at an input of `node`, or None."""
    return None if node is None else _source(node, node.get_type_name(), place, "Constant")


def _source(node: Any, kind: str, place: int, wanted: str) -> Any:
    """Return the input of `node` at `place`, if `node` is of this kind and its input of the kind
    `wanted`.
    """
    if node is None or node.get_type_name() != kind or node.get_input_size() <= place:
        return None
    source = node.input_value(place).get_node()
    return source if source.get_type_name() == wanted else None


def onnxruntime_form(graph: bytes) -> bytes:
    """Return the ONNX graph for ONNX Runtime on this processor; `graph` itself if nothing is to be
    changed. Raises ValueError for bytes that are not an ONNX file.
    """
    return bytes(with_fused_attention(with_exact_kernels(graph)))


def openvino_form(
    graph: bytes, weights: Mapping[str, bytes], portable: str, properties: Mapping[str, Any]
) -> bytes:
    """Return the graph compiled by OpenVINO for this processor, as `Core.import_model` reads it.

    `portable` is the graph's format, `onnx` or `openvino`; the latter has its `weights` apart.
    """
    core = library("openvino").Core()
    if portable == "openvino":
        (apart,) = weights.values()
        model = core.read_model(graph, apart)
    else:
        model = core.read_model(io.BytesIO(with_exact_kernels(graph)))
        cut_products(model, library("openvino.opset15"))
    exported = core.compile_model(model, "CPU", dict(properties)).export_model()
    return exported if isinstance(exported, bytes) else bytes(exported.getbuffer())
