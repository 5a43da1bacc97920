"""Forms of graphs: made once on a machine, loaded as they are, and never trusted unread."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from core.errors import ModelError
from inference.models.store import ModelFolder, ModelStore
from inference.preparing import forms, kept_forms
from inference.preparing.forms import onnxruntime_form
from inference.preparing.kept_forms import FOLDER, MOST_KEPT, Form, prepared
from inference.runtimes.kept import Processor
from inference.runtimes.onnx import OnnxRuntime, session_options
from tests.inference.preparing.test_fused_attention import MODELS, SHAPES, content_of, padded
from tests.inference.small_models import FILES, small_graph, write_model

ROOT = Path(__file__).parents[3] / "models"
GRAPH = "graph.onnx"


class Made:
    """A form of a graph, and how often it was made."""

    def __init__(self, *of: str) -> None:
        self.times = 0
        self.form = Form("onnxruntime", of or ("1",), self._make)

    def _make(self, graph: bytes) -> bytes:
        self.times += 1
        return b"form of " + graph


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    write_model(tmp_path / "models" / "small")
    return ModelStore(tmp_path / "models", (tmp_path / "mine",)).find("small")


def kept(folder: ModelFolder, home: str = "models") -> list[Path]:
    """The files of forms, oldest first."""
    place = folder.path.parent.parent / home / FOLDER
    found = [each for each in place.glob("*") if not each.name.startswith(".")]
    return sorted(found, key=lambda each: each.stat().st_mtime_ns)


def expected() -> bytes:
    return b"form of " + FILES[GRAPH]


# --- the models that ship


@pytest.mark.parametrize("name", [*MODELS, "transnetv2", "transnetv2-int8"])
def test_a_prepared_model_answers_as_the_portable_graph_to_the_last_bit(
    name: str, tmp_path: Path
) -> None:
    """As it is when its form is made, and again when the form is loaded as it is."""
    shutil.copytree(ROOT / name, tmp_path / name)
    folder = ModelStore(tmp_path).find(name)
    batches = (
        [{"frames": frames(1)}, {"frames": frames(2)}]
        if name.startswith("transnet")
        else [padded(*shape) for shape in SHAPES]
    )
    wanted = answers(folder, batches)
    for _ in range(2):
        runtime = OnnxRuntime.open(folder, threads=1)
        found: list[np.ndarray] = []
        for arrays in batches:
            given = {each: arrays[each] for each in runtime.inputs}
            found += runtime.run(given, runtime.outputs)
        runtime.close()
        for one, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(one, other)
    assert len(list((tmp_path / FOLDER).glob(f"{name}.onnxruntime.*"))) == 1


def answers(folder: ModelFolder, batches: list[dict[str, np.ndarray]]) -> list[np.ndarray]:
    """All outputs of the portable graph, loaded as it is."""
    options = session_options(1, optimize=not folder.manifest.optimized)
    session = ort.InferenceSession(folder.read(folder.manifest.graph), options)
    names = [value.name for value in session.get_inputs()]
    found: list[np.ndarray] = []
    for arrays in batches:
        found += session.run(None, {name: arrays[name] for name in names})
    return found


def frames(windows: int) -> np.ndarray:
    random = np.random.default_rng(windows)
    return random.integers(0, 256, (windows, 100, 27, 48, 3)).astype(np.uint8)


# The beginning of each form's sha256, with signed kernels and with unsigned ones, as version 1 of
# the code makes it.
FORMS = {
    "all-MiniLM-L6-v2": ["bc7f070129405a5d", "3adad57f63bdd544"],
    "bge-small-en-v1.5": ["2b7ac3d8325e3c5d", "d3cc5b72c7c7b95e"],
    "distilbert-ner-news": ["118fe956d1f5d296", "b62033d19869d17c"],
}


@pytest.mark.parametrize("name", MODELS)
def test_other_forms_need_another_version(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever changes how forms are made raises VERSION, or machines go on with the old ones."""
    assert kept_forms.VERSION == 1
    found = []
    for exact in (True, False):
        monkeypatch.setattr(forms, "sums_signed_exactly", lambda exact=exact: exact)
        found.append(hashlib.sha256(onnxruntime_form(content_of(name))).hexdigest()[:16])
    assert found == FORMS[name]


# --- how a form is kept


