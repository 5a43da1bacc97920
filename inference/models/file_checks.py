"""Whether a model's file is of its kind and fits its manifest, before a runtime loads it.

A checksum proves that a file is the one that the manifest names. It does not prove that the file is
harmless: a folder from a stranger has a stranger's manifest. So each file is looked at: it must be
no pickle under another name, must not take weights from other places, and must have as many numbers
in a vector or labels in an answer as the manifest says.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from core.errors import ModelError
from inference.models.manifest import ModelManifest, companions
from inference.models.onnx_outline import read_outline
from inference.models.safetensors_outline import read_shapes

_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY")
_PICKLE_PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_VECTORS = ("sentence_embedding", "token_embeddings", "last_hidden_state")
_LOGITS = "logits"
_RAW = (".bin", ".data", ".onnx_data")  # files of numbers only


def check_file(manifest: ModelManifest, path: str, content: bytes, where: str) -> None:
    """Raise ModelError unless `content` is what `path` is to be in this model."""
    suffix = PurePosixPath(path).suffix
    if path == manifest.graphs.get("torchscript"):
        _check_torchscript(path, content, where)
        return
    if looks_pickled(content, whole=suffix in _RAW):
        what = f"{path} is a pickle or an archive in spite of its name"
        raise ModelError(what, where=where, mend="remove it; loading a pickle can run any code")
    try:
        if suffix == ".onnx":
            _check_onnx(manifest, path, content)
        elif suffix == ".safetensors":
            _check_safetensors(manifest, content)
        elif suffix == ".json":
            _check_json(manifest, path, content)
        elif suffix == ".xml" and not content.lstrip().startswith((b"<?xml", b"<net")):
            raise ValueError("it is not OpenVINO's XML")
    except ValueError as error:
        what = f"{path} does not fit the manifest: {error}"
        mend = "make or pull the model again, or mend its manifest"
        raise ModelError(what, where=where, mend=mend) from error


def looks_pickled(content: bytes, *, whole: bool = False) -> bool:
    """Whether bytes begin like a pickle (protocol 2 or later), an archive or a numpy file.

    With `whole` a pickle must end like one too, because raw numbers may begin like anything.
    """
    if content.startswith(_PICKLE_PROTOCOLS):
        return not whole or content.endswith(b".")
    return content.startswith(_ARCHIVES)


def _check_torchscript(path: str, content: bytes, where: str) -> None:
    """Raise ModelError unless an archive has a TorchScript program, which its loader reads without
    Python. An archive without a program holds pickled Python objects.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError) as error:
        what = f"{path} is no TorchScript archive: {error}"
        raise ModelError(what, where=where, mend="export the model again") from error
    inner = [name.partition("/")[2] for name in names]
    if "constants.pkl" not in inner or not any(name.startswith("code/") for name in inner):
        what = f"{path} is an archive of pickles, not a TorchScript program"
        raise ModelError(what, where=where, mend="remove it; loading a pickle can run any code")


def _check_onnx(manifest: ModelManifest, path: str, content: bytes) -> None:
    try:
        outline = read_outline(content)
    except ValueError as error:
        raise ValueError(f"it is not an ONNX graph: {error}") from error
    beside = {PurePosixPath(name).name for name in companions(path, manifest.files)}
    if strange := sorted(outline.external - beside):
        raise ValueError(f"it takes weights from {strange[0]!r}, which is not listed beside it")
    names = _VECTORS if manifest.task == "encode" else (_LOGITS,)
    given = {name: shape for name, shape in outline.outputs.items() if name in names}
    if not given:
        found = ", ".join(outline.outputs)
        raise ValueError(f"its outputs are {found}; one of {', '.join(names)} is needed")
    for name, shape in given.items():
        _same(f"the last size of its output {name!r}", shape[-1] if shape else 0, _width(manifest))


def _check_safetensors(manifest: ModelManifest, content: bytes) -> None:
    for name, shape in read_shapes(content).items():
        if manifest.task == "encode" and name.endswith("embeddings.word_embeddings.weight"):
            _same(f"the width of {name!r}", shape[-1] if shape else 0, manifest.dimension)
        if manifest.task != "encode" and name in _HEADS:
            _same(f"the height of {name!r}", shape[0] if shape else 0, _width(manifest))


# The last layer of BERT, DistilBERT and XLM-RoBERTa for classes, as transformers names it.
_HEADS = ("classifier.weight", "classifier.out_proj.weight")


def _check_json(manifest: ModelManifest, path: str, content: bytes) -> None:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON: {error}") from error
    if PurePosixPath(path).name == "config.json":
        _check_config(manifest, fields)


def _check_config(manifest: ModelManifest, config: Any) -> None:
    """Compare width and labels of `config.json` with the manifest."""
    if not isinstance(config, dict):
        raise ValueError("it is not a JSON object")
    if manifest.task == "encode":
        width = config.get("hidden_size", config.get("dim"))
        _same("its hidden_size", width if isinstance(width, int) else None, manifest.dimension)
        return
    labels = config.get("id2label")
    if manifest.task == "tag" and isinstance(labels, Mapping):
        named = tuple(labels.get(str(number)) for number in range(len(labels)))
        if named != manifest.labels:
            raise ValueError(f"its labels are {named}, the manifest's {manifest.labels}")
    if manifest.task == "score" and isinstance(labels, Mapping):
        _same("the number of its labels", len(labels), _width(manifest))


def _width(manifest: ModelManifest) -> int:
    """The size of the last axis of the model's output."""
    match manifest.task:
        case "encode":
            return manifest.dimension
        case "tag":
            return len(manifest.labels)
        case "shots":  # two numbers for each frame of a window
            return 2 * manifest.max_tokens
        case _:
            return 1


def _same(what: str, found: int | None, expected: int) -> None:
    """Raise ValueError where a size is known and is not the expected one."""
    if found is not None and found != expected:
        raise ValueError(f"{what} is {found} instead of {expected}")
