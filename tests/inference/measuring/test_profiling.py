"""Profiles: that work is counted right, times add up, and bounds are what was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel

from core.errors import InputError, ModelError
from dateline.build.models.subject import open_subject
from dateline.settings import configure
from inference.measuring import machine
from inference.measuring.machine import MachineLimits, faster_half, measure_limits
from inference.measuring.model_profile import ModelProfile
from inference.measuring.node_times import (
    OperatorTime,
    least_seconds,
    operator_times,
    place_of,
    read_trace,
)
from inference.measuring.operators import Group, Operand, Work, group_of, work_of
from inference.measuring.profiling import Subject, WatchedRuntime, profile_model
from inference.models.store import ModelStore
from inference.preparing.onnx_nodes import FLOAT, INT32, UINT8, product_graph
from inference.texts.sized_texts import sized_pairs, sized_texts
from inference.texts.tokens import TextTokens

ENCODER, TAGGER = "all-MiniLM-L6-v2", "distilbert-ner-news"
LIMITS = MachineLimits(4e11, 1e11, ((1 << 18, 1e11), (1 << 24, 5e10), (1 << 28, 2e10)))


# --- the machine


def run(graph: bytes, left: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": left})
    return found


def test_the_graph_of_one_product_is_that_product() -> None:
    """Sizes beyond 127, so that lengths take more than a byte."""
    random = np.random.default_rng(3)
    whole = random.integers(0, 256, (200, 300)).astype(np.uint8)
    left = random.integers(0, 256, (5, 200)).astype(np.uint8)
    found = run(product_graph("MatMulInteger", 5, whole, UINT8, INT32), left)
    assert np.array_equal(found, left.astype(np.int32) @ whole.astype(np.int32))
    kernel = random.standard_normal((200, 300), np.float32)
    taken = random.standard_normal((5, 200), np.float32)
    assert np.allclose(
        run(product_graph("MatMul", 5, kernel, FLOAT, FLOAT), taken), taken @ kernel, atol=1e-4
    )


def test_limits_are_measured_here() -> None:
    found = measure_limits(0.02, sizes=(1 << 22, 1 << 18))
    assert [size for size, _ in found.memory] == [1 << 18, 1 << 22]
    assert all(speed > 1e8 for _, speed in found.memory)
    assert found.float32 > 1e8
    assert found.arithmetic("int8") == found.int8 > 1e8


def test_limits_are_work_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A multiplication and an addition are two operations, and each byte of a block counts once."""
    monkeypatch.setattr(machine, "times", lambda *_: [0.5, 0.25, 9.0])
    found = measure_limits(0.02, sizes=(1 << 18,))
    assert found.int8 == found.float32 == 2 * 256 * 1024 * 1024 / 0.375
    assert found.memory == ((1 << 18, (1 << 18) / 0.375),)


def test_a_block_s_speed_is_that_of_the_next_larger_one() -> None:
    assert LIMITS.bandwidth(10) == 1e11
    assert LIMITS.bandwidth(1 << 18) == 1e11
    assert LIMITS.bandwidth((1 << 18) + 1) == 5e10
    assert LIMITS.bandwidth(1 << 40) == 2e10


def test_what_was_reached_once_is_possible() -> None:
    slow = MachineLimits(1e11, 2e11, ((1 << 18, 2e11), (1 << 24, 1e10), (1 << 28, 3e10)))
    best = LIMITS.best(slow)
    assert (best.int8, best.float32) == (4e11, 2e11)
    assert [speed for _, speed in best.memory] == [2e11, 5e10, 3e10]


def test_other_work_on_the_machine_does_not_count() -> None:
    assert faster_half([1.0, 9.0, 1.0, 50.0]) == 1.0
    assert faster_half([2.0]) == 2.0


# --- operators


def floats(*shape: int) -> Operand:
    return Operand("float", shape)


