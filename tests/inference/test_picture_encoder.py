"""Pictures through small models: vectors, calibrated classes, broader classes, and texts in the
same space.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelError
from inference.models.store import ModelStore, check_folder, read_folder
from inference.picture_encoder import Calibration, Classes, PictureEncoder
from inference.preparation import Preparation
from tests.inference.picture_models import (
    COLOURS,
    EDGE,
    LABELS,
    painted,
    write_classifier,
    write_joint,
)

RED, GREEN, BLUE = COLOURS.values()


@pytest.fixture
def classifier(tmp_path: Path) -> Iterator[PictureEncoder]:
    write_classifier(tmp_path)
    encoder = PictureEncoder.open(ModelStore(tmp_path), "colours")
    yield encoder
    encoder.close()


@pytest.fixture
def joint(tmp_path: Path) -> Iterator[PictureEncoder]:
    write_joint(tmp_path)
    encoder = PictureEncoder.open(ModelStore(tmp_path), "joint")
    yield encoder
    encoder.close()


def test_pictures_that_look_alike_lie_close_and_their_classes_are_named(
    classifier: PictureEncoder,
) -> None:
    red, other, blue = classifier.look([painted(RED), painted(RED, RED), painted(BLUE)])
    assert red is not None
    assert other is not None
    assert blue is not None
    assert red.vector.shape == (1, 3)
    assert np.linalg.norm(red.vector) == pytest.approx(1, abs=1e-5)
    assert (red.vector @ other.vector.T).item() > 0.99 > (red.vector @ blue.vector.T).item()
    assert {look.name for look in red.looks} == {"red", "warm"}
    assert {look.name for look in blue.looks} == {"blue", "cold"}
    assert all(0.9 < look.probability <= 1 for look in red.looks)


def test_what_is_no_picture_has_no_answer_and_harms_no_other(classifier: PictureEncoder) -> None:
    found = classifier.look([b"", painted(GREEN), b"\xff\xd8 broken", b"GIF89a"])
    assert [one is not None for one in found] == [False, True, False, False]
    assert classifier.look([]) == ()


def test_the_digest_covers_how_a_picture_is_put_to_the_model(tmp_path: Path) -> None:
    digests = set()
    for name, size in (("a", EDGE), ("b", EDGE)):
        mean = [0.0 if name == "a" else 0.5] * 3
        write_classifier(tmp_path, name, size=size, image_mean=mean)
        encoder = PictureEncoder.open(ModelStore(tmp_path), name)
        digests.add(encoder.digest)
        assert encoder.made_by == f"{name}@{encoder.digest[:12]}"
        encoder.close()
    assert len(digests) == 2


def test_a_thing_in_one_corner_is_seen_where_corners_are_looked_at(tmp_path: Path) -> None:
    picture = painted(BLUE, BLUE, BLUE, BLUE, RED)
    names = []
    for name, tiles in (("whole", 0.0), ("corners", 0.2)):
        write_classifier(tmp_path, name, tiles=tiles)
        encoder = PictureEncoder.open(ModelStore(tmp_path), name)
        (seen,) = encoder.look([picture])
        assert seen is not None
        names.append({look.name for look in seen.looks})
        encoder.close()
    assert "red" not in names[0]
    assert {"red", "blue"} <= names[1]


def test_a_broader_class_sums_up_its_members_and_a_threshold_cuts() -> None:
    classes = Classes.of(("tabby; cat", "Siamese; cat", "cup"), Calibration(1.0, 0.0, 0.6))
    logits = np.log(np.array([[0.4, 0.35, 0.25]], np.float32))
    (only,) = classes.looks(logits)
    assert only.name == "cat"
    assert only.probability == pytest.approx(0.75, abs=1e-3)
    steep = Calibration(2.0, 1.0, 0.6).probabilities(np.array([0.5, 0.75], np.float32))
    odds = np.exp(2 * np.log([1.0, 3.0]) + 1)
    np.testing.assert_allclose(steep, odds / (1 + odds), rtol=1e-5)


def test_a_described_picture_is_near_its_text_in_one_space(joint: PictureEncoder) -> None:
    assert joint.classes is None
    assert joint.texts is not None
    assert joint.texts.digest == joint.digest
    pictures = [one.vector for one in joint.look([painted(c) for c in COLOURS.values()]) if one]
    texts = joint.texts.encode_queries([*COLOURS, "a red thing"])
    assert texts.shape == (4, 3)
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, rtol=1e-5)
    nearest = (texts @ np.concatenate(pictures).T).argmax(axis=1)
    assert nearest.tolist() == [0, 1, 2, 0]
    assert joint.texts.encode_queries([]).shape == (0, 3)


def test_texts_that_are_cut_and_padded_keep_their_meaning(joint: PictureEncoder) -> None:
    assert joint.texts is not None
    short, long = joint.texts.encode_queries(["blue", "blue " * 50])
    np.testing.assert_allclose(short, long, atol=1e-5)


def test_folders_are_checked_and_the_text_graph_decides_the_digest(tmp_path: Path) -> None:
    folder = read_folder(write_joint(tmp_path))
    assert folder.manifest.text_graph == "text_model.onnx"
    check_folder(folder)
    before = folder.manifest.digest
    told = json.loads((folder.path / "manifest.json").read_text("utf-8"))
    told["files"]["text_model.onnx"] = "0" * 64
    (folder.path / "manifest.json").write_text(json.dumps(told), "utf-8")
    assert read_folder(folder.path).manifest.digest != before


@pytest.mark.parametrize(
    "told",
    [
        b"{}",
        b"not json",
        b'{"size": 8, "image_mean": [0,0,0], "image_std": [1,1,1]}',
        b'{"size": 32, "image_mean": [0,0,0], "image_std": [1,0,1]}',
        b'{"size": 32, "image_mean": [0,0,0], "image_std": [1,1,1], "tiles": 1.5}',
    ],
)
def test_a_preparation_that_can_t_be_right_is_refused(told: bytes) -> None:
    with pytest.raises(ModelError):
        Preparation.read(told, "here")


def test_the_middle_is_cut_out_where_the_makers_do_so() -> None:
    told = {"size": {"shortest_edge": EDGE}, "image_mean": [0] * 3, "image_std": [1] * 3}
    pressed = Preparation.read(json.dumps(told).encode(), "here")
    cut = Preparation.read(json.dumps({**told, "do_center_crop": True}).encode(), "here")
    picture = painted(RED, GREEN, RED, size=(96, 32))
    assert cut.parts(picture).shape == (1, 3, EDGE, EDGE)
    assert cut.parts(picture)[0, 1].mean() > 0.9  # green alone
    assert pressed.parts(picture)[0, 1].mean() < 0.5


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = write_classifier(tmp_path)
    told = json.loads((folder / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**told, "task": "encode"}), "utf-8")
    with pytest.raises(ModelError):
        PictureEncoder.open(ModelStore(tmp_path), "colours")
    assert len(LABELS) == 3
