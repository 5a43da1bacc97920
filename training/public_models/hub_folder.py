"""Writes one of our encoders or taggers as the folder that Hugging Face's libraries open.

It has the layout of a repository of their hub, which transformers, sentence-transformers and
optimum read alike:

- `onnx/model.onnx`: our graph, whose inputs are int64 and whose output has their name
- `model.safetensors`: its weights in float32, by their names
- `config.json`, `tokenizer.json`, `tokenizer_config.json`; for an encoder also how
  sentence-transformers pools it, `modules.json` and what that names
- `README.md`: the model's card

Weights that are int8 in the graph become float32 numbers in steps of their scale: the float form is
not the model before it was made smaller, and as it does not round what goes from layer to layer, it
is not quite the graph either. `likeness` measures that.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save
from tokenizers import Tokenizer

from core.errors import ModelError
from core.items import FloatMatrix
from inference.models.card import CARD, card
from inference.models.manifest import ModelManifest
from inference.models.store import ModelFolder
from inference.runtimes.checkpoint import Checkpoint, read_checkpoint
from inference.runtimes.onnx import OnnxRuntime
from inference.runtimes.parity import answers, unpadded
from inference.runtimes.sample import Arrays, ordinary_batches
from inference.texts.pooling import HIDDEN, TOKENS, Pooling
from training.folder import new_folder
from training.graphs.bert import Weights, renamed
from training.graphs.distilbert import names
from training.graphs.quantize import SHIFT, Floats
from training.public_models.checkpoint_folder import read_bytes

_PARTS = ("query", "key", "value")
_SPECIAL = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
_POOLINGS = {"cls": "pooling_mode_cls_token", "mean": "pooling_mode_mean_tokens"}
_MODULES = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}


@dataclass(frozen=True, slots=True)
class Likeness:
    """How near the float form is to the graph on some texts: the mean and the least cosine of a
    text's vector, for a tagger of a token's logits; and for a tagger the share of tokens that both
    give the same label.
    """

    mean: float
    least: float
    same_label: float | None


def write_hub_folder(source: ModelFolder, output: Path) -> None:
    """Write the model as the folder `output`, which must not be there.

    Raises ModelError for a model that is neither an encoder nor a tagger, and for one whose graph
    none of our recipes wrote; nothing is left behind then.
    """
    manifest = source.manifest
    if manifest.task not in ("encode", "tag") or not manifest.graph:
        what = f"{manifest.name} is no encoder or tagger with an ONNX graph"
        raise ModelError(what, where=str(source.path), mend="see `dateline models list`")
    graph = onnx.load_model_from_string(source.read(manifest.graph))
    try:
        weights = float_weights(graph)
    except KeyError as error:
        what = f"the graph has no {error.args[0]}: no recipe of training/ wrote it"
        mend = "open the checkpoint that it was exported from instead"
        raise ModelError(what, where=str(source.path / manifest.graph), mend=mend) from error
    with new_folder(output) as folder:
        (folder / "onnx").mkdir()
        (folder / "onnx" / "model.onnx").write_bytes(wide_inputs(graph).SerializeToString())
        config = _config(manifest, graph, weights)
        state = save(_theirs(manifest, weights), {"format": "pt"})
        (folder / "model.safetensors").write_bytes(state)
        (folder / "tokenizer.json").write_bytes(source.read(manifest.tokenizer))
        (folder / CARD).write_text(card(manifest), encoding="utf-8")
        for path, tree in {"config.json": config, **_settings(manifest)}.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(json.dumps(tree, indent=2) + "\n", encoding="utf-8")


def likeness(source: ModelFolder, folder: Path, texts: Sequence[str]) -> Likeness:
    """Return how near the float form in `folder` is to the graph of `source`, both run on the
    `texts`. Raises InputError without texts.
    """
    manifest = source.manifest
    config, state = read_bytes(folder, "config.json"), read_bytes(folder, "model.safetensors")
    checkpoint = read_checkpoint(config, state, manifest.task, str(folder))
    tokenizer = Tokenizer.from_buffer(source.read(manifest.tokenizer))
    batches = ordinary_batches(tokenizer, texts, pairs=False, longest=manifest.max_tokens)
    runtime = OnnxRuntime.open(source, threads=1)
    try:
        ours = np.concatenate(answers(runtime, batches))
    finally:
        runtime.close()
    theirs = np.concatenate([_answer(checkpoint, batch, manifest.pooling) for batch in batches])
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosines = (ours * theirs).sum(axis=1) / lengths
    same = (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean()
    tags = manifest.task == "tag"
    return Likeness(float(cosines.mean()), float(cosines.min()), float(same) if tags else None)


def _answer(checkpoint: Checkpoint, batch: Arrays, pooling: str) -> FloatMatrix:
    """Return a vector for each text, or if the model has no pooling the logits of each token."""
    given = {name: torch.from_numpy(batch[name]) for name in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        found = getattr(checkpoint.model(**given), checkpoint.output).numpy()
    if pooling:
        return Pooling(checkpoint.output, pooling).vectors(found, batch["attention_mask"])
    return unpadded(found, batch["attention_mask"])


def wide_inputs(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with int64 inputs, each cast to what it was, and the last hidden state under
    the name that transformers gives it.
    """
    made = onnx.ModelProto()
    made.CopyFrom(graph)
    casts = []
    for given in made.graph.input:
        before = f"{given.name}/int32"
        for node in made.graph.node:
            renamed(node, given.name, before)
        casts.append(helper.make_node("Cast", [given.name], [before], to=TensorProto.INT32))
        given.type.tensor_type.elem_type = TensorProto.INT64
    nodes = [renamed(node, TOKENS, HIDDEN) for node in made.graph.node]
    del made.graph.node[:]
    made.graph.node.extend([*casts, *nodes])
    for told in made.graph.output:
        if told.name == TOKENS:
            told.name = HIDDEN
    return made


