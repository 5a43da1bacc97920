"""EfficientNet-Lite from its published weights to a graph in whole numbers: a picture to features
and to the thousand classes of ImageNet.

No picture is needed for that. The inputs of a layer after ReLU6 lie between 0 and 6. The outputs of
the layers without it have the range that their batch normalization tells: it gives each channel's
mean and deviation over the pictures that the model learned from (after Nagel et al. 2019, Data-Free
Quantization). A sum has the sum of the means and of the variances. Weights have a scale for each
channel. They are unsigned, which every processor sums exactly, and are made signed where that is
faster (`inference.preparing.forms`). The last layer, from features to classes, is computed in
float32 from weights in 8 bits.

Tan and Le 2019, EfficientNet; the Lite forms have no squeeze and excitation, and ReLU6 in place of
Swish: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil

import numpy as np
import numpy.typing as npt

from core.errors import ModelError
from inference.converting.onnx_writer import FLOAT, FUSED, OnnxWriter, Setting
from inference.converting.torch_tensors import Tensor

FEATURES, LOGITS, PIXELS = "features", "logits", "pixel_values"
WIDTH, CLASSES = 1280, 1000
EDGES = {16: 224, 21: 260}  # pixels of the input by the number of blocks: Lite0, Lite2
# How a class's score becomes a probability: slope and start of a logistic curve, which `python -P
# -m benchmarks.media.looks` measured on labelled stills, for the graphs in whole numbers.
CALIBRATIONS = {16: (1.0, 0.2), 21: (1.18, 0.89)}
THRESHOLD = 0.5
# Of each stage: blocks in Lite0, kernel, step, expansion. Lite2 has more blocks of the same kinds.
_STAGES = ((1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6), (4, 5, 2, 6))
_EPSILON = 1e-3  # of the batch normalization
_DEVIATIONS = 5.0  # of a channel, up to which its values are kept apart
_SIX = 6.0
_MIDDLE, _LARGEST = 128, 255
_SMALLEST = np.float32(1e-12)
_MOST_STEPS = 2.0**30
TILES = 0.6  # edge of the parts of a picture that are looked at beside the whole, as a share

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class _Range:
    """Values as bytes: `scale` and the byte `zero` that stands for 0."""

    scale: float
    zero: int

    @classmethod
    def between(cls, least: float, most: float) -> _Range:
        least, most = min(least, 0.0), max(most, 0.0)
        scale = float(np.float32((most - least) / _LARGEST))
        return cls(scale, round(-least / scale))


@dataclass(frozen=True, slots=True)
class _Spread:
    """Mean and variance of each channel, float64 [c]."""

    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]

    def __add__(self, other: _Spread) -> _Spread:
        return _Spread(self.mean + other.mean, self.variance + other.variance)

    @property
    def range(self) -> _Range:
        far = _DEVIATIONS * np.sqrt(self.variance)
        return _Range.between(float((self.mean - far).min()), float((self.mean + far).max()))


_CLIPPED = _Range.between(0.0, _SIX)


@dataclass(frozen=True, slots=True)
class _Layer:
    """A convolution with its normalization folded in: `kernel` float32 [out, in, k, k], `bias`
    float32 [out], and the spread of its outputs.
    """

    kernel: Floats
    bias: Floats
    spread: _Spread


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of the network: the name of its weights, kernel and step of its depthwise layer."""

    name: str
    kernel: int
    step: int


@dataclass(frozen=True, slots=True)
class _Value:
    """A tensor of bytes in the graph, its range, edge in points and spread."""

    name: str
    range: _Range
    edge: int
    spread: _Spread | None = None


@dataclass(frozen=True, slots=True)
class _Draft:
    weights: Weights
    exact: bool
    writer: OnnxWriter = field(default_factory=OnnxWriter)


def lite_graph(weights: Weights, where: str, *, exact: bool = False) -> bytes:
    """Return an ONNX file: float32 `pixel_values` [n, 3, e, e] to `features` [n, 1280] and `logits`
    [n, 1000]. The pixels are scaled as `lite_preparation` says.

    `exact` keeps everything in float32, to compare with. Raises ModelError for weights of another
    network.
    """
    try:
        draft = _Draft(weights, exact)
        edge = EDGES[_depth(weights)]
        _network(draft, edge)
    except (KeyError, ValueError, IndexError) as error:
        what = f"these are not the weights of an EfficientNet-Lite: {error}"
        raise ModelError(what, where=where, mend="pull the model again") from error
    size = ("n", 3, edge, edge)
    outputs = {FEATURES: (FLOAT, ("n", WIDTH)), LOGITS: (FLOAT, ("n", CLASSES))}
    return draft.writer.model({PIXELS: (FLOAT, size)}, outputs)