def test_a_layer_s_packed_weights_count() -> None:
    """ONNX Runtime reports no shape for weights that it has packed."""
    taken = (Operand("uint8", (2, 16, 384)), floats(1), floats(1536))
    work = work_of("MatMulIntegerToFloat", "layer0/ffn/wide", taken, (floats(2, 16, 1536),))
    assert work.group is Group.DENSE
    assert work.precision == "int8"
    assert work.operations == 2 * 2 * 16 * 384 * 1536
    assert work.weights == 384 * 1536
    assert work.activations == 2 * 16 * 384 + 4 * 2 * 16 * 1536
    plain = work_of("MatMul", "labels/product", (floats(1, 16, 384),), (floats(1, 16, 9),))
    assert (plain.precision, plain.weights) == ("float32", 4 * 384 * 9)


def test_attention_is_two_products_for_each_text() -> None:
    hidden, mask = floats(4, 32, 384), Operand("int32", (4, 32))
    taken = (hidden, hidden, hidden, mask)
    work = work_of("MultiHeadAttention", "layer3/attention/mixed", taken, (hidden,))
    assert work.operations == 4 * 4 * 32 * 32 * 384
    assert work.weights == 0
    heads, keys, scores = floats(4, 12, 32, 32), floats(4, 12, 32, 64), floats(4, 12, 32, 64)
    foreign = work_of("MatMul", "/encoder/layer.0/attention/self/MatMul", (heads, keys), (scores,))
    assert foreign.group is Group.ATTENTION
    assert foreign.operations == 2 * 4 * 12 * 32 * 32 * 64


def test_attention_with_its_product_counts_each_at_its_own_precision() -> None:
    """The product that makes q, k and v is of bytes, the scores and what they mix are not."""
    taken = (Operand("uint8", (4, 32, 384)), floats(1152), floats(1), floats(1152))
    work = work_of("QAttention", "layer3/attention/mixed", taken, (floats(4, 32, 384),))
    product, own = 2 * 4 * 32 * 384 * 1152, 4 * 4 * 32 * 32 * 384
    assert (work.group, work.precision) == (Group.ATTENTION, "int8")
    assert dict(work.by_precision) == {"int8": product, "float32": own}
    assert work.operations == product + own
    assert work.weights == 384 * 1152
    assert work.activations == 4 * 32 * 384 + 4 * 4 * 32 * 384
    least = product / LIMITS.int8 + own / LIMITS.float32
    assert least_seconds(work, LIMITS, 1e12) == pytest.approx(least)
    # All of the one that computes in float32 is counted there.
    plain = work_of("Attention", "Attention_0", (floats(4, 32, 384),), (floats(4, 32, 384),))
    assert sum(count for _, count in plain.by_precision) == plain.operations == product + own
    assert {precision for precision, _ in plain.by_precision} == {"float32"}


def test_a_convolution_is_a_product_at_each_place() -> None:
    taken, given = floats(1, 64, 28, 48), floats(1, 32, 28, 48)
    work = work_of("Conv", "stack0/block1", (taken, floats(32, 64, 3, 3)), (given,))
    assert work.group is Group.DENSE
    assert work.operations == 2 * 9 * 64 * 32 * 28 * 48
    assert (work.precision, work.weights) == ("float32", 4 * 9 * 64 * 32)
    # Of one of bytes ONNX Runtime reports no kernel, so that nothing is said of its arithmetic.
    taken, given = Operand("uint8", (1, 28, 48, 64)), Operand("uint8", (1, 28, 48, 32))
    packed = work_of("QLinearConv", "stack0/block1", (taken, floats(), floats(32)), (given,))
    assert (packed.operations, packed.precision) == (0.0, "int8")
    assert packed.bytes == 28 * 48 * 96


def test_a_look_up_reads_its_rows_and_not_the_table() -> None:
    table, ids = Operand("int8", (30522, 384)), Operand("int32", (1, 16))
    work = work_of("Gather", "words/rows", (table, ids), (Operand("int8", (1, 16, 384)),))
    assert work.group is Group.EMBEDDINGS
    assert work.bytes == 2 * 16 * 384


