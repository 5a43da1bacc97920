"""Attention fused with its product: the same answers to the last bit, and only where it is that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.models.wire import fields, only, part_field, text_field
from inference.preparing import forms
from inference.preparing.forms import (
    onnxruntime_form,
    sums_signed_exactly,
    with_fused_attention,
    with_signed_kernels,
)
from inference.preparing.onnx_nodes import FLOAT, INT8, INT32, INT64, MODEL_GRAPH, UINT8, nodes_of
from tests.inference.preparing.written_graphs import Values, graph_of, node, session, tensor

ROOT = Path(__file__).parents[3]
OURS = "com.microsoft"
MODELS = ("all-MiniLM-L6-v2", "bge-small-en-v1.5", "distilbert-ner-news")
SHAPES = ((1, 1), (1, 12), (5, 33), (1, 256), (2, 256))
INNER, WIDTH, HEADS = 5, 8, 2

Array = np.ndarray[Any, Any]


# --- the models that ship


def content_of(model: str) -> bytes:
    return (ROOT / "models" / model / "model.int8.onnx").read_bytes()


def padded(n: int, t: int) -> dict[str, Array]:
    """Texts of all lengths up to t, and of several one without any token."""
    random = np.random.default_rng(n * 1000 + t)
    lengths = [t, *random.integers(1, t + 1, n - 1)]
    if n > 2:
        lengths[-1] = 0
    places = np.arange(t)[None, :]
    return {
        "input_ids": random.integers(1000, 20_000, (n, t)).astype(np.int32),
        "attention_mask": (places < np.array(lengths)[:, None]).astype(np.int32),
        "token_type_ids": np.tile(places > t // 3, (n, 1)).astype(np.int32),
    }


def answers(content: bytes, batches: list[dict[str, Array]]) -> list[Array]:
    loaded = session(content)
    names = [value.name for value in loaded.get_inputs()]
    found: list[Array] = []
    for arrays in batches:
        found += loaded.run(None, {name: arrays[name] for name in names})
    return found


@pytest.mark.parametrize("model", MODELS)
def test_every_model_answers_the_same_to_the_last_bit(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With kernels as they are stored, and as this processor has them."""
    content = content_of(model)
    batches = [padded(*shape) for shape in SHAPES]
    expected = answers(content, batches)
    monkeypatch.setattr(forms, "sums_signed_exactly", lambda: False)
    made = [onnxruntime_form(content)]
    if sums_signed_exactly():
        monkeypatch.setattr(forms, "sums_signed_exactly", lambda: True)
        made.append(onnxruntime_form(content))
    assert len({bytes(form) for form in made}) == len(made)
    for form in made:
        for one, other in zip(answers(form, batches), expected, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("model", MODELS)
def test_all_but_the_three_operators_is_kept(model: str) -> None:
    content = content_of(model)
    before, after = memoryview(content), memoryview(with_fused_attention(content))
    assert rest(before, MODEL_GRAPH) == rest(after, MODEL_GRAPH)
    old, new = only(before, MODEL_GRAPH), only(after, MODEL_GRAPH)
    assert rest(old, 1) == rest(new, 1)
    kinds = [each.operator for each in nodes_of(new)]
    layers = kinds.count(b"QAttention")
    assert layers == [each.operator for each in nodes_of(old)].count(b"MultiHeadAttention") > 0
    assert len(list(nodes_of(old))) - len(kinds) == 2 * layers
    assert not {b"Split", b"MultiHeadAttention"} & set(kinds)
    made = {bytes(each.message) for each in nodes_of(new) if each.operator != b"QAttention"}
    assert made <= {bytes(each.message) for each in nodes_of(old)}


@pytest.mark.parametrize("model", MODELS)
def test_operators_stand_after_what_they_take(model: str) -> None:
    graph = only(memoryview(with_fused_attention(content_of(model))), MODEL_GRAPH)
    known = {bytes(only(each.part, 8)) for each in fields(graph) if each.number == 5 and each.part}
    known |= {
        bytes(only(each.part, 1)) for each in fields(graph) if each.number == 11 and each.part
    }
    for each in nodes_of(graph):
        assert set(each.inputs) <= known | {b""}
        known.update(each.outputs)


@pytest.mark.parametrize("model", ["transnetv2/model.onnx", "transnetv2-int8/model.int8.onnx"])
def test_a_model_without_attention_stays(model: str) -> None:
    content = (ROOT / "models" / model).read_bytes()
    assert with_fused_attention(content) is content


def rest(message: memoryview, number: int) -> list[bytes]:
    """The fields but those of a number."""
    return [
        bytes(message[each.at : each.stop]) for each in fields(message) if each.number != number
    ]


# --- graphs with a single layer


@dataclass(frozen=True)
class Layer:
    """An attention with its product, as our models have it; what a test changes is a field."""

    product: tuple[str, ...] = ("x", "kernel", "step", "scale", "zero", "kernel_zero", "bias")
    split: tuple[str, ...] = ("qkv", "sizes")
    thirds: tuple[str, ...] = ("q", "k", "v")
    attention: tuple[str, ...] = ("q", "k", "v", "", "mask")
    given: tuple[str, ...] = ("mixed",)
    axis: Mapping[str, int] = field(default_factory=lambda: {"axis": 2})
    attributes: Mapping[str, int | float] = field(default_factory=lambda: {"num_heads": HEADS})
    domains: tuple[str, str, str] = (OURS, "", OURS)
    between: tuple[bytes, ...] = ()
    after: tuple[bytes, ...] = ()
    constants: Mapping[str, Array | None] = field(default_factory=dict)  # None: there is none
    inputs: Values = field(default_factory=dict)
    outputs: Values = field(default_factory=dict)

    def content(self) -> bytes:
        """The ONNX file."""
        product, split, attention = self.domains
        nodes = [
            node("MatMulIntegerToFloat", self.product, ["qkv"], product),
            node("Split", self.split, self.thirds, split, **self.axis),
            *self.between,
            node("MultiHeadAttention", self.attention, self.given, attention, **self.attributes),
            *self.after,
        ]
        tensors = [
            tensor(name, numbers)
            for name, numbers in {**constants(), **self.constants}.items()
            if numbers is not None
        ]
        inputs: Values = {"x": (UINT8, ("n", "t", INNER)), "mask": (INT32, ("n", "t"))}
        outputs: Values = {"mixed": (FLOAT, ("n", "t", WIDTH))}
        return graph_of(nodes, tensors, {**inputs, **self.inputs}, {**outputs, **self.outputs})


def constants(inner: int = INNER, width: int = WIDTH, *, signed: bool = False) -> dict[str, Array]:
    random = np.random.default_rng(inner * width)
    type_, shift = (np.int8, 128) if signed else (np.uint8, 0)
    columns = 3 * width
    return {
        "kernel": (random.integers(0, 256, (inner, columns)) - shift).astype(type_),
        "step": np.array([0.02], np.float32),
        "scale": random.uniform(0.001, 0.02, columns).astype(np.float32),
        "zero": np.array([120], np.uint8),
        "kernel_zero": (random.integers(100, 156, columns) - shift).astype(type_),
        "bias": random.standard_normal(columns).astype(np.float32),
        "sizes": np.full(3, width, np.int64),
    }


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 40)),
    heads=st.integers(1, 4),
    head=st.integers(1, 20),
    axis=st.sampled_from([2, -1]),
    signed=st.booleans(),
    more=st.dictionaries(
        st.sampled_from(["scale", "mask_filter_value"]), st.sampled_from([0.5, -3.0]), max_size=2
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_layer_answers_the_same_for_any_shape(
    shape: tuple[int, int, int],
    heads: int,
    head: int,
    axis: int,
    signed: bool,
    more: dict[str, float],
    seed: int,
) -> None:
    n, t, inner = shape
    width = heads * head
    content = Layer(
        axis={"axis": axis},
        attributes={"num_heads": heads, **more},
        constants=constants(inner, width, signed=signed),
        inputs={"x": (UINT8, ("n", "t", inner))},
        outputs={"mixed": (FLOAT, ("n", "t", width))},
    ).content()
    changed = with_fused_attention(content)
    assert kinds(changed) == [b"QAttention"]
    random = np.random.default_rng(seed)
    arrays = {
        "x": random.integers(0, 256, (n, t, inner)).astype(np.uint8),
        "mask": random.integers(0, 2, (n, t)).astype(np.int32),
    }
    expected = session(content).run(None, arrays)[0]
    np.testing.assert_array_equal(session(changed).run(None, arrays)[0], expected)


def kinds(content: bytes | bytearray) -> list[bytes]:
    return [each.operator for each in nodes_of(only(memoryview(content), MODEL_GRAPH))]


def test_the_name_is_kept_and_a_neighbour_s_place_too() -> None:
    """Profiles show the one operator in the place of the attention."""
    between, after = node("Identity", ["mask"], ["copy"]), node("Identity", ["mixed"], ["y"])
    changed = with_fused_attention(
        Layer(between=(between,), after=(after,), outputs={"copy": (INT32, ("n", "t"))}).content()
    )
    graph = only(memoryview(changed), MODEL_GRAPH)
    first, fused, last = nodes_of(graph)
    assert (bytes(first.message), bytes(last.message)) == (between, after)
    assert bytes(only(fused.message, 3)) == b"mixed/op"
    assert fused.outputs == (b"mixed",)
    assert set(fused.settings) == {b"num_heads"}


def test_both_of_two_layers_are_fused_and_one_that_differs_is_not() -> None:
    """Kernels may be shared; what a layer gives may be the next one's input."""
    names = {name: name + "2" for name in ("qkv", "q", "k", "v", "mixed")}
    good = Layer()
    second = [
        node("MatMulIntegerToFloat", good.product, ["qkv2"], OURS),
        node("Split", ["qkv2", "sizes"], ["q2", "k2", "v2"], **good.axis),
        node(
            "MultiHeadAttention",
            ["q2", "k2", "v2", "", "mask"],
            [names["mixed"]],
            OURS,
            num_heads=2,
        ),
    ]
    outputs: Values = {"mixed2": (FLOAT, ("n", "t", WIDTH))}
    both = replace(good, after=tuple(second), outputs=outputs).content()
    assert kinds(with_fused_attention(both)) == [b"QAttention"] * 2
    watched: Values = {**outputs, "k2": (FLOAT, ("n", "t", WIDTH))}
    one = with_fused_attention(replace(good, after=tuple(second), outputs=watched).content())
    assert kinds(one)[0] == b"QAttention"
    assert kinds(one)[1:] == [
        b"MatMulIntegerToFloat",
        b"Split",
        b"MultiHeadAttention",
    ]
    random = np.random.default_rng(3)
    arrays = {
        "x": random.integers(0, 256, (2, 4, INNER)).astype(np.uint8),
        "mask": np.ones((2, 4), np.int32),
    }
    for found in session(one).run(["mixed", "mixed2"], arrays):
        np.testing.assert_array_equal(found, session(both).run(["mixed"], arrays)[0])


def identity(name: str) -> tuple[bytes, ...]:
    return (node("Identity", [name], ["other"]),)


def inside(name: str) -> tuple[bytes, ...]:
    """A branch that takes the name from the graph around it."""
    graph = part_field(1, node("Identity", [name], ["inner"]))
    return (node("If", ["mask"], ["other"], then_branch=graph),)


HIDDEN = (FLOAT, ("n", "t", WIDTH))
BROKEN = {
    "the product is given out": Layer(outputs={"qkv": (FLOAT, ("n", "t", 24))}),
    "the product is taken by another": Layer(after=identity("qkv")),
    "a third is given out": Layer(outputs={"k": HIDDEN}),
    "a third is taken by another": Layer(after=identity("v")),
    "a third is taken in a branch": Layer(after=inside("q")),
    "parts are not equal": Layer(constants={"sizes": np.array([4, 12, 8])}),
    "parts are not all": Layer(constants={"sizes": np.array([7, 7, 7])}),
    "there are two parts": Layer(
        constants={"sizes": np.array([8, 16])},
        thirds=("q", "k"),
        attention=("q", "k", "k", "", "mask"),
    ),
    "sizes are no constant": Layer(constants={"sizes": None}, inputs={"sizes": (INT64, (3,))}),
    "there are no sizes": Layer(split=("qkv",)),
    "another axis": Layer(axis={"axis": 1}),
    "no axis": Layer(axis={}),
    "another attribute of the split": Layer(axis={"axis": 2, "num_outputs": 3}),
    "another order": Layer(attention=("k", "q", "v", "", "mask")),
    "a part twice": Layer(attention=("q", "k", "k", "", "mask")),
    "a part from elsewhere": Layer(
        attention=("q", "elsewhere", "v", "", "mask"), inputs={"elsewhere": HIDDEN}
    ),
    "no bias": Layer(product=Layer().product[:6]),
    "an empty bias": Layer(product=(*Layer().product[:6], "")),
    "a bias of attention": Layer(attention=("q", "k", "v", "bias", "mask")),
    "no zero point of the kernel": Layer(product=(*Layer().product[:5], "", "bias")),
    "no mask": Layer(attention=("q", "k", "v")),
    "an empty mask": Layer(attention=("q", "k", "v", "", "")),
    "a mask of one axis": Layer(inputs={"mask": (INT32, ("n",))}),
    "a mask of three axes": Layer(inputs={"mask": (INT32, ("n", "t", "t"))}),
    "a mask of another type": Layer(inputs={"mask": (INT64, ("n", "t"))}),
    "a mask that is computed": Layer(
        between=(node("Identity", ["mask"], ["own"]),), attention=("q", "k", "v", "", "own")
    ),
    "a bias of the scores": Layer(attention=("q", "k", "v", "", "mask", "bias")),
    "keys of earlier calls": Layer(attention=("q", "k", "v", "", "mask", "", "past", "past")),
    "keys for later calls": Layer(given=("mixed", "keys", "values")),
    "causal": Layer(attributes={"num_heads": HEADS, "unidirectional": 1}),
    "an attribute of a later release": Layer(attributes={"num_heads": HEADS, "softcap": 1.0}),
    "no heads": Layer(attributes={"scale": 0.5}),
    "zero heads": Layer(attributes={"num_heads": 0}),
    "heads that do not divide": Layer(attributes={"num_heads": 3}),
    "less than zero heads": Layer(attributes={"num_heads": -2}),
    "another attention": Layer(domains=(OURS, "", "")),
    "another product": Layer(domains=("", "", OURS)),
    "another split": Layer(domains=(OURS, OURS, OURS)),
    "no constant kernel": Layer(
        constants={"kernel": None}, inputs={"kernel": (UINT8, (INNER, 24))}
    ),
    "a kernel of three axes": Layer(constants={"kernel": np.zeros((1, INNER, 24), np.uint8)}),
    "a kernel of floats": Layer(constants={"kernel": np.zeros((INNER, 24), np.float32)}),
    "a zero point of another type": Layer(constants={"kernel_zero": np.zeros(24, np.int8)}),
    "one zero point for all columns": Layer(constants={"kernel_zero": np.zeros(1, np.uint8)}),
    "one scale for all columns": Layer(constants={"scale": np.ones(1, np.float32)}),
    "a step for each row": Layer(constants={"step": np.ones(4, np.float32)}),
    "signed activations": Layer(
        constants={"zero": np.zeros(1, np.int8)}, inputs={"x": (INT8, ("n", "t", INNER))}
    ),
    "a short bias": Layer(constants={"bias": np.zeros(8, np.float32)}),
}


@pytest.mark.parametrize("why", BROKEN)
def test_where_it_is_anything_else_the_file_stays(why: str) -> None:
    content = BROKEN[why].content()
    assert with_fused_attention(content) is content


def test_the_layer_that_is_broken_above_is_right_as_it_is() -> None:
    content = Layer().content()
    assert kinds(with_fused_attention(content)) == [b"QAttention"]


def test_a_file_whose_operators_are_its_own_stays() -> None:
    """A function of the file's own may have any operator's name."""
    content = Layer().content() + part_field(25, b"")
    assert with_fused_attention(content) is content


# --- hostile files


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(ValueError, match="missing"):
        with_fused_attention(b"")
    with pytest.raises(ValueError, match="cut off"):
        with_fused_attention(b"\x3a\xff\x01abc")
    inner = node("If", ["mask"], ["y"])
    for _ in range(70):
        inner = node("If", ["mask"], ["y"], then_branch=part_field(1, inner))
    with pytest.raises(ValueError, match="too deeply"):
        with_fused_attention(Layer(after=(inner,)).content())


def test_more_than_any_model_has_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(ValueError, match="200,000 operators"):
        with_fused_attention(part_field(7, part_field(1, b"") * 200_001))
    attention = part_field(1, node("MultiHeadAttention", ["q"], ["y"], OURS))
    axes = part_field(5, text_field(8, "c") + part_field(1, b"\x01" * 200))
    with pytest.raises(ValueError, match="too many axes"):
        with_fused_attention(part_field(7, attention + axes))


def test_a_graph_within_graphs_loads_as_it_did() -> None:
    inner = node("If", ["mask"], ["y"])
    for _ in range(20):
        inner = node("If", ["mask"], ["y"], then_branch=part_field(1, inner))
    content = Layer(after=(inner,)).content()
    assert len(with_signed_kernels(content)) == len(content)
    assert b"QAttention" in with_fused_attention(content)


def test_a_file_that_is_cut_is_refused_wherever_its_graph_is_not_whole() -> None:
    content = Layer().content()
    graph = next(each for each in fields(memoryview(content)) if each.number == MODEL_GRAPH)
    for place in range(graph.stop):
        with pytest.raises(ValueError, match=r"cut off|missing"):
            with_fused_attention(content[:place])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_file_is_refused_or_read(data: st.DataObject) -> None:
    """What it is made of is the runtime's to check; here nothing else may happen."""
    content = bytearray(Layer(attributes={"num_heads": HEADS, "scale": 0.5}).content())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    for change in (with_fused_attention, lambda each: with_signed_kernels(bytes(each))):
        try:
            changed = change(bytes(content))
        except ValueError:
            continue
        assert len(changed) <= len(content)
