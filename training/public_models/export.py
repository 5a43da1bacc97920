"""Exports a PyTorch checkpoint as ONNX, OpenVINO IR and TorchScript, and checks each result.

Each file is written, loaded by the runtime that will serve it, run on ordinary text, and compared
with the checkpoint in PyTorch. A file that does not agree (cosine .9999 in float32) is not kept.
"""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from core.errors import ModelError
from core.items import FloatMatrix
from inference.models.store import MANIFEST, ModelFolder
from inference.runtimes.checkpoint import Checkpoint, read_checkpoint
from inference.runtimes.loading import library, loading
from inference.runtimes.onnx import OnnxRuntime
from inference.runtimes.openvino import OpenVinoRuntime
from inference.runtimes.parity import Parity, answers, compare, unpadded
from inference.runtimes.sample import Arrays, ordinary_batches
from inference.runtimes.torch import SIGNATURE, TorchRuntime
from training.folder import new_folder
from training.public_models.checkpoint_folder import (
    PATHS,
    ExportPlan,
    manifest_of,
    read_bytes,
    read_tokenizer,
)

LARGEST_ONNX = 2**31 - 2**20  # bytes: a protobuf message can't be larger
_OPENERS: Mapping[str, Callable[..., Any]] = {
    "onnx": OnnxRuntime.open,
    "openvino": OpenVinoRuntime.open,
    "torchscript": TorchRuntime.open_script,
    "safetensors": TorchRuntime.open,
}


@dataclass(frozen=True, slots=True)
class Exported:
    """One format that was written: its size in bytes, and how near it is to the checkpoint."""

    format: str
    size: int
    parity: Parity


class _Named(torch.nn.Module):  # type: ignore[misc]
    """The checkpoint as a module whose arrays come in the order of `inputs`, which tracing
    needs.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.model = checkpoint.model
        self.inputs, self.output = checkpoint.inputs, checkpoint.output

    def forward(self, *arrays: Any) -> Any:
        """Return the one output of the task."""
        given = dict(zip(self.inputs, arrays, strict=True))
        return getattr(self.model(**given, return_dict=True), self.output)


def export(
    source: Path, output: Path, plan: ExportPlan, texts: Sequence[str]
) -> tuple[Exported, ...]:
    """Write the checkpoint in `source` as the model `output`, in each of the plan's formats.

    The results are checked on `texts`. Raises ModelError, and leaves nothing behind, if the
    checkpoint can't be read, a format can't be made, or its answers differ from the checkpoint's.
    """
    with new_folder(output) as folder:
        return _export(source, folder, plan, texts, output.name)


def _export(
    source: Path, folder: Path, plan: ExportPlan, texts: Sequence[str], name: str
) -> tuple[Exported, ...]:
    config, weights = read_bytes(source, "config.json"), read_bytes(source, "model.safetensors")
    where = str(source)
    traced = read_checkpoint(config, weights, plan.task, where, attention="eager")
    tokenizer = read_tokenizer(source)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    for one in plan.formats:
        _write(one, folder, traced, config, weights)
    manifest = manifest_of(source, folder, plan, name, traced)
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    batches = ordinary_batches(
        tokenizer, texts, pairs=plan.task == "score", longest=manifest.max_tokens
    )
    given = [{name: batch[name] for name in traced.inputs} for batch in batches]
    expected = [_answer(traced, batch) for batch in given]
    return tuple(
        _proved(one, ModelFolder(folder, manifest), given, expected) for one in plan.formats
    )


def _proved(
    one: str, folder: ModelFolder, batches: Sequence[Arrays], expected: Sequence[FloatMatrix]
) -> Exported:
    """Return one format, loaded as it will be served and compared with the checkpoint."""
    runtime = _OPENERS[one](folder, threads=1)
    try:
        parity = compare(answers(runtime, batches), expected)
    finally:
        runtime.close()
    if not parity.agree:
        raise ModelError(
            f"{one} does not give the checkpoint's answers: least cosine {parity.cosine:.6f}, "
            f"greatest difference {parity.difference:.4f} of the greatest value",
            where=str(folder.path / folder.manifest.graphs[one]),
            mend="leave the format out with --formats, and report it",
        )
    size = sum(place.stat().st_size for place in _files_of(one, folder.path))
    return Exported(one, size, parity)


def _answer(checkpoint: Checkpoint, batch: Arrays) -> FloatMatrix:
    """Return the checkpoint's own answer in PyTorch, without padding: float32 [rows, d]."""
    with torch.inference_mode():
        tensors = {name: torch.from_numpy(batch[name]) for name in checkpoint.inputs}
        given = getattr(checkpoint.model(**tensors, return_dict=True), checkpoint.output)
    return unpadded(given.float().numpy(), batch["attention_mask"])


def _write(one: str, folder: Path, traced: Checkpoint, config: bytes, weights: bytes) -> None:
    """Write one format's files. Raises ModelError if it can't be made."""
    place = folder / PATHS[one]
    with loading(str(place)), _quiet():
        match one:
            case "onnx":
                place.write_bytes(_onnx(traced, folder))
            case "openvino":
                _write_openvino(_onnx(traced, folder), place)
            case "torchscript":
                _write_script(traced, place)
            case _:
                place.write_bytes(weights)
                (folder / "config.json").write_bytes(config)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide the exporters' messages; the check shows whether the result is right."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "transformers")]
    before = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, before, strict=True):
            log.setLevel(level)


def _example(traced: Checkpoint) -> tuple[Any, ...]:
    """Return two rows of seven tokens, the second padded, so that tracing takes no size for a
    constant.
    """
    mask = torch.ones((2, 7), dtype=torch.int64)
    mask[1, 4:] = 0
    values = {"input_ids": mask * 5, "attention_mask": mask, "token_type_ids": mask * 0}
    return tuple(values[name] for name in traced.inputs)


def _onnx(traced: Checkpoint, folder: Path) -> bytes:
    """Return the ONNX graph for any number of texts and tokens; made once for a folder."""
    place = folder / PATHS["onnx"]
    if place.exists():
        return place.read_bytes()
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    program = torch.onnx.export(
        _Named(traced).eval(),
        _example(traced),
        dynamo=True,
        input_names=list(traced.inputs),
        output_names=[traced.output],
        dynamic_shapes={"arrays": tuple(dict(sizes) for _ in traced.inputs)},
        verbose=False,
    )
    model = program.model_proto
    if model.ByteSize() > LARGEST_ONNX:
        raise ModelError(
            "the graph is larger than the 2 GB that one ONNX file may have",
            mend="export openvino, torchscript or safetensors instead",
        )
    content: bytes = model.SerializeToString()
    return content


def _write_openvino(graph: bytes, place: Path) -> None:
    """OpenVINO's own format in float32. Its converter is not used, because it sends telemetry."""
    openvino = library("openvino")
    model = openvino.Core().read_model(io.BytesIO(graph))
    openvino.save_model(model, str(place), compress_to_fp16=False)


def _write_script(traced: Checkpoint, place: Path) -> None:
    """A traced TorchScript program that says which arrays it takes and returns."""
    names = {"inputs": traced.inputs, "outputs": [traced.output]}
    with torch.inference_mode():
        program = torch.jit.trace(_Named(traced).eval(), _example(traced), check_trace=False)
    torch.jit.save(program, str(place), _extra_files={SIGNATURE: json.dumps(names)})


def _files_of(one: str, folder: Path) -> list[Path]:
    """Return the files of a format."""
    place = folder / PATHS[one]
    return [place, place.with_suffix(".bin")] if one == "openvino" else [place]