@pytest.mark.parametrize(
    ("kind", "name", "group"),
    [
        ("QuantizeLinear", "layer0/attention/qkv/whole", Group.ROUNDING),
        ("DynamicQuantizeLinear", "whatever", Group.ROUNDING),
        ("Mul", "layer0/ffn/wide/smooth", Group.ROUNDING),
        ("Mul", "words", Group.EMBEDDINGS),
        ("Split", "layer0/attention/q", Group.ATTENTION),
        ("Softmax", "/encoder/layer.0/attention/self/Softmax", Group.ATTENTION),
        ("Transpose", "/encoder/layer.0/attention/self/Transpose", Group.ATTENTION),
        ("Add", "layer0/attention/sum", Group.NORM),
        ("Gelu", "layer0/ffn/active", Group.NORM),
        ("Erf", "/encoder/layer.0/intermediate/intermediate_act_fn/Erf", Group.NORM),
        ("SkipLayerNormalization", "SkipLayerNorm_AddBias_3", Group.NORM),
        ("Gather", "/embeddings/word_embeddings/Gather", Group.EMBEDDINGS),
        ("Add", "/embeddings/Add", Group.EMBEDDINGS),
        ("Gather", "/encoder/layer.0/attention/self/Gather_1", Group.ATTENTION),
        ("Add", "/encoder/layer.0/output/Add", Group.NORM),
        ("Squeeze", "pool/flat", Group.OTHER),
        ("Constant", "", Group.OTHER),
    ],
)
def test_groups(kind: str, name: str, group: Group) -> None:
    assert group_of(kind, name, ()) is group


def test_an_operator_without_arrays_is_no_work() -> None:
    assert work_of("Constant", "x", (), ()).operations == 0


# --- the profiler's file


def node(
    name: str, at: int, microseconds: int, shape: tuple[int, ...] = (1, 4, 8)
) -> dict[str, Any]:
    about = {
        "op_name": "Gelu",
        "input_type_shape": [{"float": [1, 4, 8]}],
        "output_type_shape": [{"float": [1, 4, 8]}],
    }
    head = {"cat": "Node", "name": f"{name}/op_kernel_time", "ts": at, "dur": microseconds}
    return {**head, "args": about}


def trace_of(*rounds: tuple[int, int]) -> str:
    """Each round a run with an operator in two layers that take so many microseconds."""
    events: list[dict[str, Any]] = [
        {"cat": "Session", "name": "session_initialization", "ts": 0, "dur": 500, "args": {}}
    ]
    for number, (first, second) in enumerate(rounds):
        start = 1000 * (number + 1)
        events += [node("layer0/ffn/active", start + 1, first)]
        events += [node("layer1/ffn/active", start + 400, second)]
        events += [{"cat": "Session", "name": "model_run", "ts": start, "dur": 900, "args": {}}]
    return json.dumps(events)


def test_layers_add_up_and_the_warm_up_is_left_out() -> None:
    trace = read_trace(trace_of((300, 300), (10, 20), (10, 20), (90, 90)))
    (found,) = operator_times(trace, 1, 1.0, LIMITS)
    assert (found.place, found.kind, found.calls) == ("ffn/active", "Gelu", 2)
    # A microsecond is the profiler's unit, cut and not rounded: half of one each is added.
    assert found.seconds == pytest.approx(31e-6)


def test_the_profiler_s_own_time_is_scaled_away() -> None:
    trace = read_trace(trace_of((0, 0), (10, 20), (10, 20)))
    (found,) = operator_times(trace, 1, 15.5e-6, LIMITS)
    assert found.seconds == pytest.approx(15.5e-6)


def test_batches_of_a_round_add_up() -> None:
    trace = read_trace(trace_of((9, 9), (9, 9), (10, 20), (30, 40)))
    (found,) = operator_times(trace, 2, 1.0, LIMITS)
    assert (found.calls, found.seconds) == (4, pytest.approx(102e-6))


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("layer11/attention/qkv", "attention/qkv"),
        ("/encoder/layer.3/output/dense/MatMul", "encoder/output/dense/MatMul"),
        ("SkipLayerNorm_AddBias_12", "SkipLayerNorm_AddBias"),
        ("words/rows", "words/rows"),
    ],
)
def test_places_leave_the_layer_out(name: str, place: str) -> None:
    assert place_of(name) == place


