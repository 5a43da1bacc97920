"""What a weight for machines' passages would do to vectors, on the archives of
`benchmarks/media/machine_weight.py`, searched by the cosine of the best passage.

    python -m benchmarks.media.machine_vectors FOLDER [--wrong 0.3] [--photos 8000] [--seed 7]

The part of a passage's cosine above the query's background (its mean over the archive) counts in
full in people's passages and times `weight` in a machine's; an item has its best passage. Each row
is nDCG@10 over the judged queries at one weight. In `mixed`, where people describe one half of the
photos and a machine the other, it is also given for the queries whose photo each of them described.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.machine import arguments, show, this_machine
from benchmarks.media.machine_weight import photos_of
from dateline.build.models.served import load_models
from dateline.settings import configure
from eval.sets.datasets import Conventions, read_judged_set

WEIGHTS = (0.25, 0.5, 0.75, 0.9, 1.0, 1.1)
_DEPTH = 10
_AT_ONCE = 256
Floats = npt.NDArray[np.float32]


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wrong", type=float, default=0.3)
    parser.add_argument("--photos", type=int, default=8000)
    parser.add_argument("--queries", type=int, default=0, help="so many, by chance; 0 for all")
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    judged = read_judged_set(str(chosen.folder), Conventions())
    wanted = {query: next(iter(judged.qrels[query])) for query in judged.queries}
    asked = sorted(wanted)
    if chosen.queries:
        asked = random.Random(chosen.seed).sample(asked, chosen.queries)
    photos = photos_of(judged, chosen, set(wanted.values()))
    encoder = load_models(configure({"tagger": "", "reranker": ""}).settings).encoder
    own, said = (
        _embedded(encoder.encode_passages, [texts[side] for texts in photos.values()])
        for side in (0, 1)
    )
    queries = _embedded(encoder.encode_queries, [judged.queries[query] for query in asked])
    places = {uri: place for place, uri in enumerate(photos)}
    targets = np.array([places[wanted[query]] for query in asked])
    people = np.zeros(len(photos), np.bool_)
    people[[places[uri] for number, uri in enumerate(sorted(photos)) if number % 2 == 0]] = True
    figures: dict[str, Any] = {"photos": len(photos), "queries": len(asked)}
    sides = queries @ own.T, queries @ said.T
    archives: Mapping[str, tuple[Any, Any]] = {
        "mixed": (people, ~people),
        "both": (np.ones_like(people), np.ones_like(people)),
        "machine": (np.zeros_like(people), np.ones_like(people)),
    }
    for name, has in archives.items():
        for weight in WEIGHTS:
            gains = _gains(sides, has, targets, weight)
            told = {"all": gains}
            if name == "mixed":
                told |= {"people's": gains[people[targets]], "machine's": gains[~people[targets]]}
            means = (f"{side} {values.mean():.3f}" for side, values in told.items())
            figures[f"{name} at {weight:g}"] = ", ".join(means)
    show("machine vectors", figures, this_machine(), as_json=chosen.json)


def _embedded(encode: Any, texts: Sequence[str]) -> Floats:
    """Return the vectors of the texts, float32 [n, d]."""
    parts = [encode(texts[at : at + _AT_ONCE]) for at in range(0, len(texts), _AT_ONCE)]
    return np.concatenate(parts)


def _gains(
    cosines: tuple[Floats, Floats], has: tuple[Any, Any], targets: Any, weight: float
) -> npt.NDArray[np.float64]:
    """Return nDCG@10 of each query, which has one relevant photo. `cosines` are [q, n] of people's
    passages and of machines'; `has` [n] says which photos have them.
    """
    both = np.concatenate([part[:, there] for part, there in zip(cosines, has, strict=True)], 1)
    background = both.mean(axis=1, keepdims=True)
    scores = np.full(cosines[0].shape, -np.inf, np.float32)
    for part, there, factor in zip(cosines, has, (1.0, weight), strict=True):
        weighed = background + (part - background) * np.float32(factor)
        scores[:, there] = np.maximum(scores, weighed)[:, there]
    ranks = (scores > np.take_along_axis(scores, targets[:, None], 1)).sum(axis=1)
    return np.array([1 / log2(rank + 2) if rank < _DEPTH else 0.0 for rank in ranks])


if __name__ == "__main__":
    main()
