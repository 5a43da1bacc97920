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
from collections.abc import Iterator, Sequence
from pathlib import Path

from inference.models.manifest import ModelManifest
from training.folder import (
    START,
    add_terms,
    learned_from,
    plain_tokenizer,
    write_folder,
    write_manifest,
)
from training.graphs.bert import BertShape, Weights
from training.graphs.pair import pair_graph
from training.graphs.quantize import Batch, calibrate
from training.rerank.candidates import CandidateList, read_lists
from training.rerank.distil import MAX_TOKENS, state_of
from training.rerank.joint import PairTokens
from training.sources import MINILM_TOKENIZER, fetch

CALIBRATED_WITH = 200  # lists, with two pairs each
WHOLE = "int8, static and smoothed activations, weights by column; head in float32"


def calibration(
    tokens: PairTokens, lists: Sequence[CandidateList], chance: random.Random
) -> Iterator[Batch]:
    """Yield pairs of the training lists, one per batch, so that no row has padding."""
    for each in lists[:CALIBRATED_WITH]:
        for text in (each.texts[each.found[0]], chance.choice(each.texts)):
            yield tokens.batch([(each.query, text)])


def manifest_of(name: str, shape: BertShape, *, whole: bool) -> ModelManifest:
    """Return the manifest of a model called `name`; `whole` says that its numbers are whole
    ones.
    """
    form = f"BERT, {shape.layers} layers, {shape.width} wide, {shape.heads} heads"
    return ModelManifest(
        name=name,
        task="score",
        architecture=f"{form}; late-interaction head on joint tokens",
        source="trained here from public start weights on pools of pairs",
        revision="start: MiniLM-L6 or bge-small-en-v1.5, see training/sources.py",
        licence="Apache-2.0 for the code; start weights and training texts: see there",
        files={},
        graphs={"onnx": "model.int8.onnx"},
        tokenizer="tokenizer.json",
        optimized=True,
        pooling="",
        query_prefix="",
        passage_prefix="",
        max_tokens=MAX_TOKENS,
        dimension=shape.width,
        labels=(),
        precision=WHOLE if whole else "float32",
        quality={},
        recipe="python -P -m training.rerank.distil, then training.rerank.joint_folder",
        languages=("en",),
        training_data=(START,),
        about=(
            "Scores a passage for a query. Its score is mixed with the search's at one weight;"
            " alone it ranks worse than the search on most collections."
        ),
        limits=(
            "Languages other than English.",
            "Alone, without the search's own score.",
            "Passages beyond 128 tokens with the query: the rest is not read.",
        ),
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
