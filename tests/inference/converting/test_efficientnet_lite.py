"""EfficientNet-Lite from weights to graphs: the network as PyTorch computes it, and in whole
numbers nearly the same, without a picture to measure ranges on.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from core.errors import ModelError
from inference.converting.efficientnet_lite import (
    CLASSES,
    EDGES,
    FEATURES,
    LOGITS,
    PIXELS,
    WIDTH,
    lite_graph,
    lite_preparation,
)
from inference.converting.torch_tensors import Tensor
from inference.models.catalogue import Catalogue
from inference.models.package_source import convert
from inference.picture_encoder import Calibration
from inference.preparation import Preparation
from tests.inference.converting.torch_files import torch_file

NAMES = ("efficientnet-lite0", "efficientnet-lite2")
# Channels of each stage, far fewer than the makers'.
CHANNELS = (6, 8, 10, 12, 14, 16, 18)
LITE0 = ((1, 3), (2, 3), (2, 5), (3, 3), (3, 5), (4, 5), (1, 3))  # blocks and kernel of each stage
Layer = Callable[[str, str, tuple[int, ...]], None]


@cache
def small_weights() -> dict[str, Tensor]:
    """Weights of a narrow Lite0 whose normalization tells the truth about its values."""
    random = np.random.default_rng(11)
    found: dict[str, Tensor] = {}

    def layer(conv: str, norm: str, shape: tuple[int, ...]) -> None:
        fan = int(np.prod(shape[1:]))
        found[f"{conv}.weight"] = random.normal(0, (2 / fan) ** 0.5, shape).astype(np.float32)
        ones, zeros = (np.full(shape[0], value, np.float32) for value in (1, 0))
        for part, value in (("weight", ones), ("bias", zeros)):
            found[f"{norm}.{part}"] = value
        for part, value in (("mean", zeros), ("var", ones)):
            found[f"{norm}.running_{part}"] = value

    layer("_conv_stem", "_bn0", (8, 3, 3, 3))
    _blocks(layer)
    layer("_conv_head", "_bn1", (WIDTH, CHANNELS[-1], 1, 1))
    found["_fc.weight"] = random.normal(0, 0.1, (CLASSES, WIDTH)).astype(np.float32)
    found["_fc.bias"] = random.normal(0, 0.1, CLASSES).astype(np.float32)
    return found


def _blocks(layer: Layer) -> None:
    number, width = 0, 8
    for (count, kernel), channels in zip(LITE0, CHANNELS, strict=True):
        for _ in range(count):
            name, wide = f"_blocks.{number}", width
            if number:
                wide = 2 * width
                layer(f"{name}._expand_conv", f"{name}._bn0", (wide, width, 1, 1))
            layer(f"{name}._depthwise_conv", f"{name}._bn1", (wide, 1, kernel, kernel))
            layer(f"{name}._project_conv", f"{name}._bn2", (channels, wide, 1, 1))
            number, width = number + 1, channels


def answers(graph: bytes, pixels: Any) -> dict[str, Any]:
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found = session.run([FEATURES, LOGITS], {PIXELS: pixels})
    return dict(zip((FEATURES, LOGITS), found, strict=True))


def pictures(count: int = 2) -> Any:
    random = np.random.default_rng(5)
    return np.clip(random.normal(0, 0.5, (count, 3, 224, 224)), -1, 1).astype(np.float32)


def test_in_whole_numbers_the_features_are_nearly_the_same() -> None:
    weights, pixels = small_weights(), pictures()
    exact = answers(lite_graph(weights, "here", exact=True), pixels)
    small = answers(lite_graph(weights, "here"), pixels)
    for name, least in ((FEATURES, 0.9), (LOGITS, 0.8)):
        one, other = (
            each[name] / np.linalg.norm(each[name], axis=1)[:, None] for each in (exact, small)
        )
        assert (one * other).sum(axis=1).min() > least
    assert exact[FEATURES].shape == (2, WIDTH)
    assert exact[LOGITS].shape == (2, CLASSES)


def test_the_bytes_are_the_same_each_time_and_a_preparation_comes_with_them() -> None:
    weights = small_weights()
    digests = {hashlib.sha256(lite_graph(weights, "here")).hexdigest() for _ in range(2)}
    assert len(digests) == 1
    told = lite_preparation(weights).encode()
    assert Preparation.read(told, "here").views == 5
    assert 0 < Calibration.read(told, "here").threshold < 1


def test_a_wheel_s_file_becomes_the_files_of_the_manifest(tmp_path: Any) -> None:
    convert(torch_file(small_weights()), Catalogue().find(NAMES[0]), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "model.int8.onnx",
        "preprocessor_config.json",
    }
    assert (tmp_path / "model.int8.onnx").read_bytes() == lite_graph(small_weights(), "here")


@pytest.mark.parametrize("lacking", ["_fc.weight", "_blocks.3._bn1.weight", "_blocks.15"])
def test_weights_of_another_network_are_refused(lacking: str) -> None:
    weights = {k: v for k, v in small_weights().items() if not k.startswith(lacking)}
    with pytest.raises(ModelError, match="EfficientNet-Lite"):
        lite_graph(weights, "here")


@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_names_a_thousand_classes_once_each(name: str) -> None:
    manifest = Catalogue().find(name)
    own = [label.split(";")[0] for label in manifest.labels]
    assert len(own) == len(set(own)) == CLASSES
    assert manifest.dimension == WIDTH
    assert manifest.labels[386].split("; ")[1:] == ["elephant"]
    assert json.loads(lite_preparation(small_weights()))["size"] in EDGES.values()


@pytest.mark.torch
def test_the_network_is_the_one_that_pytorch_computes() -> None:
    torch = pytest.importorskip("torch", reason="needs the [torch] extra")
    weights, pixels = small_weights(), pictures(1)
    state = {name: torch.from_numpy(value) for name, value in weights.items()}
    found = answers(lite_graph(weights, "here", exact=True), pixels)
    with torch.inference_mode():
        features = _forward(torch, state, torch.from_numpy(pixels))
        logits = features @ state["_fc.weight"].T + state["_fc.bias"]
    np.testing.assert_allclose(found[FEATURES], features.numpy(), atol=1e-4)
    np.testing.assert_allclose(found[LOGITS], logits.numpy(), atol=1e-3)


def _forward(torch: Any, state: dict[str, Any], value: Any) -> Any:
    """The features, written down once more from the makers' description."""
    functional = torch.nn.functional

    def layer(x: Any, conv: str, norm: str, step: int = 1, *, clip: bool = True) -> Any:
        kernel = state[f"{conv}.weight"]
        size, apart = kernel.shape[-1], kernel.shape[1] == 1 and kernel.shape[0] == x.shape[1]
        missing = max((-(-x.shape[-1] // step) - 1) * step + size - x.shape[-1], 0)
        pads = [missing // 2, missing - missing // 2] * 2
        x = functional.conv2d(
            functional.pad(x, pads), kernel, stride=step, groups=x.shape[1] if apart else 1
        )
        parts = [state[f"{norm}.{p}"] for p in ("running_mean", "running_var", "weight", "bias")]
        x = functional.batch_norm(x, *parts, eps=1e-3)
        return functional.relu6(x) if clip else x

    value, number = layer(value, "_conv_stem", "_bn0", 2), 0
    for (count, _), step in zip(LITE0, (1, 2, 2, 2, 1, 2, 1), strict=True):
        for first in range(count):
            name, before, stride = f"_blocks.{number}", value, step if first == 0 else 1
            if number:
                value = layer(value, f"{name}._expand_conv", f"{name}._bn0")
            value = layer(value, f"{name}._depthwise_conv", f"{name}._bn1", stride)
            value = layer(value, f"{name}._project_conv", f"{name}._bn2", clip=False)
            if stride == 1 and value.shape == before.shape:
                value = value + before
            number += 1
    return layer(value, "_conv_head", "_bn1").mean(dim=(2, 3))
