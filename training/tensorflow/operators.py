"""What each ONNX operator is in TensorFlow.

Every function takes the operator's attributes and its inputs, None for one that is left out, and
returns one output or several. Whole numbers are int32 throughout: TFLite has few operators for
int64, and no size here needs more. Pictures come with their channels last (`convolutions`).

A converter that others keep (onnx2tf) was weighed: it rewrites every graph to channels last by
guesses that are mended with files of replacements, and brings thirty packages. The graphs that are
read here have forty operators, each of a few lines.

Sources: ONNX operators 17; ONNX Runtime's contrib operators (MultiHeadAttention, Gelu).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from onnx import TensorProto

Attributes = Mapping[str, Any]
Tensor = Any  # tf.Tensor, or Numbers
Numbers = np.ndarray[Any, Any]
Operator = Callable[..., Any]

_MASKED = -10000.0  # what ONNX Runtime adds to the score of a token that is padding
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
_WHOLES = (TensorProto.INT32, TensorProto.INT64, TensorProto.INT8, TensorProto.UINT8)
_MOST = 2**31 - 1


def type_of(kind: int) -> Any:
    """Return TensorFlow's type for an element type of ONNX. Raises ValueError for another."""
    if kind in _FLOATS:
        return tf.float32
    if kind in _WHOLES:
        return tf.int32
    if kind == TensorProto.BOOL:
        return tf.bool
    raise ValueError(f"the element type {TensorProto.DataType.Name(kind)} is not known")


def constant(value: Numbers) -> Numbers:
    """Return a constant in one of the types used here."""
    if value.dtype.kind == "f":
        return value.astype(np.float32)
    if value.dtype.kind in "iu" and value.dtype not in (np.int8, np.uint8):
        return np.clip(value, -_MOST, _MOST).astype(np.int32)
    return value


def size(tensor: Tensor, axis: int) -> Any:
    """Return a size: a number where it is known, else a tensor."""
    known = tensor.shape[axis]
    return tf.shape(tensor)[axis] if known is None else int(known)


def _numbers(tensor: Tensor) -> list[int]:
    """Return whole numbers that are known before the graph runs. Raises ValueError."""
    known = tf.get_static_value(tensor)
    if known is None:
        raise ValueError("axes or sizes are computed, which is not supported")
    return [int(one) for one in np.ravel(known)]


def _axes(given: Attributes, axes: Tensor | None) -> list[int] | None:
    """Return the axes, from an attribute as older operators have them, or from an input."""
    if axes is not None:
        return _numbers(axes)
    return list(given["axes"]) if "axes" in given else None


def _reshape(given: Attributes, x: Tensor, shape: Tensor) -> Tensor:
    known = tf.get_static_value(shape)
    if known is not None:
        return tf.reshape(x, [int(one) or size(x, axis) for axis, one in enumerate(known)])
    more = max(0, shape.shape[0] - len(x.shape))
    own = tf.concat([tf.shape(x), tf.zeros([more], tf.int32)], 0)[: shape.shape[0]]
    return tf.reshape(x, tf.where(tf.equal(shape, 0), own, shape))


def _slice(
    given: Attributes, x: Tensor, starts: Tensor, ends: Tensor, *more: Tensor | None
) -> Tensor:
    axes = _numbers(more[0]) if more else list(range(starts.shape[0]))
    steps = _numbers(more[1]) if len(more) > 1 else [1] * len(axes)
    parts = [slice(None)] * len(x.shape)
    for place, axis in enumerate(axes):
        parts[axis] = slice(_bound(starts, place), _bound(ends, place), steps[place])
    return tf.convert_to_tensor(x)[tuple(parts)]


def _bound(bounds: Tensor, place: int) -> Any:
    known = tf.get_static_value(bounds)
    return bounds[place] if known is None else int(known[place])


def _shape(given: Attributes, x: Tensor) -> Tensor:
    part = slice(given.get("start", 0), given.get("end"))
    sizes = x.shape[part]
    return np.array(sizes, np.int32) if None not in sizes else tf.shape(x)[part]


