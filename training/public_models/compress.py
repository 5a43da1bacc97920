"""Makes public models smaller: int8 by ONNX Runtime's own tools, and float16 on disk.

- `dynamic`: int8 weights; each call determines the range of its activations. It needs no
  calibration, but a text's answer depends a little on the other texts of its batch.
- `static`: int8 weights and activations, smoothed, with ranges measured on real text beforehand.
- `fp16`: float16 weights that are cast on load, so that the arithmetic stays float32: half the
  disk space and download, at the speed of float32.

Transformers have a few channels with very large values. With one scale for all channels these would
leave a handful of int8 steps for the others. So each dense layer's input is divided by a factor per
channel, and the kernel's rows are multiplied by it: the product is unchanged (SmoothQuant, Xiao et
al. 2023). Measured on MiniLM-L6 against float32, mean cosine of 40 passages: .989 without, .997
with. Our own models are smoothed and quantized while their graphs are written
(training/graphs/quantize.py).
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from tokenizers import Tokenizer

from core.errors import ModelError
from inference.models.manifest import ModelManifest
from inference.models.store import MANIFEST, ModelFolder
from inference.runtime import Array
from inference.runtimes.sample import Arrays, ordinary_batches
from training.graphs.quantize import STRENGTH, Floats, InputRange, widened

METHODS = ("dynamic", "static", "fp16")
GREATEST_HALF = 65504.0  # largest value of float16
SMALL = 1024  # a smaller matrix is not worth it
_PRODUCTS = ["MatMul", "Gemm"]
_GRAPHS = {"dynamic": "model.int8.onnx", "static": "model.int8.onnx", "fp16": "model.fp16.onnx"}
_PRECISIONS = {
    "dynamic": "int8, ranges of activations found in each call",
    "static": "int8, activations smoothed and in ranges seen on calibration text",
    "fp16": "float16 on disk, cast to float32 on load",
}


@dataclass(slots=True)
class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Gives batches one by one, when the calibration asks for them."""

    batches: Iterator[Arrays]

    def get_next(self) -> Arrays | None:
        """Return the next batch; None after the last."""
        return next(self.batches, None)


@dataclass(frozen=True, slots=True)
class CompressPlan:
    """How to compress: `method` of METHODS, and for `static` the texts to calibrate on."""

    method: str
    texts: Sequence[str] = field(default_factory=tuple)


def compress(source: ModelFolder, output: Path, plan: CompressPlan) -> ModelManifest:
    """Write a smaller form of `source` as the model folder `output`; return its manifest.

    Raises ModelError for a model without an ONNX graph, one that is int8 already, or a failure of
    the tools; InputError if `static` has no text.
    """
    if "int8" in source.manifest.precision:
        raise ModelError(
            "this model is int8 already", where=str(source.path), mend="name its float32 form"
        )
    if not source.manifest.graph:
        raise ModelError(
            "this model has no ONNX graph",
            where=str(source.path),
            mend="make one with `dateline models export`",
        )
    graph = onnx.load_model_from_string(source.read(source.manifest.graph))
    content = _compressed(graph, source, plan)
    output.mkdir(parents=True)
    path = _GRAPHS[plan.method]
    (output / path).write_bytes(content)
    (output / source.manifest.tokenizer).write_bytes(source.read(source.manifest.tokenizer))
    names = (path, source.manifest.tokenizer)
    manifest = replace(
        source.manifest,
        name=output.name,
        files={name: hashlib.sha256((output / name).read_bytes()).hexdigest() for name in names},
        graphs={"onnx": path},
        precision=_PRECISIONS[plan.method],
        quality={},
        commands={},
        recipe=f"dateline models quantize {source.manifest.name} --method {plan.method}",
    )
    (output / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def _compressed(graph: onnx.ModelProto, source: ModelFolder, plan: CompressPlan) -> bytes:
    """Return the smaller graph's bytes; ONNX Runtime has loaded them as a check."""
    if plan.method == "fp16":
        content: bytes = half_on_disk(graph).SerializeToString()
    else:
        content = _quantized(graph, source, plan)
    try:
        ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"the smaller graph can't be loaded: {error}") from error
    return content


def _quantized(graph: onnx.ModelProto, source: ModelFolder, plan: CompressPlan) -> bytes:
    """Return the int8 graph by ONNX Runtime's tools, which read and write files."""
    batches = list(_batches(graph, source, plan.texts)) if plan.method == "static" else []
    with TemporaryDirectory() as place, _without_advice():
        before, after = Path(place, "before.onnx"), Path(place, "after.onnx")
        onnx.save(smoothed(graph, batches) if batches else graph, str(before))
        given: dict[str, Any] = {
            "per_channel": True,
            "weight_type": QuantType.QUInt8,  # signed ones overflow without VNNI
            "extra_options": {
                "MatMulConstBOnly": True,
                # Rounding a product as well as its inputs loses more than it saves.
                "OpTypesToExcludeOutputQuantization": _PRODUCTS,
            },
        }
        if plan.method == "dynamic":
            kinds = [*_PRODUCTS, "Gather"]
            quantize_dynamic(str(before), str(after), op_types_to_quantize=kinds, **given)
        else:
            quantize_static(
                str(before),
                str(after),
                _Calibration(iter(batches)),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=_PRODUCTS,
                activation_type=QuantType.QUInt8,
                calibrate_method=CalibrationMethod.MinMax,
                **given,
            )
        made = onnx.load(str(after))
        # Quantization leaves out the word embeddings, which are a third of a small model.
        content: bytes = half_on_disk(made).SerializeToString()
        return content


@contextmanager
def _without_advice() -> Iterator[None]:
    """Hide the tools' advice to run a preparation that these graphs do not need; it goes to the
    root logger at each call.
    """
    root = logging.getLogger()

    def wanted(record: logging.LogRecord) -> bool:
        return "pre-processing before quantization" not in record.getMessage()

    root.addFilter(wanted)
    try:
        yield
    finally:
        root.removeFilter(wanted)


def _batches(graph: onnx.ModelProto, source: ModelFolder, texts: Sequence[str]) -> Iterator[Arrays]:
    """Yield calibration batches of one text each, because padding would count too."""
    tokenizer = Tokenizer.from_buffer(source.read(source.manifest.tokenizer))
    types = {
        value.name: helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        for value in graph.graph.input
    }
    pairs = source.manifest.task == "score"
    longest = source.manifest.max_tokens
    for batch in ordinary_batches(tokenizer, texts, pairs=pairs, longest=longest, rows=1):
        yield {name: batch[name].astype(kind) for name, kind in types.items()}


def half_on_disk(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with its large float32 matrices as float16, each cast back where it is used.

    ONNX Runtime folds the casts when it loads the graph, so calls take as long as before. Constants
    that float16 can't represent stay as they are.
    """
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    casts = []
    for constant in made.graph.initializer:
        if constant.data_type != TensorProto.FLOAT or not _is_large(constant.dims):
            continue
        values = numpy_helper.to_array(constant)
        if np.abs(values).max() > GREATEST_HALF:
            continue
        name = constant.name
        half = f"{name}/float16"
        constant.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], f"{half}/cast", to=TensorProto.FLOAT))
    nodes = list(made.graph.node)
    del made.graph.node[:]
    made.graph.node.extend([*casts, *nodes])
    return made


def _is_large(sizes: Sequence[int]) -> bool:
    """Return whether a constant is a matrix worth halving; vectors are biases, norms and scales."""
    return len(sizes) > 1 and int(np.prod(sizes)) >= SMALL


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
