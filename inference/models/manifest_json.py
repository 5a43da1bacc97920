"""Reading `manifest.json`: nothing in it is trusted before it is checked here."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, cast

from core.errors import ModelError
from inference.models.manifest import (
    FORMATS,
    PIXELS_IN,
    TASKS,
    ModelManifest,
    TrainingData,
    companions,
)

LONGEST = 2**20  # characters of a manifest
_SHA256 = re.compile("[0-9a-f]{64}")
_MOST_TOKENS = 2**20
# Formats whose loading runs code of the file's choosing. Three are allowed if `graphs` names them:
# OpenVINO's weights are raw numbers in a .bin, CTranslate2's .bin has names and raw numbers, and
# TorchScript's program is in its own language.
_KINDS = frozenset(
    {".onnx", ".onnx_data", ".data", ".safetensors", ".xml", ".ts", ".json", ".txt", ".model"}
    | {".pb", ".tflite"}
)
PICKLES = frozenset({".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy"})


def parse_manifest(text: str, *, where: str, pinned: bool = True) -> ModelManifest:
    """Return the manifest in a JSON text; `where` is named in errors.

    With `pinned` every file needs its sha256. Without it the sha256 may be "", as in the catalogue,
    and is taken from the source.

    Raises ModelError for JSON that can't be read or is too long, a repeated key, a missing, unknown
    or ill-typed field, a file outside the folder, a pickle, or a graph or tokenizer that `files`
    does not list.
    """
    fields = _fields(text, where)
    _check_names(fields, where)
    _check_choices(fields, where)
    graphs = _texts_by_name(fields, "graphs", where)
    files = _checked_files(fields["files"], graphs, where, pinned=pinned)
    _check_graphs(graphs, files, where)
    _check_tokenizer(fields, files, where)
    lists = {name: _texts(fields, name, where) for name in ("labels", "languages", "limits")}
    quality = _figures(fields["quality"], where)
    commands = _texts_by_name(fields, "commands", where)
    if unmeasured := sorted(set(commands) - set(quality)):
        raise _bad(f"'commands' names {unmeasured[0]!r}, which 'quality' does not have", where)
    data = tuple(_training_data(entry, where) for entry in fields["training_data"])
    parts = {"files": files, "graphs": graphs, "quality": quality, "commands": commands}
    return ModelManifest(**{**fields, **parts, **lists, "training_data": data})


# What each field must be in JSON. bool is checked by exact type: in Python it is an int too.
_TYPES: Mapping[str, type] = {
    **dict.fromkeys(("name", "task", "architecture", "source", "revision", "licence"), str),
    **dict.fromkeys(("tokenizer", "pooling", "query_prefix", "passage_prefix"), str),
    **dict.fromkeys(("precision", "recipe", "about"), str),
    **dict.fromkeys(("max_tokens", "dimension"), int),
    **dict.fromkeys(("labels", "languages", "training_data", "limits"), list),
    **dict.fromkeys(("files", "graphs", "quality", "commands"), dict),
    "optimized": bool,
}


def _fields(text: str, where: str) -> dict[str, Any]:
    """Return the JSON object in `text`."""
    if len(text) > LONGEST:
        raise _bad(f"the manifest is longer than {LONGEST:,} characters", where)

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise _bad(f"the manifest has {twice!r} twice", where)
        return found

    try:
        fields = json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise _bad(f"the manifest is not JSON: {error}", where) from error
    if not isinstance(fields, dict):
        raise _bad("the manifest is not a JSON object", where)
    return fields


def _check_names(fields: Mapping[str, object], where: str) -> None:
    """Raise ModelError unless every field is there, none is unknown, and each is of its type."""
    for name, expected in _TYPES.items():
        if name not in fields:
            raise _bad(f"the manifest has no '{name}'", where)
        if type(fields[name]) is not expected:
            raise _bad(f"'{name}' must be of JSON type {expected.__name__}", where)
    unknown = sorted(set(fields) - set(_TYPES))
    if unknown:
        raise _bad(f"the manifest has an unknown field '{unknown[0]}'", where)


def _check_choices(fields: Mapping[str, Any], where: str) -> None:
    """Raise ModelError for values outside their choices or ranges."""
    if fields["task"] not in TASKS:
        raise _bad(f"'task' must be one of {', '.join(TASKS)}", where)
    if fields["pooling"] not in ("", "mean", "cls"):
        raise _bad("'pooling' must be mean, cls or empty", where)
    if not 2 <= fields["max_tokens"] <= _MOST_TOKENS:
        raise _bad("'max_tokens' must be 2 or more, and no more than a million", where)
    if fields["dimension"] < 0:
        raise _bad("'dimension' must be 0 or more", where)
    if fields["task"] == "tag" and not fields["labels"]:
        raise _bad("a tagger needs 'labels'", where)


def _checked_files(
    files: Mapping[str, object], graphs: Mapping[str, str], where: str, *, pinned: bool
) -> dict[str, str]:
    """Return `files`, if each path stays in the folder, is not a pickle, and has a sha256."""
    checked: dict[str, str] = {}
    for path, digest in files.items():
        parts = PurePosixPath(path)
        if not path or parts.is_absolute() or ".." in parts.parts or not _plain(path):
            raise _bad(f"'files' names {path!r}, which is outside the model's folder", where)
        if parts.suffix.lower() in PICKLES and not may_look_pickled(path, graphs):
            raise pickled(path, where)
        if parts.suffix not in _KINDS | PICKLES:
            raise _bad(f"'files' names {path!r}; its kind of file is never loaded", where)
        unknown = digest == "" and not pinned
        if not unknown and not (isinstance(digest, str) and _SHA256.fullmatch(digest)):
            raise _bad(f"'files' has no sha256 (64 hex digits) for {path!r}", where)
        checked[path] = cast("str", digest)
    return checked


def _plain(path: str) -> bool:
    """Return whether a path is in its normal form, in printable characters, without backslashes."""
    return path.isprintable() and "\\" not in path and str(PurePosixPath(path)) == path != "."


def may_look_pickled(path: str, graphs: Mapping[str, str]) -> bool:
    """Return whether `graphs` explains the suffix of `path`: OpenVINO's weights, a model of
    CTranslate2 or a TorchScript program.
    """
    beside = companions(graphs.get("openvino", ""), {path: ""})
    return path in (graphs.get("torchscript"), graphs.get("ctranslate2")) or path in beside


def pickled(path: str, where: str) -> ModelError:
    """Return the error for a pickle."""
    return ModelError(
        f"{path} is a pickle, and loading one can run any code",
        where=where,
        mend="remove it; convert the weights to ONNX or safetensors",
    )


_SUFFIXES = {
    "onnx": (".onnx",),
    "openvino": (".xml",),
    "safetensors": (".safetensors",),
    "torchscript": (".pt", ".ts"),
    "ctranslate2": (".bin",),
    "tensorflow": ("saved_model.pb",),
    "tflite": (".tflite",),
    "tflite-int8": (".tflite",),
}


_BESIDE = {
    "openvino": "its .bin",
    "safetensors": "config.json",
    "ctranslate2": "config.json and its vocabulary",
}


def _check_graphs(graphs: Mapping[str, str], files: Mapping[str, str], where: str) -> None:
    """Raise ModelError unless there is a graph, and each is of a known format, listed, and has its
    other files listed.
    """
    if not graphs:
        raise _bad("'graphs' is empty", where)
    for kind, path in graphs.items():
        if kind not in FORMATS:
            raise _bad(f"'graphs' has {kind!r}, which is none of {', '.join(FORMATS)}", where)
        if path not in files:
            raise _bad(f"'graphs' names {path!r}, which 'files' does not list", where)
        if not path.endswith(_SUFFIXES[kind]):
            raise _bad(f"the {kind} graph must end in {' or '.join(_SUFFIXES[kind])}", where)
        if kind in _BESIDE and not companions(path, files):
            beside = _BESIDE[kind]
            raise _bad(f"'files' lists {path!r} without {beside} beside it", where)


def _check_tokenizer(fields: Mapping[str, Any], files: Mapping[str, str], where: str) -> None:
    """Raise ModelError if a model that reads texts lists no tokenizer, or if one that reads pixels
    lists one. Only a model for the task "look" may have one or not.
    """
    tokenizer = fields["tokenizer"]
    if fields["task"] in PIXELS_IN:
        if tokenizer:
            what = f"'tokenizer' must be empty: a model for {fields['task']} is given no text"
            raise _bad(what, where)
    elif tokenizer not in files and (tokenizer or fields["task"] != "look"):
        raise _bad(f"'tokenizer' names {tokenizer!r}, which 'files' does not list", where)


def _texts(fields: Mapping[str, object], name: str, where: str) -> tuple[str, ...]:
    """Return the list of strings under `name`."""
    values = cast("list[object]", fields[name])
    if not all(isinstance(value, str) for value in values):
        raise _bad(f"'{name}' must be a list of strings", where)
    return tuple(cast("list[str]", values))


def _texts_by_name(fields: Mapping[str, object], name: str, where: str) -> dict[str, str]:
    """Return the object of strings under `name`."""
    values = cast("dict[str, object]", fields[name])
    if not all(isinstance(value, str) for value in values.values()):
        raise _bad(f"'{name}' must have strings only", where)
    return cast("dict[str, str]", dict(values))


def _figures(quality: Mapping[str, object], where: str) -> dict[str, float]:
    """Return the measured figures, all finite numbers."""
    figures: dict[str, float] = {}
    for name, value in quality.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _bad(f"'quality' has no number for {name!r}", where)
        try:
            figures[name] = float(value)
        except OverflowError:  # a whole number that no float can hold
            figures[name] = math.inf
        if not math.isfinite(figures[name]):
            raise _bad(f"'quality' has no finite number for {name!r}", where)
    return figures


def _training_data(entry: object, where: str) -> TrainingData:
    """Return one of the training data sets."""
    names = {"name", "licence", "use"}
    if not isinstance(entry, dict) or set(entry) != names:
        raise _bad("each of 'training_data' needs name, licence and use, and nothing else", where)
    if not all(isinstance(value, str) and value for value in entry.values()):
        raise _bad("name, licence and use of 'training_data' must be texts", where)
    return TrainingData(**entry)


def _bad(what: str, where: str) -> ModelError:
    return ModelError(what, where=where, mend="make or pull the model again")
