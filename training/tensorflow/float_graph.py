"""Our int8 graphs in float32: the same weights, and nothing rounded on the way.

A dense layer of training/graphs/bert.py rounds its input, multiplies whole numbers and scales the
product back. Here its kernel becomes the numbers that the whole ones stand for, and its input stays
as it is. So the answers are a little off the int8 graph's and a little nearer to those of the model
before it was made smaller.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from core.errors import ModelError

Numbers = np.ndarray[Any, Any]
_DENSE, _ROUND = "MatMulIntegerToFloat", "QuantizeLinear"
_ROUNDED = ("QLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QAttention", "MatMulInteger")


def float_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with each int8 dense layer in float32; one in float32 stays as it is.

    Raises ModelError for a graph that is int8 in another way.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    before = {node.output[0]: node for node in made.graph.node}
    constants = {one.name: numpy_helper.to_array(one) for one in made.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in made.graph.node:
        if node.op_type == _DENSE:
            nodes += _dense(node, before[node.input[0]].input[0], constants)
        elif node.op_type.startswith(_ROUNDED):
            what = f"the graph has {node.op_type}: no float32 form of it can be made here"
            raise ModelError(what, mend="name the model's float32 form")
        elif node.op_type != _ROUND:
            nodes.append(node)
    read = {name for node in nodes for name in node.input}
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    del made.graph.initializer[:]
    made.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in constants.items() if name in read
    )
    return made


def _dense(
    node: onnx.NodeProto, source: str, constants: dict[str, Numbers]
) -> list[onnx.NodeProto]:
    """Return a product and a sum in the place of an int8 layer; its kernel joins the constants."""
    _, kernel, _, scale, _, zero, *bias = node.input
    name, into = f"{kernel}/float", node.output[0]
    whole = constants[kernel].astype(np.float32) - constants[zero].astype(np.float32)
    constants[name] = (whole * constants[scale]).astype(np.float32)
    if not bias:
        return [helper.make_node("MatMul", [source, name], [into], into)]
    product = f"{into}/product"
    return [
        helper.make_node("MatMul", [source, name], [product], product),
        helper.make_node("Add", [product, bias[0]], [into], into),
    ]
