"""TransNetV2 as an ONNX graph, written node by node from the published weights.

The network is six blocks of four separable convolutions each: 3x3 in a frame, then 3 along time,
dilated by 1, 2, 4 and 8 frames. Runtimes have fast kernels for pictures and slow ones for volumes.
So a window's frames stand below each other in one picture, with an empty row after each. The
convolution along time is then one along the picture's height, dilated by whole frames, and nothing
is rearranged. The empty rows keep neighbouring frames apart; they are set to zero again before the
next convolution reads them. Normalization is folded into the convolution along time.

Measured in ONNX Runtime 1.32 on one core, frames of windows a second: volumes (Conv of rank 5) 95,
transposed to (time, pixels) for each convolution along time 101, shifted products added up 112,
this 113. In OpenVINO with bfloat16: volumes 255 to 272, this 232 to 236.

Sources: Soucek and Lokoc 2020, TransNet V2 (architecture, section 3); the weights have the names of
the authors' PyTorch version.
"""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto

from training.graphs.bert import GraphDraft
from training.shot_model.parts import (
    COLOURS,
    DILATIONS,
    HEIGHT,
    INPUT,
    STACKS,
    WIDTH,
    Weights,
    add_colours,
    add_heads,
    add_similarity,
    add_sizes,
    channels_of,
    closed,
    full_rows,
    norm,
    of_full_rows,
    own_channels,
    separable,
    sizes,
    width_of,
)


def transition_graph(weights: Weights) -> onnx.ModelProto:
    """Return the graph with input `frames`, uint8 [n, t, 27, 48, 3] RGB, and output `logits`,
    float32 [n, 2 * t]: for the t frames, first that the frame is the one of a transition, then that
    it is any frame of a transition.
    """
    draft = GraphDraft()
    add_sizes(draft)
    hidden = _add_picture(draft)
    height, means = HEIGHT + 1, []
    for stack in range(STACKS):
        hidden = _add_stack(draft, weights, stack, hidden, height)
        pool = _add_last_pool if stack == STACKS - 1 else _add_pool
        hidden, height = pool(draft, stack, hidden, height), height // 2
        means.append(_add_means(draft, stack, hidden, height))
    rows = _add_rows(draft, means)
    parts = [add_colours(draft, weights), add_similarity(draft, weights, rows)]
    add_heads(draft, weights, [*parts, _add_flat(draft, hidden)])
    return closed(draft)


def _add_picture(draft: GraphDraft) -> str:
    """Return frames below each other with an empty row after each: [n, 3, t * 28, 48]."""
    floats = draft.node("Cast", [INPUT], ["picture/floats"], to=TensorProto.FLOAT)
    planes = draft.node("Transpose", [floats], ["picture/planes"], perm=[0, 4, 1, 2, 3])
    row = sizes(draft, "picture/row", 0, 0, 0, 0, 0, 0, 0, 0, 1, 0)
    apart = draft.node("Pad", [planes, row], ["picture/apart"])
    shape = sizes(draft, "picture/shape", 0, COLOURS, -1, WIDTH)
    return draft.node("Reshape", [apart, shape], ["picture"])


def _add_stack(draft: GraphDraft, weights: Weights, stack: int, hidden: str, height: int) -> str:
    """Return two blocks, the first one's result added to the second's. The sum has values in the
    rows that should be empty.
    """
    name = f"stack{stack}"
    first = _add_block(draft, weights, (stack, 0), hidden, height)
    first = draft.node("Mul", [first, _full_rows(draft, name, height)], [f"{name}/first"])
    second = _add_block(draft, weights, (stack, 1), first, height)
    return draft.node("Add", [second, first], [f"{name}/sum"])


