"""A reranker: BERT over query and passage at once, with a late-interaction head.

    python -P -m training.cross_encoder --candidates DIR [--output DIR] [--steps N] [--limit N]
                                        [--threads N] [--checkpoint FILE]

Starts from all-MiniLM-L6-v2, whose joint MaxSim is a fair ranking on the first day, and learns
listwise (softmax over one right passage and seven wrong ones from the hybrid's own top 50). DIR
holds candidate lists that `dateline eval candidates` wrote, one file a set: TRAINED_ON are learned
from, MEASURED_ON only measured. The weight of the mix is chosen on the training lists alone.

The texts of Reuters-21578 and BBC News are for research: leave their files out of DIR to be free
of them.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from inference.cross_encoder import CrossEncoder
from inference.manifest import ModelManifest, TrainingData
from inference.store import ModelStore
from training.bert_graph import BertShape, Ranges, Weights
from training.candidates import CandidateList, mean_ndcg, read_lists
from training.folder import plain_tokenizer, write_figures, write_folder
from training.joint import PairTokens
from training.listwise import Plan, train, training_lists
from training.pair_graph import pair_graph
from training.quantize import Batch, Floats, calibrate
from training.sources import MINILM_TOKENIZER, MINILM_WEIGHTS, fetch

NAME = "cross-encoder-news"
MAX_TOKENS = 128
DEPTH = 20
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
CHOSEN_ON = ("scifact-train", "checkthat2020-train")  # where the weight of the mix is chosen
MEASURED_ON = ("scifact-test", "checkthat2020-dev", "cacm", "vaswani", "fnc1")
CALIBRATED_WITH = 200  # lists, two pairs of each

MANIFEST = ModelManifest(
    name=NAME,
    task="score",
    architecture="BERT, 6 layers, 384 wide, 12 heads; late-interaction head on joint tokens",
    source="trained here from all-MiniLM-L6-v2 on candidate lists of four judged sets",
    revision=f"start: model.safetensors sha256 {MINILM_WEIGHTS.sha256}",
    licence="Apache-2.0 for the code and the start weights; part of the training text is research",
    files={},
    graphs={"onnx": "model.int8.onnx"},
    tokenizer="tokenizer.json",
    optimized=True,
    pooling="",
    query_prefix="",
    passage_prefix="",
    max_tokens=MAX_TOKENS,
    dimension=384,
    labels=(),
    precision="int8, static and smoothed activations, weights by column; head in float32",
    quality={},
    recipe="python -P -m training.cross_encoder --candidates DIR",
    languages=("en",),
    training_data=(
        TrainingData("Reuters-21578 headlines and bodies", "research use", "research only"),
        TrainingData("BBC News headlines and bodies", "research use", "research only"),
        TrainingData("CheckThat! 2020 train", "see its source", "research only"),
        TrainingData("SciFact train", "CC BY 4.0 and ODC-By 1.0", "any"),
    ),
    about=(
        "Scores a passage for a query. Its score is mixed with the hybrid's at one weight; alone it"
        " ranks worse than the hybrid on most collections."
    ),
    limits=(
        "Languages other than English.",
        "Alone, without the hybrid's own score.",
        "Passages beyond 128 tokens with the query: the rest is not read.",
    ),
)


def calibration(
    tokens: PairTokens, lists: Sequence[CandidateList], chance: random.Random
) -> Iterator[Batch]:
    """Pairs of the training lists, each alone, so that no row has padding."""
    for each in lists[:CALIBRATED_WITH]:
        for text in (each.texts[each.found[0]], chance.choice(each.texts)):
            yield tokens.batch([(each.query, text)])


def write_and_open(root: Path, weights: Weights, tokenizer: Path, ranges: Ranges) -> CrossEncoder:
    """The model's folder under `root`, and the scorer from it."""
    precision = MANIFEST.precision if ranges else "float32"
    manifest = replace(MANIFEST, precision=precision)
    write_folder(root / NAME, manifest, pair_graph(weights, BertShape(), ranges), tokenizer)
    return CrossEncoder.open(ModelStore(root), NAME, threads=2)


