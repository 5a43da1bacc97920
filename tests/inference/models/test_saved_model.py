"""A SavedModel is a program: one with an operator that our export does not write is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ModelError
from inference.models.saved_model import operators
from inference.models.store import ModelStore
from inference.models.wire import part_field, text_field
from tests.inference.small_models import FILES, write_model


def saved_model(*names: str, inner: str = "") -> bytes:
    """A graph of operators of these names, and a function with `inner`."""
    graph = b"".join(part_field(1, text_field(1, "n") + text_field(2, name)) for name in names)
    if inner:
        node = part_field(3, text_field(1, "n") + text_field(2, inner))
        graph += part_field(2, part_field(1, node))
    return part_field(2, part_field(2, graph))


def written(place: Path, content: bytes, path: str = "saved_model.pb") -> ModelStore:
    kind = "tensorflow" if path.endswith(".pb") else "tflite"
    graphs = {"onnx": "graph.onnx", kind: path}
    write_model(place / "small", {**FILES, path: content}, graphs=graphs)
    return ModelStore(place)


def test_all_operators_are_found_those_of_functions_too() -> None:
    assert operators(saved_model("MatMul", "Const", inner="Relu")) == {"MatMul", "Const", "Relu"}
    with pytest.raises(ValueError, match="no graph"):
        operators(b"")


@pytest.mark.parametrize(
    ("names", "inner"),
    [
        (("Const", "ReadFile"), ""),
        (("Const",), "WriteFile"),
        (("Const",), "PyFunc"),
        (("SaveV2",), ""),
        (("Dateline>Custom",), ""),
    ],
)
def test_an_operator_that_reads_writes_or_calls_is_refused(
    tmp_path: Path, names: tuple[str, ...], inner: str
) -> None:
    folder = written(tmp_path, saved_model(*names, inner=inner)).describe("small")
    with pytest.raises(ModelError, match=inner or names[-1]):
        folder.read("saved_model.pb")


def test_what_computes_only_is_read(tmp_path: Path) -> None:
    content = saved_model("Const", "MatMul", inner="Softmax")
    assert written(tmp_path, content).open("small").read("saved_model.pb") == content


def test_a_tflite_file_has_its_mark(tmp_path: Path) -> None:
    good = b"\x1c\0\0\0TFL3" + bytes(8)
    assert written(tmp_path / "a", good, "m.tflite").open("small").read("m.tflite") == good
    folder = written(tmp_path / "b", b"\0" * 16, "m.tflite").describe("small")
    with pytest.raises(ModelError, match="no TFLite model"):
        folder.read("m.tflite")
