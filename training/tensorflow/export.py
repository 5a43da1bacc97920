"""Exports a model as TensorFlow's SavedModel and as TFLite, and checks each result.

The source is one of our folders with an ONNX graph. The new folder has that graph in float32 as its
reference, and every other form is loaded by the runtime that will serve it and compared with ONNX
Runtime on real input: in float32 no number may differ by more than 1e-4 of the greatest. How far
int8 is off is said, of texts layer by layer in a report, and not judged: only judged data tell
whether that is too far.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import onnx
from tokenizers import Tokenizer

from core.errors import ModelError
from core.items import FloatMatrix
from indexing.media.shots.windows import window_lengths
from inference.measuring.made_report import Cost, MadeReport, peak_mb, texts_of, write_report
from inference.measuring.sample_windows import sample_windows
from inference.models.manifest import ModelManifest
from inference.models.store import ModelFolder
from inference.runtimes.buckets import lengths_up_to
from inference.runtimes.loading import installed, library
from inference.runtimes.onnx import OnnxRuntime
from inference.runtimes.parity import Parity, answers, compare
from inference.runtimes.sample import Arrays, ordinary_batches
from inference.runtimes.tensorflow import TensorFlowRuntime
from inference.runtimes.tflite import TfliteRuntime
from training.folder import new_folder, write_manifest
from training.tensorflow.float_graph import float_graph
from training.tensorflow.graph import TensorGraph, saved_model
from training.tensorflow.lite import lite_model
from training.tensorflow.lite_errors import lite_errors

MOST_DIFFERENCE = 1e-4  # of the greatest value, float32 against float32
PATHS = {
    "onnx": "model.onnx",
    "tensorflow": "saved_model.pb",
    "tflite": "model.tflite",
    "tflite-int8": "model.int8.tflite",
}
DEFAULT = ("tensorflow", "tflite", "tflite-int8")
_WINDOWS = 2
_LONGEST = 128  # tokens of the texts that are compared
_REPORTED = 64  # tokens of those on which layers are compared


@dataclass(frozen=True, slots=True)
class Exported:
    """One form that was written: its name, its size in bytes, and how near it is to the
    reference.
    """

    format: str
    size: int
    parity: Parity


_OPENERS: Mapping[str, Sequence[tuple[str, Callable[..., Any]]]] = {
    "onnx": (("cpu", OnnxRuntime.open),),
    "tensorflow": (("graph", TensorFlowRuntime.open), ("xla", TensorFlowRuntime.open)),
    "tflite": (("f32", TfliteRuntime.open),),
    "tflite-int8": (("int8", TfliteRuntime.open),),
}


def export_tensorflow(
    source: ModelFolder, output: Path, formats: Sequence[str], texts: Sequence[str]
) -> tuple[Exported, ...]:
    """Write `source` as the model `output` in ONNX and the other `formats`, names of PATHS.

    The results are checked on `texts`, for a model of shots on made windows. Raises ModelError, and
    leaves nothing behind, if a form can't be made or its answers differ.
    """
    manifest = source.manifest
    if not manifest.graph:
        mend = "name a model with an ONNX graph"
        raise ModelError("this model has no ONNX graph", where=str(source.path), mend=mend)
    graph = float_graph(onnx.load_model_from_string(source.read(manifest.graph)))
    wanted = tuple(dict.fromkeys(("onnx", *formats)))
    began = perf_counter()
    with new_folder(output) as place:
        _write(wanted, graph, place, _lengths(manifest))
        if manifest.tokenizer:
            (place / manifest.tokenizer).write_bytes(source.read(manifest.tokenizer))
        made = write_manifest(place, _manifest(manifest, output.name, place, wanted))
        folder = ModelFolder(place, made)
        batches = _batches(folder, texts)
        expected = _answers(folder, "cpu", OnnxRuntime.open, batches)
        proved = tuple(
            _proved(one, option, opener, folder, batches, expected)
            for one in wanted
            for option, opener in _OPENERS[one]
        )
        if "tflite-int8" in wanted and manifest.tokenizer:
            spent = perf_counter() - began
            report = _report(folder, manifest.name, graph, texts, spent)
            write_report(report, place)
            if installed("jinja2") and installed("matplotlib"):
                library("eval.report.made").write_page(report, place)
        return proved


def _report(
    folder: ModelFolder,
    source: str,
    graph: onnx.ModelProto,
    texts: Sequence[str],
    seconds: float,
) -> MadeReport:
    """Return the report of the int8 form: its size, and the error of each dense layer on texts."""
    manifest = folder.manifest
    length = min(_REPORTED, manifest.max_tokens)
    tokenizer = Tokenizer.from_buffer(folder.read(manifest.tokenizer))
    pairs = manifest.task == "score"
    batches = ordinary_batches(tokenizer, texts, pairs=pairs, longest=length, rows=1)
    sizes = ((folder.path / PATHS[one]).stat().st_size / 1e6 for one in ("onnx", "tflite-int8"))
    return MadeReport(
        manifest.name,
        source,
        "tflite-int8",
        (Cost("MB on disk", *sizes),),
        seconds,
        peak_mb(),
        fitted=(),
        held_out=(texts_of("the texts of the export", texts),),
        judged=(),
        layers=lite_errors(graph, batches, length),
    )


def _lengths(manifest: ModelManifest) -> tuple[int, ...]:
    """Return the lengths of a TFLite file's programs."""
    if manifest.task == "shots":
        return window_lengths(manifest.max_tokens)
    return lengths_up_to(manifest.max_tokens)