def lite_preparation(weights: Weights) -> str:
    """Return the text of `preprocessor_config.json`: how a picture becomes the graph's input, and
    how its answers become probabilities.
    """
    slope, start = CALIBRATIONS[_depth(weights)]
    told = {
        "size": EDGES[_depth(weights)],
        "image_mean": [127 / 255] * 3,
        "image_std": [128 / 255] * 3,
        "tiles": TILES,
        "calibration": {"slope": slope, "start": start, "threshold": THRESHOLD},
    }
    return json.dumps(told, indent=2) + "\n"


def _depth(weights: Weights) -> int:
    names = {name.split(".")[1] for name in weights if name.startswith("_blocks.")}
    return len(names)


def _blocks(depth: int) -> list[_Block]:
    """Return the blocks in order. The first and the last stage have one block in every form; the
    others grow by the same share, rounded up.
    """
    if depth not in EDGES:
        raise ValueError(f"{depth} blocks")
    growth = 1.0 if depth == min(EDGES) else 1.2
    found: list[tuple[int, int]] = []
    for number, (count, kernel, step, _) in enumerate((*_STAGES, (1, 3, 1, 6))):
        ends = number in (0, len(_STAGES))
        repeats = count if ends else ceil(count * growth)
        found += [(kernel, step if first == 0 else 1) for first in range(repeats)]
    return [_Block(f"_blocks.{place}", *each) for place, each in enumerate(found)]


def _network(draft: _Draft, edge: int) -> None:
    value = _conv(draft, _input(draft, edge), "_conv_stem", "_bn0", step=2, clip=True)
    for block in _blocks(_depth(draft.weights)):
        value = _block(draft, block, value)
    value = _conv(draft, value, "_conv_head", "_bn1", clip=True)
    _heads(draft, value)


def _block(draft: _Draft, block: _Block, value: _Value) -> _Value:
    """Expansion, depthwise layer, projection; and the sum with the input if both have one shape."""
    name, wide = block.name, value
    if f"{name}._expand_conv.weight" in draft.weights:
        wide = _conv(draft, value, f"{name}._expand_conv", f"{name}._bn0", clip=True)
    deep = f"{name}._depthwise_conv"
    wide = _conv(draft, wide, deep, f"{name}._bn1", step=block.step, clip=True, apart=True)
    narrow = _conv(draft, wide, f"{name}._project_conv", f"{name}._bn2")
    same = value.spread is not None and narrow.spread is not None
    if not same or block.step > 1 or _outputs(draft, name) != len(value.spread.mean):  # type: ignore[union-attr]
        return narrow
    return _sum(draft, name, value, narrow)


def _outputs(draft: _Draft, name: str) -> int:
    return int(draft.weights[f"{name}._project_conv.weight"].shape[0])


def _folded(weights: Weights, conv: str, norm: str) -> _Layer:
    """Return a convolution with its normalization."""
    read = {part: _floats(weights[f"{norm}.{part}"]) for part in ("weight", "bias")}
    mean, variance = (_floats(weights[f"{norm}.running_{part}"]) for part in ("mean", "var"))
    share = read["weight"] / np.sqrt(variance + np.float32(_EPSILON))
    kernel = _floats(weights[f"{conv}.weight"]) * share[:, None, None, None]
    bias = read["bias"] - mean * share
    spread = _Spread(read["bias"].astype(np.float64), read["weight"].astype(np.float64) ** 2)
    return _Layer(kernel, bias, spread)


def _floats(value: Tensor) -> Floats:
    return value.astype(np.float32, copy=False)


def _input(draft: _Draft, edge: int) -> _Value:
    whole = _Range(1 / 128, 127)  # a byte of the picture is itself
    if draft.exact:
        return _Value(PIXELS, whole, edge)
    scale, zero = _constants(draft.writer, "input", whole)
    return _Value(
        draft.writer.node("QuantizeLinear", [PIXELS, scale, zero], ["input"]), whole, edge
    )


def _conv(
    draft: _Draft,
    value: _Value,
    conv: str,
    norm: str,
    *,
    step: int = 1,
    clip: bool = False,
    apart: bool = False,
) -> _Value:
    """Add a convolution; `clip` for ReLU6 after it, `apart` if each channel has its own kernel."""
    layer = _folded(draft.weights, conv, norm)
    size, edge = layer.kernel.shape[-1], ceil(value.edge / step)
    missing = max((edge - 1) * step + size - value.edge, 0)  # as TensorFlow pads: more at the end
    before, after = missing // 2, missing - missing // 2
    settings: dict[str, Setting] = {
        "group": len(layer.kernel) if apart else 1,
        "kernel_shape": [size, size],
        "pads": [before, before, after, after],
        "strides": [step, step],
    }
    into = _CLIPPED if clip else layer.spread.range
    name = _exact_conv if draft.exact else _byte_conv
    output = name(draft, value, layer, conv, into, settings, clip)
    return _Value(output, into, edge, None if clip else layer.spread)


