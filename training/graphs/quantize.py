"""Quantizes dense layers and embeddings to int8: which numbers, and how they are chosen.

Activations get fixed ranges measured beforehand ("static"), not ranges from each batch ("dynamic").
So a text's vector never depends on the other texts of its batch, and no pass over the data searches
for a range. Transformers have a few channels with very large values, which would leave a handful of
steps for the others. The channels are divided by a factor each, and the kernel's rows are
multiplied by it, so the product is unchanged (SmoothQuant, Xiao et al. 2023).

Measured on MiniLM-L6 against float32, mean cosine of 200 abstracts: dynamic .9949, static .9947,
static and smoothed at strength .6, .7, .8, .9: .9938, .9970, .9977, .9977.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

Floats = npt.NDArray[np.float32]
Batch = Mapping[str, npt.NDArray[np.int32]]

STRENGTH = 0.8  # how much of the difficulty moves from the activations to the weights
SHIFT = 128  # added to a signed byte, it gives an unsigned one
MARGIN = 1.1  # room above the greatest observed value; larger values are clipped


@dataclass(frozen=True, slots=True)
class InputRange:
    """The observed input of a dense layer: its least value, and magnitudes [k] by channel. `smooth`
    says whether the channels still need smoothing.
    """

    least: float
    channels: Floats
    smooth: bool = True


@dataclass(frozen=True, slots=True)
class Int8Dense:
    """A dense layer in integers.

    input: uint8 = round(x * inverse / step) + zero, inverse [k]; kernel: int8 [k, m] with a scale
    per column, scale [m].
    """

    inverse: Floats
    step: float
    zero: int
    kernel: npt.NDArray[np.int8]
    scale: Floats

    @property
    def unsigned(self) -> npt.NDArray[np.uint8]:
        """The kernel shifted by SHIFT, uint8 [k, m]."""
        return (self.kernel.astype(np.int16) + SHIFT).astype(np.uint8)


def quantize(values: Floats, *, axis: int) -> tuple[npt.NDArray[np.int8], Floats]:
    """Return symmetric int8 of a matrix [r, c] with one scale for each line along `axis`.

    Returns integers in -127..127, shaped like `values`, and scales: [c] for axis 0, [r] for axis 1.
    Integer times scale is within half a scale of the value.
    """
    scale = np.abs(values).max(axis=axis) / 127.0
    scale = np.where(scale == 0.0, 1.0, scale).astype(np.float32)
    divided = np.rint(values / np.expand_dims(scale, axis))
    return np.clip(divided, -127, 127).astype(np.int8), scale


def quantize_dense(kernel: Floats, seen: InputRange) -> Int8Dense:
    """Return the int8 form of a kernel [k, m] for inputs like those `seen`."""
    greatest = np.maximum(seen.channels, 1e-3) * MARGIN
    smooth = smoothing(kernel, seen) if seen.smooth else np.ones(len(kernel), np.float32)
    high = float((greatest / smooth).max())
    low = max(-high, min(0.0, seen.least * MARGIN / float(smooth.min())))
    step = (high - low) / 255.0
    whole, scale = quantize(kernel * smooth[:, None], axis=0)
    inverse = (1.0 / smooth).astype(np.float32)
    return Int8Dense(inverse, step, round(-low / step), whole, scale)


def smoothing(kernel: Floats, seen: InputRange) -> Floats:
    """Return the factor of each channel [k]: the input is divided by it, and the row of the kernel
    [k, m] multiplied.
    """
    greatest = np.maximum(seen.channels, 1e-3) * MARGIN
    weight = np.maximum(np.abs(kernel).max(axis=1), 1e-4)
    factors: Floats = (greatest**STRENGTH / weight ** (1.0 - STRENGTH)).astype(np.float32)
    return factors


def dense_inputs(graph: onnx.ModelProto) -> dict[str, str]:
    """Return the name of each dense layer in a float32 graph, with the name of the value it
    reads.
    """
    return {
        node.output[0].removesuffix("/product"): node.input[0]
        for node in graph.graph.node
        if node.op_type == "MatMul" and node.input[1].endswith("/kernel")
    }


def calibrate(graph: onnx.ModelProto, batches: Iterable[Batch]) -> dict[str, InputRange]:
    """Run a float32 graph over `batches` without padding; return the ranges by dense layer.

    Padding must be absent, because the values at padded positions would count although nobody uses
    them.
    """
    layers = dense_inputs(graph)
    watched = sorted(set(layers.values()))
    spied = onnx.ModelProto()
    spied.CopyFrom(graph)
    known = {output.name for output in spied.graph.output}
    spied.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in watched
        if name not in known
    )
    session = ort.InferenceSession(spied.SerializeToString(), providers=["CPUExecutionProvider"])
    seen: dict[str, InputRange] = {}
    for batch in batches:
        for name, value in zip(watched, session.run(watched, dict(batch)), strict=True):
            seen[name] = widened(seen.get(name), value)
    return {layer: seen[name] for layer, name in layers.items()}


def widened(before: InputRange | None, value: Floats) -> InputRange:
    """Return the range `before`, made wide enough for `value` [n, t, k]."""
    least = float(value.min())
    channels = np.abs(value).max(axis=(0, 1))
    if before is None:
        return InputRange(least, channels)
    return InputRange(min(before.least, least), np.maximum(before.channels, channels))
