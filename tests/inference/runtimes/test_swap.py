"""Each runtime under each task gives the same answers, through the classes that serve.

The models are small, made here, and written by `dateline models export`'s own code.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [torch] extra")
pytest.importorskip("onnxscript", reason="needs the [torch] extra")
pytest.importorskip("openvino", reason="needs the [openvino] extra")

from core.errors import ModelError, UnavailableError
from dateline.build.models.runtimes import RUNTIMES
from inference.cross_encoder import CrossEncoder
from inference.encoder import SentenceEncoder
from inference.models.store import ModelFolder, ModelStore
from inference.runtime import Runtime
from inference.runtimes.choice import open_choice, parse_choice
from inference.runtimes.loading import graph_path
from inference.runtimes.openvino import OpenVinoRuntime
from inference.runtimes.torch import TorchRuntime
from inference.runtimes.torchserve import TorchServeRuntime
from inference.tagger import NameTagger
from scripts.torchserve_server import Served, missing, torchserve
from tests.free_ports import free_port, ports_in_a_row
from tests.inference.runtimes.conformance import (
    answers_several_threads,
    keeps_the_port_s_promises,
    same_labels,
    same_order,
    same_vectors,
)
from tests.small_checkpoints import TEXTS, write_checkpoint
from training.public_models.checkpoint_folder import PATHS, ExportPlan
from training.public_models.export import export
from training.public_models.torchserve_archive import ServePlan, write_torchserve

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("default")]

SHAPES = {"encode": "bert", "tag": "distilbert", "score": "bert"}
LONG = " ".join(TEXTS) * 3  # longer than the small models read
OTHERS = ("openvino", "torch", "torchscript", "torch-compile", "torchserve")
# One model is compiled, which takes a minute, and one served by TorchServe, which takes ten seconds
# to start; every one in the long form.
SLOW_LAST = [*OTHERS[:-2], *(pytest.param(one, marks=pytest.mark.deep) for one in OTHERS[-2:])]
Open = Callable[[ModelFolder, str], Runtime]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    root = tmp_path_factory.mktemp("models")
    for task, architecture in SHAPES.items():
        source = write_checkpoint(root / f"from-{task}", architecture, task)
        export(source, root / task, ExportPlan(task, tuple(PATHS)), TEXTS)
    return ModelStore(root)


@pytest.fixture(scope="module", params=OTHERS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Serve = Callable[[ModelFolder], Served]


@pytest.fixture(scope="module")
def at_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serves a model by a TorchServe of its own, or skips where there is none."""
    with ExitStack() as until_end:
        running: dict[str, Served] = {}

        def serve(folder: ModelFolder) -> Served:
            if absent := missing():
                pytest.skip(f"TorchServe needs {absent}")
            name = folder.manifest.name
            if name not in running:
                made = tmp_path_factory.mktemp("served") / name
                write_torchserve(folder, made, ServePlan(port=ports_in_a_row(5)[0]))
                running[name] = until_end.enter_context(torchserve(made))
            return running[name]

        yield serve


@pytest.fixture(scope="module")
def opened(at_server: Serve) -> Open:
    """Opens a runtime, or skips where this machine has no compiler or server for it."""

    def open_it(folder: ModelFolder, kind: str) -> Runtime:
        if kind == "torchserve":
            return asked(at_server(folder), folder)
        choice = parse_choice(kind, RUNTIMES, where="test")
        try:
            return open_choice(choice, RUNTIMES, folder, threads=1)
        except ModelError as error:
            if kind == "torch-compile" and "can't be compiled" in error.what:
                pytest.skip(f"no C++ compiler works here: {error.what}")
            raise

    return open_it


def asked(server: Served, folder: ModelFolder, **changed: str) -> TorchServeRuntime:
    given = {"option": server.inference, "key": server.inference_key, **changed}
    return TorchServeRuntime.open(folder, threads=1, **given)


@pytest.fixture
def served(store: ModelStore, opened: Open) -> Iterator[Any]:
    """Opens a model under a runtime, behind the class of its task; closes it afterwards."""
    open_now: list[Any] = []
    classes = {"encode": SentenceEncoder, "tag": NameTagger, "score": CrossEncoder}

    def serve(task: str, kind: str) -> Any:
        folder = store.open(task)
        runtime = opened(folder, kind)
        assert runtime.kind == kind
        model = classes[task].over(folder, runtime, threads=2)
        open_now.append(model)
        return model

    yield serve
    for model in open_now:
        model.close()


def test_an_encoder_gives_the_same_vectors(served: Any, kind: str) -> None:
    same_vectors(served("encode", "onnxruntime"), served("encode", kind), [*TEXTS, LONG, ""])


@pytest.mark.parametrize("kind", SLOW_LAST, indirect=True, scope="module")
def test_a_tagger_gives_the_same_labels(served: Any, kind: str) -> None:
    same_labels(served("tag", "onnxruntime"), served("tag", kind), (*TEXTS, LONG))


@pytest.mark.parametrize("kind", SLOW_LAST, indirect=True, scope="module")
def test_a_scorer_gives_the_same_order(served: Any, kind: str) -> None:
    same_order(served("score", "onnxruntime"), served("score", kind), [*TEXTS, LONG])


