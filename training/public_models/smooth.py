"""Smooths channels with large values before a public model's activations are rounded.

Transformers have a few channels with very large values. With one scale for all channels these would
leave a handful of int8 steps for the others. So each dense layer's input is divided by a factor per
channel, and the kernel's rows are multiplied by it: the product is unchanged (SmoothQuant, Xiao et
al. 2023). training/graphs/quantize.py does the same while it writes our own graphs; here it is done
to a graph that someone else wrote.

Measured on MiniLM-L6 against float32, mean cosine of 40 passages: .989 without, .997 with.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from inference.runtime import Array
from training.graphs.quantize import STRENGTH, Floats, InputRange, widened


def smoothed(graph: onnx.ModelProto, batches: Iterable[Mapping[str, Array]]) -> onnx.ModelProto:
    """Return the float32 graph with every dense layer's input smoothed for the values in `batches`.

    A dense layer is a MatMul by a constant matrix that no other node reads.
    """
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    kernels = {
        one.name: one
        for one in made.graph.initializer
        if one.data_type == TensorProto.FLOAT and len(one.dims) == 2
    }
    readers = Counter(name for node in made.graph.node for name in node.input)
    layers = [
        node
        for node in made.graph.node
        if node.op_type == "MatMul" and node.input[1] in kernels and readers[node.input[1]] == 1
    ]
    seen = input_ranges(graph, sorted({node.input[0] for node in layers}), batches)
    before: dict[str, onnx.NodeProto] = {}
    for node in layers:
        kernel = kernels[node.input[1]]
        values = numpy_helper.to_array(kernel).astype(np.float32)
        factors = smoothing(values, seen[node.input[0]])
        kernel.CopyFrom(numpy_helper.from_array(values * factors[:, None], kernel.name))
        inverse = f"{kernel.name}/inverse"
        made.graph.initializer.append(numpy_helper.from_array(1.0 / factors, inverse))
        quiet = f"{kernel.name}/smooth"
        before[node.output[0]] = helper.make_node("Mul", [node.input[0], inverse], [quiet], quiet)
        node.input[0] = quiet
    nodes = [
        part
        for node in made.graph.node
        for part in ((before[node.output[0]], node) if node.output[0] in before else (node,))
    ]
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    return made


def smoothing(kernel: Floats, seen: InputRange) -> Floats:
    """Return the factor [k] for each input channel of a kernel [k, m]."""
    greatest = np.maximum(seen.channels, 1e-3)
    weight = np.maximum(np.abs(kernel).max(axis=1), 1e-4)
    factors: Floats = (greatest**STRENGTH / weight ** (1.0 - STRENGTH)).astype(np.float32)
    return factors


def input_ranges(
    graph: onnx.ModelProto, watched: Sequence[str], batches: Iterable[Mapping[str, Array]]
) -> dict[str, InputRange]:
    """Return the ranges of a float32 graph's values `watched` over `batches`, by channel of the
    last axis.
    """
    spied = onnx.ModelProto()
    spied.CopyFrom(graph)
    known = {output.name for output in spied.graph.output}
    spied.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in watched
        if name not in known
    )
    session = ort.InferenceSession(spied.SerializeToString(), providers=["CPUExecutionProvider"])
    seen: dict[str, InputRange] = {}
    for batch in batches:
        for name, value in zip(watched, session.run(list(watched), dict(batch)), strict=True):
            flat = value.reshape(1, -1, value.shape[-1])
            seen[name] = widened(seen.get(name), flat)
    return seen
