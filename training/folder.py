"""Writes a model's folder: graph, tokenizer and manifest, in the layout that inference.models.store
reads.
"""

import argparse
import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import onnx
from tokenizers import Tokenizer

from core.errors import ModelError
from inference.models.card import CARD, card
from inference.models.manifest import RESEARCH_ONLY, ModelManifest, TrainingData
from inference.models.store import MANIFEST

# all-MiniLM-L6-v2 and bge-small-en-v1.5, from which our models start, both learned from it.
START = TrainingData(
    "MS MARCO, by way of the start weights",
    "Microsoft's terms: non-commercial research",
    RESEARCH_ONLY,
)
_PARTS = ("NAME", "LICENCE", "USE")


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes `output` at the end; nothing stays after an error.

    Raises ModelError if `output` is there already.
    """
    if output.exists():
        raise ModelError("this folder exists", where=str(output), mend="choose another name")
    partial = output.with_name(f".{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


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


def training_data(text: str) -> TrainingData:
    """Return the training data `NAME|LICENCE|USE` from the command line. Raises ArgumentTypeError
    for other text.
    """
    parts = [part.strip() for part in text.split("|")]
    if len(parts) != len(_PARTS) or not all(parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not {'|'.join(_PARTS)}")
    return TrainingData(*parts)


def add_terms(parser: argparse.ArgumentParser) -> None:
    """Add the option `--training-data`, given once for each source of the user's own texts."""
    parser.add_argument(
        "--training-data",
        type=training_data,
        action="append",
        metavar="|".join(_PARTS),
        help="what your own texts are, for the card; USE is any, 'research only' or unknown",
    )


def learned_from(manifest: ModelManifest, own: Sequence[TrainingData] | None) -> ModelManifest:
    """Return the manifest with the user's `own` training data, if given, instead of ours; the data
    of its start weights stay.
    """
    if not own:
        return manifest
    start, _, _ = manifest.source.rpartition(" on ")
    return replace(
        manifest,
        source=f"{start} on {', '.join(one.name for one in own)}",
        licence="Apache-2.0 for the code; start weights and training texts: see there",
        training_data=(*own, START),
    )