def scores_of(
    scorer: CrossEncoder, lists: Sequence[CandidateList], depth: int, tokens: int
) -> list[Floats]:
    """The scores [depth] of each list's first candidates at `tokens` a pair, as they are served."""
    return [
        scorer.score_within(one.query, one.texts[:depth], tokens=tokens).scores[:, 0]
        for one in lists
    ]


def measure(
    scorer: CrossEncoder, folder: Path, names: Sequence[str], limit: int | None
) -> dict[str, float]:
    """nDCG@10 of each set that has a file in `folder`, at every weight of the mix; 0 is the hybrid
    alone.
    """
    figures: dict[str, float] = {}
    for name in names:
        path = folder / f"{name}.jsonl.gz"
        if not path.exists():
            continue
        lists = read_lists(path)[:limit]
        scores = scores_of(scorer, lists, DEPTH, MAX_TOKENS)
        for weight in WEIGHTS:
            value = mean_ndcg(lists, scores, weight, DEPTH)
            figures[f"{name} at {weight}, nDCG@10"] = value
        print({name: [round(figures[f"{name} at {w}, nDCG@10"], 4) for w in WEIGHTS]}, flush=True)
    return figures


def chosen_weight(figures: dict[str, float]) -> float:
    """The weight with the best mean over CHOSEN_ON; 0 where none of them was measured."""
    means = {
        weight: np.mean([figures.get(f"{n} at {weight}, nDCG@10", 0.0) for n in CHOSEN_ON])
        for weight in WEIGHTS
    }
    return max(means, key=lambda weight: float(means[weight]))


def trained(
    given: argparse.Namespace, cache: Path, tokenizer: Tokenizer, lists: list[CandidateList]
) -> Weights:
    """Weights from the checkpoint if there is one, else from training, which writes it."""
    checkpoint: Path | None = given.checkpoint
    if checkpoint is not None and checkpoint.exists():
        kept: Weights = load_file(checkpoint)
        return kept
    start: Weights = load_file(fetch(MINILM_WEIGHTS, cache))
    weights = train(start, PairTokens(tokenizer, MAX_TOKENS), lists, Plan(steps=given.steps))
    if checkpoint is not None:
        save_file(dict(weights), checkpoint)
    return weights


def make(given: argparse.Namespace) -> dict[str, float]:
    """Train, quantize, measure and write the model's folder; returns the figures."""
    torch.set_num_threads(given.threads)
    plan = Plan(steps=given.steps)
    chance = random.Random(plan.seed)  # noqa: S311
    with tempfile.TemporaryDirectory() as scratch:
        path = fetch(MINILM_TOKENIZER, Path(scratch))
        tokenizer = plain_tokenizer(path)
        lists = training_lists(given.candidates, plan, chance)
        weights = trained(given, Path(scratch), tokenizer, lists)
        exact = write_and_open(Path(scratch), weights, path, {})
        tokens = PairTokens(tokenizer, MAX_TOKENS)
        ranges = calibrate(pair_graph(weights, BertShape(), {}), calibration(tokens, lists, chance))
        scorer = write_and_open(given.output, weights, path, ranges)
        figures = measure(scorer, given.candidates, (*CHOSEN_ON, *MEASURED_ON), given.limit)
        figures["weight chosen on the training sets"] = chosen_weight(figures)
        reference = measure(exact, given.candidates, CHOSEN_ON, given.limit)
        figures |= {f"fp32 {name}": value for name, value in reference.items()}
        write_figures(given.output / NAME, scorer.folder.manifest, figures)
        return figures


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--candidates", type=Path, required=True, help="folder of candidate lists")
    parser.add_argument("--output", type=Path, default=Path("models"))
    parser.add_argument("--steps", type=int, default=Plan().steps)
    parser.add_argument("--limit", type=int, help="measure on at most N queries of each set")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, help="trained weights, written or reused")
    for what, value in make(parser.parse_args()).items():
        print(f"{value:10.4f}  {what}")


if __name__ == "__main__":
    main()