def _write(
    formats: Sequence[str], graph: onnx.ModelProto, place: Path, lengths: Sequence[int]
) -> None:
    """Write the files of all forms."""
    (place / PATHS["onnx"]).write_bytes(graph.SerializeToString(deterministic=True))
    read = TensorGraph.of(graph)
    if "tensorflow" in formats:
        (place / PATHS["tensorflow"]).write_bytes(saved_model(read))
    for one in ("tflite", "tflite-int8"):
        if one in formats:
            made = lite_model(read, lengths, int8=one == "tflite-int8")
            (place / PATHS[one]).write_bytes(made)


def _manifest(
    before: ModelManifest, name: str, place: Path, formats: Sequence[str]
) -> ModelManifest:
    paths = [PATHS[one] for one in formats] + ([before.tokenizer] if before.tokenizer else [])
    whole = "int8" not in before.precision
    return replace(
        before,
        name=name,
        files={path: hashlib.sha256((place / path).read_bytes()).hexdigest() for path in paths},
        graphs={one: PATHS[one] for one in formats},
        precision=before.precision
        if whole
        else f"float32, of weights that were {before.precision}",
        quality={},
        commands={},
        recipe=f"dateline models export {before.name} --formats {','.join(formats)}",
    )


def _batches(folder: ModelFolder, texts: Sequence[str]) -> list[Arrays]:
    """Return what the forms are compared on."""
    manifest = folder.manifest
    if manifest.task == "shots":
        return [{"frames": sample_windows(1, seed=seed)} for seed in range(_WINDOWS)]
    tokenizer = Tokenizer.from_buffer(folder.read(manifest.tokenizer))
    longest = min(_LONGEST, manifest.max_tokens)
    return ordinary_batches(tokenizer, texts, pairs=manifest.task == "score", longest=longest)


def _proved(
    one: str,
    option: str,
    opener: Callable[..., Any],
    folder: ModelFolder,
    batches: Sequence[Arrays],
    expected: Sequence[FloatMatrix],
) -> Exported:
    """Return one form, loaded as it will be served and compared with the reference."""
    low = one == "tflite-int8"
    parity = compare(_answers(folder, option, opener, batches), expected, low=low)
    if (not parity.agree or parity.difference > MOST_DIFFERENCE) and not low:
        raise ModelError(
            f"{one}:{option} does not give the reference's answers: least cosine "
            f"{parity.cosine:.6f}, greatest difference {parity.difference:.1e} of the greatest",
            where=str(folder.path / folder.manifest.graphs[one]),
            mend="leave the format out with --formats, and report it",
        )
    size = (folder.path / folder.manifest.graphs[one]).stat().st_size
    return Exported(f"{one}:{option}", size, parity)


def _answers(
    folder: ModelFolder, option: str, opener: Callable[..., Any], batches: Sequence[Arrays]
) -> list[FloatMatrix]:
    runtime = opener(folder, threads=1, option=option)
    try:
        return answers(runtime, batches)
    finally:
        runtime.close()
