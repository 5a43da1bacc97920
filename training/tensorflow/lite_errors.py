"""How far `tflite-int8` is from float32, dense layer by dense layer.

The file is made once more for one length and run with every value kept, by LiteRT's own kernels:
those of XNNPACK keep none, and round in the same places. Dense layers stand in the same order in
both graphs. An error that a layer adds stands in the next ones too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx

from inference.measuring.made_report import LayerError, LayerSums
from inference.runtimes.buckets import MASK, padded_to
from inference.runtimes.loading import library
from inference.runtimes.sample import Arrays
from training.public_models.layer_errors import fed, spied
from training.tensorflow.graph import TensorGraph
from training.tensorflow.lite import DENSE, lite_model


def lite_errors(
    graph: onnx.ModelProto, batches: Sequence[Arrays], length: int
) -> tuple[LayerError, ...]:
    """Return the error of each dense layer of a float32 graph of texts; `batches` have one text
    each, of up to `length` tokens. There are none if the converter has split or joined layers.
    """
    interpreter = _keeping_all(lite_model(TensorGraph.of(graph), [length], int8=True))
    ops = [one for one in interpreter._get_ops_details() if one["op_name"] == "FULLY_CONNECTED"]  # noqa: SLF001 - its only way
    layers = _layers(graph)
    if len(ops) != len(layers):
        return ()
    session, runner = spied(graph, layers), interpreter.get_signature_runner(f"t{length}")
    types = {name: one["dtype"] for name, one in runner.get_input_details().items()}
    sums = [LayerSums() for _ in layers]
    for batch in batches:
        real = batch[MASK].astype(bool)
        given = {name: batch[name].astype(kind) for name, kind in types.items()}
        runner(**padded_to(given, 1, length))
        whole = session.run(layers, fed(session, batch))
        for one, op, before in zip(sums, ops, whole, strict=True):
            after = interpreter.get_tensor(int(op["outputs"][0]))
            if before.ndim == 3:
                before = before[real]
                after = after.reshape(length, -1)[: real.shape[1]]
            one.add(before, after)
    return tuple(one.error(name) for name, one in zip(layers, sums, strict=True))


def _keeping_all(content: bytes) -> Any:
    lite = library("ai_edge_litert.interpreter")
    plain = lite.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    made = lite.Interpreter(
        model_content=content,
        experimental_op_resolver_type=plain,
        experimental_preserve_all_tensors=True,
    )
    made.allocate_tensors()
    return made


def _layers(graph: onnx.ModelProto) -> list[str]:
    """Return the results of dense layers, with their bias, in the order of the graph."""
    weights = {one.name for one in graph.graph.initializer if len(one.dims) == 2}
    constants = {one.name for one in graph.graph.initializer}
    sums = {
        node.input[0]: node.output[0]
        for node in graph.graph.node
        if node.op_type == "Add" and node.input[1] in constants
    }
    return [
        sums.get(node.output[0], node.output[0])
        for node in graph.graph.node
        if node.op_type in DENSE and node.input[1] in weights
    ]
