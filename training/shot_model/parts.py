"""The shared parts of TransNetV2's graphs in float32 and in int8: sizes, names, and all that
follows the convolutions. `transnetv2_graph` names the steps of the paper.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from training.graphs.bert import FUSED, OPSET, GraphDraft
from training.graphs.quantize import Floats, InputRange

HEIGHT, WIDTH, COLOURS = 27, 48, 3
STACKS, BLOCKS, FILTERS, DILATIONS = 3, 2, 16, (1, 2, 4, 8)
LOOKUP = 101  # frames that each is compared with: 50 before, itself, 50 after
BINS = 512  # of a colour histogram: 8 for each of red, green and blue
NORM_EPSILON = 1e-3
INPUT, OUTPUT = "frames", "logits"
WINDOWS, TIME = "sizes/windows", "sizes/time"
HEADS_INPUT, HEADS_DENSE = "heads/joint", "heads/dense"

Weights = Mapping[str, Floats]
_ENOUGH = {"from": 0, "to": 1 - LOOKUP, "axis": 1}  # from all numbers of a lookup to its rows
_NEAR = {"from": 0, "to": LOOKUP, "axis": 2}  # from a row of a lookup


def filters_of(stack: int) -> int:
    """Return the output channels of each of a block's four convolutions."""
    return int(FILTERS * 2**stack)


def channels_of(stack: int) -> int:
    """Return the output channels of a stack."""
    return len(DILATIONS) * filters_of(stack)


def width_of(stack: int) -> int:
    """Return the points of a row in a stack's input."""
    return int(WIDTH // 2**stack)


def add_sizes(draft: GraphDraft) -> None:
    """The number of windows and the number of frames in each, as integers [1] computed from the
    input.
    """
    draft.node("Shape", [INPUT], [WINDOWS], start=0, end=1)
    draft.node("Shape", [INPUT], [TIME], start=1, end=2)


def sized(draft: GraphDraft, name: str, *values: int | str) -> str:
    """Return a shape [n] of integers and of values that the graph knows by name."""
    parts = [
        value if isinstance(value, str) else sizes(draft, f"{name}/{place}", value)
        for place, value in enumerate(values)
    ]
    return draft.node("Concat", parts, [name], axis=0)


def full_rows(
    draft: GraphDraft, name: str, height: int, kind: type[np.generic], shape: Sequence[int]
) -> str:
    """Return which of a window's rows belong to a frame: all but the empty one after each frame.
    They are numbers of `kind`, 1 or 0; the t * height rows are the -1 in `shape`.
    """
    rows = draft.constant(name + "/frame", (np.arange(height) < height - 1).astype(kind))
    all_ = draft.node("Tile", [rows, TIME], [name + "/frames"])
    return draft.node("Reshape", [all_, sizes(draft, name + "/shape", *shape)], [name])


def of_full_rows(draft: GraphDraft, name: str, mean: str, height: int) -> str:
    """Return means over `height` rows, the last of which is empty, corrected to means over the
    others.
    """
    full = draft.constant(name + "/full", np.array(height / (height - 1), np.float32))
    return draft.node("Mul", [mean, full], [name])


def norm(weights: Weights, base: str) -> tuple[Floats, Floats]:
    """Return batch normalization as a factor and an offset for each channel."""
    scale = weights[base + "weight"] / np.sqrt(weights[base + "running_var"] + NORM_EPSILON)
    return scale, weights[base + "bias"] - weights[base + "running_mean"] * scale


def separable(weights: Weights, stack: int, block: int, number: int) -> tuple[Floats, Floats]:
    """Return one of a block's convolutions: across a frame [2f, c, 3, 3], and along time [f, 2f, 3,
    1], with the normalization's factors included.
    """
    base = f"SDDCNN.{stack}.DDCNN.{block}."
    layers = f"{base}Conv3D_{DILATIONS[number]}.layers."
    scale, _ = norm(weights, base + "bn.")
    own = own_channels(stack, number)
    across = weights[layers + "0.weight"][:, :, 0]
    return across, weights[layers + "1.weight"][..., 0] * scale[own, None, None, None]


def own_channels(stack: int, number: int) -> slice:
    """Return the place of one convolution's channels among the block's."""
    return slice(number * filters_of(stack), (number + 1) * filters_of(stack))


def sizes(draft: GraphDraft, name: str, *values: int) -> str:
    """Return a constant of integers, [n]."""
    return draft.constant(name, np.array(values, np.int64))


def add_similarity(draft: GraphDraft, weights: Weights, rows: str) -> str:
    """Return the similarity of frames by what the stacks see in them, [n, t, 448]: [n, t, 128]."""
    base = "frame_sim_layer."
    kernel, bias = weights[base + "projection.weight"].T, weights[base + "projection.bias"]
    seen = draft.dense(rows, kernel, bias, "similar/seen")
    return _add_lookup(draft, weights, base, seen, "similar")


def add_colours(draft: GraphDraft, weights: Weights) -> str:
    """Return the similarity of frames by their colour histograms: [n, t, 128]."""
    name = "histogram"
    whole = draft.node("Cast", [INPUT], [name + "/whole"], to=TensorProto.INT32)
    width = draft.constant(name + "/width", np.array(32, np.int32))
    eighths = draft.node("Div", [whole, width], [name + "/eighths"])
    places = draft.constant(name + "/places", np.array([64, 8, 1], np.int32))
    placed = draft.node("Mul", [eighths, places], [name + "/placed"])
    colour = sizes(draft, name + "/colour", 4)
    bins = draft.node("ReduceSum", [placed, colour], [name + "/bins"], keepdims=0)
    line = sizes(draft, name + "/line", 0, 0, HEIGHT * WIDTH)
    points = draft.node("Reshape", [bins, line], [name + "/points"])
    # Counting: each point adds one at its bin, onto zeros [n, t, 512].
    shape = sized(draft, name + "/sizes", WINDOWS, TIME, BINS)
    empty = _filled(draft, shape, 0, name + "/empty")
    ones = _filled(draft, draft.node("Shape", [points], [name + "/each"]), 1, name + "/ones")
    counts = draft.node(
        "ScatterElements", [empty, points, ones], [name + "/counts"], axis=2, reduction="add"
    )
    floats = draft.node("Cast", [counts], [name + "/floats"], to=TensorProto.FLOAT)
    return _add_lookup(draft, weights, "color_hist_layer.", floats, "colours")


def add_heads(
    draft: GraphDraft, weights: Weights, parts: Sequence[str], seen: InputRange | None = None
) -> None:
    """One hidden layer over the `parts` [n, t, ...] and two numbers a frame: [n, 2 * t]. The hidden
    layer is int8 if the range of its input is known.
    """
    joint = draft.node("Concat", list(parts), [HEADS_INPUT], axis=2)
    wide = draft if seen is None else replace(draft, ranges={HEADS_DENSE: seen})
    dense = wide.dense(joint, weights["fc1.weight"].T, weights["fc1.bias"], HEADS_DENSE)
    hidden = draft.node("Relu", [dense], ["heads/hidden"])
    heads = ("cls_layer1.", "cls_layer2.")
    kernel = np.concatenate([weights[head + "weight"] for head in heads]).T
    bias = np.concatenate([weights[head + "bias"] for head in heads])
    both = draft.dense(hidden, kernel, bias, "heads/both")
    turned = draft.node("Transpose", [both], ["heads/turned"], perm=[0, 2, 1])
    draft.node("Reshape", [turned, sizes(draft, "heads/line", 0, -1)], [OUTPUT])


def closed(draft: GraphDraft) -> onnx.ModelProto:
    """Return the finished graph over its input and output."""
    frames = ["n", "t", HEIGHT, WIDTH, COLOURS]
    given = [helper.make_tensor_value_info(INPUT, TensorProto.UINT8, frames)]
    results = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", "2t"])]
    graph = helper.make_graph(draft.nodes, "transnetv2", given, results, draft.constants)
    opsets = [helper.make_opsetid("", OPSET)]
    if any(node.domain == FUSED for node in draft.nodes):
        opsets.append(helper.make_opsetid(FUSED, 1))
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="dateline")


