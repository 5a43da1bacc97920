"""A pull gives a whole, checked model or nothing, and goes on where it stopped."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import ModelError
from inference.models.catalogue import in_formats, unpinned
from inference.models.hub import HubSource, repository
from inference.models.install import FolderSource, Installed, install
from inference.models.manifest import ModelManifest
from inference.models.manifest_json import parse_manifest
from inference.models.store import ModelStore
from tests.inference.models.hub_server import COMMIT, REPOSITORY, Hub, serving
from tests.inference.small_models import FILES, small_graph, small_manifest, write_model

BIG = {**FILES, "graph.onnx": small_graph() + b"\x7a\x80\x80\x40" + bytes(2**20)}
STRANGERS = {"pytorch_model.bin": pickle.dumps([1]), "README.md": b"# small", "a/b.py": b"1"}


@dataclass
class Seen:
    """An observer that adds up, and can be told to interrupt."""

    total: int = 0
    came: dict[str, int] = field(default_factory=dict)
    interrupt_after: int | None = None

    def begin(self, total: int) -> None:
        self.total = total

    def advance(self, path: str, count: int) -> None:
        self.came[path] = self.came.get(path, 0) + count
        if self.interrupt_after is not None and sum(self.came.values()) >= self.interrupt_after:
            raise KeyboardInterrupt


def wanted(**changed: Any) -> ModelManifest:
    """What a catalogue has of the small model: no checksums, a commit."""
    fields = {**small_manifest("small", FILES), "source": f"https://huggingface.co/{REPOSITORY}"}
    fields |= {"revision": COMMIT, "files": dict.fromkeys(FILES, ""), **changed}
    return parse_manifest(json.dumps(fields), where="catalogue", pinned=False)


def pull(
    hub: Hub, root: Path, manifest: ModelManifest | None = None, seen: Seen | None = None
) -> Installed:
    manifest = manifest or wanted()
    source = HubSource.of(repository(manifest), manifest.revision, hub.endpoint)
    return install(manifest, source, root, seen or Seen())


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """No token, and pieces so small that a transfer has several."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 2**16)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving({**BIG, **STRANGERS}) as hub:
        yield hub


def test_a_pulled_model_is_whole_and_has_its_checksums(hub: Hub, tmp_path: Path) -> None:
    seen = Seen()
    found = pull(hub, tmp_path, seen=seen)
    assert found.fresh
    assert found.unchecked == ()
    opened = ModelStore(tmp_path / "nowhere", (tmp_path,)).open("small")
    assert opened.read("graph.onnx") == BIG["graph.onnx"]
    sums = {path: hashlib.sha256(content).hexdigest() for path, content in BIG.items()}
    assert opened.manifest.files == sums
    assert opened.manifest.revision == COMMIT
    assert sorted(hub.asked()) == sorted(BIG)
    assert seen.came == {path: len(content) for path, content in BIG.items()}
    assert seen.total == sum(seen.came.values())
    assert [place.name for place in tmp_path.iterdir() if place.is_dir()] == ["small"]
    assert {place.name for place in (tmp_path / "small").iterdir()} == {*BIG, "manifest.json"}


