"""Windows of frames through a model for shots: its folder without a tokenizer, its answers, and
what is said where something is wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import InputError, ModelError
from core.items import FloatMatrix
from inference.measuring.sample_windows import sample_windows
from inference.models.store import ModelStore, check_folder, read_folder
from inference.runtime import Array
from inference.serving.batches import BatchLimits
from inference.shot_detector import FRAMES, LOGITS, TransitionDetector
from tests.inference.conftest import MakeModel
from tests.inference.small_models import small_graph, write_model

SMALL = {"graph.onnx": small_graph(LOGITS, ("n", "2t"))}
SHOTS = {"task": "shots", "tokenizer": "", "max_tokens": 300, "pooling": ""}


class Sums:
    """A runtime whose answer to a window is made of its own frames alone."""

    kind, inputs, outputs = "sums", (FRAMES,), (LOGITS,)

    def __init__(self) -> None:
        self.missing = 0  # numbers that an answer lacks
        self.rows: list[int] = []
        self.bad = -1  # a window whose first point is this has no numbers
        self.gate: threading.Event | None = None

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        if self.gate is not None:
            self.gate.wait(120)
        windows = np.asarray(arrays[FRAMES])
        assert windows.dtype == np.uint8
        assert windows.shape[2:] == (27, 48, 3)
        self.rows.append(len(windows))
        means = windows.astype(np.float32).mean(axis=(2, 3, 4))
        logits = np.concatenate([means / 64 - 2, 2 - means / 64], axis=1)
        logits[windows[:, 0, 0, 0, 0] == self.bad] = np.nan
        return [logits[:, : logits.shape[1] - self.missing]]

    def close(self) -> None:
        self.rows.clear()


def detector_over(folder: Path, runtime: Sums, **limits: int) -> TransitionDetector:
    write_model(folder, SMALL, **SHOTS)
    given = BatchLimits(**{"tokens": 400, **limits})  # type: ignore[arg-type]
    return TransitionDetector.over(read_folder(folder), runtime, limits=given)


def expected_of(windows: np.ndarray) -> FloatMatrix:
    (logits,) = Sums().run({FRAMES: windows}, (LOGITS,))
    scores: FloatMatrix = 1 / (1 + np.exp(-np.asarray(logits)))
    return scores


def test_each_window_gets_its_own_probabilities_whatever_the_batches(tmp_path: Path) -> None:
    runtime = Sums()
    detector = detector_over(tmp_path / "small", runtime)
    for count in (0, 1, 3, 9):
        windows = np.random.default_rng(count).integers(0, 256, (count, 100, 27, 48, 3), np.uint8)
        found = detector.transitions(windows)
        assert found.shape == (count, 200)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected_of(windows), rtol=1e-6)
    assert max(runtime.rows) == 4  # as many frames as the limit has, and no more
    assert sum(runtime.rows) == 13


def test_windows_of_several_videos_share_a_batch(tmp_path: Path) -> None:
    runtime = Sums()
    runtime.gate = threading.Event()
    detector = detector_over(tmp_path / "small", runtime)
    windows = np.random.default_rng(1).integers(0, 256, (5, 100, 27, 48, 3), np.uint8)
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(detector.transitions, windows[n : n + 1]) for n in range(5)]
        while detector.queue.waiting < 400:  # one runs, and four wait for it
            assert not any(one.done() for one in asked)
        runtime.gate.set()
        found = np.concatenate([one.result(10) for one in asked])
    np.testing.assert_allclose(found, expected_of(windows), rtol=1e-6)
    assert sorted(runtime.rows) == [1, 4]


def test_windows_of_several_lengths_share_no_batch(tmp_path: Path) -> None:
    runtime = Sums()
    runtime.gate = threading.Event()
    detector = detector_over(tmp_path / "small", runtime)
    random, lengths = np.random.default_rng(1), (100, 150, 100, 150, 300)
    windows = [random.integers(0, 256, (1, n, 27, 48, 3), np.uint8) for n in lengths]
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(detector.transitions, window) for window in windows]
        while detector.queue.waiting < sum(lengths) - max(lengths):  # one runs
            assert not any(one.done() for one in asked)
        runtime.gate.set()
        found = [one.result(10) for one in asked]
    for window, scores in zip(windows, found, strict=True):
        np.testing.assert_allclose(scores, expected_of(window), rtol=1e-6)
    assert sum(runtime.rows) == 5
    assert max(runtime.rows) == 2  # two of a length; a batch of several would be run row by row


def test_a_window_without_numbers_fails_alone_and_shapes_are_checked(tmp_path: Path) -> None:
    runtime = Sums()
    runtime.bad = 7
    detector = detector_over(tmp_path / "small", runtime)
    windows = np.zeros((3, 100, 27, 48, 3), np.uint8)
    windows[1, 0, 0, 0, 0] = 7
    with pytest.raises(ModelError, match="no numbers"):
        detector.transitions(windows)
    assert np.isfinite(detector.transitions(windows[[0, 2]])).all()
    long = np.zeros((1, 301, 27, 48, 3), np.uint8)
    for wrong in (windows[:, :99], long, windows.astype(np.float32), windows[0]):
        with pytest.raises(InputError, match="windows are"):
            detector.transitions(wrong)
    runtime.missing = 1
    with pytest.raises(ModelError, match="shape"):
        detector.transitions(windows[:1])


def test_a_model_for_something_else_is_refused(tmp_path: Path, models: ModelStore) -> None:
    folder = models.describe("all-MiniLM-L6-v2")
    with pytest.raises(ModelError, match="task encode"):
        TransitionDetector.over(folder, Sums())
    other = Sums()
    other.inputs = ("input_ids",)
    write_model(tmp_path / "small", SMALL, **SHOTS)
    with pytest.raises(ModelError, match="needed: frames in, logits out"):
        TransitionDetector.over(read_folder(tmp_path / "small"), other)


def test_a_folder_for_shots_has_no_tokenizer_and_any_other_has_one(make_model: MakeModel) -> None:
    folder = read_folder(make_model(contents=SMALL, **SHOTS))
    check_folder(folder)
    assert len(folder.manifest.digest) == 64
    other = replace(folder.manifest, files={"graph.onnx": "0" * 64})
    assert other.digest != folder.manifest.digest
    with pytest.raises(ModelError, match="must be empty: a model for shots is given no text"):
        read_folder(make_model(**SHOTS | {"tokenizer": "tokenizer.json"}))
    with pytest.raises(ModelError, match="'tokenizer' names ''"):
        read_folder(make_model(tokenizer=""))


def test_a_graph_with_another_number_of_answers_is_refused(make_model: MakeModel) -> None:
    narrow = {"graph.onnx": small_graph(LOGITS, ("n", 100))}
    with pytest.raises(ModelError, match="is 100 instead of 600"):
        check_folder(read_folder(make_model(contents=narrow, **SHOTS)))


@pytest.mark.parametrize("name", ["transnetv2", "transnetv2-int8"])
def test_a_changed_byte_of_the_model_is_refused(
    tmp_path: Path, models: ModelStore, name: str
) -> None:
    folder = models.open(name)
    copy = tmp_path / name
    copy.mkdir()
    (copy / "manifest.json").write_bytes((folder.path / "manifest.json").read_bytes())
    content = bytearray(folder.read(folder.manifest.graph))
    content[len(content) // 2] ^= 1
    (copy / folder.manifest.graph).write_bytes(content)
    with pytest.raises(ModelError, match="is not the file of the manifest"):
        ModelStore(tmp_path).open(name)
    (row,) = [row for row in ModelStore(tmp_path).verify() if not row.ok]
    assert row.path == folder.manifest.graph


def test_the_bundled_models_agree_and_see_what_was_made(models: ModelStore) -> None:
    """The made windows have a cut each, which both models find in the same frame."""
    windows = sample_windows(2)
    found = []
    for name in ("transnetv2", "transnetv2-int8"):
        detector = TransitionDetector.open(models, name)
        found.append(detector.transitions(windows))
        alone = np.concatenate([detector.transitions(window[None]) for window in windows])
        np.testing.assert_allclose(found[-1], alone, atol=1e-5)  # whatever their company
        detector.close()
    exact, whole = found
    assert np.abs(exact - whole).max() < 0.15
    jumps = np.abs(np.diff(windows.astype(int), axis=1)).mean(axis=(2, 3, 4)).argmax(axis=1)
    for scores in found:
        before = scores[:, :50]  # the second transition of each window is a dissolve, later on
        assert before.argmax(axis=1).tolist() == jumps.tolist()
        assert (scores[np.arange(2), jumps] > 0.5).all()
