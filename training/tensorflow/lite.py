"""A graph as TFLite: one program for each length, and the weights once.

TFLite's kernels want fixed shapes, so each length is a signature of its own over one row: `t64`
takes a text padded to 64 tokens. With int8 the weights of dense layers and convolutions are whole
numbers, by channel, and the ranges of activations are found in each call ("dynamic range").

Our graphs divide the input of an int8 layer by a factor per channel, so that no channel needs a
range far larger than the others (training/graphs/quantize.py), and norms have factors too. TFLite's
converter multiplies constant factors into the kernel that follows: the same numbers in float32, but
in int8 it takes the smoothing back, and kernels that were whole numbers are rounded once more. So
with int8 an operator that changes nothing stands between. It makes the error a tenth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from onnx import helper

from training.tensorflow.graph import TensorGraph

DENSE = ("MatMul", "Gemm")
_LEAST = "least/number"


class _Lengths(tf.Module):  # type: ignore[misc]
    """The graph for one row of each length."""

    def __init__(self, graph: TensorGraph, lengths: Sequence[int]) -> None:
        super().__init__()
        weights = [tf.Variable(value, trainable=False) for value in graph.weights.values()]
        self.weights = weights
        self.programs = {f"t{length}": _program(graph, weights, length) for length in lengths}


def _program(graph: TensorGraph, weights: Sequence[Any], length: int) -> Any:
    def call(**arrays: Any) -> dict[str, Any]:
        given = [tf.convert_to_tensor(one) for one in weights]
        return graph.call(given, [arrays[name] for name in graph.inputs])

    specs = {
        name: tf.TensorSpec([1, length, *spec.shape[2:]], spec.dtype, name)
        for name, spec in graph.inputs.items()
    }
    return tf.function(call, autograph=False).get_concrete_function(**specs)


def with_factors_apart(graph: TensorGraph) -> TensorGraph:
    """Return the graph with a maximum of the input and the least number before each dense layer."""
    nodes = []
    for node in graph.nodes:
        if node.op_type in DENSE and node.input[1] in graph.weights:
            apart = f"{node.output[0]}/apart"
            nodes.append(helper.make_node("Max", [node.input[0], _LEAST], [apart], apart))
            dense = onnx.NodeProto()
            dense.CopyFrom(node)
            dense.input[0] = apart
            nodes.append(dense)
        else:
            nodes.append(node)
    constants = {**graph.constants, _LEAST: np.array(np.finfo(np.float32).min)}
    return replace(graph, nodes=tuple(nodes), constants=constants)


def lite_model(graph: TensorGraph, lengths: Sequence[int], *, int8: bool) -> bytes:
    """Return the flatbuffer. Raises ConverterError for an operator that TFLite lacks."""
    module = _Lengths(with_factors_apart(graph) if int8 else graph, lengths)
    with TemporaryDirectory() as place:
        tf.saved_model.save(module, place, signatures=module.programs)
        converter = tf.lite.TFLiteConverter.from_saved_model(place, list(module.programs))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if int8:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        content: bytes = converter.convert()
    return content
