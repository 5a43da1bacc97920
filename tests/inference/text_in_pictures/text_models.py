"""Two tiny models for text in pictures, as real graphs: what is bright is text, and greys are
letters.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from inference.converting.onnx_writer import FLOAT, OnnxWriter
from inference.models.store import ModelFolder, read_folder
from inference.models.wire import part_field, text_field
from inference.runtimes.onnx import OnnxRuntime
from inference.text_in_pictures.finder import TextFinder
from inference.text_in_pictures.line_reader import LineReader
from tests.inference.small_models import small_manifest

STEP = 8  # pixels of a line that the reader sees as one
LEVELS = {"a": 0.4, "b": 0.7, "c": 1.0}  # the brightness, from -1 to 1, of each letter
WORDS = {"o": 0.4, "停": 0.7, "entry": 1.0}  # as if each were a letter


def finding_graph() -> bytes:
    """A map that is as likely text as the picture is bright."""
    made = OnnxWriter()
    axes = made.constant("channels", np.array([1], np.int64))
    mean = made.node("ReduceMean", ["x", axes], ["mean"])
    made.node("Relu", [mean], ["map"])
    sizes: tuple[Any, ...] = ("n", 3, "h", "w")
    return made.model({"x": (FLOAT, sizes)}, {"map": (FLOAT, ("n", 1, "h", "w"))})


def reading_graph(letters: Mapping[str, float] = LEVELS) -> bytes:
    """For each 8 pixels along a line, the letter whose level its darkest column is nearest to."""
    made = OnnxWriter()
    column = made.node(
        "ReduceMax",
        ["x", made.constant("both", np.array([1, 2], np.int64))],
        ["column"],
        keepdims=0,
    )
    shape = made.constant("shape", np.array([0, -1, STEP], np.int64))
    cut = made.node("Reshape", [column, shape], ["cut"])
    darkest = made.node("ReduceMin", [cut, made.constant("last", np.array([2], np.int64))], ["low"])
    levels = np.array([0.0, *letters.values(), 9.0], np.float32)
    apart = made.node("Sub", [darkest, made.constant("levels", levels)], ["apart"])
    far = made.node("Abs", [apart], ["far"])
    scaled = made.node("Mul", [far, made.constant("steep", np.array(-20, np.float32))], ["steeply"])
    made.node("Softmax", [scaled], ["likely"], axis=-1)
    sizes: tuple[Any, ...] = ("n", 3, 48, "w")
    graph = made.model({"x": (FLOAT, sizes)}, {"likely": (FLOAT, ("n", "t", len(letters) + 2))})
    entry = text_field(1, "character") + text_field(2, "\n".join(letters))
    return graph + part_field(14, entry) if letters else graph


def folder_with(place: Path, task: str, graph: bytes, **changed: object) -> ModelFolder:
    """The folder of a model for pixels."""
    place.mkdir(parents=True)
    (place / "graph.onnx").write_bytes(graph)
    fields = small_manifest(place.name, {"graph.onnx": graph})
    dimension = len(LEVELS) + 2 if task == "read_text" else 0
    fields |= {"task": task, "tokenizer": "", "pooling": "", "dimension": dimension, **changed}
    fields["files"] = {"graph.onnx": hashlib.sha256(graph).hexdigest()}
    (place / "manifest.json").write_text(json.dumps(fields))
    return read_folder(place)


def finder_in(place: Path) -> TextFinder:
    """The finder, loaded."""
    folder = folder_with(place / "finder", "find_text", finding_graph())
    return TextFinder.over(folder, OnnxRuntime.open(folder, threads=1))


def lines_in(place: Path, letters: Mapping[str, float] = LEVELS) -> LineReader:
    """The reader of lines, loaded."""
    folder = folder_with(place / "lines", "read_text", reading_graph(letters))
    return LineReader.over(folder, OnnxRuntime.open(folder, threads=1))
