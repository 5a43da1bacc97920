"""A graph as TFLite: one program for each length, and the weights once.

TFLite's kernels want fixed shapes, so each length is a signature of its own over one row: `t64`
takes a text padded to 64 tokens. With int8 the weights of dense layers and convolutions are whole
numbers, by channel, and the ranges of activations are found in each call ("dynamic range").
"""

from __future__ import annotations

from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any

import tensorflow as tf

from training.tensorflow.graph import TensorGraph


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


def lite_model(graph: TensorGraph, lengths: Sequence[int], *, int8: bool) -> bytes:
    """Return the flatbuffer. Raises ConverterError for an operator that TFLite lacks."""
    module = _Lengths(graph, lengths)
    with TemporaryDirectory() as place:
        tf.saved_model.save(module, place, signatures=module.programs)
        converter = tf.lite.TFLiteConverter.from_saved_model(place, list(module.programs))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if int8:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        content: bytes = converter.convert()
    return content
