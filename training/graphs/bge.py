"""Reads bge-small-en-v1.5's weights from an ONNX graph, under Hugging Face's BERT names.

The export keeps the names of biases, norms and embeddings. The kernels of dense layers lost their
names; they are found by the node that uses them, and transposed back to [out, in].
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from training.graphs.bert import Weights
from training.graphs.quantize import Floats


def bge_weights(graph: Path) -> Weights:
    """Return all weights of the graph, 12 layers. Raises ValueError for a graph of another kind."""
    model = onnx.load(str(graph))
    constants = {one.name: one for one in model.graph.initializer}
    named = {
        name: np.array(numpy_helper.to_array(one))
        for name, one in constants.items()
        if name.startswith(("embeddings.", "encoder."))
    }
    kernels = _kernels(model, constants)
    if not kernels or "embeddings.word_embeddings.weight" not in named:
        raise ValueError(f"{graph} is no export of a BERT with its names")
    return {**named, **kernels}


def _kernels(model: onnx.ModelProto, constants: dict[str, onnx.TensorProto]) -> dict[str, Floats]:
    """Return the dense layers' kernels by the layer's name, taken from the node:
    /encoder/layer.0/…/MatMul.
    """
    found: dict[str, Floats] = {}
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            layer = node.name.strip("/").removesuffix("/MatMul").replace("/", ".")
            kernel = numpy_helper.to_array(constants[node.input[1]])
            found[layer + ".weight"] = np.ascontiguousarray(kernel.T)
    return found
