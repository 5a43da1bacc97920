"""The public models: each manifest is whole, pinned and honest about its licences."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

import inference
from core.errors import ModelError
from inference.models.card import CARD, card
from inference.models.catalogue import Catalogue, in_formats
from inference.models.hub import repository
from inference.models.manifest import RESEARCH_ONLY
from inference.models.package_source import comes_from_a_package
from inference.models.store import ModelStore

NAMES = Catalogue().names()
PACKAGES = [name for name in NAMES if comes_from_a_package(Catalogue().find(name))]
HUB = [name for name in NAMES if name not in PACKAGES]
ROOT = Path(inference.__file__).parent.parent


def test_what_a_user_would_choose_is_there() -> None:
    assert {repository(Catalogue().find(name)) for name in HUB} == {
        "dslim/distilbert-NER",
        "cross-encoder/ms-marco-MiniLM-L6-v2",
        "cross-encoder/ms-marco-MiniLM-L12-v2",
        "BAAI/bge-reranker-base",
        "BAAI/bge-reranker-v2-m3",
        "sentence-transformers/all-MiniLM-L6-v2",
        "BAAI/bge-small-en-v1.5",
        "BAAI/bge-base-en-v1.5",
        "intfloat/multilingual-e5-small",
        "Salesforce/blip-image-captioning-large",
        "Xenova/clip-vit-base-patch32",
        "Xenova/siglip-base-patch16-224",
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_manifest_is_pinned_and_says_its_terms(name: str) -> None:
    manifest = Catalogue().find(name)
    length = 64 if name in PACKAGES else 40  # a file's sha256, or a commit
    assert re.fullmatch(f"[0-9a-f]{{{length}}}", manifest.revision)
    assert manifest.licence in ("Apache-2.0", "MIT", "BSD-3-Clause")
    assert manifest.training_data
    assert manifest.limits
    assert manifest.about
    # It proves width and labels when it is pulled.
    assert "config.json" in manifest.files or name in PACKAGES
    if manifest.task == "encode":
        assert manifest.pooling in ("mean", "cls")


@pytest.mark.parametrize("name", NAMES)
def test_a_pull_brings_a_graph_its_tokenizer_and_nothing_twice(name: str) -> None:
    chosen = in_formats(Catalogue().find(name))
    assert len(chosen.graphs) == 1
    (graph,) = chosen.graphs.values()
    assert {graph, chosen.tokenizer} - {""} <= set(chosen.files)
    assert {graph, chosen.tokenizer} - {""} <= set(chosen.files)
    weights = {path for path in chosen.files if path.endswith((".onnx", ".safetensors", ".bin"))}
    assert weights == {graph, chosen.text_graph} - {""}


def test_texts_are_put_as_the_models_learned_them() -> None:
    find = Catalogue().find
    e5, bge = find("multilingual-e5-small"), find("bge-small-en-v1.5-fp32")
    assert (e5.query_prefix, e5.passage_prefix, e5.pooling) == ("query: ", "passage: ", "mean")
    assert bge.query_prefix.startswith("Represent this sentence")
    assert (bge.passage_prefix, bge.pooling) == ("", "cls")
    assert find("distilbert-NER").labels[0] == "O"


def test_no_catalogue_name_hides_behind_a_bundled_one(models: ModelStore) -> None:
    assert not set(NAMES) & set(models.names())


def test_an_unknown_name_is_told_what_there_is() -> None:
    for name in ("missing", "../catalogue", ""):
        with pytest.raises(ModelError, match="catalogue has no") as caught:
            Catalogue().find(name)
        assert "bge-small-en-v1.5-fp32" in caught.value.mend


def test_the_catalogue_is_installed_with_the_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    assert "catalogue/*.json" in settings["package-data"]["inference.models"]


def test_every_bundled_model_is_installed_with_the_package(models: ModelStore) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    for name in models.names():
        listed = settings["data-files"][f"share/dateline/models/{name}"]
        assert listed == [f"models/{name}/*"]


def test_every_bundled_card_is_that_of_its_manifest(models: ModelStore) -> None:
    for name in models.names():
        folder = models.describe(name)
        written = (folder.path / CARD).read_text("utf-8")
        assert written == card(folder.manifest), f"run: dateline models card {name} --write"


def test_a_card_says_what_matters(models: ModelStore) -> None:
    for manifest in (
        *(models.describe(name).manifest for name in models.names()),
        *(Catalogue().find(name) for name in NAMES),
    ):
        text = card(manifest)
        for needed in (manifest.licence, manifest.revision, manifest.source, *manifest.files):
            assert needed in text
        for figure, command in manifest.commands.items():
            row = next(line for line in text.splitlines() if line.startswith(f"| {figure} |"))
            assert f"`{command}`" in row
        warned = "licensed for research only" in text
        assert warned == any(data.use == RESEARCH_ONLY for data in manifest.training_data)


def test_a_cell_can_not_end_its_row(models: ModelStore) -> None:
    manifest = models.describe("all-MiniLM-L6-v2").manifest
    fields = json.loads(manifest.to_json())
    broken = type(manifest)(**{**fields, "labels": (), "training_data": (), "source": "a | b\nc"})
    assert "| source | a \\| b c |" in card(broken)