def test_a_form_is_made_once_and_loaded_as_it_is(folder: ModelFolder) -> None:
    made = Made()
    for _ in range(3):
        assert prepared(folder, GRAPH, made.form) == expected()
    assert made.times == 1
    (place,) = kept(folder)
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700


def test_a_form_that_is_the_portable_graph_takes_no_room(folder: ModelFolder) -> None:
    form = Form("onnxruntime", (), lambda graph: graph)
    for _ in range(2):
        assert prepared(folder, GRAPH, form) == FILES[GRAPH]
    (place,) = kept(folder)
    assert len(FILES[GRAPH]) > 0
    assert FILES[GRAPH] not in place.read_bytes()


def test_another_version_or_processor_has_a_form_of_its_own(
    folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [Made("1"), Made("2"), Made("1"), Made("1")]
    prepared(folder, GRAPH, made[0].form)
    prepared(folder, GRAPH, made[1].form)
    monkeypatch.setattr(kept_forms, "this_processor", lambda: Processor("another", "avx512"))
    prepared(folder, GRAPH, made[2].form)
    monkeypatch.setattr(kept_forms, "VERSION", kept_forms.VERSION + 1)
    prepared(folder, GRAPH, made[3].form)
    assert [each.times for each in made] == [1, 1, 1, 1]


def test_only_the_newest_forms_are_kept(folder: ModelFolder) -> None:
    for number in range(MOST_KEPT + 3):
        prepared(folder, GRAPH, Made(str(number)).form)
        os.utime(kept(folder)[-1], ns=(number * 10**9, number * 10**9))
    last, first = Made(str(MOST_KEPT + 2)), Made("0")
    assert len(kept(folder)) == MOST_KEPT
    prepared(folder, GRAPH, last.form)
    prepared(folder, GRAPH, first.form)
    assert (last.times, first.times) == (0, 1)


# --- what is not trusted


@pytest.mark.parametrize("place", [0, 70, -1], ids=["checksum", "key", "form"])
def test_a_damaged_form_is_made_anew(folder: ModelFolder, place: int) -> None:
    made = Made()
    prepared(folder, GRAPH, made.form)
    (kept_place,) = kept(folder)
    content = bytearray(kept_place.read_bytes())
    content[place] ^= 1
    kept_place.write_bytes(content)
    assert prepared(folder, GRAPH, made.form) == expected()
    assert prepared(folder, GRAPH, made.form) == expected()
    assert made.times == 2


@pytest.mark.parametrize("left", [0, 10, 65, 66, 200, -1])
def test_half_a_form_is_made_anew(folder: ModelFolder, left: int) -> None:
    made = Made()
    prepared(folder, GRAPH, made.form)
    (place,) = kept(folder)
    place.write_bytes(place.read_bytes()[:left])
    assert prepared(folder, GRAPH, made.form) == expected()
    assert made.times == 2


def test_a_form_of_another_graph_is_not_taken_for_this_ones(
    folder: ModelFolder, tmp_path: Path
) -> None:
    """Its file is whole, but says another key."""
    first = Made()
    prepared(folder, GRAPH, first.form)
    (place,) = kept(folder)
    theirs = place.read_bytes()
    other = small_graph("token_embeddings", ("n", "t", 4))
    write_model(folder.path, {**FILES, GRAPH: other})
    changed = ModelStore(folder.path.parent).find("small")
    prepared(changed, GRAPH, first.form)
    for each in kept(folder):
        each.write_bytes(theirs)
    assert prepared(changed, GRAPH, first.form) == b"form of " + other


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_form_that_others_can_write_is_made_anew(folder: ModelFolder, mode: int) -> None:
    made = Made()
    prepared(folder, GRAPH, made.form)
    (place,) = kept(folder)
    place.chmod(mode)
    prepared(folder, GRAPH, made.form)
    (place,) = kept(folder)
    assert (made.times, stat.S_IMODE(place.stat().st_mode)) == (2, 0o600)


def test_a_link_and_a_pipe_are_made_anew(folder: ModelFolder, tmp_path: Path) -> None:
    made = Made()
    prepared(folder, GRAPH, made.form)
    (place,) = kept(folder)
    elsewhere = tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    prepared(folder, GRAPH, made.form)
    place.unlink()
    os.mkfifo(place)
    prepared(folder, GRAPH, made.form)
    assert made.times == 3
    assert place.is_file()


def test_a_folder_that_others_can_write_keeps_nothing(folder: ModelFolder) -> None:
    place = folder.path.parent / FOLDER
    place.mkdir()
    place.chmod(0o777)
    made = Made()
    for _ in range(2):
        assert prepared(folder, GRAPH, made.form) == expected()
    assert made.times == 1
    assert list(place.iterdir()) == []
    assert len(kept(folder, "mine")) == 1


def test_a_changed_graph_is_refused_though_its_form_is_kept(folder: ModelFolder) -> None:
    made = Made()
    prepared(folder, GRAPH, made.form)
    (folder.path / GRAPH).write_bytes(FILES[GRAPH] + b"z")
    with pytest.raises(ModelError):
        prepared(folder, GRAPH, made.form)
    (folder.path / GRAPH).unlink()
    with pytest.raises(ModelError):
        prepared(folder, GRAPH, made.form)
    assert made.times == 1


def test_a_copied_model_is_checked_and_replaces_its_form(folder: ModelFolder) -> None:
    made = Made()
    prepared(folder, GRAPH, made.form)
    os.utime(folder.path / GRAPH, ns=(1, 1))
    prepared(folder, GRAPH, made.form)
    assert made.times == 2
    assert len(kept(folder)) == 1


# --- where forms can't be kept


def test_where_the_models_are_read_only_forms_lie_with_the_users(folder: ModelFolder) -> None:
    """A file lies in the folder's place, as root, who may run this, can write any folder."""
    (folder.path.parent / FOLDER).write_bytes(b"")
    made = Made()
    for _ in range(2):
        assert prepared(folder, GRAPH, made.form) == expected()
    assert made.times == 1
    assert len(kept(folder, "mine")) == 1


def test_where_nothing_can_be_written_forms_are_made_each_time(folder: ModelFolder) -> None:
    for home in folder.homes:
        home.mkdir(exist_ok=True)
        (home / FOLDER).write_bytes(b"")
    made = Made()
    for _ in range(2):
        assert prepared(folder, GRAPH, made.form) == expected()
    assert made.times == 2


def test_a_model_that_is_not_in_its_place_yet_keeps_no_form(folder: ModelFolder) -> None:
    partial = folder.path.rename(folder.path.with_name(".small.partial"))
    made = Made()
    for _ in range(2):
        assert prepared(ModelFolder(partial, folder.manifest), GRAPH, made.form) == expected()
    assert made.times == 2
    assert [each.name for each in partial.parent.iterdir()] == [partial.name]


def test_a_full_disk_costs_the_form_only(
    folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert prepared(folder, GRAPH, Made().form) == expected()
    assert kept(folder) == []


# --- several processes

_LOADS = """
import sys, time
from pathlib import Path
from inference.preparing.kept_forms import Form, prepared
from inference.models.store import ModelStore

def make(graph):
    (Path(sys.argv[1]) / "made").open("a").write("x")
    time.sleep(.05)
    return b"form of " + graph * 5000

folder = ModelStore(Path(sys.argv[1])).find("small")
print("ready", flush=True)
sys.stdin.readline()
form = prepared(folder, "graph.onnx", Form("onnxruntime", ("1",), make))
assert form == b"form of " + folder.read("graph.onnx") * 5000
print("whole", flush=True)
"""


def test_processes_that_start_at_once_make_it_once_or_twice_and_read_it_whole(
    tmp_path: Path,
) -> None:
    write_model(tmp_path / "small")
    command = [sys.executable, "-P", "-c", _LOADS, str(tmp_path)]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for each in started:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in started:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    assert [each.communicate()[0] for each in started] == ["whole\n"] * 4
    assert len((tmp_path / "made").read_text()) in (1, 2)


def test_a_stopped_process_holds_nobody_up_for_ever(
    folder: ModelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_forms, "PATIENCE", 0.05)
    with kept_forms._turn(folder.path.parent / FOLDER) as mine:
        assert mine
        assert prepared(folder, GRAPH, Made().form) == expected()


def test_what_a_killed_process_left_is_removed(folder: ModelFolder) -> None:
    place = folder.path.parent / FOLDER
    place.mkdir(0o700)
    old, fresh = place / "small.onnxruntime.1abc.partial", place / "small.onnxruntime.1xyz.partial"
    for each in (old, fresh):
        each.write_bytes(b"half")
    hours_ago = time.time() - 7200
    os.utime(old, (hours_ago, hours_ago))
    prepared(folder, GRAPH, Made().form)
    assert (old.exists(), fresh.exists()) == (False, True)