def _norm(given: Attributes, x: Tensor, gamma: Tensor, beta: Tensor | None = None) -> Tensor:
    axes = list(range(given.get("axis", -1) % len(x.shape), len(x.shape)))
    mean = tf.reduce_mean(x, axes, keepdims=True)
    apart = x - mean
    spread = tf.reduce_mean(apart * apart, axes, keepdims=True)
    scaled = apart * tf.math.rsqrt(spread + given.get("epsilon", 1e-5)) * gamma
    return scaled if beta is None else scaled + beta


def _unit(given: Attributes, x: Tensor) -> Tensor:
    if given.get("p", 2) != 2:
        raise ValueError("LpNormalization with p other than 2")
    axis = given.get("axis", -1)
    length = tf.sqrt(tf.reduce_sum(x * x, axis, keepdims=True))
    return x / tf.maximum(length, 1e-12)


def _attention(given: Attributes, q: Tensor, k: Tensor, v: Tensor, *more: Tensor | None) -> Tensor:
    """Self-attention over joint heads: q, k and v [n, t, d], the mask [n, t]."""
    heads, (bias, mask) = given["num_heads"], (*more, None, None)[:2]
    if bias is not None:
        raise ValueError("MultiHeadAttention with a bias")
    width = int(q.shape[-1]) // heads
    rows, length = size(q, 0), size(q, 1)

    def apart(x: Tensor) -> Tensor:
        return tf.transpose(tf.reshape(x, [rows, length, heads, width]), [0, 2, 1, 3])

    scale = given.get("scale") or width**-0.5
    scores = tf.matmul(apart(q) * scale, apart(k), transpose_b=True)
    if mask is not None:
        hidden = (1.0 - tf.cast(mask, tf.float32)) * _MASKED
        scores += hidden[:, None, None, :]
    mixed = tf.matmul(tf.nn.softmax(scores), apart(v))
    return tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [rows, length, heads * width])


def _scatter(given: Attributes, x: Tensor, places: Tensor, updates: Tensor) -> Tensor:
    """Add `updates` [n, t, k] to `x` [n, t, bins] at `places` along the last axis."""
    if given.get("reduction") != "add" or given.get("axis") != len(x.shape) - 1:
        raise ValueError("ScatterElements other than an addition along the last axis")
    rows, bins = tf.reduce_prod(tf.shape(places)[:-1]), size(x, -1)
    inner = tf.reshape(places, [-1, size(places, -1)])
    flat = inner + tf.range(rows)[:, None] * bins
    counted = tf.scatter_nd(
        tf.reshape(flat, [-1, 1]), tf.reshape(updates, [-1]), tf.reshape(rows * bins, [1])
    )
    return x + tf.reshape(counted, tf.shape(x))


def _pad(given: Attributes, x: Tensor, pads: Tensor, *more: Tensor | None) -> Tensor:
    if given.get("mode", "constant") not in ("constant", b"constant"):
        raise ValueError("Pad other than with a constant")
    numbers = _numbers(pads)
    half = len(numbers) // 2
    filling = 0 if not more or more[0] is None else tf.get_static_value(more[0])
    return tf.pad(
        x, list(zip(numbers[:half], numbers[half:], strict=True)), constant_values=filling
    )


