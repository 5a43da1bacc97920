"""The handler in a TorchServe archive: arrays in, arrays out. It is copied into the archive.

TorchServe's worker runs it where nothing of Dateline is installed: it needs numpy, and torch or
onnxruntime. It loads the one graph that `signature.json` beside it names, from bytes with the
sha256 that stands there, and no pickle. A request without a body is answered with what the graph
takes and gives; another one is an .npz with the graph's inputs and, as `outputs`, the names of the
arrays that are wanted. The answer is an .npz with these.
"""

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ts.utils.util import PredictionException

Arrays = Mapping[str, Any]
SIGNATURE = "signature.json"
OUTPUTS = "outputs"  # in a request: the names of the arrays that are wanted


@dataclass(frozen=True)
class Graph:
    """A loaded graph: names of what it takes and gives, and `call`, which gives all its outputs."""

    inputs: Sequence[str]
    outputs: Sequence[str]
    call: Callable[[Arrays], Sequence[Any]]


_LOADED: dict[str, Any] = {}


def handle(data: Sequence[Mapping[str, Any]] | None, context: Any) -> list[Any] | None:
    """Load the graph at TorchServe's first call, which has no data; then answer each request."""
    if data is None or not _LOADED:
        _load(Path(context.system_properties["model_dir"]))
    return None if data is None else [_answer(row, context, at) for at, row in enumerate(data)]


def _load(folder: Path) -> None:
    signature = json.loads((folder / SIGNATURE).read_text("utf-8"))
    content = (folder / signature["graph"]).read_bytes()
    if hashlib.sha256(content).hexdigest() != signature["sha256"]:
        raise RuntimeError(f"{signature['graph']} is not the file of {SIGNATURE}")
    opened = {"onnx": _onnx, "torchscript": _script}[signature["format"]](content)
    _LOADED.update(graph=opened, signature=signature)


def _script(content: bytes) -> Graph:
    import torch

    torch.set_num_threads(1)
    extra = {SIGNATURE: ""}
    module = torch.jit.load(io.BytesIO(content), map_location="cpu", _extra_files=extra).eval()
    names = json.loads(extra[SIGNATURE])

    def call(arrays: Arrays) -> Sequence[Any]:
        with torch.inference_mode():
            tensors = (torch.from_numpy(arrays[name].astype(np.int64)) for name in names["inputs"])
            given = module(*tensors)
        every = given if isinstance(given, tuple) else (given,)
        return [one.float().numpy() for one in every]

    return Graph(names["inputs"], names["outputs"], call)


def _onnx(content: bytes) -> Graph:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it would keep a plan for each shape of input
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    types = {one.name: _numpy_type(one.type) for one in session.get_inputs()}

    def call(arrays: Arrays) -> Sequence[Any]:
        feeds = {name: arrays[name].astype(kind, copy=False) for name, kind in types.items()}
        given: Sequence[Any] = session.run(None, feeds)
        return given

    return Graph(list(types), [one.name for one in session.get_outputs()], call)


def _numpy_type(told: str) -> np.dtype[Any]:
    """Return the type of `tensor(int64)`."""
    name = told.removeprefix("tensor(").removesuffix(")")
    return np.dtype({"float": "float32", "bool": "bool_"}.get(name, name))


def _answer(row: Mapping[str, Any], context: Any, at: int) -> bytes | dict[str, Any]:
    """Return the arrays that one request wants, or without a body the description."""
    graph: Graph = _LOADED["graph"]
    body = row.get("body") or row.get("data")
    if not body:
        names = {"inputs": list(graph.inputs), "outputs": list(graph.outputs)}
        return {**names, "digest": _LOADED["signature"]["digest"]}
    try:
        with np.load(io.BytesIO(body), allow_pickle=False) as asked:
            arrays = dict(asked)
        wanted = [str(name) for name in arrays.pop(OUTPUTS)]
        given = dict(zip(graph.outputs, graph.call(arrays), strict=True))
        found = {name: given[name] for name in wanted}
    except Exception as error:
        # 400, and not TorchServe's 503, which says that trying again may help.
        line = (str(error) or type(error).__name__).splitlines()[0]
        raise PredictionException(line[:300], 400) from error
    out = io.BytesIO()
    np.savez(out, **found)
    context.set_response_content_type(at, "application/octet-stream")
    return out.getvalue()
