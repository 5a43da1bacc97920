"""An ONNX graph in float32 as a TensorFlow function with the same names and weights.

ONNX has a picture's channels before its rows, and TensorFlow's processor kernels want them last.
So convolutions and pools leave their result with channels last, what works on each number keeps
that, and a picture is turned back only for an operator that names axes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from onnx import helper, numpy_helper
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from core.errors import ModelError
from training.tensorflow.operators import OPERATORS, Numbers, Tensor, constant, type_of

_LAST, _FIRST = [0, 2, 3, 1], [0, 3, 1, 2]  # the axes of a picture, turned there and back
_POINTWISE = frozenset({"Add", "Mul", "Relu", "Sub"})
_LEAST_WEIGHT = 64  # numbers; smaller constants are sizes, axes and factors


@dataclass(frozen=True, slots=True)
class TensorGraph:
    """An ONNX graph's nodes, its inputs by name, its weights, and its smaller constants."""

    nodes: tuple[onnx.NodeProto, ...]
    inputs: Mapping[str, Any]  # tf.TensorSpec
    outputs: tuple[str, ...]
    weights: Mapping[str, Numbers]
    constants: Mapping[str, Numbers]

    @classmethod
    def of(cls, model: onnx.ModelProto) -> TensorGraph:
        """Return the graph of an ONNX file."""
        nodes = tuple(model.graph.node)
        kernels = {node.input[1] for node in nodes if node.op_type == "Conv"}
        weights: dict[str, Numbers] = {}
        constants: dict[str, Numbers] = {}
        for one in model.graph.initializer:
            value = constant(numpy_helper.to_array(one))
            into = weights if value.size >= _LEAST_WEIGHT else constants
            into[one.name] = _turned(value) if one.name in kernels else value
        inputs = {one.name: _spec(one) for one in model.graph.input}
        return cls(nodes, inputs, tuple(one.name for one in model.graph.output), weights, constants)

    def call(self, weights: Sequence[Tensor], arrays: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return the outputs by name for `weights` and `arrays`, each in the order above.

        Raises ModelError for an operator that is not known here.
        """
        given = dict(zip([*self.weights, *self.inputs], [*weights, *arrays], strict=True))
        values = _Values({"": None, **self.constants, **given})
        for node in self.nodes:
            try:
                _run(node, values)
            except (ValueError, TypeError, KeyError) as error:
                what = f"{node.op_type} ({node.name}) has no form in TensorFlow: {error}"
                mend = "leave tensorflow and tflite out of --formats"
                raise ModelError(what, mend=mend) from error
        return {name: tf.identity(values.first(name)) for name in self.outputs}


def saved_model(graph: TensorGraph) -> bytes:
    """Return a SavedModel in one file, with two signatures: `serving_default`, and `xla`, which is
    compiled. Both take the same weights, which are constants.
    """
    made = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    meta = made.meta_graphs.add()
    meta.meta_info_def.tags.append("serve")
    with tf.Graph().as_default() as top:
        arrays = [
            tf.compat.v1.placeholder(spec.dtype, spec.shape, name)
            for name, spec in graph.inputs.items()
        ]
        weights = [tf.constant(value) for value in graph.weights.values()]
        for signature, compiled in (("serving_default", None), ("xla", True)):
            found = tf.function(graph.call, jit_compile=compiled, autograph=False)(weights, arrays)
            meta.signature_def[signature].CopyFrom(_signature(graph, arrays, found))
    meta.graph_def.CopyFrom(top.as_graph_def())
    content: bytes = made.SerializeToString(deterministic=True)
    return content


def _signature(
    graph: TensorGraph, arrays: Sequence[Tensor], found: Mapping[str, Tensor]
) -> meta_graph_pb2.SignatureDef:
    """Return names, types and shapes of what a signature takes and gives."""
    made = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    given = zip(graph.inputs, arrays, strict=True)
    for into, tensors in ((made.inputs, given), (made.outputs, found.items())):
        for name, tensor in tensors:
            told = into[name]
            told.name, told.dtype = tensor.name, tensor.dtype.as_datatype_enum
            told.tensor_shape.CopyFrom(tensor.shape.as_proto())
    return made


@dataclass(slots=True)
class _Values:
    """Values by name, of pictures in one or both orders of their axes."""

    plain: dict[str, Tensor]
    last: dict[str, Tensor] = field(default_factory=dict)

    def first(self, name: str) -> Tensor:
        """Return a value as ONNX has it."""
        if name not in self.plain:
            self.plain[name] = tf.transpose(self.last[name], _FIRST)
        return self.plain[name]

    def with_channels_last(self, name: str) -> Tensor:
        """Return a picture with its channels last; numbers with fewer axes as they are."""
        if name not in self.last and len(self.plain[name].shape) == 4:
            self.last[name] = tf.transpose(self.plain[name], _LAST)
        return self.last.get(name, self.plain.get(name))


def _run(node: onnx.NodeProto, values: _Values) -> None:
    """Add a node's outputs to the values."""
    given = {one.name: _attribute(one) for one in node.attribute}
    if node.op_type in _PICTURES:
        inputs = [values.with_channels_last(node.input[0])]
        inputs += [values.plain[name] for name in node.input[1:]]
        values.last[node.output[0]] = _PICTURES[node.op_type](given, *inputs)
    elif _keeps_order(node, given, values):
        inputs = [values.with_channels_last(name) for name in node.input]
        given = {**given, "axis": 3} if node.op_type == "Concat" else given
        values.last[node.output[0]] = OPERATORS[node.op_type](given, *inputs)
    else:
        found = OPERATORS[node.op_type](given, *(values.first(name) for name in node.input))
        several = found if isinstance(found, list | tuple) else [found]
        values.plain.update(zip(node.output, several, strict=True))


def _keeps_order(node: onnx.NodeProto, given: Mapping[str, Any], values: _Values) -> bool:
    """Return whether a node can work on pictures whose channels are last."""
    if not any(name in values.last for name in node.input):
        return False
    if node.op_type == "Concat":
        return bool(given["axis"] == 1)
    whole = [n in values.last or len(values.plain[n].shape) in (0, 4) for n in node.input]
    return node.op_type in _POINTWISE and all(whole)


def _convolution(
    given: Mapping[str, Any], x: Tensor, kernel: Tensor, bias: Tensor | None = None
) -> Tensor:
    if given.get("group", 1) != 1:
        raise ValueError("Conv in groups")
    strides, dilations = given.get("strides", [1, 1]), given.get("dilations", [1, 1])
    found = tf.nn.conv2d(
        x,
        kernel,
        strides,
        _padding(given, kernel.shape[:2], strides, dilations),
        dilations=dilations,
    )
    return found if bias is None else found + bias


def _padding(given: Mapping[str, Any], edges: Any, strides: list[int], dilations: list[int]) -> Any:
    """Return the padding of a convolution, by name where it has one: TFLite has no other."""
    pads = list(given.get("pads", [0, 0, 0, 0]))
    if not any(pads):
        return "VALID"
    reach = [(int(edge) - 1) * step for edge, step in zip(edges, dilations, strict=True)]
    if strides == [1, 1] and pads == [reach[0] // 2, reach[1] // 2] * 2:
        return "SAME"
    return [[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]]


def _means(given: Mapping[str, Any], x: Tensor) -> Tensor:
    if any(given.get("pads", [0])) or given.get("ceil_mode", 0):
        raise ValueError("AveragePool with padding")
    return tf.nn.avg_pool2d(x, given["kernel_shape"], given.get("strides", [1, 1]), "VALID")


_PICTURES: Mapping[str, Callable[..., Tensor]] = {"Conv": _convolution, "AveragePool": _means}


def _turned(kernel: Numbers) -> Numbers:
    """Return a convolution's kernel [out, in, h, w] as TensorFlow has it: [h, w, in, out]."""
    return np.ascontiguousarray(kernel.transpose(2, 3, 1, 0))


def _attribute(one: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(one)
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return value.decode() if isinstance(value, bytes) else value


def _spec(given: onnx.ValueInfoProto) -> Any:
    """Return an input's shape and type; bytes stay bytes, other whole numbers are int32."""
    kind = given.type.tensor_type
    sizes = [one.dim_value or None for one in kind.shape.dim]
    bytes_ = kind.elem_type == onnx.TensorProto.UINT8
    return tf.TensorSpec(sizes, tf.uint8 if bytes_ else type_of(kind.elem_type), given.name)
