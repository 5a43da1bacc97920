"""OpenVINO on the processor. It reads its own format, and ONNX graphs if there is none.

On processors with bfloat16, OpenVINO computes in bfloat16 by default. Here the precision is always
given, and is float32 unless another is asked for: cosines of bfloat16 with float32 are about .999,
so vectors of both should not be in one index unmeasured.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.models.store import ModelFolder
from inference.preparing.kept_forms import Form, prepared
from inference.runtime import Array
from inference.runtimes.loading import (
    Turns,
    asked,
    beside,
    cores,
    graph_path,
    library,
    loading,
    running,
)

MOST_STREAMS = 8  # calls that run side by side; each keeps its own intermediate results
_PRECISIONS = {"f32": "f32", "bf16": "bf16"}


@dataclass(slots=True)
class OpenVinoRuntime:
    """A compiled graph. `run` may be called from several threads: each takes a request that is at
    rest, or makes a new one.
    """

    where: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kind: str
    _requests: Turns  # openvino.InferRequest
    _types: Mapping[str, np.dtype[Any]]

    @classmethod
    def open(cls, folder: ModelFolder, *, threads: int, option: str = "f32") -> "OpenVinoRuntime":
        """Load the folder's graph as it was compiled for this machine, from bytes whose checksum
        was just verified.

        `threads` work on one call; `option` is the precision to compute in, `f32` or `bf16`. Raises
        ModelError for a graph that can't be compiled and where OpenVINO is not installed.
        """
        openvino = library("openvino")
        format_, path = graph_path(folder, "openvino", "onnx")
        where = str(folder.path / path)
        properties = _properties(threads, _PRECISIONS[option])

        def make(graph: bytes) -> bytes:
            from inference.preparing.forms import openvino_form  # not needed where a form is kept

            return openvino_form(graph, beside(folder, path), format_, properties)

        form = Form("openvino", (openvino.__version__, json.dumps(properties)), make)
        with loading(where):
            stream = io.BytesIO(prepared(folder, path, form))
            compiled = openvino.Core().import_model(stream, "CPU", properties)
            inputs = {port.get_any_name(): port for port in compiled.inputs}
            types = {name: port.get_element_type().to_dtype() for name, port in inputs.items()}
            outputs = tuple(port.get_any_name() for port in compiled.outputs)
        requests = Turns(compiled.create_infer_request, where)
        return cls(where, tuple(types), outputs, "openvino", requests, types)

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return the named `outputs` for `arrays`, in the order asked for.

        Raises ModelError for a name that the graph lacks or an array that it can't take.
        """
        feeds = asked(self, outputs, arrays, self._types)
        with self._requests.one() as request, running(self.where):
            request.infer(feeds, share_inputs=True, share_outputs=True)
            return [np.array(request.get_tensor(name).data) for name in outputs]

    def close(self) -> None:
        """Free the graph; `run` fails afterwards."""
        self._requests.close()


def _properties(threads: int, precision: str) -> dict[str, Any]:
    """Return settings for low latency. A stream works on one call with `threads` threads. There are
    as many streams as calls can run at once: with one stream, callers would wait for each other.
    """
    streams = max(1, min(MOST_STREAMS, cores() // threads))
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": streams * threads,
        "INFERENCE_PRECISION_HINT": precision,
    }
