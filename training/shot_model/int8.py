"""TransNetV2 in integers: the same network as `transnetv2_graph`, several times as fast.

The layout is the same, except that channels are innermost, as in frames and as products of bytes
need them. Weights have a scale for each channel. Values between layers have fixed scales, measured
beforehand, so that a window's answer never depends on the other windows. Nothing is clipped between
the two convolutions of a pair, so each channel's range moves from the first one's weights into the
second one's (as in `quantize`, at full strength). The ramp costs nothing, because 0 is the least
unsigned byte. The two lookups and the heads stay in float32, except the largest dense layer.

Kernels are unsigned, which every processor sums exactly, and are made signed where that is faster
(`inference.preparing.forms`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from core.media import Frames
from training.graphs.bert import FUSED, GraphDraft
from training.graphs.quantize import MARGIN, SHIFT, Floats, InputRange, widened
from training.shot_model.graph import transition_graph
from training.shot_model.parts import (
    BLOCKS,
    COLOURS,
    DILATIONS,
    HEADS_INPUT,
    HEIGHT,
    INPUT,
    STACKS,
    WIDTH,
    WINDOWS,
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
    sized,
    sizes,
    width_of,
)

Ranges = Mapping[str, InputRange]  # by the name of a value in the float32 graph
_LARGEST = 255  # largest unsigned byte


def measured_ranges(weights: Weights, windows: Iterable[Frames]) -> dict[str, InputRange]:
    """Return the observed ranges of each value that becomes a byte, over `windows` [100, 27, 48,
    3].
    """
    graph = transition_graph(weights)
    names = [HEADS_INPUT, *(f"stack{stack}/sum" for stack in range(STACKS))]
    for stack in range(STACKS):
        for block in range(BLOCKS):
            name = f"stack{stack}/block{block}"
            names += [name, *(f"{name}/dilated{dilation}/seen" for dilation in DILATIONS)]
    graph.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    options = ort.SessionOptions()
    # After fusion a convolution's own result would no longer exist.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    providers = ["CPUExecutionProvider"]
    session = ort.InferenceSession(graph.SerializeToString(), options, providers=providers)
    seen: dict[str, InputRange] = {}
    for window in windows:
        for name, value in zip(names, session.run(names, {INPUT: window[None]}), strict=True):
            rows = value if value.ndim == 3 else value[0].transpose(1, 2, 0)
            seen[name] = widened(seen.get(name), rows)
    return seen


@dataclass(frozen=True, slots=True)
class _Bytes:
    """A value of unsigned bytes: its name, its scale as a number, and the names of the constants
    with its scale and zero point.
    """

    name: str
    scale: float
    step: str
    zero: str


@dataclass(frozen=True, slots=True)
class _ByteDraft:
    """A graph of integers that is being built."""

    weights: Weights
    ranges: Ranges
    draft: GraphDraft = field(default_factory=GraphDraft)

    def scalar(self, name: str, value: npt.NDArray[np.generic]) -> str:
        """Return a constant without an axis, which some operators require."""
        self.draft.constants.append(numpy_helper.from_array(value, name))
        return name

    def named(self, name: str, scale: float, zero: int) -> _Bytes:
        """Return the scale and zero point for a value that is about to be made."""
        step = self.scalar(name + "/scale", np.array(scale, np.float32))
        return _Bytes(name, scale, step, self.scalar(name + "/zero", np.array(zero, np.uint8)))

    def ramped(self, name: str, seen: str) -> _Bytes:
        """Return the same as `named`, for values from 0 to the greatest of those `seen`."""
        return self.named(name, float(self.ranges[seen].channels.max()) * MARGIN / _LARGEST, 0)

    def conv(
        self, x: _Bytes, kernel: Floats, y: _Bytes, bias: Floats | None = None, **given: object
    ) -> _Bytes:
        """Return a convolution of bytes by `kernel` [m, c, h, w], with channels innermost."""
        name = y.name
        scale = np.maximum(np.abs(kernel).reshape(len(kernel), -1).max(axis=1) / 127, 1e-12)
        scale = scale.astype(np.float32)
        whole = (np.rint(kernel / scale[:, None, None, None]) + SHIFT).astype(np.uint8)
        inputs = [
            *(x.name, x.step, x.zero),
            self.draft.constant(name + "/kernel", whole),
            self.draft.constant(name + "/steps", scale),
            self.draft.constant(name + "/shift", np.full(len(kernel), SHIFT, np.uint8)),
            *(y.step, y.zero),
        ]
        if bias is not None:
            offset = np.rint(bias / (x.scale * scale)).astype(np.int32)
            inputs.append(self.draft.constant(name + "/offset", offset))
        self.draft.node("QLinearConv", inputs, [name], FUSED, channels_last=1, **given)
        return y

    def emptied(self, x: str, height: int, name: str) -> str:
        """Return `x` [n, t * height, w, c] with 0 in the last row of each frame."""
        full = full_rows(self.draft, name + "/rows", height, np.bool_, (1, -1, 1, 1))
        nothing = self.scalar(name + "/nothing", np.array(0, np.uint8))
        return self.draft.node("Where", [full, x, nothing], [name])


def byte_graph(weights: Weights, ranges: Ranges) -> onnx.ModelProto:
    """Return the graph of `transition_graph` in int8, with the measured `ranges`."""
    made = _ByteDraft(weights, ranges)
    add_sizes(made.draft)
    hidden, height = _add_picture(made), HEIGHT + 1
    means: list[str] = []
    for stack in range(STACKS):
        hidden = _add_stack(made, stack, hidden, height)
        hidden, height = _add_pool(made, stack, hidden, height), height // 2
        means.append(_add_means(made, stack, hidden, height))
    draft = made.draft
    rows = draft.node("Concat", means, ["seen"], axis=2)
    parts = [add_colours(draft, weights), add_similarity(draft, weights, rows)]
    shape = sizes(draft, "flat/shape", 0, 0, 18 * channels_of(STACKS - 1))
    flat = draft.node("Reshape", [f"stack{STACKS - 1}/mean/floats", shape], ["flat"])
    add_heads(draft, weights, [*parts, flat], ranges[HEADS_INPUT])
    return closed(draft)


def _add_picture(made: _ByteDraft) -> _Bytes:
    """Return frames below each other with an empty row after each: [n, t * 28, 48, 3]."""
    row = sizes(made.draft, "picture/row", 0, 0, 0, 0, 0, 0, 0, 1, 0, 0)
    apart = made.draft.node("Pad", [INPUT, row], ["picture/apart"])
    shape = sizes(made.draft, "picture/shape", 0, -1, WIDTH, COLOURS)
    picture = made.named("picture", 1 / _LARGEST, 0)
    made.draft.node("Reshape", [apart, shape], [picture.name])
    return picture


def _add_stack(made: _ByteDraft, stack: int, hidden: _Bytes, height: int) -> _Bytes:
    """Return two blocks and their sum. The sum has values in the rows that should be empty."""
    name = f"stack{stack}"
    first = _add_block(made, (stack, 0), hidden, height)
    empty = made.emptied(first.name, height, f"{name}/first")
    first = replace(first, name=empty)
    second = _add_block(made, (stack, 1), first, height)
    total = made.ramped(f"{name}/sum", f"{name}/sum")
    taken = [part for each in (second, first) for part in (each.name, each.step, each.zero)]
    made.draft.node("QLinearAdd", [*taken, total.step, total.zero], [total.name], FUSED)
    return total


def _add_block(made: _ByteDraft, place: tuple[int, int], hidden: _Bytes, height: int) -> _Bytes:
    """Return four pairs of convolutions side by side, normalized, with the ramp."""
    stack, block = place
    name = f"stack{stack}/block{block}"
    _, offset = norm(made.weights, f"SDDCNN.{stack}.DDCNN.{block}.bn.")
    joint = made.ramped(name, name)
    parts = []
    for number, dilation in enumerate(DILATIONS):
        part, reach = f"{name}/dilated{dilation}", dilation * height
        across, along = separable(made.weights, stack, block, number)
        reached = made.ranges[part + "/seen"].channels * np.float32(MARGIN / 127)  # each channel
        across = (across / reached[:, None, None, None]).astype(np.float32)
        along = (along * reached[None, :, None, None]).astype(np.float32)
        seen = made.named(part + "/seen", 1.0, SHIFT)
        made.conv(hidden, across, seen, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        shape = {"kernel_shape": [3, 1], "dilations": [reach, 1], "pads": [reach, 0, reach, 0]}
        own = replace(joint, name=part)
        made.conv(seen, along, own, offset[own_channels(stack, number)], **shape)
        parts.append(part)
    made.draft.node("Concat", parts, [joint.name], axis=3)
    return joint


def _add_pool(made: _ByteDraft, stack: int, hidden: _Bytes, height: int) -> _Bytes:
    """Return means of 2x2 points: [n, t * h, w, c], again with an empty row in each frame; after
    the last stack [n * t, 3, 6, c], where frames are separate.
    """
    draft, name, last = made.draft, f"stack{stack}/pool", stack == STACKS - 1
    width, channels = width_of(stack), channels_of(stack)
    source = hidden.name
    if last:
        shape = sizes(draft, name + "/shape", -1, height, width, channels)
        apart = draft.node("Reshape", [source, shape], [name + "/apart"])
        bounds = [sizes(draft, f"{name}/bound{n}", n) for n in (0, height - 1, 1)]
        source = draft.node("Slice", [apart, *bounds], [name + "/full"])
    means = _add_halved(made, replace(hidden, name=source), name + "/down", width * channels)
    means = _add_halved(made, means, name + "/across", channels)
    if last:
        shape = sizes(draft, name + "/whole", -1, (height - 1) // 2, width // 2, channels)
        draft.node("Reshape", [means.name, shape], [name])
    else:
        shape = sized(draft, name + "/whole", WINDOWS, -1, width // 2, channels)
        made.emptied(draft.node("Reshape", [means.name, shape], [name + "/all"]), height // 2, name)
    return replace(hidden, name=name)


def _add_halved(made: _ByteDraft, x: _Bytes, name: str, length: int) -> _Bytes:
    """Return means of neighbours, `x` read as [n, 2, length]: their sum at twice the scale. It
    takes a sixth of the time of the runtime's own pool of bytes.
    """
    draft = made.draft
    shape = sizes(draft, name + "/shape", -1, 2, length)
    pairs = draft.node("Reshape", [x.name, shape], [name + "/pairs"])
    halves = [name + "/first", name + "/second"]
    draft.node("Split", [pairs, sizes(draft, name + "/one", 1, 1)], halves, axis=1)
    twice = made.scalar(name + "/twice", np.array(2 * x.scale, np.float32))
    taken = [part for half in halves for part in (half, x.step, x.zero)]
    draft.node("QLinearAdd", [*taken, twice, x.zero], [name], FUSED)
    return replace(x, name=name)


def _add_means(made: _ByteDraft, stack: int, hidden: _Bytes, height: int) -> str:
    """Return the mean of each frame and channel, [n, t, c], over the frame's rows without the empty
    one.
    """
    draft, name = made.draft, f"stack{stack}/mean"
    points = height * width_of(stack + 1)
    shape = sized(draft, name + "/shape", WINDOWS, -1, points, channels_of(stack))
    apart = draft.node("Reshape", [hidden.name, shape], [name + "/apart"])
    inputs = [apart, hidden.step, hidden.zero]
    floats = draft.node("DequantizeLinear", inputs, [name + "/floats"])
    mean = draft.node("ReduceMean", [floats], [name + "/all"], axes=[2], keepdims=0)
    if stack == STACKS - 1:
        return mean
    return of_full_rows(draft, name, mean, height)
