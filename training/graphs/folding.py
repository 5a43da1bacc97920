"""Folds smoothing into the layer before, so that it costs nothing when the graph runs.

An int8 layer's input is divided by a factor per channel (`quantize.py`), which takes an operator.
Attention's output is a mean of the values, channel by channel, so there the factor can go into the
values' columns instead. Columns have their own scales, so nothing is lost. A norm's output can't be
folded, because the sum after the layer needs it unchanged; what passes through GELU can't be folded
either.
"""

from training.graphs.bert import BertShape, Ranges, Weights
from training.graphs.quantize import InputRange, smoothing


def folded(weights: Weights, ranges: Ranges, shape: BertShape) -> tuple[Weights, Ranges]:
    """Return BERT `weights` that compute the same, and `ranges` with which attention's output no
    longer needs smoothing.
    """
    changed, left = dict(weights), dict(ranges)
    for layer in range(shape.layers):
        base, name = f"encoder.layer.{layer}.attention.", f"layer{layer}/attention/out"
        if name not in left:
            continue
        seen, kernel = left[name], changed[base + "output.dense.weight"]  # [out, in]
        smooth = smoothing(kernel.T, seen)
        changed[base + "self.value.weight"] = weights[base + "self.value.weight"] / smooth[:, None]
        changed[base + "self.value.bias"] = weights[base + "self.value.bias"] / smooth
        changed[base + "output.dense.weight"] = kernel * smooth
        least = seen.least / float(smooth.min())
        left[name] = InputRange(least, seen.channels / smooth, smooth=False)
    return changed, left
