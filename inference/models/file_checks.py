"""Check that a model's file is of its kind and fits its manifest, before a runtime loads it.

A checksum proves that a file is the one that the manifest names. It does not prove that the file is
harmless: a folder from a stranger has a stranger's manifest. So each file is checked: it must be no
pickle under another name, must not take weights from other places, and must have as many numbers in
a vector or labels in an answer as the manifest says.

A runtime parses, optimizes and allocates before it can be asked for shapes, and opens other files
that a graph names. Neither should happen to a file that does not fit its manifest. So the few
fields that matter are read here, without a runtime.

Sources: onnx.proto3 of ONNX 1.17 (field numbers); the description of the format in the safetensors
repository (eight bytes with the header's length, the header in JSON, then the bytes of all tensors
without gap or overlap).
"""

import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from core.errors import ModelError
from inference.models.manifest import ModelManifest, companions
from inference.models.saved_model import check_saved_model
from inference.models.wire import fields, only, parts, whole

_MODEL_GRAPH, _MODEL_FUNCTION = 7, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT, _GRAPH_SPARSE = 1, 5, 12, 15
_FUNCTION_NODE = 7
_NODE_ATTRIBUTE = 5
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_SPARSE_TENSORS = (1, 2)  # its values, and their places
_TENSOR_EXTERNAL, _TENSOR_LOCATION, _EXTERNAL = 13, 14, 1
_DEEPEST = 8  # levels of inner graphs


@dataclass(frozen=True, slots=True)
class OnnxOutline:
    """A graph's outputs by name, each with its shape (None if a size is open), and the names of
    other files that its weights lie in.
    """

    outputs: dict[str, tuple[int | None, ...]]
    external: frozenset[str]


def read_outline(content: bytes) -> OnnxOutline:
    """Return the outline of an ONNX file. Raises ValueError for bytes that are not such a file."""
    found = {_MODEL_GRAPH: [], _MODEL_FUNCTION: []}  # type: dict[int, list[memoryview]]
    for field in fields(memoryview(content)):
        if field.number in found and field.part is not None:
            found[field.number].append(field.part)
    if len(found[_MODEL_GRAPH]) != 1:
        raise ValueError("there is no graph in it")
    (graph,) = found[_MODEL_GRAPH]
    outputs = dict(_output(value) for value in parts(graph, _GRAPH_OUTPUT))
    if not outputs:
        raise ValueError("the graph has no output")
    external = set(_places_in_graph(graph, 0))
    for function in found[_MODEL_FUNCTION]:
        for node in parts(function, _FUNCTION_NODE):
            external.update(_places_in_node(node, 0))
    return OnnxOutline(outputs, frozenset(external))


def _output(value: memoryview) -> tuple[str, tuple[int | None, ...]]:
    """Name and shape of a ValueInfoProto."""
    name = bytes(only(value, 1)).decode()
    tensor = only(only(value, 2), 1)
    sizes = [whole(part, 1) for shape in parts(tensor, 2) for part in parts(shape, 1)]
    return name, tuple(sizes)


def _places_in_graph(graph: memoryview, depth: int) -> Iterator[str]:
    """Yield the other files that the weights of a graph, and of graphs within it, lie in."""
    if depth > _DEEPEST:
        raise ValueError("graphs lie within graphs too deeply")
    for tensor in parts(graph, _GRAPH_INITIALIZER):
        yield from _place(tensor)
    for sparse in parts(graph, _GRAPH_SPARSE):
        yield from _places_in_sparse(sparse)
    for node in parts(graph, _GRAPH_NODE):
        yield from _places_in_node(node, depth)


def _places_in_node(node: memoryview, depth: int) -> Iterator[str]:
    for attribute in parts(node, _NODE_ATTRIBUTE):
        for tensor in parts(attribute, *_ATTRIBUTE_TENSORS):
            yield from _place(tensor)
        for sparse in parts(attribute, *_ATTRIBUTE_SPARSE):
            yield from _places_in_sparse(sparse)
        for graph in parts(attribute, *_ATTRIBUTE_GRAPHS):
            yield from _places_in_graph(graph, depth + 1)


def _places_in_sparse(sparse: memoryview) -> Iterator[str]:
    for tensor in parts(sparse, *_SPARSE_TENSORS):
        yield from _place(tensor)


def _place(tensor: memoryview) -> Iterator[str]:
    """Yield the file that a tensor's numbers are in, if they are not in the tensor."""
    if whole(tensor, _TENSOR_LOCATION) != _EXTERNAL:
        return
    for entry in parts(tensor, _TENSOR_EXTERNAL):
        if bytes(only(entry, 1)) == b"location":
            yield bytes(only(entry, 2)).decode()


LONGEST_HEADER = 100 * 10**6  # bytes, the format's own limit
_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64"), 64),
}