def test_the_bound_is_arithmetic_or_memory_whichever_is_longer() -> None:
    dense = Work(Group.DENSE, 4e9, 1e6, 1e5, "int8")
    assert least_seconds(dense, LIMITS, 5e10) == pytest.approx(1e-2)
    small = Work(Group.NORM, 1.0, 0.0, 1e5, "float32")
    assert least_seconds(small, LIMITS, 5e10) == pytest.approx(1e-6)
    streamed = Work(Group.DENSE, 1.0, 5e7, 0.0, "int8")
    assert least_seconds(streamed, LIMITS, 5e10) == pytest.approx(1e-3)


def profile_of(*operators: OperatorTime, **changed: float) -> ModelProfile:
    times = {"whole": 1.0, "tokenise": 0.1, "graph": 0.7, "watched": 0.8, **changed}
    return ModelProfile("m", 1, 16, 1, 9, **times, operators=operators, limits=LIMITS)


def operator(place: str, seconds: float, bound: float) -> OperatorTime:
    work = Work(Group.DENSE, 1e9, 0.0, 1e6, "int8")
    return OperatorTime(place, "MatMul", Group.DENSE, 6, seconds, bound, work)


def test_the_greatest_saving_comes_first_and_not_the_greatest_time() -> None:
    near, far = operator("near", 0.4, 0.39), operator("far", 0.25, 0.05)
    found = profile_of(near, far, whole=0.95)
    first, second, third = found.opportunities()
    assert first.place == "far (MatMul)"
    assert first.saving == pytest.approx(0.2 / 0.95)
    assert {second.place, third.place} == {str(Group.PYTHON), str(Group.TOKENISE)}


def test_groups_add_up_to_the_whole() -> None:
    shares = {each.group: each.share for each in profile_of(operator("a", 0.6, 0.1)).groups()}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares[Group.BETWEEN] == pytest.approx(0.1)
    assert shares[Group.PYTHON] == pytest.approx(0.2)
    # Where noise made the parts longer than the whole, no share exceeds 1.
    noisy = profile_of(operator("a", 0.6, 0.1), whole=0.5)
    assert sum(each.share for each in noisy.groups()) == pytest.approx(1.0)


# --- a model


def subject(name: str, texts: int, tokens: int, task: str = "") -> Subject:
    return open_subject(configure({}).settings, name, texts, tokens, task=task)


@pytest.mark.parametrize(
    ("texts", "tokens", "batches"), [(1, 16, 1), (5, 128, 2)], ids=["a query", "passages"]
)
def test_the_encoder_s_work_is_what_papers_count(texts: int, tokens: int, batches: int) -> None:
    found = profile_model(subject(ENCODER, texts, tokens), lambda: LIMITS, 0.01)
    assert (found.batches, found.rounds) == (batches, 6)
    groups = {each.group: each for each in found.groups()}
    width, layers = 384, 6
    # Three of a layer's twelve squares of weights make q, k and v, inside of attention.
    square = 2 * texts * tokens * width**2 * layers
    scores = 4 * texts * tokens**2 * width * layers
    assert groups[Group.DENSE].operations == pytest.approx(9 * square)
    assert groups[Group.DENSE].calls == 3 * layers * batches
    assert groups[Group.ATTENTION].operations == pytest.approx(3 * square + scores)
    assert groups[Group.ATTENTION].calls == layers * batches
    (attention,) = (each for each in found.operators if each.kind == "QAttention")
    assert attention.place == "attention/mixed"
    assert dict(attention.work.by_precision) == pytest.approx(
        {"int8": 3 * square, "float32": scores}
    )
    assert attention.bound > 0
    assert sum(each.share for each in groups.values()) == pytest.approx(1.0)
    assert sum(each.seconds for each in found.operators) <= found.graph * 1.001
    assert found.tokenise > 0
    assert found.whole > found.graph > 0
    assert groups[Group.OTHER].share < 0.2  # hardly anything is unknown