def _add_lookup(draft: GraphDraft, weights: Weights, base: str, rows: str, name: str) -> str:
    """Return cosines of each frame with the 50 before and after it, and a dense layer over them.

    Cosines of all pairs are [t, t], and each row must be shifted by one against the row before. So
    rows of t + 100 numbers are read as rows of t + 101, whose first 101 numbers are the wanted
    ones.
    """
    unit = draft.node("LpNormalization", [rows], [name + "/unit"], axis=-1, p=2)
    turned = draft.node("Transpose", [unit], [name + "/turned"], perm=[0, 2, 1])
    pairs = draft.node("MatMul", [unit, turned], [name + "/pairs"])
    half = LOOKUP // 2
    # One more row adds the t numbers that the longer rows need, and 100 too many.
    sides = sizes(draft, name + "/sides", 0, 0, half, 0, 1, half)
    padded = draft.node("Pad", [pairs, sides], [name + "/padded"])
    line = draft.node("Reshape", [padded, sizes(draft, name + "/line", 0, -1)], [name + "/flat"])
    bounds = [sizes(draft, f"{name}/{what}", n) for what, n in _ENOUGH.items()]
    enough = draft.node("Slice", [line, *bounds], [name + "/enough"])
    skew = sized(draft, name + "/skew", 0, TIME, -1)
    shifted = draft.node("Reshape", [enough, skew], [name + "/shifted"])
    bounds = [sizes(draft, f"{name}/near/{what}", n) for what, n in _NEAR.items()]
    near = draft.node("Slice", [shifted, *bounds], [name + "/near"])
    dense = draft.dense(
        near, weights[base + "fc.weight"].T, weights[base + "fc.bias"], name + "/dense"
    )
    return draft.node("Relu", [dense], [name])


def _filled(draft: GraphDraft, shape: str, value: int, name: str) -> str:
    """Return int32 of the shape that the value `shape` holds, filled with `value`."""
    filling = numpy_helper.from_array(np.array([value], np.int32))
    return draft.node("ConstantOfShape", [shape], [name], value=filling)
