"""Which runtime a model gets, what a measurement keeps, and how runtimes are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelError, SettingsError
from inference.models.store import ModelFolder, ModelStore
from inference.runtime import Array, Runtime
from inference.runtimes.bench import Contender, Shape, fastest, measure
from inference.runtimes.choice import (
    KeptChoice,
    KeptChoices,
    RuntimeChoice,
    RuntimeKind,
    choose,
    open_choice,
    parse_choice,
    this_machine,
)
from inference.runtimes.parity import compare


@dataclass
class Doubling:
    """A runtime that does real arithmetic: its answer is the token numbers times `factor`."""

    factor: float = 2.0
    work: int = 1
    fails_after: int = 10**9
    calls: int = 0
    closed: bool = False
    kind: str = "doubling"
    inputs: tuple[str, ...] = ("input_ids", "attention_mask")
    outputs: tuple[str, ...] = ("logits",)
    shapes: list[tuple[int, ...]] = field(default_factory=list)

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        self.calls += 1
        if self.calls > self.fails_after:
            raise ModelError("the model failed: out of memory")
        ids = np.asarray(arrays["input_ids"], np.float32)
        self.shapes.append(ids.shape)
        for _ in range(self.work):
            np.sort(np.random.default_rng(0).normal(size=2000))
        bent = ids.copy()
        bent[:, 0] *= self.factor
        return [bent]

    def close(self) -> None:
        self.closed = True


def opener(runtime: Runtime) -> RuntimeKind:
    def open_it(folder: ModelFolder, *, threads: int, option: str) -> Runtime:
        return runtime

    return RuntimeKind(open_it, ("numpy",), ("cpu", "cuda"), ("onnx",))


KINDS = {
    "onnxruntime": opener(Doubling()),
    "openvino": replace(opener(Doubling()), options=("f32", "bf16"), formats=("openvino", "onnx")),
    "torch": replace(opener(Doubling()), modules=("no_such_module",), formats=("safetensors",)),
}


@pytest.fixture(scope="module")
def folder(models: ModelStore) -> ModelFolder:
    return models.open("all-MiniLM-L6-v2")


def test_a_setting_goes_before_a_measurement_and_that_before_the_default(
    folder: ModelFolder,
) -> None:
    manifest = folder.manifest
    kept = KeptChoice(manifest.name, "openvino:bf16", 1.5, "2026-01-02")

    def chosen(setting: str = "", kept: KeptChoice | None = None, device: str = "cpu") -> str:
        found = choose(manifest, KINDS, setting=setting, kept=kept, device=device)
        return f"{found.choice} by {found.why}"

    assert chosen() == "onnxruntime:cpu by default"
    assert chosen(device="cuda") == "onnxruntime:cuda by default"
    assert chosen(kept=kept) == "openvino:bf16 by measured here"
    assert chosen("openvino", kept) == "openvino:f32 by setting"
    assert chosen("onnxruntime:cuda", kept) == "onnxruntime:cuda by setting"
    assert chosen("openvino", device="cuda") == "openvino:f32 by setting"
    gone = replace(kept, choice="tpu")
    assert chosen(kept=gone) == "onnxruntime:cpu by default"


def test_a_model_without_onnx_gets_a_runtime_that_reads_it(folder: ModelFolder) -> None:
    graphs = {"safetensors": "model.safetensors"}
    manifest = replace(folder.manifest, graphs=graphs)
    found = choose(manifest, KINDS, setting="", kept=None, device="cpu")
    assert found.choice == RuntimeChoice("torch", "cpu")


def test_a_runtime_that_there_is_not_is_an_error_that_lists_those_that_are() -> None:
    with pytest.raises(SettingsError, match="no runtime 'tensorrt'") as found:
        parse_choice("tensorrt", KINDS, where="runtimes")
    assert "onnxruntime, openvino, torch" in found.value.mend
    with pytest.raises(SettingsError, match="openvino has no option 'cuda'"):
        parse_choice("openvino:cuda", KINDS, where="runtimes")


def test_only_a_runtime_that_asks_a_server_takes_an_address() -> None:
    kinds = {**KINDS, "elsewhere": replace(KINDS["torch"], address=True)}
    named = parse_choice("elsewhere:http://host:8080", kinds, where="runtimes")
    assert (named.kind, named.option) == ("elsewhere", "http://host:8080")
    for text in ("elsewhere:host:8080", "openvino:http://host:8080"):
        with pytest.raises(SettingsError, match="has no option"):
            parse_choice(text, kinds, where="runtimes")


def test_a_runtime_that_is_not_installed_is_named(folder: ModelFolder) -> None:
    with pytest.raises(ModelError, match="needs no_such_module, which is not installed"):
        open_choice(RuntimeChoice("torch"), KINDS, folder, threads=1)


def test_a_kept_choice_holds_for_these_files_on_this_machine_only(
    tmp_path: Path, folder: ModelFolder
) -> None:
    path = tmp_path / "new" / "runtimes.json"
    here = KeptChoices(path, lambda: "EPYC, onnxruntime 1.32")
    manifest = folder.manifest
    kept = KeptChoice(manifest.name, "openvino:f32", 1.25, "2026-01-02")
    assert here.find(manifest) is None
    here.keep(manifest, kept)
    assert here.find(manifest) == kept
    assert KeptChoices(path, lambda: "EPYC, onnxruntime 1.33").find(manifest) is None
    other = replace(manifest, files={**manifest.files, "model.int8.onnx": "0" * 64})
    assert here.find(other) is None
    here.keep(other, replace(kept, choice="onnxruntime:cpu"))
    assert here.find(manifest) == kept
    assert [place.name for place in path.parent.iterdir()] == ["runtimes.json"]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"x": 1}'])
def test_a_damaged_file_of_choices_is_as_good_as_none(
    tmp_path: Path, folder: ModelFolder, content: str
) -> None:
    path = tmp_path / "runtimes.json"
    path.write_text(content)
    choices = KeptChoices(path, this_machine)
    assert choices.find(folder.manifest) is None
    kept = KeptChoice("m", "openvino:f32", 1.0, "2026-01-02")
    choices.keep(folder.manifest, kept)
    assert choices.find(folder.manifest) == kept


def test_choices_that_can_t_be_kept_say_so(tmp_path: Path, folder: ModelFolder) -> None:
    (tmp_path / "file").write_text("")
    choices = KeptChoices(tmp_path / "file" / "runtimes.json", this_machine)
    with pytest.raises(SettingsError, match="can't be kept"):
        choices.keep(folder.manifest, KeptChoice("m", "openvino:f32", 1.0, "2026-01-02"))


def test_the_machine_is_named_with_its_versions() -> None:
    assert "onnxruntime " in this_machine()
    assert "cores" in this_machine()


def batch(rows: int, tokens: int) -> dict[str, Array]:
    ids = np.arange(1, rows * tokens + 1).reshape(rows, tokens)
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


@pytest.mark.timed
def test_all_are_measured_and_what_can_t_be_is_a_row_with_the_reason() -> None:
    quick, slow, off = Doubling(), Doubling(work=20), Doubling(factor=9.0)
    broken = Doubling(fails_after=0)

    def not_here() -> Runtime:
        raise ModelError("it needs another processor")

    told: list[str] = []
    rows = measure(
        [
            Contender("slow", lambda: slow),
            Contender("quick", lambda: quick),
            Contender("off", lambda: off),
            Contender("broken", lambda: broken),
            Contender("unfit", not_here),
            Contender("absent", not_here, absent="not installed: torch"),
        ],
        {Shape(1, 8): batch(1, 8), Shape(3, 4): batch(3, 4)},
        [batch(2, 6)],
        seconds=0.05,
        report=told.append,
    )
    found = {row.name: row for row in rows}
    assert [row.name for row in rows] == ["slow", "quick", "off", "broken", "unfit", "absent"]
    assert set(found["quick"].speeds) == {"1x8", "3x4"}
    for row in (found["slow"], found["quick"], found["off"]):
        for speed in row.speeds.values():
            assert 0 < speed.p50 <= speed.p99
            assert speed.ratio >= 1.0
    assert found["slow"].score > found["quick"].score
    three = found["quick"].speeds["3x4"]
    assert three.per_text == pytest.approx(three.p50 / 3)
    assert found["off"].parity is not None
    assert not found["off"].parity.agree
    assert "out of memory" in found["broken"].problem
    assert found["unfit"].problem == "it needs another processor"
    assert found["absent"].problem == "not installed: torch"
    best = fastest(rows)
    assert best is not None
    assert best.name == "quick"
    assert all(one.closed for one in (quick, slow, off, broken))
    assert slow.shapes.count((1, 8)) == quick.shapes.count((1, 8)), "they take turns"
    assert any("loading slow" in line for line in told)


@pytest.mark.timed
def test_one_that_fails_while_it_is_timed_is_left_out_and_the_rest_go_on() -> None:
    good, tired = Doubling(), Doubling(fails_after=8)
    rows = measure(
        [Contender("good", lambda: good), Contender("tired", lambda: tired)],
        {Shape(1, 8): batch(1, 8), Shape(2, 8): batch(2, 8)},
        [batch(2, 6)],
        seconds=0.2,
    )
    assert set(rows[0].speeds) == {"1x8", "2x8"}
    assert "out of memory" in rows[1].problem
    best = fastest(rows)
    assert best is not None
    assert best.name == "good"


def test_nothing_is_fastest_where_nothing_ran() -> None:
    rows = measure([], {Shape(1, 2): batch(1, 2)}, [batch(1, 2)], seconds=0.01)
    assert rows == []
    assert fastest(rows) is None


def test_parity_sees_direction_size_and_numbers_that_are_none() -> None:
    values = np.random.default_rng(1).normal(size=(20, 8)).astype(np.float32)
    assert compare([values], [values]).agree
    assert not compare([values[:, ::-1]], [values]).agree
    assert not compare([values * 1.5], [values]).agree, "logits of another size are other answers"
    assert not compare([np.full_like(values, np.nan)], [values]).agree
    one_off = values.copy()
    one_off[7, 3] += 1.0
    assert not compare([one_off], [values]).agree, "one wrong text among many is seen"
    rounded = values + 0.002 * np.abs(values).max()
    assert compare([rounded], [values], low=True).agree
    scores = values[:, :1]
    assert compare([scores], [scores + 1e-6]).agree
    assert not compare([scores[::-1]], [scores]).agree
    with pytest.raises(ModelError, match="shapes"):
        compare([values[:3]], [values])
