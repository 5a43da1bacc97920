"""ONNX Runtime, on the processor or on an NVIDIA card."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import ModelError
from inference.models.store import ModelFolder
from inference.preparing.kept_forms import Form, prepared
from inference.runtime import Array
from inference.runtimes.loading import (
    asked,
    beside,
    first_line,
    graph_path,
    loading,
    opened,
    running,
)

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
_CUDA_SAYS = re.compile(r"CUDA failure \d+: [^;]+\w")  # among C++ names and paths
_TYPES: Mapping[str, type[np.generic]] = {
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(bool)": np.bool_,
}


@dataclass(slots=True)
class OnnxRuntime:
    """A loaded graph. `run` may be called from several threads at once."""

    where: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kind: str
    session: Any  # ort.InferenceSession, which ships no types; None once closed
    _types: Mapping[str, type[np.generic]]

    @classmethod
    def open(cls, folder: ModelFolder, *, threads: int, option: str = "cpu") -> "OnnxRuntime":
        """Load the folder's ONNX graph, on a processor in the form that was prepared for it, from
        bytes whose checksum was just verified.

        `threads` work on one call; `option` is `cpu`, `cuda` or `tensorrt`, which makes an engine
        at each start and leaves to CUDA what it can't compute. Raises ModelError for a graph that
        can't be loaded, and where this ONNX Runtime can't use the card.
        """
        import onnxruntime as ort

        _, path = graph_path(folder, "onnx")
        where = str(folder.path / path)
        options = session_options(threads, optimize=not folder.manifest.optimized)
        provider = _provider(option, where)
        apart = beside(folder, path)
        with loading(where):
            graph = _graph(folder, path, option)
            add_weights(options, apart)
            try:
                # Without a fallback: a card that can't be used must be an error, not a slow answer.
                session = ort.InferenceSession(
                    graph, options, providers=_in_order(option), enable_fallback=False
                )
            except RuntimeError as error:
                if option != "cpu":
                    found = _CUDA_SAYS.search(str(error))
                    why = found.group() if found else first_line(error)
                    raise _no_card(option, where, why) from error
                raise
        if provider not in session.get_providers():
            raise _no_card(option, where, "its libraries could not be loaded")
        types = {value.name: _TYPES[value.type] for value in session.get_inputs()}
        outputs = tuple(value.name for value in session.get_outputs())
        return cls(where, tuple(types), outputs, "onnxruntime", session, types)

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return the named `outputs` for `arrays`, in the order asked for.

        Raises ModelError for a name that the graph lacks or an array that it can't take.
        """
        session = opened(self.session, self.where)
        feeds = asked(self, outputs, arrays, self._types)
        with running(self.where):
            results: list[Array] = session.run(list(outputs), feeds)
        return results

    def close(self) -> None:
        """Free the session; `run` fails afterwards."""
        self.session = None


def _graph(folder: ModelFolder, path: str, option: str) -> bytes:
    """Return the graph for a device: a card gets the portable one."""
    if option != "cpu":
        return folder.read(path)
    import onnxruntime as ort

    return prepared(folder, path, Form("onnxruntime", (ort.__version__,), _made))


def _made(graph: bytes) -> bytes:
    from inference.preparing.forms import onnxruntime_form  # not needed where a form is kept

    return onnxruntime_form(graph)


def _provider(option: str, where: str) -> str:
    """Return the execution provider for a device, if this build of ONNX Runtime has it."""
    import onnxruntime as ort

    provider = _PROVIDERS[option]
    if option != "cpu" and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # CUDA's libraries as wheels, if there are none of the system
    if provider not in ort.get_available_providers():
        raise _no_card(option, where, "it was built for the processor only")
    return provider


def _in_order(option: str) -> list[str]:
    """Return the providers of a device. TensorRT does not know every operator."""
    names = ("tensorrt", "cuda") if option == "tensorrt" else (option,)
    return [_PROVIDERS[name] for name in names]


def _no_card(option: str, where: str, why: str) -> ModelError:
    also = " and TensorRT's libraries" if option == "tensorrt" else ""
    using = " by TensorRT" if option == "tensorrt" else ""
    return ModelError(
        f"ONNX Runtime can't use an NVIDIA card{using} here: {why}",
        where=where,
        mend=f"install onnxruntime-gpu in place of onnxruntime (extra [gpu]){also}, or use cpu",
    )


def add_weights(options: Any, apart: Mapping[str, bytes]) -> None:
    """Give a session the weights that lie in files beside the graph, as those over 2 GB must."""
    if apart:
        names = [name.rpartition("/")[2] for name in apart]
        sizes = [len(content) for content in apart.values()]
        options.add_external_initializers_from_files_in_memory(names, list(apart.values()), sizes)


def session_options(threads: int, *, optimize: bool) -> Any:
    """Return options for short calls on a shared machine."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_ENABLE_BASIC
    # A spinning worker would take the core that BM25 runs on in the same moment.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # ONNX Runtime would keep a plan for each shape of input; texts have hundreds of shapes.
    options.enable_mem_pattern = False
    options.log_severity_level = 3  # errors only
    return options