def _exact_conv(
    draft: _Draft,
    value: _Value,
    layer: _Layer,
    name: str,
    into: _Range,
    settings: Mapping[str, Setting],
    clip: bool,
) -> str:
    writer = draft.writer
    kernel = writer.constant(f"{name}/kernel", layer.kernel)
    bias = writer.constant(f"{name}/bias", layer.bias)
    output = writer.node("Conv", [value.name, kernel, bias], [name], "", **settings)
    if not clip:
        return output
    ends = [writer.constant(f"{name}/{end}", np.array(end, np.float32)) for end in (0.0, _SIX)]
    return writer.node("Clip", [output, *ends], [f"{name}/clipped"])


def _byte_conv(
    draft: _Draft,
    value: _Value,
    layer: _Layer,
    name: str,
    into: _Range,
    settings: Mapping[str, Setting],
    clip: bool,
) -> str:
    writer = draft.writer
    # A channel of weights near 0 is its bias alone, which must fit 32 bits.
    least = np.abs(layer.bias / np.float32(_MOST_STEPS * value.range.scale))
    scales, kernel = quantized(layer.kernel, least)
    steps = scales.astype(np.float64) * value.range.scale
    bias = np.rint(layer.bias / steps).astype(np.int32)
    inputs = [
        value.name,
        *_constants(writer, f"{name}/in", value.range),
        writer.constant(f"{name}/kernel", kernel),
        writer.constant(f"{name}/kernel/scales", scales),
        writer.constant(f"{name}/kernel/zero", np.full(len(scales), _MIDDLE, np.uint8)),
        *_constants(writer, f"{name}/out", into),
        writer.constant(f"{name}/bias", bias),
    ]
    return writer.node("QLinearConv", inputs, [name], "", **settings)


def quantized(kernel: Floats, least: Floats) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """Return the scale of each channel, float32 [out], `least` or more, and the weights as bytes
    around 128.
    """
    largest = np.abs(kernel).reshape(len(kernel), -1).max(axis=1)
    scales = np.maximum(np.maximum(largest / np.float32(_MIDDLE - 1), least), _SMALLEST)
    scales = scales.astype(np.float32)
    shape = (-1, *[1] * (kernel.ndim - 1))
    return scales, (np.rint(kernel / scales.reshape(shape)) + _MIDDLE).astype(np.uint8)


def _sum(draft: _Draft, name: str, one: _Value, other: _Value) -> _Value:
    """Add the input of a block to its output."""
    if one.spread is None or other.spread is None:
        raise ValueError(f"{name} has no sum")
    spread, output = one.spread + other.spread, f"{name}/sum"
    writer = draft.writer
    if draft.exact:
        added = writer.node("Add", [one.name, other.name], [output])
        return _Value(added, spread.range, other.edge, spread)
    inputs = [
        part
        for each in (one, other)
        for part in (each.name, *_constants(writer, f"{name}/{each.name}", each.range))
    ]
    inputs += _constants(writer, f"{name}/sum/out", spread.range)
    added = writer.node("QLinearAdd", inputs, [output], FUSED)
    return _Value(added, spread.range, other.edge, spread)


def _heads(draft: _Draft, value: _Value) -> None:
    """The mean over the picture, and the classes from it."""
    writer, floats = draft.writer, value.name
    if not draft.exact:
        inputs = [value.name, *_constants(writer, "head", value.range)]
        floats = writer.node("DequantizeLinear", inputs, ["head/floats"])
    mean = writer.node("GlobalAveragePool", [floats], ["mean"])
    writer.node("Flatten", [mean], [FEATURES], axis=1)
    kernel, bias = (_floats(draft.weights[f"_fc.{part}"]) for part in ("weight", "bias"))
    if kernel.shape != (CLASSES, WIDTH):
        raise ValueError(f"its last layer is {kernel.shape}")
    scales, small = quantized(kernel, np.zeros(CLASSES, np.float32))
    zero = writer.constant("classes/zero", np.full(CLASSES, _MIDDLE, np.uint8))
    packed = [writer.constant("classes/kernel", small), writer.constant("classes/scales", scales)]
    wide = writer.node("DequantizeLinear", [*packed, zero], ["classes/wide"], axis=0)
    if draft.exact:
        wide = writer.constant("classes/exact", kernel)
    inputs = [FEATURES, wide, writer.constant("classes/bias", bias)]
    writer.node("Gemm", inputs, [LOGITS], transB=1)


def _constants(writer: OnnxWriter, name: str, values: _Range) -> tuple[str, str]:
    """Add scale and zero of values; return their names."""
    scale = writer.constant(f"{name}/scale", np.array(values.scale, np.float32))
    return scale, writer.constant(f"{name}/zero", np.array(values.zero, np.uint8))