def test_only_listed_files_are_asked_for(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    assert not set(hub.asked("GET", "HEAD")) & set(STRANGERS)


def test_a_branch_is_pinned_to_its_commit(hub: Hub, tmp_path: Path) -> None:
    found = pull(hub, tmp_path, unpinned(wanted(), "main"))
    assert found.folder.manifest.revision == COMMIT


def test_pulling_again_fetches_nothing(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    before = len(hub.asked())
    assert not pull(hub, tmp_path).fresh
    assert len(hub.asked()) == before


def test_a_damaged_model_is_pulled_again(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path)
    (tmp_path / "small" / "graph.onnx").write_bytes(b"damaged")
    assert pull(hub, tmp_path).fresh
    ModelStore(tmp_path).open("small")


def test_a_transfer_that_is_cut_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.cut = 400_000
    with pytest.raises(ModelError, match=r"graph\.onnx did not come"):
        pull(hub, tmp_path)
    assert ModelStore(tmp_path).names() == ()
    came = (tmp_path / ".small.partial" / "graph.onnx.part").stat().st_size
    assert came > 300_000
    hub.cut = None
    hub.requests.clear()
    seen = Seen()
    pull(hub, tmp_path, seen=seen)
    stored = [each.range for each in hub.requests if each.path == "/stored/graph.onnx"]
    assert stored == [f"bytes={came}-"]
    assert seen.came["graph.onnx"] == len(BIG["graph.onnx"])
    ModelStore(tmp_path).open("small")


def test_an_interrupted_pull_leaves_nothing_that_a_store_finds(hub: Hub, tmp_path: Path) -> None:
    write_model(tmp_path / "small", about="the one before")
    with pytest.raises(KeyboardInterrupt):
        pull(hub, tmp_path, seen=Seen(interrupt_after=100_000))
    assert ModelStore(tmp_path).names() == ("small",)
    assert ModelStore(tmp_path).open("small").manifest.about == "the one before"
    assert pull(hub, tmp_path).folder.manifest.about == ""


PULL = """
import sys
from pathlib import Path
from inference.models.hub import HubSource, repository
from inference.models.install import install
from inference.models.manifest_json import parse_manifest
from tests.inference.models.test_hub import Seen

manifest = parse_manifest(sys.argv[1], where="catalogue", pinned=False)
source = HubSource.of(repository(manifest), manifest.revision, sys.argv[2])
install(manifest, source, Path(sys.argv[3]), Seen())
"""


def test_a_killed_pull_leaves_the_model_before_and_no_lock(hub: Hub, tmp_path: Path) -> None:
    write_model(tmp_path / "small", about="the one before")
    hub.held = threading.Event()
    arguments = [wanted().to_json(), hub.endpoint, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-P", "-c", PULL, *arguments]
    with subprocess.Popen(command, env=environment) as process:
        assert hub.reached.wait(240)
        process.kill()
    hub.held.set()
    assert ModelStore(tmp_path).names() == ("small",)
    assert ModelStore(tmp_path).open("small").manifest.about == "the one before"
    hub.held = None
    assert pull(hub, tmp_path).folder.manifest.about == ""


def test_a_hub_that_can_not_go_on_begins_again(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        pull(hub, tmp_path, seen=Seen(interrupt_after=100_000))
    hub.ranges = False
    seen = Seen()
    pull(hub, tmp_path, seen=seen)
    assert seen.came["graph.onnx"] == len(BIG["graph.onnx"])


def test_what_was_gathered_of_another_revision_is_not_used(hub: Hub, tmp_path: Path) -> None:
    partial = tmp_path / ".small.partial"
    partial.mkdir()
    (partial / ".revision").write_text("another")
    (partial / "tokenizer.json").write_bytes(b"[]")
    (partial / "graph.onnx.part").write_bytes(b"other bytes")
    pull(hub, tmp_path)
    ModelStore(tmp_path).open("small")


def test_another_checksum_than_the_catalogues_is_refused_before_anything_comes(
    hub: Hub, tmp_path: Path
) -> None:
    manifest = wanted(files={"graph.onnx": "0" * 64, "tokenizer.json": ""})
    with pytest.raises(ModelError, match="the manifest's is 0000"):
        pull(hub, tmp_path, manifest)
    assert hub.asked("GET", "HEAD") == []
    small = wanted(files={"graph.onnx": "", "tokenizer.json": "0" * 64})
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        pull(hub, tmp_path, small)
    assert ModelStore(tmp_path).names() == ()


@pytest.mark.parametrize("path", ["graph.onnx", "tokenizer.json"])
def test_other_bytes_than_the_hub_lists_are_refused(hub: Hub, tmp_path: Path, path: str) -> None:
    listed = {row["rfilename"]: row for row in hub.siblings()}
    hub.listed[path] = listed[path]
    hub.files[path] = hub.files[path][:-1] + b"!"
    with pytest.raises(ModelError, match=path.replace(".", r"\.")):
        pull(hub, tmp_path)
    assert ModelStore(tmp_path).names() == ()
    assert not list(tmp_path.rglob(f"{path}*"))  # what is wrong is not gone on from


def test_more_bytes_than_were_listed_are_not_taken(hub: Hub, tmp_path: Path) -> None:
    hub.listed["graph.onnx"] = {"size": 1000}
    with pytest.raises(ModelError, match=r"graph\.onnx"):
        pull(hub, tmp_path)
    assert all(place.stat().st_size <= 1000 for place in tmp_path.rglob("graph.onnx*"))


def test_a_model_too_large_is_refused_before_anything_comes(hub: Hub, tmp_path: Path) -> None:
    hub.listed["graph.onnx"] = {"size": 10 * 2**30}
    with pytest.raises(ModelError, match="most allowed"):
        pull(hub, tmp_path)
    assert hub.asked("GET", "HEAD") == []


@pytest.mark.parametrize(
    ("graph", "says"),
    [
        (pickle.dumps({"a": 1}), "pickle"),
        (small_graph(sizes=("n", 5)), "5 instead of 4"),
        (small_graph(apart="../../secret.bin"), "takes weights from"),
        (small_graph()[:-5], "not an ONNX graph"),
    ],
)
def test_a_hostile_file_is_refused_and_the_model_before_stays(
    hub: Hub, tmp_path: Path, graph: bytes, says: str
) -> None:
    write_model(tmp_path / "small", about="the one before")
    hub.files["graph.onnx"] = graph
    with pytest.raises(ModelError, match=says):
        pull(hub, tmp_path)
    assert ModelStore(tmp_path).open("small").manifest.about == "the one before"
    assert not (tmp_path / ".small.partial").exists()


def test_a_file_that_the_repository_lacks_is_named(hub: Hub, tmp_path: Path) -> None:
    del hub.files["tokenizer.json"]
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        pull(hub, tmp_path)


def test_a_hub_that_answers_with_another_commit_is_not_trusted(hub: Hub, tmp_path: Path) -> None:
    hub.sha = "f" * 40
    with pytest.raises(ModelError, match="answers with the revision"):
        pull(hub, tmp_path)


@pytest.mark.parametrize(
    "changed", [{"revision": "e" * 40}, {"source": "https://huggingface.co/a/b"}]
)
def test_what_the_hub_does_not_have_is_said(
    hub: Hub, tmp_path: Path, changed: dict[str, str]
) -> None:
    with pytest.raises(ModelError, match="can't be listed") as caught:
        pull(hub, tmp_path, replace(wanted(), **changed))  # type: ignore[arg-type]
    assert hub.endpoint in caught.value.where
    assert caught.value.mend


def test_a_hub_that_is_away_is_said(tmp_path: Path) -> None:
    with serving({}) as gone:
        pass
    with pytest.raises(ModelError, match="can't be listed"):
        pull(gone, tmp_path)


def test_the_token_goes_to_the_hub_and_no_further(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_secret"
    with pytest.raises(ModelError, match="can't be listed") as caught:
        pull(hub, tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ModelError, match="can't be listed") as caught:
        pull(hub, tmp_path)
    assert "hf_wrong" not in str(caught.value)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.requests.clear()
    pull(hub, tmp_path)
    assert {each.authorization for each in hub.requests if each.host == "127.0.0.1"} == {
        "Bearer hf_secret"
    }
    assert {each.authorization for each in hub.requests if each.host == "localhost"} == {""}


def test_the_token_is_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(ModelError, match="without encryption"):
        HubSource.of(REPOSITORY, COMMIT, "http://hub.example")
    HubSource.of(REPOSITORY, COMMIT, "https://hub.example")
    monkeypatch.delenv("HF_TOKEN")
    HubSource.of(REPOSITORY, COMMIT, "http://hub.example")


@pytest.mark.parametrize("endpoint", ["file:///etc", "hub.example", "ftp://hub.example"])
def test_an_endpoint_is_an_address(endpoint: str) -> None:
    with pytest.raises(ModelError, match="address"):
        HubSource.of(REPOSITORY, COMMIT, endpoint)


def test_a_folder_that_can_not_be_written_is_said(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ModelError, match="can't be written") as caught:
        pull(hub, tmp_path / "file" / "models")
    assert "pulled_models" in caught.value.mend


def test_two_pulls_of_a_model_do_not_mix(hub: Hub, tmp_path: Path) -> None:
    with (tmp_path / ".small.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ModelError, match="another process"):
            pull(hub, tmp_path)
    pull(hub, tmp_path)


def test_a_model_of_another_source_has_no_repository() -> None:
    with pytest.raises(ModelError, match="does not come from a hub"):
        repository(wanted(source="trained here"))


def test_a_format_brings_its_files_only() -> None:
    files = dict.fromkeys(("graph.onnx", "model.safetensors", "config.json", "tokenizer.json"), "")
    graphs = {"onnx": "graph.onnx", "safetensors": "model.safetensors"}
    manifest = wanted(files=files, graphs=graphs)
    assert set(in_formats(manifest).files) == {"graph.onnx", "config.json", "tokenizer.json"}
    kept = in_formats(manifest, ["safetensors"])
    assert set(kept.files) == {"model.safetensors", "config.json", "tokenizer.json"}
    assert set(in_formats(manifest, ["onnx", "safetensors"]).files) == set(files)
    with pytest.raises(ModelError, match="no openvino graph"):
        in_formats(manifest, ["openvino"])


def test_a_folder_is_believed_where_nothing_else_is_known(tmp_path: Path) -> None:
    carried = tmp_path / "carried"
    write_model(carried)
    found = install(wanted(), FolderSource(carried), tmp_path / "pulled", Seen())
    assert set(found.unchecked) == set(FILES)
    assert ModelStore(tmp_path / "pulled").open("small").manifest.revision == COMMIT
    again = install(wanted(), FolderSource(carried), tmp_path / "pulled", Seen())
    assert not again.fresh


def test_a_folder_with_other_bytes_is_refused(tmp_path: Path) -> None:
    carried = write_model(tmp_path / "carried")
    manifest = wanted(files={**dict.fromkeys(FILES, ""), "graph.onnx": "0" * 64})
    with pytest.raises(ModelError, match="the manifest's is 0000"):
        install(manifest, FolderSource(carried), tmp_path / "pulled", Seen())
    (carried / "graph.onnx").unlink()
    with pytest.raises(ModelError, match="can't be read"):
        install(wanted(), FolderSource(carried), tmp_path / "pulled", Seen())
    (carried / "graph.onnx").symlink_to("/etc/hostname")
    with pytest.raises(ModelError, match="link to outside"):
        install(wanted(), FolderSource(carried), tmp_path / "pulled", Seen())
