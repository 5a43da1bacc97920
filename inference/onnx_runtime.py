"""ONNX Runtime behind one method: named arrays in, named arrays out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from core.errors import ModelError
from inference.store import ModelFolder

Array = npt.NDArray[np.generic]

ort.disable_telemetry_events()


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A loaded graph. `run` may be called from several threads at once."""

    session: Any  # ort.InferenceSession, which ships no types
    where: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @classmethod
    def open(cls, folder: ModelFolder, *, threads: int) -> "OnnxModel":
        """Load the folder's graph from bytes whose checksum was just verified.

        `threads` is how many work on one call. Raises ModelError for a graph that can't be loaded.
        """
        manifest = folder.manifest
        where = str(folder.path / manifest.graph)
        options = session_options(threads, optimize=not manifest.optimized)
        graph = folder.read(manifest.graph)
        try:
            session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            what = f"the graph can't be loaded: {error}"
            raise ModelError(what, where=where, mend="make the model again") from error
        inputs = tuple(value.name for value in session.get_inputs())
        outputs = tuple(value.name for value in session.get_outputs())
        return cls(session, where, inputs, outputs)

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """The named `outputs` for `arrays`, in the order asked for.

        Raises ModelError for a name that the graph lacks or an array that it can't take.
        """
        try:
            results: list[Array] = self.session.run(outputs, arrays)
        except Exception as error:
            what = f"the model failed: {error}"
            raise ModelError(what, where=self.where, mend="check names and shapes") from error
        return results

    def require(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Raise ModelError unless the graph takes exactly `inputs` and has all `outputs`."""
        if set(self.inputs) != set(inputs) or set(outputs) - set(self.outputs):
            raise ModelError(
                f"the graph takes {self.inputs} and gives {self.outputs}",
                where=self.where,
                mend=f"needed: {tuple(inputs)} in, {tuple(outputs)} out",
            )


def session_options(threads: int, *, optimize: bool) -> Any:
    """Options for short calls on a shared machine."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_ENABLE_BASIC
    # A spinning worker would take the core that BM25 runs on in the same moment.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Patterns are planned per input shape and kept; texts come in hundreds of shapes.
    options.enable_mem_pattern = False
    options.log_severity_level = 3  # errors only
    return options
