"""The bundled models, opened once, and a small folder to damage."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inference.encoder import OnnxTextEncoder
from inference.late_interaction import MaxSimScorer
from inference.store import ModelStore
from inference.tagger import OnnxTagger

ROOT = Path(__file__).parents[2] / "models"
ENCODER, TAGGER = "all-MiniLM-L6-v2", "distilbert-ner-news"


@pytest.fixture(scope="session")
def models() -> ModelStore:
    return ModelStore(ROOT)


@pytest.fixture(scope="session")
def encoder(models: ModelStore) -> Iterator[OnnxTextEncoder]:
    opened = OnnxTextEncoder.open(models, ENCODER, threads=2)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def tagger(models: ModelStore) -> OnnxTagger:
    return OnnxTagger.open(models, TAGGER, threads=1)


@pytest.fixture(scope="session")
def scorer(encoder: OnnxTextEncoder) -> MaxSimScorer:
    return MaxSimScorer(encoder.model, encoder.tokens)


def small_manifest(name: str, files: dict[str, bytes]) -> dict[str, Any]:
    """A manifest's fields, right for `files`."""
    sums = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    return {
        **dict.fromkeys(("architecture", "source", "revision", "licence", "pooling"), "x"),
        **dict.fromkeys(("query_prefix", "passage_prefix", "precision", "recipe"), ""),
        "name": name,
        "task": "encode",
        "files": sums,
        "graph": "graph.onnx",
        "tokenizer": "tokenizer.json",
        "optimized": True,
        "max_tokens": 16,
        "dimension": 4,
        "labels": [],
        "quality": {"speed": 1},
        "languages": ["en"],
    }


FILES = {"graph.onnx": b"graph bytes", "tokenizer.json": b"{}"}
MakeModel = Callable[..., Path]


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Writes the model `small` under tmp_path with changed manifest fields; returns its folder."""

    def make(**changed: object) -> Path:
        folder = tmp_path / "small"
        folder.mkdir()
        for path, content in FILES.items():
            (folder / path).write_bytes(content)
        fields = {**small_manifest("small", FILES), **changed}
        kept = {name: value for name, value in fields.items() if value is not None}
        (folder / "manifest.json").write_text(json.dumps(kept))
        return folder

    return make
