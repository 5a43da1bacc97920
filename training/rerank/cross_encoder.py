"""A reranker: BERT over query and passage at once, with a late-interaction head.

    python -P -m training.rerank.cross_encoder --candidates DIR [--output DIR] [--steps N] [--limit
    N] [--threads N] [--checkpoint FILE]
                                        [--training-data NAME|LICENCE|USE ...]

It starts from all-MiniLM-L6-v2, whose joint MaxSim ranks fairly well without training, and learns
listwise (softmax over one right passage and seven wrong ones from the hybrid search's top 50). DIR
has candidate lists that `dateline eval candidates` wrote, one file a set. The sets that `listwise`
names are learned from; those of MEASURED_ON are only measured. The weight of the mix is chosen on
held-out training lists, because a reranker looks better than it is on lists that it learned from.

The texts of Reuters-21578, BBC News and CheckThat! 2020 are for research. To be free of them, leave
their files out of DIR, and describe your own with `--training-data`, for the card. The start
weights learned in part from MS MARCO, which is for research as well.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from core.ports.models import ScoreLimits
from inference.cross_encoder import CrossEncoder
from inference.models.manifest import ModelManifest, TrainingData
from inference.models.store import ModelStore
from training.folder import (
    START,
    add_terms,
    learned_from,
    plain_tokenizer,
    write_figures,
    write_folder,
)
from training.graphs.bert import BertShape, Ranges, Weights
from training.graphs.pair import pair_graph
from training.graphs.quantize import Batch, Floats, calibrate
from training.rerank.candidates import CandidateList, ndcgs, read_lists
from training.rerank.joint import PairTokens
from training.rerank.listwise import FIRST, Plan, held_out, train, training_lists
from training.sources import MINILM_TOKENIZER, MINILM_WEIGHTS, fetch

NAME = "cross-encoder-news"
MAX_TOKENS = 128
DEPTH = 20
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
CHOSEN_ON = ("scifact-train", "checkthat2020-train", "bbc_news")  # the held-out lists of these
MEASURED_ON = ("scifact-test", "checkthat2020-dev", "cacm", "vaswani", "fnc1")
CALIBRATED_WITH = 200  # lists, with two pairs each

MANIFEST = ModelManifest(
    name=NAME,
    task="score",
    architecture="BERT, 6 layers, 384 wide, 12 heads; late-interaction head on joint tokens",
    source="trained here from all-MiniLM-L6-v2 on candidate lists of four judged sets",
    revision=f"start: model.safetensors sha256 {MINILM_WEIGHTS.sha256}",
    licence="Apache-2.0 for code and start weights; part of the training text is for research",
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
    recipe="python -P -m training.rerank.cross_encoder --candidates DIR",
    languages=("en",),
    training_data=(
        TrainingData("Reuters-21578 headlines and bodies", "research use", "research only"),
        TrainingData("BBC News headlines and bodies", "research use", "research only"),
        TrainingData("CheckThat! 2020 train", "see its source", "research only"),
        TrainingData("SciFact train", "CC BY 4.0 and ODC-By 1.0", "any"),
        START,
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
    """Yield pairs of the training lists, one per batch, so that no row has padding."""
    for each in lists[:CALIBRATED_WITH]:
        for text in (each.texts[each.found[0]], chance.choice(each.texts)):
            yield tokens.batch([(each.query, text)])


def write_and_open(root: Path, weights: Weights, tokenizer: Path, ranges: Ranges) -> CrossEncoder:
    """Write the model's folder under `root`, and open the scorer from it."""
    precision = MANIFEST.precision if ranges else "float32"
    manifest = replace(MANIFEST, precision=precision)
    write_folder(root / NAME, manifest, pair_graph(weights, BertShape(), ranges), tokenizer)
    return CrossEncoder.open(ModelStore(root), NAME, threads=2)


def scores_of(
    scorer: CrossEncoder, lists: Sequence[CandidateList], depth: int, tokens: int
) -> list[Floats]:
    """Return the scores [depth] of each list's first candidates at `tokens` a pair, as the service
    computes them.
    """
    limits = ScoreLimits(tokens=tokens)
    return [scorer.score_within(one.query, one.texts[:depth], limits).scores[:, 0] for one in lists]


Values = dict[tuple[str, float], npt.NDArray[np.float64]]  # per query, by set and weight


