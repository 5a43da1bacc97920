"""A Hugging Face checkpoint (config.json and safetensors) as a PyTorch model.

Only architectures of transformers itself are made. Nothing in a config is imported, run or
downloaded, and weights come from safetensors, which hold only numbers.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from core.errors import ModelError
from inference.runtimes.loading import library, loading

# The class for each task, and the output that the task reads.
_TASKS = {
    "encode": ("AutoModel", "last_hidden_state"),
    "tag": ("AutoModelForTokenClassification", "logits"),
    "score": ("AutoModelForSequenceClassification", "logits"),
    "caption": ("AutoModelForImageTextToText", "logits"),
}
_MEND = "check that the checkpoint is a BERT, DistilBERT, RoBERTa or XLM-RoBERTa for this task"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model in evaluation mode, in float32: `model(**inputs)` has the attribute `output`."""

    model: Any  # transformers.PreTrainedModel
    inputs: tuple[str, ...]
    output: str


def read_checkpoint(
    config: bytes, weights: bytes, task: str, where: str, *, attention: str = "sdpa"
) -> Checkpoint:
    """Return the model of `task` (encode, tag, score, caption) from the bytes of its two files.

    `attention` is transformers' name of how attention is computed. Raises ModelError for an
    architecture that is not known and for weights that do not fill the model.
    """
    transformers = library("transformers")
    tensors = library("safetensors.torch")
    if task not in _TASKS:
        raise ModelError(f"no checkpoint is read for {task}", where=where, mend="give it as ONNX")
    class_name, output = _TASKS[task]
    with loading(where), _quiet(transformers):
        settings = transformers.AutoConfig.for_model(**_plain(config))
        settings._attn_implementation = attention  # noqa: SLF001 - its only way without a folder
        kind = getattr(transformers, class_name)._model_mapping[type(settings)]  # noqa: SLF001
        state = {name: value.float() for name, value in tensors.load(weights).items()}
        model, told = kind.from_pretrained(
            None, config=settings, state_dict=state, output_loading_info=True
        )
    _check_filled(told, task, where)
    model.eval()
    typed = getattr(settings, "type_vocab_size", 0) > 1
    inputs = ("input_ids", "attention_mask", *(("token_type_ids",) if typed else ()))
    return Checkpoint(model, inputs, output)


def _plain(config: bytes) -> dict[str, Any]:
    """Return the config without members that name code or kernels elsewhere."""
    fields = json.loads(config)
    dropped = ("auto_map", "attn_implementation", "quantization_config", "dtype", "torch_dtype")
    return {k: v for k, v in fields.items() if not k.startswith("_") and k not in dropped}


def _check_filled(told: Mapping[str, Any], task: str, where: str) -> None:
    """Raise ModelError if the file lacks a weight, which would be random then. Only the pooler may
    lack, because nothing reads it.
    """
    missing = sorted(n for n in told["missing_keys"] if not (task == "encode" and "pooler" in n))
    wrong = [*missing, *(str(entry) for entry in told["mismatched_keys"])]
    if wrong:
        what = f"the weights do not fill the model: {', '.join(wrong[:3])}"
        raise ModelError(what, where=where, mend=_MEND)


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Run without the progress bars and reports of transformers; our errors say what is wrong."""
    logs = transformers.utils.logging
    before, bars = logs.get_verbosity(), logs.is_progress_bar_enabled()
    logs.set_verbosity_error()
    logs.disable_progress_bar()
    try:
        yield
    finally:
        logs.set_verbosity(before)
        if bars:
            logs.enable_progress_bar()