def test_every_runtime_keeps_the_port_s_promises(
    store: ModelStore, opened: Open, kind: str
) -> None:
    keeps_the_port_s_promises(opened(store.open("encode"), kind))


def test_every_runtime_answers_several_threads(store: ModelStore, opened: Open, kind: str) -> None:
    answers_several_threads(opened(store.open("encode"), kind))


def test_openvino_reads_onnx_where_it_has_no_graph_of_its_own(store: ModelStore) -> None:
    folder = store.open("encode")
    assert graph_path(folder, "openvino", "onnx")[0] == "openvino"
    graphs = {"onnx": folder.manifest.graphs["onnx"]}
    bare = ModelFolder(folder.path, _with(folder, graphs))
    ids = np.array([[2, 40, 41, 3]])
    answers = []
    for one in (folder, bare):
        runtime = OpenVinoRuntime.open(one, threads=1)
        arrays = {n: ids if n == "input_ids" else np.ones_like(ids) for n in runtime.inputs}
        answers.append(runtime.run(arrays, runtime.outputs)[0])
        runtime.close()
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)


@pytest.mark.parametrize(
    ("path", "way"),
    [
        ("model.ts", TorchRuntime.open_script),
        ("openvino_model.bin", OpenVinoRuntime.open),
        ("model.safetensors", TorchRuntime.open),
        ("config.json", TorchRuntime.open),
    ],
)
def test_a_changed_file_is_never_loaded(
    store: ModelStore, tmp_path: Path, path: str, way: Any
) -> None:
    whole = store.open("encode")
    folder = ModelFolder(tmp_path, whole.manifest)
    for name in whole.manifest.files:
        (tmp_path / name).write_bytes((whole.path / name).read_bytes())
    content = bytearray((tmp_path / path).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / path).write_bytes(content)
    with pytest.raises(ModelError, match="is not the file of the manifest"):
        way(folder, threads=1)


def test_a_script_that_another_program_wrote_is_refused_with_the_reason(
    store: ModelStore, tmp_path: Path
) -> None:
    import hashlib

    import torch

    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(tmp_path / "model.ts"))
    content = (tmp_path / "model.ts").read_bytes()
    whole = store.open("encode")
    files = {**whole.manifest.files, "model.ts": hashlib.sha256(content).hexdigest()}
    folder = ModelFolder(tmp_path, _with(whole, whole.manifest.graphs, files))
    with pytest.raises(ModelError, match="can't be loaded"):
        TorchRuntime.open_script(folder, threads=1)


def test_weights_that_do_not_fill_the_model_are_refused(store: ModelStore) -> None:
    """An encoder's weights have no head: a scorer would get a random one."""
    folder = store.open("encode")
    scorer = ModelFolder(folder.path, replace(folder.manifest, task="score"))
    with pytest.raises(ModelError, match="do not fill the model: classifier"):
        TorchRuntime.open(scorer, threads=1)


def test_torchserve_is_told_apart_from_what_is_not_ours(
    store: ModelStore, at_server: Serve
) -> None:
    folder = store.open("encode")
    server = at_server(folder)
    with pytest.raises(ModelError, match="Token Authorization failed"):
        asked(server, folder, key="guessed")
    other = ModelFolder(folder.path, replace(folder.manifest, query_prefix="query: "))
    with pytest.raises(ModelError, match="has other files: digest"):
        asked(server, other)
    with pytest.raises(ModelError, match="HTTP 404"):
        asked(server, ModelFolder(folder.path, replace(folder.manifest, name="tag")))
    with pytest.raises(UnavailableError, match="can't be reached"):
        asked(server, folder, option=f"http://127.0.0.1:{free_port()}")


def test_torchserve_asks_for_keys_and_takes_no_other_models(
    store: ModelStore, at_server: Serve
) -> None:
    server = at_server(store.open("encode"))
    (model,) = server.model("encode")
    assert [one["status"] for one in model["workers"]] == ["READY"]
    assert httpx.get(f"{server.management}/models").status_code == 400
    key = {"authorization": f"Bearer {server.management_key}"}
    more = httpx.post(f"{server.management}/models?url=encode.mar", headers=key)
    assert more.status_code == 405


def test_an_archive_is_the_same_bytes_and_its_handler_loads_no_other_graph(
    store: ModelStore, tmp_path: Path
) -> None:
    pytest.importorskip("ts", reason="needs the [torchserve] extra")
    from training.public_models import torchserve_handler

    made = [write_torchserve(store.open("tag"), tmp_path / n, ServePlan()) for n in ("a", "b")]
    assert made[0].read_bytes() == made[1].read_bytes()
    with zipfile.ZipFile(made[0]) as archive:
        archive.extractall(tmp_path / "unpacked")
    graph = tmp_path / "unpacked" / "model.ts"
    graph.write_bytes(graph.read_bytes() + b"\0")
    with pytest.raises(RuntimeError, match="is not the file"):
        torchserve_handler._load(tmp_path / "unpacked")


def _with(folder: ModelFolder, graphs: Any, files: Any = None) -> Any:
    return replace(folder.manifest, graphs=graphs, files=files or folder.manifest.files)
