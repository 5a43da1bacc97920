"""TFLite by LiteRT's interpreter, on the processor with XNNPACK's kernels.

A TFLite file has a program for each length that it was exported for, over one row. A row is padded
to the next of them and run by itself, so nothing depends on the other rows of a batch. An
interpreter is one caller's at a time: as many are made as calls run at once.

Its operators compute only. One that TFLite does not have (a custom one, or one of TensorFlow's) has
no code here, and a file with it is refused as it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from core.errors import ModelError
from inference.models.store import ModelFolder
from inference.runtime import Array
from inference.runtimes.buckets import MASK, cut, length_of, padded_to, size_of
from inference.runtimes.loading import (
    Turns,
    asked,
    graph_path,
    library,
    loading,
    running,
)

FORMATS = {"f32": "tflite", "int8": "tflite-int8"}  # by the runtime's option


@dataclass(slots=True)
class TfliteRuntime:
    """A loaded file. `run` may be called from several threads: each takes an interpreter that is at
    rest, or makes a new one over the same bytes.
    """

    where: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kind: str
    lengths: tuple[int, ...]
    _interpreters: Turns
    _types: Mapping[str, Any]

    @classmethod
    def open(cls, folder: ModelFolder, *, threads: int, option: str = "f32") -> TfliteRuntime:
        """Load the folder's TFLite file from bytes whose checksum was just verified.

        `threads` work on one call; `option` is `f32` or `int8`. Raises ModelError for a file that
        can't be loaded, and where LiteRT is not installed.
        """
        _, path = graph_path(folder, FORMATS[option])
        where = str(folder.path / path)
        content = folder.read(path)
        interpreters = Turns(partial(_interpreter, content, threads), where)
        with loading(where), interpreters.one() as first:
            told = first.get_signature_list()
            lengths = tuple(sorted(int(name.removeprefix("t")) for name in told))
            runner = first.get_signature_runner(f"t{lengths[0]}")
            types = {name: one["dtype"] for name, one in sorted(runner.get_input_details().items())}
            outputs = tuple(sorted(runner.get_output_details()))
        return cls(where, tuple(types), outputs, "tflite", lengths, interpreters, types)

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return the named `outputs` for `arrays`, in the order asked for.

        Raises ModelError for a name that the graph lacks or an array that it can't take.
        """
        feeds = asked(self, outputs, arrays, self._types)
        with self._interpreters.one() as interpreter, running(self.where):
            rows, tokens = size_of(feeds)
            found = [self._row(interpreter, feeds, row, tokens) for row in range(rows)]
            return [np.concatenate([answer[name] for answer in found]) for name in outputs]

    def close(self) -> None:
        """Free the model; `run` fails afterwards."""
        self._interpreters.close()

    def _row(
        self, interpreter: Any, feeds: Mapping[str, Array], row: int, tokens: int
    ) -> dict[str, Array]:
        """Return the answers to one row, each [1, ...]. Windows of frames are never padded."""
        one = {name: array[row : row + 1] for name, array in feeds.items()}
        length = length_of(tokens, self.lengths, self.where)
        if MASK in feeds:
            one = padded_to(one, 1, length)
        elif length != tokens:
            mend = f"it was exported for {', '.join(map(str, self.lengths))}"
            raise ModelError(f"a window has {tokens} frames", where=self.where, mend=mend)
        answer = interpreter.get_signature_runner(f"t{length}")(**one)
        return {name: cut(value, 1, tokens) for name, value in answer.items()}


def _interpreter(content: bytes, threads: int) -> Any:
    lite = library("ai_edge_litert.interpreter")
    return lite.Interpreter(model_content=content, num_threads=threads)