def float_weights(graph: onnx.ModelProto) -> Weights:
    """Return the weights of a graph of `training/graphs/bert.py`, int8 or float32, as float32 under
    Hugging Face's BERT names. Raises KeyError for a graph without a part of it.
    """
    constants = {one.name: numpy_helper.to_array(one) for one in graph.graph.initializer}
    table = constants["words/table"]
    words = table * constants["words/scale"] if table.dtype == np.int8 else table
    found = {
        "embeddings.word_embeddings.weight": words,
        "embeddings.position_embeddings.weight": constants["positions/table"],
        **_norm(constants, "embeddings", "embeddings.LayerNorm"),
    }
    layer = 0
    while f"layer{layer}/ffn/gamma" in constants or layer == 0:
        found |= _layer(constants, f"layer{layer}", f"encoder.layer.{layer}")
        layer += 1
    if "labels/kernel" in constants:
        found["classifier.weight"] = constants["labels/kernel"].T
        found["classifier.bias"] = constants["labels/bias"]
    return {name: np.ascontiguousarray(value, np.float32) for name, value in found.items()}


Constants = Mapping[str, Floats]


def _layer(constants: Constants, ours: str, base: str) -> dict[str, Floats]:
    """Return the weights of one layer, under the names that begin with `base`."""
    kernel, bias = _dense(constants, f"{ours}/attention/qkv")
    thirds = zip(_PARTS, np.split(kernel, 3, axis=1), np.split(bias, 3), strict=True)
    dense = {f"attention.self.{part}": (one, offset) for part, one, offset in thirds}
    dense["attention.output.dense"] = _dense(constants, f"{ours}/attention/out")
    dense["intermediate.dense"] = _dense(constants, f"{ours}/ffn/wide")
    dense["output.dense"] = _dense(constants, f"{ours}/ffn/out")
    found = _norm(constants, f"{ours}/attention", f"{base}.attention.output.LayerNorm")
    found |= _norm(constants, f"{ours}/ffn", f"{base}.output.LayerNorm")
    for name, (one, offset) in dense.items():
        found |= {f"{base}.{name}.weight": one.T, f"{base}.{name}.bias": offset}
    return found