@pytest.mark.parametrize(("name", "task"), [(TAGGER, ""), (ENCODER, "score")])
def test_taggers_and_scorers_are_profiled_too(name: str, task: str) -> None:
    found = profile_model(subject(name, 3, 24, task), lambda: LIMITS, 0.01)
    assert found.shape == "3 x 24"
    assert {Group.DENSE, Group.ATTENTION, Group.NORM} <= {each.group for each in found.groups()}


def test_what_a_model_can_not_read_is_refused() -> None:
    with pytest.raises(InputError, match="257 tokens"):
        subject(ENCODER, 1, 257)
    with pytest.raises(ModelError):
        subject("none", 1, 16)


def test_a_graph_that_is_none_is_a_model_error() -> None:
    good = subject(ENCODER, 1, 16)
    broken = Subject(
        "broken", b"garbage", {}, good.optimized, 1, 16, good.call, good.runtime, good.clock
    )
    with pytest.raises(ModelError, match="can't be loaded"):
        profile_model(broken, lambda: LIMITS, 0.01)


def test_the_watched_runtime_is_the_runtime() -> None:
    good = subject(ENCODER, 1, 16)
    good.call()
    runtime = good.runtime
    assert isinstance(runtime, WatchedRuntime)
    assert (runtime.kind, set(runtime.inputs)) == (
        "onnxruntime",
        {"input_ids", "attention_mask"},
    )
    (call,) = runtime.calls
    assert call.arrays["input_ids"].shape == (1, 16)
    assert runtime.seconds > 0


# --- texts of a size


@pytest.fixture(scope="module")
def word_pieces(models: ModelStore) -> Tokenizer:
    return TextTokens.open(models.open(ENCODER)).tokenizer


def byte_level() -> Tokenizer:
    """A tokenizer whose words carry their space, as RoBERTa's do: a first word has none."""
    words = ["oil", "price", "minister", "border", "river"]
    vocabulary = {"<s>": 0, "</s>": 1, "?": 2}
    for word in words:
        vocabulary["Ġ" + word] = len(vocabulary)
    tokenizer = Tokenizer(word_level(vocabulary))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 1)],
    )
    return tokenizer


def word_level(vocabulary: dict[str, int]) -> Any:
    return WordLevel(vocabulary, unk_token="?")


@pytest.mark.parametrize("tokens", [3, 16, 128])
@pytest.mark.parametrize("made", ["word pieces", "byte level"])
def test_texts_have_the_tokens_asked_for(word_pieces: Tokenizer, made: str, tokens: int) -> None:
    tokenizer = word_pieces if made == "word pieces" else byte_level()
    texts = sized_texts(tokenizer, 4, tokens)
    assert [len(tokenizer.encode(text)) for text in texts] == [tokens] * 4
    assert texts == sized_texts(tokenizer, 4, tokens)


def test_a_prefix_counts(word_pieces: Tokenizer) -> None:
    (text,) = sized_texts(word_pieces, 1, 16, prefix="query: ")
    assert len(word_pieces.encode("query: " + text)) == 16


@pytest.mark.parametrize("make", [lambda given: given, lambda _: byte_level()])
def test_pairs_have_the_tokens_asked_for(
    word_pieces: Tokenizer, make: Callable[[Tokenizer], Tokenizer]
) -> None:
    tokenizer = make(word_pieces)
    pairs = sized_pairs(tokenizer, 3, 48)
    both = zip(pairs.queries, pairs.passages, strict=True)
    assert [len(tokenizer.encode(query, passage)) for query, passage in both] == [48] * 3


@pytest.mark.parametrize("tokens", [0, 1, 2])
def test_too_few_tokens_for_a_word(word_pieces: Tokenizer, tokens: int) -> None:
    with pytest.raises(InputError):
        sized_texts(word_pieces, 1, tokens)


def test_a_vocabulary_without_words() -> None:
    bare = Tokenizer(word_level({"?": 0}))
    with pytest.raises(InputError):
        sized_texts(bare, 1, 5)
