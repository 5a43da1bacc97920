"""Candidate lists: what the hybrid search found for a query, as a reranker reads it, with
judgements.

`dateline eval candidates FOLDER[:SPLIT] --output FILE.jsonl.gz` writes them, one query a line:
`{"query_id": …, "query": …, "ideal": [3, 1], "candidates": [{"id": …, "fused": …, "grade": …,
"text": …}]}`, best first. `ideal` has every grade above 0 of the query, found or not.
"""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rerank.deadline import mix
from training.graphs.quantize import Floats

NDCG_DEPTH = 10


@dataclass(frozen=True, slots=True)
class CandidateList:
    """One query and its candidates in the hybrid search's order.

    `fused` is float32 [n]; `grades` and `texts` have length n; `ideal` has the query's grades above
    0, largest first.
    """

    query: str
    fused: Floats
    grades: tuple[int, ...]
    texts: tuple[str, ...]
    ideal: tuple[int, ...]

    @property
    def found(self) -> tuple[int, ...]:
        """Places of the candidates that are judged relevant."""
        return tuple(place for place, grade in enumerate(self.grades) if grade > 0)

    @property
    def others(self) -> tuple[int, ...]:
        """Places of all other candidates, best first: the hard negatives."""
        return tuple(place for place, grade in enumerate(self.grades) if grade <= 0)

    def without_headlines(self) -> "CandidateList":
        """Return the list without each text's first line, for queries that are headlines."""
        texts = tuple(text.partition("\n")[2] or text for text in self.texts)
        return CandidateList(self.query, self.fused, self.grades, texts, self.ideal)


def read_lists(path: Path) -> list[CandidateList]:
    """Return the lists of a file, gzipped or not."""
    return list(_lists(path))


def _lists(path: Path) -> Iterator[CandidateList]:
    with path.open("rb") as packed:
        lines = gzip.GzipFile(fileobj=packed) if path.suffix == ".gz" else packed
        for line in lines:
            row = json.loads(line)
            each = row["candidates"]
            yield CandidateList(
                row["query"],
                np.array([one["fused"] for one in each], np.float32),
                tuple(int(one["grade"]) for one in each),
                tuple(one["text"] for one in each),
                tuple(sorted(row["ideal"], reverse=True)),
            )


def ndcg(given: CandidateList, scores: Floats, weight: float, depth: int) -> float:
    """Return nDCG@10 of a list whose first `depth` candidates are reordered by the served mix:
    `weight` of `scores` [depth] and the rest of the fused ones.
    """
    top = min(depth, len(given.fused))
    mixed = mix(given.fused[:top], scores[:top], weight)
    order = [*np.argsort(-mixed, kind="stable").tolist(), *range(top, len(given.grades))]
    gains = np.array([given.grades[place] for place in order[:NDCG_DEPTH]], np.float64)
    best = np.array(given.ideal[:NDCG_DEPTH], np.float64)
    return _discounted(np.maximum(gains, 0)) / _discounted(best)


def ndcgs(
    lists: Sequence[CandidateList], scores: Sequence[Floats], weight: float, depth: int
) -> npt.NDArray[np.float64]:
    """Return `ndcg` of each list."""
    pairs = zip(lists, scores, strict=True)
    return np.array([ndcg(one, score, weight, depth) for one, score in pairs])


def _discounted(gains: npt.NDArray[np.float64]) -> float:
    return float((gains / np.log2(np.arange(2, len(gains) + 2))).sum())
