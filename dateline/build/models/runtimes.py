"""Composition of single models: their folders, their runtimes, and the classes over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from core.errors import ModelError
from core.observation import UNWATCHED, Watching
from core.ports.models import PairScorer
from dateline.archive_folder import archive_folder
from dateline.settings import Settings
from inference.cross_encoder import CrossEncoder
from inference.encoder import SentenceEncoder
from inference.late_interaction import MaxSimScorer
from inference.models.store import ModelFolder, ModelStore
from inference.picture_encoder import PictureEncoder
from inference.runtime import Runtime
from inference.runtimes.choice import (
    Chosen,
    KeptChoices,
    RuntimeChoice,
    RuntimeKind,
    choose,
    need_kind,
    open_choice,
    this_machine,
)
from inference.runtimes.onnx import OnnxRuntime
from inference.runtimes.openvino import OpenVinoRuntime
from inference.runtimes.tensorflow import TensorFlowRuntime
from inference.runtimes.tflite import TfliteRuntime
from inference.runtimes.torch import TorchRuntime
from inference.serving.batches import BatchLimits
from inference.tagger import NameTagger
from inference.texts.tokens import TextTokens

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from indexing.picture_service import PictureService

_DEVICES = ("cpu", "cuda")
TORCHSERVE = "http://127.0.0.1:8080"  # its own default
LOOKING_SERVICE = "service"  # the name of the service in the setting `looks`


def _open_torchserve(folder: ModelFolder, *, threads: int, option: str, key: str = "") -> Runtime:
    from inference.runtimes.torchserve import TorchServeRuntime  # it loads an HTTP client

    return TorchServeRuntime.open(folder, threads=threads, option=option, key=key)


# Every runtime by its name in the settings; by default a model gets the first that reads it.
RUNTIMES: Mapping[str, RuntimeKind] = {
    "onnxruntime": RuntimeKind(
        OnnxRuntime.open, ("onnxruntime",), (*_DEVICES, "tensorrt"), ("onnx",)
    ),
    "openvino": RuntimeKind(
        OpenVinoRuntime.open, ("openvino",), ("f32", "bf16"), ("openvino", "onnx")
    ),
    "torch": RuntimeKind(TorchRuntime.open, ("torch", "transformers"), _DEVICES, ("safetensors",)),
    "torchscript": RuntimeKind(TorchRuntime.open_script, ("torch",), _DEVICES, ("torchscript",)),
    "torch-compile": RuntimeKind(
        TorchRuntime.open_compiled, ("torch", "transformers"), _DEVICES, ("safetensors",)
    ),
    "tensorflow": RuntimeKind(
        TensorFlowRuntime.open, ("tensorflow",), ("graph", "xla"), ("tensorflow",)
    ),
    "tflite": RuntimeKind(
        TfliteRuntime.open, ("ai_edge_litert",), ("f32", "int8"), ("tflite", "tflite-int8")
    ),
    "torchserve": RuntimeKind(
        _open_torchserve, (), (TORCHSERVE,), ("torchscript", "onnx"), address=True
    ),
}


def runtimes_of(settings: Settings) -> Mapping[str, RuntimeKind]:
    """Return the runtimes; those that ask a server have the settings' key to it."""
    key = settings.remote_key.get_secret_value() if settings.remote_key else ""
    asks = RUNTIMES["torchserve"]
    return {**RUNTIMES, "torchserve": replace(asks, open=partial(_open_torchserve, key=key))}


def model_store(settings: Settings) -> ModelStore:
    """Return the store of the bundled models, then those that were pulled."""
    return ModelStore(settings.models, (settings.pulled_models,))


def kept_choices(settings: Settings) -> KeptChoices:
    """Return the choices that `dateline models bench --choose` kept for this machine."""
    return KeptChoices(archive_folder(settings) / "runtimes.json", this_machine)


