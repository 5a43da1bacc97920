"""model.tar.gz: what it holds, that it is the same each time, and lists that make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ModelError
from inference.models.packed import LIST, packed_roles, write_packed
from inference.models.store import ModelStore
from tests.unpacking import unpack

MODELS = Path(__file__).parents[3] / "models"
ROLES = {"encoder": "all-MiniLM-L6-v2", "shots": "transnetv2-int8"}


def test_what_is_packed_is_a_store_of_sound_models(tmp_path: Path) -> None:
    store = ModelStore(MODELS)
    first, second = tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"
    for out in (first, second):
        write_packed(out, ROLES, [store.find(name) for name in ROLES.values()])
    assert first.read_bytes() == second.read_bytes()
    unpack(first, tmp_path / "model")
    found = ModelStore(tmp_path / "model")
    assert set(found.names()) == set(ROLES.values())
    assert all(row.ok for row in found.verify())
    assert packed_roles(tmp_path / "model") == ROLES


def test_a_changed_file_is_not_packed(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "transnetv2-int8"
    folder.mkdir(parents=True)
    for path in (MODELS / "transnetv2-int8").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "model.int8.onnx").write_bytes(b"another graph")
    out = tmp_path / "model.tar.gz"
    with pytest.raises(ModelError):
        write_packed(out, ROLES, [ModelStore(tmp_path / "models").find("transnetv2-int8")])
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def test_an_empty_folder_has_no_list(tmp_path: Path) -> None:
    assert packed_roles(tmp_path) is None
    assert packed_roles(tmp_path / "none") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"reader": "x"}', '{"tagger": 3}'])
def test_a_list_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / LIST).write_text(text, "utf-8")
    with pytest.raises(ModelError) as refused:
        packed_roles(tmp_path)
    assert LIST in refused.value.where


def test_files_without_a_list_are_refused(tmp_path: Path) -> None:
    """Else the image's own models would answer in the place of those that somebody packed."""
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(ModelError):
        packed_roles(tmp_path)
