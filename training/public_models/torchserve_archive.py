"""Writes a model as a folder that TorchServe serves: its archive, with our handler, and its
configuration.

- `model-store/NAME.mar`: a zip with the graph, `signature.json` (its sha256 and the model's digest)
  and `handler.py`; no pickle
- `config.properties`: loopback addresses, keys asked for, one batch to a call

The archive has one graph of the model: TorchScript, or ONNX where there is none. The same model
gives the same bytes.
"""

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelError
from inference.models.store import ModelFolder
from inference.runtimes.loading import beside, graph_path
from training.folder import new_folder

HANDLER = Path(__file__).with_name("torchserve_handler.py")
STORE = "model-store"
CONFIG = "config.properties"
_WRITTEN = (1980, 1, 1, 0, 0, 0)  # in the zip, which has no earlier time
_KEY_MINUTES = 60 * 24 * 30
_REQUEST_BYTES = 16 * 2**20
_ANSWER_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class ServePlan:
    """How TorchServe serves: `port` for requests, and the next four for management, metrics and
    its two of gRPC; `workers` processes, each with one thread.
    """

    port: int = 8080
    workers: int = 1


def write_torchserve(source: ModelFolder, output: Path, plan: ServePlan) -> Path:
    """Write the folder `output`, which must not be there; return the archive's path.

    Raises ModelError for a model without such a graph, and for one whose weights lie beside it.
    """
    name = source.manifest.name
    kind, path = graph_path(source, "torchscript", "onnx")
    if beside(source, path):
        mend = "export it as torchscript"
        raise ModelError("its weights lie beside the graph", where=str(source.path), mend=mend)
    graph = source.read(path)
    signature = {
        "graph": Path(path).name,
        "format": kind,
        "sha256": hashlib.sha256(graph).hexdigest(),
        "digest": source.manifest.digest,
    }
    files = {
        "MAR-INF/MANIFEST.json": _json(_archive_manifest(name)),
        "handler.py": HANDLER.read_bytes(),
        "signature.json": _json(signature),
        Path(path).name: graph,
    }
    with new_folder(output) as folder:
        (folder / STORE).mkdir()
        place = folder / STORE / f"{name}.mar"
        with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as archive:
            for inside, content in files.items():
                archive.writestr(zipfile.ZipInfo(inside, _WRITTEN), content)
        (folder / CONFIG).write_text(_config(place.name, plan), encoding="utf-8")
    return output / STORE / place.name


def _archive_manifest(name: str) -> dict[str, object]:
    model = {"modelName": name, "handler": "handler.py", "modelVersion": "1.0"}
    return {"runtime": "python", "model": model, "archiverVersion": "0.12.0"}


def _config(archive: str, plan: ServePlan) -> str:
    """Return `config.properties`. A call is one batch already, so TorchServe joins none."""
    port = plan.port
    settings = {
        "inference_address": f"http://127.0.0.1:{port}",
        "management_address": f"http://127.0.0.1:{port + 1}",
        "metrics_address": f"http://127.0.0.1:{port + 2}",
        "grpc_inference_port": port + 3,
        "grpc_management_port": port + 4,
        "model_store": STORE,
        "load_models": archive,
        "default_workers_per_model": plan.workers,
        "max_request_size": _REQUEST_BYTES,
        "max_response_size": _ANSWER_BYTES,
        "token_expiration_min": _KEY_MINUTES,
        "disable_system_metrics": "true",
        "vmargs": "-Xmx512m",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _json(tree: object) -> bytes:
    return json.dumps(tree, indent=2, sort_keys=True).encode() + b"\n"