def runtime_of(settings: Settings, folder: ModelFolder) -> Chosen:
    """Return the runtime of a model and the reason. Raises SettingsError for an unknown one."""
    manifest = folder.manifest
    return choose(
        manifest,
        RUNTIMES,
        setting=settings.runtimes.get(manifest.name, ""),
        kept=kept_choices(settings).find(manifest),
        device=settings.device,
    )


def check_runtime(settings: Settings, folder: ModelFolder) -> RuntimeChoice:
    """Return the runtime of a model if it is installed and reads one of the model's graphs; load
    nothing. Raises ModelError, and SettingsError for an unknown runtime.
    """
    choice, manifest = runtime_of(settings, folder).choice, folder.manifest
    kind = need_kind(choice, RUNTIMES, manifest)
    if not set(kind.formats) & set(manifest.graphs):
        what = f"the runtime {choice.kind} reads none of its graphs: {', '.join(manifest.graphs)}"
        raise ModelError(what, where=manifest.name, mend="name another in the setting `runtimes`")
    return choice


def open_runtime(settings: Settings, folder: ModelFolder, *, threads: int) -> Runtime:
    """Return the model's graph, loaded by its runtime; `threads` work on one call.

    Raises ModelError if it can't be loaded, SettingsError for an unknown runtime.
    """
    chosen = runtime_of(settings, folder).choice
    return open_choice(chosen, runtimes_of(settings), folder, threads=threads)


def model_tokenizer(folder: ModelFolder) -> Tokenizer:
    """Return a model's tokenizer, from checked bytes."""
    return TextTokens.open(folder).tokenizer


def batch_limits(settings: Settings) -> BatchLimits:
    """Return how callers share a model: as many batches at once as there are threads."""
    return BatchLimits(
        settings.batch_tokens,
        settings.threads,
        settings.batch_wait_ms,
        settings.batch_waiting_tokens,
    )


def open_encoder(settings: Settings, name: str, watching: Watching = UNWATCHED) -> SentenceEncoder:
    """Return the model `name` in its runtime: one thread for a call, `threads` calls at once."""
    folder = model_store(settings).find(name)
    runtime = open_runtime(settings, folder, threads=1)
    return SentenceEncoder.over(folder, runtime, limits=batch_limits(settings), watching=watching)


def open_tagger(settings: Settings, name: str, watching: Watching = UNWATCHED) -> NameTagger:
    """Return the model `name` in its runtime: one thread for a call, `threads` calls at once."""
    folder = model_store(settings).find(name)
    runtime = open_runtime(settings, folder, threads=1)
    return NameTagger.over(folder, runtime, limits=batch_limits(settings), watching=watching)


def open_pictures(
    settings: Settings, name: str, watching: Watching = UNWATCHED
) -> PictureEncoder | PictureService:
    """Return the model `name` that looks at pictures, in its runtime, or the service that the
    settings name. Raises SettingsError, ModelError.
    """
    if name == LOOKING_SERVICE:
        from indexing.picture_service import PictureService  # it loads an HTTP client

        key = settings.looks_key.get_secret_value() if settings.looks_key else ""
        return PictureService.open(
            settings.looks_url,
            settings.looks_model,
            settings.looks_dimension,
            key=key,
            seconds=settings.looks_seconds,
        )
    folder = model_store(settings).find(name)
    runtime = open_runtime(settings, folder, threads=1)
    return PictureEncoder.over(folder, runtime, threads=settings.threads, watching=watching)


def open_scorer(settings: Settings, name: str, watching: Watching = UNWATCHED) -> PairScorer:
    """Return the model `name` in its runtime: a cross-encoder, or late interaction."""
    folder = model_store(settings).find(name)
    kind = CrossEncoder if folder.manifest.task == "score" else MaxSimScorer
    runtime = open_runtime(settings, folder, threads=1)
    return kind.over(folder, runtime, limits=batch_limits(settings), watching=watching)