def measure(scorer: CrossEncoder, sets: Mapping[str, Sequence[CandidateList]]) -> Values:
    """Return nDCG@10 of each query of each set, at every weight of the mix; 0 is the hybrid search
    alone.
    """
    values: Values = {}
    for name, lists in sets.items():
        judged = [one for one in lists if one.ideal]
        scores = scores_of(scorer, judged, DEPTH, MAX_TOKENS)
        for weight in WEIGHTS:
            values[name, weight] = ndcgs(judged, scores, weight, DEPTH)
        print({name: [round(float(values[name, w].mean()), 4) for w in WEIGHTS]}, flush=True)
    return values


def sets_in(folder: Path, limit: int | None) -> dict[str, list[CandidateList]]:
    """Return the lists to measure on by the set's name, if `folder` has them: those of MEASURED_ON,
    and the held-out ones of CHOSEN_ON.
    """
    sets: dict[str, list[CandidateList]] = {}
    for name in (*CHOSEN_ON, *MEASURED_ON):
        path = folder / f"{name}.jsonl.gz"
        if path.exists():
            lists = read_lists(path)
            chosen = held_out(lists) if name in CHOSEN_ON else lists
            sets[f"{name}, held out" if name in CHOSEN_ON else name] = chosen[:limit]
    return sets


def figures_of(values: Values) -> dict[str, float]:
    """Return the means, under the names for the card."""
    return {
        f"{name} at {weight}, nDCG@10": float(each.mean())
        for (name, weight), each in values.items()
    }


def chosen_weight(values: Values) -> float:
    """Return the weight with the best mean over the held-out sets, each counted alike; 0 without
    held-out sets.
    """
    held = [name for name, weight in values if weight == 0 and name.endswith(", held out")]
    if not held:
        return 0.0
    means = {w: np.mean([values[name, w].mean() for name in held]) for w in WEIGHTS}
    return max(WEIGHTS, key=lambda weight: float(means[weight]))


def trained(given: argparse.Namespace, cache: Path, tokenizer: Tokenizer) -> Weights:
    """Return weights from the checkpoint if it exists, else from training, which writes it."""
    checkpoint: Path | None = given.checkpoint
    if checkpoint is not None and checkpoint.exists():
        kept: Weights = load_file(checkpoint)
        return kept
    start: Weights = load_file(fetch(MINILM_WEIGHTS, cache))
    plan = Plan().cut(given.steps)
    weights = train(start, PairTokens(tokenizer, MAX_TOKENS), given.candidates, plan)
    if checkpoint is not None:
        save_file(dict(weights), checkpoint)
    return weights


def make(given: argparse.Namespace) -> dict[str, float]:
    """Train, quantize, measure and write the model's folder; return the figures."""
    torch.set_num_threads(given.threads)
    chance = random.Random(1)  # noqa: S311
    with tempfile.TemporaryDirectory() as scratch:
        path = fetch(MINILM_TOKENIZER, Path(scratch))
        tokenizer = plain_tokenizer(path)
        lists = training_lists(given.candidates, FIRST.sources, 1, chance)
        weights = trained(given, Path(scratch), tokenizer)
        exact = write_and_open(Path(scratch), weights, path, {})
        tokens = PairTokens(tokenizer, MAX_TOKENS)
        ranges = calibrate(pair_graph(weights, BertShape(), {}), calibration(tokens, lists, chance))
        scorer = write_and_open(given.output, weights, path, ranges)
        sets = sets_in(given.candidates, given.limit)
        values = measure(scorer, sets)
        weight = chosen_weight(values)
        figures = figures_of(values) | {"weight chosen on held-out lists": weight}
        held = {name: lists for name, lists in sets.items() if name.endswith(", held out")}
        figures |= {f"fp32 {n}": value for n, value in figures_of(measure(exact, held)).items()}
        manifest = learned_from(scorer.folder.manifest, given.training_data)
        write_figures(given.output / NAME, manifest, figures)
        return figures


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--candidates", type=Path, required=True, help="folder of candidate lists")
    parser.add_argument("--output", type=Path, default=Path("models"))
    parser.add_argument("--steps", type=int, help="at most so many steps a stage, to try it")
    parser.add_argument("--limit", type=int, help="measure on at most N queries of each set")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--checkpoint", type=Path, help="trained weights, written or reused")
    add_terms(parser)
    for what, value in make(parser.parse_args()).items():
        print(f"{value:10.4f}  {what}")


if __name__ == "__main__":
    main()
