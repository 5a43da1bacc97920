"""Small models to pull and to damage: an ONNX graph written byte by byte, and manifests for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FLOAT = 1
Size = int | str


def small_graph(
    output: str = "sentence_embedding", sizes: Sequence[Size] = ("n", 4), *, apart: str = ""
) -> bytes:
    """ONNX: `output` = Identity(`input`), of this shape; an unused weight may lie `apart`."""
    node = _part(1, b"input") + _part(2, output.encode()) + _part(4, b"Identity")
    graph = _part(1, node) + _part(2, b"small")
    weight = _whole(1, 1) + _whole(2, FLOAT) + _part(8, b"weight")
    if apart:
        place = _part(1, b"location") + _part(2, apart.encode())
        weight += _part(13, place) + _whole(14, 1)
    else:
        weight += _part(9, b"\0\0\0\0")
    graph += _part(5, weight)
    graph += _part(11, _value("input", sizes)) + _part(12, _value(output, sizes))
    return _whole(1, 8) + _part(7, graph) + _part(8, _whole(2, 17))


def small_safetensors(tensors: Mapping[str, Sequence[int]]) -> bytes:
    """float32 zeros of the given shapes."""
    header: dict[str, Any] = {}
    end = 0
    for name, shape in tensors.items():
        size = 4
        for each in shape:
            size *= each
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(end)


def small_manifest(name: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    """A manifest's fields, right for `files`."""
    sums = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    return {
        **dict.fromkeys(("architecture", "source", "revision", "licence"), "x"),
        **dict.fromkeys(("query_prefix", "passage_prefix", "precision", "recipe", "about"), ""),
        **{key: [] for key in ("labels", "training_data", "limits")},
        "name": name,
        "task": "encode",
        "files": sums,
        "graphs": {"onnx": "graph.onnx"},
        "tokenizer": "tokenizer.json",
        "pooling": "mean",
        "optimized": True,
        "max_tokens": 16,
        "dimension": 4,
        "quality": {"speed": 1},
        "commands": {"speed": "measure"},
        "languages": ["en"],
    }


def _value(name: str, sizes: Sequence[Size]) -> bytes:
    parts = [_whole(1, s) if isinstance(s, int) else _part(2, s.encode()) for s in sizes]
    shape = b"".join(_part(1, part) for part in parts)
    return _part(1, name.encode()) + _part(2, _part(1, _whole(1, FLOAT) + _part(2, shape)))


def _part(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _whole(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


FILES = {"graph.onnx": small_graph(), "tokenizer.json": b"{}"}


def write_model(folder: Path, contents: Mapping[str, bytes] = FILES, **changed: object) -> Path:
    """The model in `folder`, its manifest right for `contents` but for what is `changed`; a field
    that is changed to None is left out.
    """
    for path, content in contents.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    fields = {**small_manifest(folder.name, contents), **changed}
    kept = {name: value for name, value in fields.items() if value is not None}
    (folder / "manifest.json").write_text(json.dumps(kept))
    return folder