def _add_block(
    draft: GraphDraft, weights: Weights, place: tuple[int, int], hidden: str, height: int
) -> str:
    """Return four separable convolutions side by side, normalized, and the ramp."""
    stack, block = place
    name = f"stack{stack}/block{block}"
    _, offset = norm(weights, f"SDDCNN.{stack}.DDCNN.{block}.bn.")
    parts = []
    for number, dilation in enumerate(DILATIONS):
        across, along = separable(weights, stack, block, number)
        if place == (0, 0):
            across = across / np.float32(255.0)
        part, reach = f"{name}/dilated{dilation}", dilation * height
        inputs = [hidden, draft.constant(part + "/across", across)]
        seen = draft.node("Conv", inputs, [part + "/seen"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        own = draft.constant(part + "/offset", offset[own_channels(stack, number)])
        inputs = [seen, draft.constant(part + "/along", along), own]
        pads = [reach, 0, reach, 0]
        parts.append(
            draft.node("Conv", inputs, [part], kernel_shape=[3, 1], dilations=[reach, 1], pads=pads)
        )
    joint = draft.node("Concat", parts, [name + "/joint"], axis=1)
    return draft.node("Relu", [joint], [name])


def _add_pool(draft: GraphDraft, stack: int, hidden: str, height: int) -> str:
    """Return means of 2x2 points; a frame's odd last row and its empty one make the new empty
    row.
    """
    name, two = f"stack{stack}/pool", [2, 2]
    pooled = draft.node("AveragePool", [hidden], [name + "/means"], kernel_shape=two, strides=two)
    return draft.node("Mul", [pooled, _full_rows(draft, name, height // 2)], [name])


def _add_last_pool(draft: GraphDraft, stack: int, hidden: str, height: int) -> str:
    """Return means of 2x2 points of each frame alone, without its empty row: [n, c * t, 3, 6]."""
    name, two = f"stack{stack}/pool", [2, 2]
    shape = sizes(draft, name + "/shape", 0, -1, height, width_of(stack))
    apart = draft.node("Reshape", [hidden, shape], [name + "/apart"])
    bounds = [sizes(draft, f"{name}/bound{n}", n) for n in (0, height - 1, 2)]
    full = draft.node("Slice", [apart, *bounds], [name + "/full"])
    return draft.node("AveragePool", [full], [name], kernel_shape=two, strides=two)


def _add_means(draft: GraphDraft, stack: int, hidden: str, height: int) -> str:
    """Return the mean of each frame and channel, [n, c, t], over the frame's rows without the empty
    one.
    """
    name = f"stack{stack}/mean"
    shape = sizes(draft, name + "/shape", 0, channels_of(stack), -1, height * width_of(stack + 1))
    apart = draft.node("Reshape", [hidden, shape], [name + "/apart"])
    mean = draft.node("ReduceMean", [apart], [name + "/all"], axes=[3], keepdims=0)
    if stack == STACKS - 1:
        return mean
    return of_full_rows(draft, name, mean, height)


def _add_rows(draft: GraphDraft, means: Sequence[str]) -> str:
    """Return what all stacks see in each frame, [n, t, 448]."""
    joint = draft.node("Concat", list(means), ["seen/joint"], axis=1)
    return draft.node("Transpose", [joint], ["seen"], perm=[0, 2, 1])


def _add_flat(draft: GraphDraft, hidden: str) -> str:
    """Return what the last stack sees in each frame, [n, t, 18 * 256], channels innermost."""
    channels, points = channels_of(STACKS - 1), 18
    shape = sizes(draft, "flat/shape", 0, channels, -1, points)
    apart = draft.node("Reshape", [hidden, shape], ["flat/apart"])
    turned = draft.node("Transpose", [apart], ["flat/turned"], perm=[0, 2, 3, 1])
    line = sizes(draft, "flat/line", 0, 0, points * channels)
    return draft.node("Reshape", [turned, line], ["flat"])


def _full_rows(draft: GraphDraft, name: str, height: int) -> str:
    """Return 1 for a frame's rows and 0 for the empty one after them, [1, 1, t * height, 1]."""
    return full_rows(draft, name + "/rows", height, np.float32, (1, 1, -1, 1))
