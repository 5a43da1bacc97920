"""Writing a model's folder: graph, tokenizer and manifest, in the layout inference.store reads."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx
from tokenizers import Tokenizer

from inference.manifest import ModelManifest
from inference.store import MANIFEST


def write_folder(
    folder: Path, manifest: ModelManifest, graph: onnx.ModelProto, tokenizer: Path
) -> ModelManifest:
    """Write the model; returns the manifest with the files' checksums in it.

    The tokenizer loses its padding and length limit, which are the manifest's to say.
    """
    folder.mkdir(parents=True, exist_ok=True)
    onnx.checker.check_model(graph)
    (folder / manifest.graph).write_bytes(graph.SerializeToString(deterministic=True))
    plain_tokenizer(tokenizer).save(str(folder / manifest.tokenizer), pretty=False)
    names = (manifest.graph, manifest.tokenizer)
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    return write_manifest(folder, replace(manifest, files=sums))


def plain_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer without padding and length limit."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def write_manifest(folder: Path, manifest: ModelManifest) -> ModelManifest:
    """Write `manifest.json` and return `manifest`."""
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def write_figures(
    folder: Path, manifest: ModelManifest, figures: Mapping[str, float]
) -> ModelManifest:
    """Put measured `figures` into the manifest, rounded to four places."""
    rounded = {name: round(value, 4) for name, value in figures.items()}
    return write_manifest(folder, replace(manifest, quality=rounded))
