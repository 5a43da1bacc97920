"""How far a smaller graph is from the one that it was made of, layer by layer.

A layer is a product by a constant matrix in the graph before. The tools of quantization leave the
names of products' results as they are, so both graphs are asked for the same names, on the same
texts. An error that a layer adds stands in the next ones too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from inference.measuring.made_report import LayerError, LayerSums
from inference.models.store import ModelFolder
from inference.runtime import Array

_PRODUCTS = ("MatMul", "Gemm")


def layer_errors(
    before: ModelFolder, after: ModelFolder, batches: Iterable[Mapping[str, Array]]
) -> tuple[LayerError, ...]:
    """Return the error of each layer and of the outputs, in the order of the graph; `batches` have
    one text each, as padding would count.
    """
    graphs = [
        onnx.load_model_from_string(folder.read(folder.manifest.graph))
        for folder in (before, after)
    ]
    there = {name for node in graphs[1].graph.node for name in node.output}
    named = {name: layer for name, layer in _layers(graphs[0]).items() if name in there}
    sessions = [spied(graph, list(named)) for graph in graphs]
    sums = {name: LayerSums() for name in named}
    for batch in batches:
        found = [session.run(list(named), fed(session, batch)) for session in sessions]
        for name, ours, theirs in zip(named, *found, strict=True):
            sums[name].add(ours, theirs)
    return tuple(one.error(named[name]) for name, one in sums.items() if one.rows)


def _layers(graph: onnx.ModelProto) -> dict[str, str]:
    """Return the names of layers by that of their result, and last the graph's outputs."""
    constants = {one.name for one in graph.graph.initializer}
    found = {
        node.output[0]: node.name or node.output[0]
        for node in graph.graph.node
        if node.op_type in _PRODUCTS and constants.intersection(node.input)
    }
    return {**found, **{output.name: f"output {output.name}" for output in graph.graph.output}}


def spied(graph: onnx.ModelProto, watched: Sequence[str]) -> Any:
    """Return a session that also gives the values `watched`."""
    known = {output.name for output in graph.graph.output}
    graph.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in watched
        if name not in known
    )
    return ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


def fed(session: Any, batch: Mapping[str, Array]) -> dict[str, Array]:
    """Return those arrays that a session takes, in its types."""
    kinds = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}
    return {one.name: batch[one.name].astype(kinds[one.type]) for one in session.get_inputs()}