def read_shapes(content: bytes) -> dict[str, tuple[int, ...]]:
    """Return each tensor's shape by name. Raises ValueError for bytes that are not such a file, or
    that have more or less than the header says.
    """
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or not 2 <= size <= min(LONGEST_HEADER, len(content) - 8):
        raise ValueError("the header's length does not fit the file")
    try:
        header = json.loads(content[8 : 8 + size], object_pairs_hook=_unique)
    except RecursionError as error:
        raise ValueError("the header is nested too deeply") from error
    if not isinstance(header, dict):
        raise ValueError("the header is not a JSON object")
    header.pop("__metadata__", None)
    tensors = {name: _tensor(name, entry) for name, entry in header.items()}
    end = 0
    for name, (_, begin, after) in sorted(tensors.items(), key=lambda item: item[1][1:]):
        if begin != end:
            raise ValueError(f"there is a gap or an overlap before {name!r}")
        end = after
    if end != len(content) - 8 - size:
        raise ValueError(f"it has {len(content) - 8 - size} bytes of weights instead of {end}")
    return {name: shape for name, (shape, _, _) in tensors.items()}


def _tensor(name: str, entry: Any) -> tuple[tuple[int, ...], int, int]:
    """Return shape, first byte and the byte after the last of a header's entry."""
    try:
        bits, shape = _BITS[entry["dtype"]], tuple(entry["shape"])
        begin, after = entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the header's entry {name!r} can't be read") from error
    if any(type(number) is not int or number < 0 for number in (*shape, begin, after)):
        raise ValueError(f"the header's entry {name!r} has something else than whole numbers")
    if (after - begin) * 8 != bits * math.prod(shape):
        raise ValueError(f"{name!r} has {after - begin} bytes, which is not its shape {shape}")
    return shape, begin, after


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("the header has a name twice")
    return found


_ARCHIVES = (b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY")
_PICKLE_PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_VECTORS = ("sentence_embedding", "token_embeddings", "last_hidden_state")
_LOGITS = "logits"
_CTRANSLATE2 = 6  # the newest version of its format
_ONE_OUTPUT = ("find_text", "read_text")
_OUTPUTS = {
    "encode": _VECTORS,
    "look": ("features", "image_embeds", "text_embeds", "pooler_output"),
}
_TFLITE = b"TFL3"  # the identifier of its flatbuffer
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
        elif path == manifest.graphs.get("ctranslate2"):
            _check_ctranslate2(content)
        elif suffix == ".json":
            _check_json(manifest, path, content)
        elif suffix in (".pb", ".tflite"):
            _check_tensorflow(suffix, content)
        elif suffix == ".xml" and not content.lstrip().startswith((b"<?xml", b"<net")):
            raise ValueError("it is not OpenVINO's XML")
    except ValueError as error:
        what = f"{path} does not fit the manifest: {error}"
        mend = "make or pull the model again, or mend its manifest"
        raise ModelError(what, where=where, mend=mend) from error


def looks_pickled(content: bytes, *, whole: bool = False) -> bool:
    """Return whether bytes begin like a pickle (protocol 2 or later), an archive or a numpy file.

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
    if manifest.task in _ONE_OUTPUT and len(outline.outputs) == 1:
        names = tuple(outline.outputs)  # whatever it is called
    else:
        names = _OUTPUTS.get(manifest.task, (_LOGITS,))
    given = {name: shape for name, shape in outline.outputs.items() if name in names}
    if not given:
        found = ", ".join(outline.outputs)
        raise ValueError(f"its outputs are {found}; one of {', '.join(names)} is needed")
    for name, shape in given.items():
        _same(f"the last size of its output {name!r}", shape[-1] if shape else 0, _width(manifest))


def _check_tensorflow(suffix: str, content: bytes) -> None:
    """Raise ValueError unless a file is a SavedModel of known operators, or TFLite."""
    if suffix == ".pb":
        check_saved_model(content)
    elif content[4:8] != _TFLITE:
        raise ValueError("it is no TFLite model")


def _check_ctranslate2(content: bytes) -> None:
    """Raise ValueError unless a file begins as a model of CTranslate2: the version of the format,
    and the name of what it is (CTranslate2, src/models/model.cc).
    """
    version, length = int.from_bytes(content[:4], "little"), int.from_bytes(content[4:6], "little")
    name = content[6 : 6 + length]
    if not 1 <= version <= _CTRANSLATE2 or name != b"WhisperSpec\0":
        raise ValueError("it is no Whisper model of CTranslate2 that is known here")


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


def _width(manifest: ModelManifest) -> int | None:
    """Return the size of the last axis of the model's output, None if any may be."""
    match manifest.task:
        case "encode" | "look" | "read_text":
            return manifest.dimension
        case "find_text":  # a map of the picture
            return None
        case "tag":
            return len(manifest.labels)
        case "shots":  # two numbers for each frame of a window
            return 2 * manifest.max_tokens
        case _:
            return 1


def _same(what: str, found: int | None, expected: int | None) -> None:
    """Raise ValueError if both sizes are known and differ."""
    if None not in (found, expected) and found != expected:
        raise ValueError(f"{what} is {found} instead of {expected}")
