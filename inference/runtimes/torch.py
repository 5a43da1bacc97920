"""PyTorch: eager, compiled, and TorchScript; on the processor or on an NVIDIA card.

A TorchScript file is an archive with a program in TorchScript's own language. The program can't
reach Python, but it can read and write files, so trust it as far as you trust its writer. It is
loaded only where the manifest lists it, from bytes with the manifest's checksum: it is exactly the
file that `dateline models export` wrote and compared with the others. TorchScript's own reader
unpickles its weights, and makes tensors and no Python objects.
"""

import io
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import ModelError
from inference.models.store import ModelFolder
from inference.runtime import Array
from inference.runtimes.checkpoint import read_checkpoint
from inference.runtimes.loading import (
    asked,
    beside,
    graph_path,
    library,
    loading,
    opened,
    running,
)

SIGNATURE = "signature.json"  # in a TorchScript archive: names of what it takes and gives
_COMPILER = "torch.compile needs a C++ compiler (g++); install one, or choose another runtime"


@dataclass(slots=True)
class TorchRuntime:
    """A loaded module. `run` may be called from several threads at once.

    PyTorch has one number of threads for the whole process: that of the model that was opened last.
    """

    where: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kind: str
    device: str
    _call: Any  # takes tensors by name, gives a tensor for each output; None once closed

    @classmethod
    def open(cls, folder: ModelFolder, *, threads: int, option: str = "cpu") -> "TorchRuntime":
        """Return the folder's safetensors, run operator by operator ("eager").

        `option` is `cpu` or `cuda`. Raises ModelError for weights that can't be loaded, and where
        torch is not installed or can't use the card.
        """
        return cls._of_checkpoint(folder, threads, option, compiled=False)

    @classmethod
    def open_compiled(
        cls, folder: ModelFolder, *, threads: int, option: str = "cpu"
    ) -> "TorchRuntime":
        """Return the folder's safetensors, compiled by torch.compile for any shape. This takes up
        to a minute.

        Raises ModelError as `open` does, and if no C++ compiler works.
        """
        made = cls._of_checkpoint(folder, threads, option, compiled=True)
        for shape in ((1, 16), (2, 24)):  # one row is compiled apart from many
            ones = np.ones(shape, np.int64)
            try:
                made.run(dict.fromkeys(made.inputs, ones), made.outputs)
            except ModelError as error:
                what = f"the model can't be compiled: {error.what}"
                raise ModelError(what, where=made.where, mend=_COMPILER) from error
        return made

    @classmethod
    def open_script(
        cls, folder: ModelFolder, *, threads: int, option: str = "cpu"
    ) -> "TorchRuntime":
        """Return the folder's TorchScript program. Raises ModelError as `open` does."""
        torch = _torch(threads, option, str(folder.path))
        _, path = graph_path(folder, "torchscript")
        where = str(folder.path / path)
        content = folder.read(path)
        signature = {SIGNATURE: ""}
        with loading(where), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PyTorch now prefers torch.export
            module = torch.jit.load(
                io.BytesIO(content), map_location=option, _extra_files=signature
            ).eval()
            names = json.loads(signature[SIGNATURE])
            inputs, outputs = tuple(names["inputs"]), tuple(names["outputs"])

        def call(tensors: Mapping[str, Any]) -> Sequence[Any]:
            given = module(*(tensors[name] for name in inputs))
            return given if isinstance(given, tuple) else (given,)

        return cls(where, inputs, outputs, "torchscript", option, call)

    @classmethod
    def _of_checkpoint(
        cls, folder: ModelFolder, threads: int, device: str, *, compiled: bool
    ) -> "TorchRuntime":
        torch = _torch(threads, device, str(folder.path))
        _, path = graph_path(folder, "safetensors")
        where = str(folder.path / path)
        (config,) = beside(folder, path).values()
        read = read_checkpoint(config, folder.read(path), folder.manifest.task, where)
        model = read.model.to(device)
        if compiled:
            model = torch.compile(model, dynamic=True)

        def call(tensors: Mapping[str, Any]) -> Sequence[Any]:
            return (getattr(model(**tensors, return_dict=True), read.output),)

        kind = "torch-compile" if compiled else "torch"
        return cls(where, read.inputs, (read.output,), kind, device, call)

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return the named `outputs` for `arrays`, in the order asked for.

        Raises ModelError for a name that the graph lacks or an array that it can't take.
        """
        call = opened(self._call, self.where)
        feeds = asked(self, outputs, arrays, dict.fromkeys(self.inputs, np.int64))
        torch = library("torch")
        with running(self.where), torch.inference_mode():
            tensors = {n: torch.from_numpy(array).to(self.device) for n, array in feeds.items()}
            given = dict(zip(self.outputs, call(tensors), strict=True))
            return [given[name].float().cpu().numpy() for name in outputs]

    def close(self) -> None:
        """Free the module; `run` fails afterwards."""
        self._call = None


def _torch(threads: int, device: str, where: str) -> Any:
    """Return PyTorch, set to `threads`. Raises ModelError if it can't use the card."""
    torch = library("torch")
    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            "PyTorch can't use an NVIDIA card here: no card or driver was found",
            where=where,
            mend="use device cpu, or install the driver and a CUDA build of torch",
        )
    torch.set_num_threads(threads)
    return torch
