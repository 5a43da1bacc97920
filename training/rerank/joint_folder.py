"""A joint encoder's run as a model that the service loads: float32, or int8 with calibration.

    python -P -m training.rerank.joint_folder --state FILE --name NAME --output DIR
                                       [--lists FILE.jsonl.gz] [--weights DIR]
                                       [--training-data NAME|LICENCE|USE ...]

With `--lists` the graph is int8: pairs of those lists show the range of every dense layer's input.
Without, it is float32. `training.rerank.judge_lists --models DIR --scores model:NAME` judges
either, so teacher and student, or float32 and int8, stand side by side.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from inference.models.manifest import ModelManifest
from training.folder import add_terms, learned_from, plain_tokenizer, write_folder, write_manifest
from training.graphs.bert import BertShape, Weights
from training.graphs.pair import pair_graph
from training.graphs.quantize import calibrate
from training.rerank.candidates import CandidateList, read_lists
from training.rerank.cross_encoder import MANIFEST, calibration
from training.rerank.distil import MAX_TOKENS, state_of
from training.rerank.joint import PairTokens
from training.sources import MINILM_TOKENIZER, fetch


def manifest_of(name: str, shape: BertShape, *, whole: bool) -> ModelManifest:
    """Return the manifest of a model called `name`; `whole` says that its numbers are whole
    ones.
    """
    form = f"BERT, {shape.layers} layers, {shape.width} wide, {shape.heads} heads"
    return replace(
        MANIFEST,
        name=name,
        architecture=f"{form}; late-interaction head on joint tokens",
        source="trained here from public start weights on pools of pairs",
        revision="start: MiniLM-L6 or bge-small-en-v1.5, see training/sources.py",
        licence="Apache-2.0 for the code; start weights and training texts: see there",
        recipe="python -P -m training.rerank.distil, then training.rerank.joint_folder",
        precision=MANIFEST.precision if whole else "float32",
        training_data=MANIFEST.training_data[-1:],
    )


def write_model(
    folder: Path,
    weights: Weights,
    shape: BertShape,
    tokenizer: Path,
    lists: Sequence[CandidateList] = (),
) -> ModelManifest:
    """Write the model; int8 if there are `lists` to calibrate with."""
    graph = pair_graph(weights, shape, {})
    if lists:
        tokens = PairTokens(plain_tokenizer(tokenizer), MAX_TOKENS)
        right = [one for one in lists if one.found]
        pairs = calibration(tokens, right, random.Random(1))  # noqa: S311
        graph = pair_graph(weights, shape, calibrate(graph, pairs))
    return write_folder(
        folder, manifest_of(folder.name, shape, whole=bool(lists)), graph, tokenizer
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--state", type=Path, required=True, help="file of a run")
    parser.add_argument("--name", required=True)
    parser.add_argument("--output", type=Path, required=True, help="folder of models")
    parser.add_argument("--lists", type=Path, help="lists to calibrate int8 with")
    parser.add_argument("--weights", type=Path, default=Path("weights"), help="kept start weights")
    add_terms(parser)
    given = parser.parse_args()
    weights, layers = state_of(given.state)
    lists = read_lists(given.lists) if given.lists else ()
    folder = given.output / given.name
    tokenizer = fetch(MINILM_TOKENIZER, given.weights)
    written = write_model(folder, weights, BertShape(layers=layers), tokenizer, lists)
    if given.training_data:
        write_manifest(folder, learned_from(written, given.training_data))
    for name, digest in written.files.items():
        print(f"{digest}  {name}")


if __name__ == "__main__":
    main()
