"""Reads a Hugging Face checkpoint's folder: its files, and what a manifest needs from them."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from core.errors import ModelError
from inference.models.manifest import ModelManifest
from inference.runtimes.checkpoint import Checkpoint

PATHS = {
    "onnx": "model.onnx",
    "openvino": "openvino_model.xml",
    "torchscript": "model.ts",
    "safetensors": "model.safetensors",
}


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """What to make of a checkpoint, and the parts of its manifest that the checkpoint lacks.

    `task` is encode, tag or score; `formats` are names of PATHS; `max_tokens` 0 means the model's
    own limit.
    """

    task: str
    formats: tuple[str, ...]
    pooling: str = ""
    query_prefix: str = ""
    passage_prefix: str = ""
    max_tokens: int = 0
    source: str = ""
    revision: str = ""
    licence: str = ""
    languages: tuple[str, ...] = field(default_factory=tuple)


def manifest_of(
    source: Path, folder: Path, plan: ExportPlan, name: str, traced: Checkpoint
) -> ModelManifest:
    """Return the manifest of the files in `folder`."""
    settings = traced.model.config
    paths = sorted(place for place in folder.iterdir() if place.is_file())
    sums = {place.name: hashlib.sha256(place.read_bytes()).hexdigest() for place in paths}
    layers, width = settings.num_hidden_layers, settings.hidden_size
    labels = tuple(text for _, text in sorted(settings.id2label.items()))
    return ModelManifest(
        name=name,
        task=plan.task,
        architecture=f"{type(traced.model).__name__}, {layers} layers, {width} wide",
        source=plan.source or source.name,
        revision=plan.revision or f"model.safetensors sha256 {_sum(source / 'model.safetensors')}",
        licence=plan.licence or "unknown",
        files=sums,
        graphs={one: PATHS[one] for one in plan.formats},
        tokenizer="tokenizer.json",
        optimized=False,
        pooling=(plan.pooling or _pooling(source)) if plan.task == "encode" else "",
        query_prefix=plan.query_prefix,
        passage_prefix=plan.passage_prefix,
        max_tokens=plan.max_tokens or _longest(source, settings),
        dimension=width,
        labels=labels if plan.task == "tag" else (),
        precision="float32",
        quality={},
        recipe=f"dateline models export --task {plan.task}",
        languages=plan.languages,
    )


def _pooling(source: Path) -> str:
    """Return how sentence-transformers pools this model; the mean if the folder does not say."""
    place = source / "1_Pooling" / "config.json"
    if not place.is_file():
        return "mean"
    return "cls" if json.loads(place.read_text("utf-8")).get("pooling_mode_cls_token") else "mean"


def _longest(source: Path, settings: Any) -> int:
    """Return the most tokens that fit: the number of positions, or the tokenizer's limit if it is
    less.
    """
    positions = int(settings.max_position_embeddings)
    if settings.model_type in (
        "roberta",
        "xlm-roberta",
    ):  # positions begin after the position of padding
        positions -= int(settings.pad_token_id) + 1
    for name, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        place = source / name
        told = json.loads(place.read_text("utf-8")).get(key) if place.is_file() else None
        if isinstance(told, int) and 2 <= told < positions:
            positions = told
    return positions


def read_tokenizer(source: Path) -> Tokenizer:
    """Return the tokenizer without padding and length limit, which the manifest sets."""
    try:
        tokenizer = Tokenizer.from_buffer(read_bytes(source, "tokenizer.json"))
    except ValueError as error:
        what = f"the tokenizer can't be read: {error}"
        raise ModelError(what, where=str(source / "tokenizer.json")) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def read_bytes(source: Path, name: str) -> bytes:
    """Return a file of the checkpoint. Raises ModelError if it is missing."""
    try:
        return (source / name).read_bytes()
    except OSError as error:
        raise ModelError(
            f"the checkpoint has no readable {name}",
            where=str(source / name),
            mend="needed: config.json, model.safetensors, tokenizer.json; pickles are not read",
        ) from error


def _sum(place: Path) -> str:
    return hashlib.sha256(place.read_bytes()).hexdigest()
