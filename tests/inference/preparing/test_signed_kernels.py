"""Kernels in the form that the processor multiplies fastest: the same answers to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.preparing.forms import sums_signed_exactly, with_signed_kernels
from inference.preparing.onnx_nodes import INT32, UINT8, product_graph
from tests.inference.preparing.written_graphs import Values, graph_of, node, session, tensor

TAKEN: Values = {"x": (UINT8, (2, "k"))}
ROOT = Path(__file__).parents[3]
MODELS = sorted(path.parent.name for path in (ROOT / "models").glob("*/model.int8.onnx"))


@pytest.mark.skipif(not sums_signed_exactly(), reason="this processor has no dot product of bytes")
@pytest.mark.parametrize("model", MODELS)
def test_every_model_answers_the_same_to_the_last_bit(model: str) -> None:
    content = (ROOT / "models" / model / "model.int8.onnx").read_bytes()
    changed = bytes(with_signed_kernels(content))
    assert len(changed) == len(content)
    assert changed != content
    before, after = session(content), session(changed)
    random = np.random.default_rng(7)
    if [value.name for value in before.get_inputs()] == ["frames"]:
        arrays = {"frames": random.integers(0, 256, (1, 100, 27, 48, 3)).astype(np.uint8)}
    else:
        arrays = {
            value.name: (
                random.integers(1000, 20_000, (3, 21))
                if value.name == "input_ids"
                else np.ones((3, 21))
            ).astype(np.int32 if value.type == "tensor(int32)" else np.int64)
            for value in before.get_inputs()
        }
    for one, other in zip(before.run(None, arrays), after.run(None, arrays), strict=True):
        np.testing.assert_array_equal(one, other)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 9), st.integers(0, 255), st.integers(0, 2**32 - 1))
def test_a_product_is_the_same_for_any_kernel(k: int, m: int, zero: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    kernel = random.integers(0, 256, (k, m)).astype(np.uint8)
    zeros = np.full(m, zero, np.uint8)
    x = random.integers(0, 256, (2, k)).astype(np.uint8)
    content = graph_of(
        [node("MatMulInteger", ["x", "kernel", "", "zero"], ["y"])],
        [tensor("kernel", kernel), tensor("zero", zeros)],
        TAKEN,
        {"y": (INT32, (2, "m"))},
    )
    changed = bytes(with_signed_kernels(content))
    assert (changed != content) is True
    expected = x.astype(np.int32) @ (kernel.astype(np.int32) - zero)
    np.testing.assert_array_equal(session(content).run(None, {"x": x})[0], expected)
    if sums_signed_exactly():
        np.testing.assert_array_equal(session(changed).run(None, {"x": x})[0], expected)


def test_a_kernel_without_a_zero_point_or_taken_by_others_stays() -> None:
    plain = product_graph("MatMulInteger", 2, np.ones((4, 3), np.uint8), UINT8, INT32)
    assert with_signed_kernels(plain) == plain

    kernel, zero = np.full((4, 3), 200, np.uint8), np.full(3, 128, np.uint8)
    shared = graph_of(
        [
            node("MatMulInteger", ["x", "kernel", "", "zero"], ["y"]),
            node("MatMulInteger", ["x", "other", "", "zero"], ["z"]),
            node("Identity", ["other"], ["copy"]),
        ],
        [tensor("kernel", kernel), tensor("other", kernel), tensor("zero", zero)],
        TAKEN,
        {"y": (INT32, (2, 3)), "z": (INT32, (2, 3)), "copy": (UINT8, (4, 3))},
    )
    assert with_signed_kernels(shared) == shared


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(ValueError, match="missing"):
        with_signed_kernels(b"")
    with pytest.raises(ValueError, match="cut off"):
        with_signed_kernels(b"\x3a\xff\x01abc")
