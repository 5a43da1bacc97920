"""What a model says of itself: `manifest.json` in its folder, read into a value.

Every field must be there, so that a misspelt one is found at once; what a model has no use for
is an empty string, list or object.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import cast

from core.errors import ModelError

_SHA256 = re.compile("[0-9a-f]{64}")

# Formats whose loading runs code of the file's choosing.
PICKLES = frozenset({".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy"})


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """One model: where it comes from, which files it is, and how texts are put to it.

    - `name`: also its folder's name; `task`: `encode`, `tag` or `score`
    - `source`, `revision`, `licence`: whose weights, which version, under which terms
    - `files`: sha256 in hex by path relative to the folder, `/` between parts
    - `graph`, `tokenizer`: the paths in `files` of the ONNX graph and the tokenizer
    - `optimized`: the graph is in its final form and the runtime must not rewrite it
    - `pooling`: `mean`, `cls` or "" where the graph has no sentence vector
    - `query_prefix`, `passage_prefix`: put before each text
    - `max_tokens`: a text's greatest length, special tokens counted; `dimension`: of a vector
    - `labels`: the tagger's, by class number
    - `precision`: of the weights; `quality`: measured figures, by what was measured
    - `recipe`: the command that makes the model; `languages`: ISO 639-1 codes
    """

    name: str
    task: str
    architecture: str
    source: str
    revision: str
    licence: str
    files: Mapping[str, str]
    graph: str
    tokenizer: str
    optimized: bool
    pooling: str
    query_prefix: str
    passage_prefix: str
    max_tokens: int
    dimension: int
    labels: tuple[str, ...]
    precision: str
    quality: Mapping[str, float]
    recipe: str
    languages: tuple[str, ...]

    @property
    def digest(self) -> str:
        """sha256 in hex over all that decides what comes out: files, prefixes, length, pooling."""
        meaning = [
            sorted(self.files.items()),
            [self.graph, self.tokenizer, self.pooling],
            [self.query_prefix, self.passage_prefix, self.max_tokens],
            list(self.labels),
        ]
        return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()

    def to_json(self) -> str:
        """The text of `manifest.json`, ending in a line break."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def parse_manifest(text: str, *, where: str) -> ModelManifest:
    """Read a manifest's JSON; `where` is named in errors.

    Raises ModelError for JSON that can't be read, a missing, unknown or ill-typed field, a file
    outside the folder, a pickle, or a graph or tokenizer that `files` does not list.
    """
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise _bad(f"the manifest is not JSON: {error}", where) from error
    if not isinstance(fields, dict):
        raise _bad("the manifest is not a JSON object", where)
    _check_names(fields, where)
    files = _checked_files(fields["files"], where)
    for role in ("graph", "tokenizer"):
        if fields[role] not in files:
            raise _bad(f"'{role}' names {fields[role]!r}, which 'files' does not list", where)
    lists = {name: _texts(fields, name, where) for name in ("labels", "languages")}
    given = {**fields, "files": files, "quality": _figures(fields["quality"], where), **lists}
    return ModelManifest(**given)


# What each field must be in JSON. bool is checked by exact type: in Python it is an int too.
_TYPES: Mapping[str, type] = {
    **dict.fromkeys(("name", "task", "architecture", "source", "revision", "licence"), str),
    **dict.fromkeys(("graph", "tokenizer", "pooling", "query_prefix", "passage_prefix"), str),
    **dict.fromkeys(("precision", "recipe"), str),
    **dict.fromkeys(("max_tokens", "dimension"), int),
    **dict.fromkeys(("labels", "languages"), list),
    **dict.fromkeys(("files", "quality"), dict),
    "optimized": bool,
}


def _check_names(fields: Mapping[str, object], where: str) -> None:
    """Every field present, none unknown, each of its type."""
    for name, expected in _TYPES.items():
        if name not in fields:
            raise _bad(f"the manifest has no '{name}'", where)
        if type(fields[name]) is not expected:
            raise _bad(f"'{name}' must be of JSON type {expected.__name__}", where)
    unknown = sorted(set(fields) - set(_TYPES))
    if unknown:
        raise _bad(f"the manifest has an unknown field '{unknown[0]}'", where)
    if cast("int", fields["max_tokens"]) < 2:
        raise _bad("'max_tokens' must be 2 or more", where)


def _checked_files(files: Mapping[str, object], where: str) -> dict[str, str]:
    """`files` if each path stays in the folder, is no pickle, and has a sha256."""
    checked: dict[str, str] = {}
    for path, digest in files.items():
        parts = PurePosixPath(path)
        if not path or parts.is_absolute() or ".." in parts.parts or "\\" in path:
            raise _bad(f"'files' names {path!r}, which is outside the model's folder", where)
        if parts.suffix.lower() in PICKLES:
            raise ModelError(
                f"{path} is a pickle, and loading one can run any code",
                where=where,
                mend="convert the weights to ONNX or safetensors",
            )
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise _bad(f"'files' has no sha256 (64 hex digits) for {path!r}", where)
        checked[path] = digest
    return checked


def _texts(fields: Mapping[str, object], name: str, where: str) -> tuple[str, ...]:
    """The list of strings under `name`."""
    values = cast("list[object]", fields[name])
    if not all(isinstance(value, str) for value in values):
        raise _bad(f"'{name}' must be a list of strings", where)
    return tuple(cast("list[str]", values))


def _figures(quality: Mapping[str, object], where: str) -> dict[str, float]:
    """The measured figures, all numbers."""
    figures: dict[str, float] = {}
    for name, value in quality.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _bad(f"'quality' has no number for {name!r}", where)
        figures[name] = float(value)
    return figures


def _bad(what: str, where: str) -> ModelError:
    return ModelError(what, where=where, mend="make the model again with its recipe in training/")
