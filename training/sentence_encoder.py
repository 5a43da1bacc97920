"""Turns published weights of a sentence encoder into an int8 ONNX graph: the shared part of the
recipes.

The graph is first written in float32 and compared with PyTorch. Then the ranges of its activations
are measured on news texts, the int8 graph is written, and both graphs are measured.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import torch
from transformers import BertConfig, BertModel

from core.items import FloatMatrix
from inference.encoder import SentenceEncoder
from inference.models.manifest import ModelManifest
from inference.models.store import ModelStore
from inference.runtime import Runtime
from inference.texts.pooling import SENTENCE
from inference.texts.tokens import TextTokens, padded
from training.beir import read_test_set, sample_texts
from training.folder import write_figures, write_folder
from training.graphs.bert import BertShape, Weights, sentence_graph
from training.graphs.quantize import Batch, calibrate
from training.measure import milliseconds, ndcg
from training.sources import JarFile, WheelFile, fetch

TESTS = (("scifact", "test"), ("checkthat2020", "dev"))
CALIBRATION = (("reuters21578", 300), ("bbc_news", 100))
LEAST_PARITY = 0.9999  # cosine between our float32 graph and PyTorch


@dataclass(frozen=True, slots=True)
class EncoderRecipe:
    """The recipe of one encoder: its manifest (which names the pooling), its shape, and the sources
    of its weights and tokenizer. `read` turns the weights' file into BERT's table.
    """

    manifest: ModelManifest
    shape: BertShape
    weights: WheelFile | JarFile
    tokenizer: WheelFile | JarFile
    read: Callable[[Path], Weights]


def token_batches(tokens: TextTokens, texts: Sequence[str]) -> Iterator[Batch]:
    """Yield one batch per text, so that no row has padding."""
    for text in texts:
        yield padded(tokens.rows([text]).rows)


def torch_vectors(recipe: EncoderRecipe, weights: Weights, batches: Sequence[Batch]) -> FloatMatrix:
    """Return reference unit vectors [n, d] by PyTorch in float32."""
    shape = recipe.shape
    config = BertConfig(
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.width,
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    state = {name: torch.from_numpy(value) for name, value in weights.items()}
    model.load_state_dict(state, strict=False)
    rows = []
    for batch in batches:
        mask = torch.from_numpy(batch["attention_mask"]).long()
        with torch.no_grad():
            hidden = model(torch.from_numpy(batch["input_ids"]).long(), mask).last_hidden_state
        mean = (hidden * mask[..., None]).sum(1)
        pooled = hidden[:, 0] if recipe.manifest.pooling == "cls" else mean
        rows.append(torch.nn.functional.normalize(pooled, dim=1).numpy())
    return np.concatenate(rows)


def parity(
    recipe: EncoderRecipe, weights: Weights, encoder: SentenceEncoder, texts: Sequence[str]
) -> float:
    """Return the smallest cosine between PyTorch's vectors of `texts` and the encoder's."""
    expected = torch_vectors(recipe, weights, list(token_batches(encoder.tokens, texts)))
    return float((expected * encoder.encode_passages(texts)).sum(axis=1).min())


def write_float32(
    root: Path, recipe: EncoderRecipe, weights: Weights, tokenizer: Path
) -> tuple[SentenceEncoder, onnx.ModelProto]:
    """Write the float32 model to its own folder under `root`; return it opened, and its graph."""
    name = recipe.manifest.name
    graph = sentence_graph(weights, recipe.shape, {}, recipe.manifest.pooling)
    manifest = replace(recipe.manifest, graphs={"onnx": "model.onnx"}, precision="float32")
    write_folder(root / name, manifest, graph, tokenizer)
    return SentenceEncoder.open(ModelStore(root), name, threads=2), graph


def calibration_texts(data: Path, limit: int | None) -> list[str]:
    """Return news texts, half of them headlines alone; every fourth in lower case, as queries
    are.
    """
    texts = [
        text
        for name, count in CALIBRATION
        for text in sample_texts(data / name, min(count, limit or count), seed=1)
    ]
    return [text.lower() if number % 4 == 3 else text for number, text in enumerate(texts)]


def speeds(model: Runtime) -> dict[str, float]:
    """Return milliseconds of a call with a query's shape and of one with a batch's shape."""
    return {
        "1x12 tokens, ms": milliseconds(model, SENTENCE, 1, 12, calls=300),
        "20x160 tokens, ms": milliseconds(model, SENTENCE, 20, 160, calls=5),
    }


def qualities(encoder: SentenceEncoder, data: Path) -> dict[str, float]:
    """Return nDCG@10 on each of the test sets."""
    return {
        f"{name} {split}, nDCG@10": ndcg(encoder, read_test_set(data / name, split))
        for name, split in TESTS
    }


def make(
    recipe: EncoderRecipe, output: Path, data: Path, *, limit: int | None, quick: bool
) -> dict[str, float]:
    """Write the model's folder under `output`; return the figures, those of float32 under `fp32 `.
    Raises ValueError if the graph does not agree with PyTorch.
    """
    folder = output / recipe.manifest.name
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch)
        tokenizer = fetch(recipe.tokenizer, cache)
        weights = recipe.read(fetch(recipe.weights, cache))
        reference, graph = write_float32(cache / "float32", recipe, weights, tokenizer)
        texts = calibration_texts(data, limit)
        agreement = parity(recipe, weights, reference, texts[:50])
        if agreement < LEAST_PARITY:
            raise ValueError(f"the graph's least cosine with PyTorch is {agreement}")
        ranges = calibrate(graph, token_batches(reference.tokens, texts))
        int8 = sentence_graph(weights, recipe.shape, ranges, recipe.manifest.pooling)
        manifest = write_folder(folder, recipe.manifest, int8, tokenizer)
        encoder = SentenceEncoder.open(ModelStore(output), manifest.name, threads=2)
        figures = {"fp32 least cosine with PyTorch": agreement}
        for prefix, each in (("fp32 ", reference), ("", encoder)):
            found = speeds(each.runtime) | ({} if quick else qualities(each, data))
            figures |= {prefix + what: value for what, value in found.items()}
            print({what: round(value, 4) for what, value in found.items()}, flush=True)
        cosines = (reference.encode_passages(texts) * encoder.encode_passages(texts)).sum(axis=1)
        figures["mean cosine with fp32"] = float(cosines.mean())
        write_figures(folder, manifest, figures)
        return figures


def run(recipe: EncoderRecipe, about: str) -> None:
    """Run a recipe's command line."""
    parser = argparse.ArgumentParser(description=about.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--output", type=Path, default=Path("models"))
    parser.add_argument("--limit", type=int, help="calibrate on at most N texts of each set")
    parser.add_argument("--quick", action="store_true", help="leave out the quality figures")
    given = parser.parse_args()
    figures = make(recipe, given.output, given.data, limit=given.limit, quick=given.quick)
    for what, value in figures.items():
        print(f"{value:10.4f}  {what}")