def _dense(constants: Constants, name: str) -> tuple[Floats, Floats]:
    """Return the kernel [in, out] and the bias [out] of a dense layer.

    An int8 layer multiplies its input by `inverse`, channel by channel; here its kernel does.
    """
    kernel, bias = constants[f"{name}/kernel"], constants[f"{name}/bias"]
    if kernel.dtype != np.uint8:
        return kernel, bias
    whole = (kernel.astype(np.float32) - SHIFT) * constants[f"{name}/scale"]
    inverse = constants.get(f"{name}/inverse")
    return (whole if inverse is None else whole * inverse[:, None]), bias


def _norm(constants: Constants, ours: str, theirs: str) -> dict[str, Floats]:
    gamma, beta = constants[f"{ours}/gamma"], constants[f"{ours}/beta"]
    return {f"{theirs}.weight": gamma, f"{theirs}.bias": beta}


def _theirs(manifest: ModelManifest, weights: Weights) -> dict[str, Floats]:
    """Return the weights by the names of the class that `_config` names.

    Our graphs add the one token type that they read to every position, and have no pooler.
    BertModel has both: they are zeros here, so that nothing in it is random.
    """
    if manifest.task == "tag":
        return {names().get(name, name): value for name, value in weights.items()}
    width = manifest.dimension
    zeros = {
        "embeddings.token_type_embeddings.weight": (2, width),
        "pooler.dense.weight": (width, width),
        "pooler.dense.bias": (width,),
    }
    return {**weights, **{name: np.zeros(size, np.float32) for name, size in zeros.items()}}


def _config(manifest: ModelManifest, graph: onnx.ModelProto, weights: Weights) -> dict[str, Any]:
    """Return config.json: the shape of the model, and the names of a tagger's labels."""
    wide, width = weights["encoder.layer.0.intermediate.dense.weight"].shape
    mixed = next(node for node in graph.graph.node if node.op_type == "MultiHeadAttention")
    heads = next(one.i for one in mixed.attribute if one.name == "num_heads")
    layers = sum(name.endswith(".intermediate.dense.bias") for name in weights)
    shared: dict[str, Any] = {
        "vocab_size": len(weights["embeddings.word_embeddings.weight"]),
        "max_position_embeddings": len(weights["embeddings.position_embeddings.weight"]),
        "pad_token_id": 0,
    }
    if manifest.task == "encode":
        shared |= {"model_type": "bert", "architectures": ["BertModel"], "hidden_act": "gelu"}
        shared |= {"hidden_size": width, "num_hidden_layers": layers, "intermediate_size": wide}
        return {**shared, "num_attention_heads": heads, "layer_norm_eps": 1e-12}
    shared |= {"model_type": "distilbert", "architectures": ["DistilBertForTokenClassification"]}
    shared |= {"dim": width, "n_layers": layers, "n_heads": heads, "hidden_dim": wide}
    shared["id2label"] = {str(place): label for place, label in enumerate(manifest.labels)}
    shared["label2id"] = {label: place for place, label in enumerate(manifest.labels)}
    return {**shared, "activation": "gelu"}


def _settings(manifest: ModelManifest) -> dict[str, Any]:
    """Return the other JSON files by path: how texts are read, and how an encoder pools them."""
    found: dict[str, Any] = {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": manifest.max_tokens,
            "model_input_names": ["input_ids", "attention_mask"],
            **_SPECIAL,
        }
    }
    if manifest.task == "tag":
        return found
    prompts = {"query": manifest.query_prefix, "document": manifest.passage_prefix}
    pooling = {key: pooling == manifest.pooling for pooling, key in _POOLINGS.items()}
    found["sentence_bert_config.json"] = {"max_seq_length": manifest.max_tokens}
    found["config_sentence_transformers.json"] = {
        "prompts": prompts,
        "similarity_fn_name": "cosine",
    }
    found["1_Pooling/config.json"] = {"word_embedding_dimension": manifest.dimension, **pooling}
    found["modules.json"] = [
        {"idx": idx, "name": str(idx), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for idx, (path, kind) in enumerate(_MODULES.items())
    ]
    return found
