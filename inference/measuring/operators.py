"""What an operator of a graph is for, and how much work it does, from its type, name and shapes.

Graphs of training/graphs/bert.py name each node after its place (`layer0/ffn/wide`). Other graphs
are known by the types of their operators, and by words in a name if the type does not show it. A
multiplication and an addition count as two operations, as in papers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import prod


class Group(StrEnum):
    """What time is spent on."""

    TOKENISE = "tokenise"
    EMBEDDINGS = "embeddings"
    ROUNDING = "rounding to int8"
    DENSE = "dense layers"
    ATTENTION = "attention"
    NORM = "norm, activation"
    OTHER = "head, other"
    BETWEEN = "between operators"
    PYTHON = "Python around it"


@dataclass(frozen=True, slots=True)
class Operand:
    """An array's element type, as ONNX Runtime writes it (`float`, `int8`), and shape."""

    kind: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Its size."""
        return prod(self.shape) * _BYTES.get(self.kind, 4)


@dataclass(frozen=True, slots=True)
class Work:
    """The least work that one call of an operator has to do.

    - `operations`: of arithmetic at `precision`, `int8` or `float32`
    - `weights`: bytes of constants; `activations`: bytes read or written that change with each call
    - `unrounded`: those operations that are float32 whatever the precision, as in attention that is
      fused with an int8 product
    """

    group: Group
    operations: float
    weights: float
    activations: float
    precision: str
    unrounded: float = 0.0

    @property
    def by_precision(self) -> tuple[tuple[str, float], ...]:
        """Operations by precision; they add up to all."""
        rest = self.operations - self.unrounded
        return (self.precision, rest), ("float32", self.unrounded)

    @property
    def bytes(self) -> float:
        """All bytes that are read and written."""
        return self.weights + self.activations


_BYTES = {"double": 8, "int64": 8, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1, "bool": 1}

_PRODUCTS = re.compile(r"MatMul|Gemm")
_CONVOLUTION = re.compile(r"^(QLinear)?Conv$")  # a dense layer at each of its places
_INT8 = re.compile(r"Integer|^QLinear|^QGemm|^QAttention|^DynamicQuantizeMatMul")
_ATTENTION = re.compile(r"Attention$|^Softmax$")
_ROUNDING = re.compile(r"QuantizeLinear$")  # and DynamicQuantizeLinear, DequantizeLinear
_NORM = re.compile(r"Norm|Gelu|^Erf$|^Tanh$|^Relu$|^Sigmoid$")
_LOOK_UP = re.compile(r"^Gather|^EmbedLayerNorm")
_INSIDE = re.compile(r"attention|attn", re.IGNORECASE)
_HEAD = re.compile(r"^/?(pool|head|late|labels|score|logits|classifier)")  # after the last layer
_NAMES: tuple[tuple[re.Pattern[str], Group], ...] = (
    (re.compile(r"/smooth$"), Group.ROUNDING),
    (_HEAD, Group.OTHER),
    (
        re.compile(r"^(words|positions|length|embeddings)\b|embeddings?[./]", re.IGNORECASE),
        Group.EMBEDDINGS,
    ),
    (re.compile(r"(output|dense)/Add$"), Group.NORM),
    (_INSIDE, Group.ATTENTION),
    (
        re.compile(r"/sum$|layer_?norm|/active$|activation|intermediate_act", re.IGNORECASE),
        Group.NORM,
    ),
)
# Operations for each number of the result, where it isn't one: the exact GELU's error function
# is a polynomial, a norm passes over its row for the mean, the variance and the scaling.
_PER_NUMBER = ((re.compile(r"Gelu|Erf|Tanh|Softmax"), 12.0), (re.compile(r"Norm"), 8.0))


def group_of(kind: str, name: str, inputs: Sequence[Operand]) -> Group:
    """Return the group of an operator of type `kind` called `name`, given the arrays it takes."""
    if _CONVOLUTION.search(kind):
        return Group.DENSE
    if _PRODUCTS.search(kind):
        if not _of_two_activations(inputs):
            return Group.DENSE
        return Group.OTHER if _HEAD.search(name) else Group.ATTENTION
    for pattern, group in (
        (_ATTENTION, Group.ATTENTION),
        (_ROUNDING, Group.ROUNDING),
        (_LOOK_UP, Group.EMBEDDINGS),
    ):
        if pattern.search(kind) and not (group is Group.EMBEDDINGS and _INSIDE.search(name)):
            return group
    # A sum after attention is part of the residual norm, although it stands under its name.
    if _NORM.search(kind) or re.search(r"/sum$", name):
        return Group.NORM
    return next((group for pattern, group in _NAMES if pattern.search(name)), Group.OTHER)


def work_of(kind: str, name: str, inputs: Sequence[Operand], outputs: Sequence[Operand]) -> Work:
    """Return the least work of one call. ONNX Runtime does not report a layer's packed weights
    among the `inputs`, so their size comes from the shapes around them.
    """
    group = group_of(kind, name, inputs)
    precision = "int8" if _INT8.search(kind) else "float32"
    given = float(sum(operand.bytes for operand in outputs))
    taken = float(sum(operand.bytes for operand in inputs))
    if not inputs or not outputs:
        return Work(group, 0.0, 0.0, taken + given, precision)
    if _CONVOLUTION.search(kind):
        return _convolution(inputs, outputs, precision)
    if group is Group.DENSE:
        inner, columns = _last(inputs[0]), _last(outputs[0])
        operations = 2.0 * inner * prod(outputs[0].shape)
        weights = inner * columns * (1 if precision == "int8" else 4)
        return Work(group, operations, weights, inputs[0].bytes + given, precision)
    if _PRODUCTS.search(kind):
        operations = 2.0 * _last(inputs[0]) * prod(outputs[0].shape)
        return Work(group, operations, 0.0, taken + given, precision)
    if kind.endswith("Attention"):
        return _attention(kind, inputs, outputs, precision)
    if _LOOK_UP.search(kind):  # it reads the rows that it returns, not the whole table
        return Work(group, 0.0, given, given, precision)
    each = next((count for pattern, count in _PER_NUMBER if pattern.search(kind)), 1.0)
    numbers = sum(prod(operand.shape) for operand in outputs)
    return Work(group, each * numbers, 0.0, taken + given, precision)


def _attention(
    kind: str, inputs: Sequence[Operand], outputs: Sequence[Operand], precision: str
) -> Work:
    """Return the work of attention: scores and mixing, 2 n t t d each. `Attention` and `QAttention`
    hold the product that makes q, k and v too; QAttention rounds only the input of that product.
    """
    rows, length, width = (1, 1, *outputs[0].shape)[-3:]
    own = 4.0 * rows * length * length * width
    activations = float(inputs[0].bytes + outputs[0].bytes)
    if kind == "MultiHeadAttention":
        activations = float(sum(operand.bytes for operand in (*inputs, *outputs)))
        return Work(Group.ATTENTION, own, 0.0, activations, precision)
    inner = _last(inputs[0])
    product = 2.0 * rows * length * inner * 3 * width
    weights = inner * 3.0 * width * (1 if precision == "int8" else 4)
    return Work(Group.ATTENTION, own + product, weights, activations, precision, own)


def _convolution(inputs: Sequence[Operand], outputs: Sequence[Operand], precision: str) -> Work:
    """Return the work of a convolution: each number of the result is a product with a kernel [m, c,
    ...]. Where the kernel is packed, as in int8, nothing is known of its arithmetic.
    """
    activations = float(inputs[0].bytes + outputs[0].bytes)
    kernel = next((operand for operand in inputs[1:] if len(operand.shape) > 2), None)
    if kernel is None:
        return Work(Group.DENSE, 0.0, 0.0, activations, precision)
    operations = 2.0 * prod(kernel.shape[1:]) * prod(outputs[0].shape)
    return Work(Group.DENSE, operations, float(kernel.bytes), activations, precision)


def _of_two_activations(inputs: Sequence[Operand]) -> bool:
    """Return whether a product's second factor is not a weight: it has a row for each text of the
    batch.
    """
    return len(inputs) > 1 and len(inputs[1].shape) > 2


def _last(operand: Operand) -> int:
    return operand.shape[-1] if operand.shape else 1
