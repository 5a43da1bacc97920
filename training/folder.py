"""Writes a model's folder: graph, tokenizer and manifest, in the layout that inference.models.store
reads.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx
from tokenizers import Tokenizer

from inference.models.card import CARD, card
from inference.models.manifest import ModelManifest
from inference.models.store import MANIFEST


def write_folder(
    folder: Path, manifest: ModelManifest, graph: onnx.ModelProto, tokenizer: Path
) -> ModelManifest:
    """Write the model; return the manifest with the files' checksums.

    The tokenizer loses its padding and length limit, which the manifest sets.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain_tokenizer(tokenizer).save(str(folder / manifest.tokenizer), pretty=False)
    return write_graph(folder, manifest, graph)


def write_graph(folder: Path, manifest: ModelManifest, graph: onnx.ModelProto) -> ModelManifest:
    """Write the graph beside the tokenizer, if the model has one; return the manifest with the
    files' checksums.
    """
    folder.mkdir(parents=True, exist_ok=True)
    onnx.checker.check_model(graph)
    (folder / manifest.graph).write_bytes(graph.SerializeToString(deterministic=True))
    names = [name for name in (manifest.graph, manifest.tokenizer) if name]
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    return write_manifest(folder, replace(manifest, files=sums))


def plain_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer without padding and length limit."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def write_manifest(folder: Path, manifest: ModelManifest) -> ModelManifest:
    """Write `manifest.json` and the card `README.md`; returns `manifest`."""
    (folder / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
    (folder / CARD).write_text(card(manifest), encoding="utf-8")
    return manifest


def write_figures(
    folder: Path, manifest: ModelManifest, figures: Mapping[str, float], command: str = ""
) -> ModelManifest:
    """Replace all figures of the manifest by `figures`, rounded to four places. `command` measured
    them; if it is empty, the recipe did.
    """
    rounded = {name: round(value, 4) for name, value in figures.items()}
    commands = dict.fromkeys(rounded, command or manifest.recipe)
    return write_manifest(folder, replace(manifest, quality=rounded, commands=commands))