def _gemm(given: Attributes, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    found = tf.matmul(
        a, b, transpose_a=bool(given.get("transA", 0)), transpose_b=bool(given.get("transB", 0))
    )
    found *= given.get("alpha", 1.0)
    return found if c is None else found + given.get("beta", 1.0) * c


def _reduced(how: Callable[..., Tensor]) -> Operator:
    def reduce(given: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
        return how(x, _axes(given, axes), keepdims=bool(given.get("keepdims", 1)))

    return reduce


def _squeeze(given: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    gone = {axis % len(x.shape) for axis in _axes(given, axes) or ()}
    return tf.reshape(x, [size(x, axis) for axis in range(len(x.shape)) if axis not in gone])


def _unsqueeze(given: Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    for axis in sorted(_axes(given, axes) or ()):
        x = tf.expand_dims(x, axis)
    return x


def _split(given: Attributes, x: Tensor, sizes: Tensor | None = None) -> Sequence[Tensor]:
    axis = given.get("axis", 0)
    parts = _numbers(sizes) if sizes is not None else given.get("num_outputs", 2)
    found: Sequence[Tensor] = tf.split(x, parts, axis)
    return found


def _division(given: Attributes, x: Tensor, y: Tensor) -> Tensor:
    whole = tf.convert_to_tensor(x).dtype.is_integer
    return tf.math.floordiv(x, y) if whole else tf.divide(x, y)


def _gather(given: Attributes, x: Tensor, places: Tensor) -> Tensor:
    known = tf.get_static_value(places)
    wanted = (
        places if known is None or (known >= 0).all() else known % x.shape[given.get("axis", 0)]
    )
    return tf.gather(x, wanted, axis=given.get("axis", 0))


def _filled(given: Attributes, shape: Tensor) -> Tensor:
    value = given.get("value")
    return tf.fill(shape, 0.0 if value is None else constant(np.ravel(value))[0])


def _all(how: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def combine(given: Attributes, *inputs: Tensor) -> Tensor:
        found = inputs[0]
        for one in inputs[1:]:
            found = how(found, one)
        return found

    return combine


OPERATORS: Mapping[str, Operator] = {
    "Add": lambda _, x, y: x + y,
    "And": lambda _, x, y: tf.logical_and(x, y),
    "Cast": lambda given, x: tf.cast(x, type_of(given["to"])),
    "Concat": lambda given, *parts: tf.concat(parts, given["axis"]),
    "Constant": lambda given: constant(np.asarray(next(iter(given.values())))),
    "ConstantOfShape": _filled,
    "Div": _division,
    "Equal": lambda _, x, y: tf.equal(x, y),
    "Erf": lambda _, x: tf.math.erf(x),
    "Expand": lambda _, x, shape: tf.broadcast_to(
        x, tf.broadcast_dynamic_shape(tf.shape(x), tf.convert_to_tensor(shape))
    ),
    "Gather": _gather,
    "Gelu": lambda _, x: tf.nn.gelu(x, approximate=False),
    "Gemm": _gemm,
    "Greater": lambda _, x, y: tf.greater(x, y),
    "GreaterOrEqual": lambda _, x, y: tf.greater_equal(x, y),
    "Identity": lambda _, x: tf.identity(x),
    "IsNaN": lambda _, x: tf.math.is_nan(x),
    "LayerNormalization": _norm,
    "Less": lambda _, x, y: tf.less(x, y),
    "LessOrEqual": lambda _, x, y: tf.less_equal(x, y),
    "LpNormalization": _unit,
    "MatMul": lambda _, x, y: tf.matmul(x, y),
    "Max": _all(lambda x, y: tf.maximum(x, y)),
    "Min": _all(lambda x, y: tf.minimum(x, y)),
    "Mul": lambda _, x, y: x * y,
    "MultiHeadAttention": _attention,
    "Neg": lambda _, x: -x,
    "Not": lambda _, x: tf.logical_not(x),
    "Or": lambda _, x, y: tf.logical_or(x, y),
    "Pad": _pad,
    "Pow": lambda _, x, y: tf.pow(x, tf.cast(y, x.dtype)),
    "Range": lambda _, start, limit, delta: tf.range(start, limit, delta),
    "Reciprocal": lambda _, x: 1.0 / x,
    "ReduceMax": _reduced(tf.reduce_max),
    "ReduceMean": _reduced(tf.reduce_mean),
    "ReduceSum": _reduced(tf.reduce_sum),
    "Relu": lambda _, x: tf.nn.relu(x),
    "Reshape": _reshape,
    "ScatterElements": _scatter,
    "Shape": _shape,
    "Sigmoid": lambda _, x: tf.sigmoid(x),
    "Slice": _slice,
    "Softmax": lambda given, x: tf.nn.softmax(x, given.get("axis", -1)),
    "Split": _split,
    "Sqrt": lambda _, x: tf.sqrt(x),
    "Squeeze": _squeeze,
    "Sub": lambda _, x, y: x - y,
    "Tanh": lambda _, x: tf.tanh(x),
    "Tile": lambda _, x, repeats: tf.tile(x, repeats),
    "Transpose": lambda given, x: tf.transpose(x, given.get("perm")),
    "Unsqueeze": _unsqueeze,
    "Where": lambda _, x, y, z: tf.where(x, y, z),
}
