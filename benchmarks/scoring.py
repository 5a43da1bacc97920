"""What scoring a run costs, compared with pytrec_eval, on which ir_measures is built.

    python -m benchmarks.scoring [--queries N] [--depth N] [--rounds N] [--json]

2,250 queries of 100 documents each, 30 judgements a query, from a fixed seed. Both sides get the
run as a dict of scores and the judgements as a dict of grades, and return every query's nDCG@10,
R@100, RR and AP. Ours also sorts the documents, and checks whether a document appears twice.
`lists` is ours on sorted lists, as our own runs have; `by default` is the same for the default
measures. The time that pytrec_eval needs to read the judgements is not counted. The ratio is of the
medians; the rounds take turns, so that both sides see the same machine.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import pytrec_eval

from benchmarks.machine import arguments, show, this_machine
from eval.runs.measures import DEFAULT_MEASURES, Qrels, parse_measures, per_query, ranked

NAMES = {"nDCG@10": "ndcg_cut_10", "R@100": "recall_100", "RR": "recip_rank", "AP": "map"}
KINDS = {"ndcg_cut.10", "recall.100", "recip_rank", "map"}
_SLACK = 1e-9
_CORPUS, _JUDGEMENTS = 50_000, 30

Scores = dict[str, dict[str, float]]


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("--queries", type=int, default=2250)
    parser.add_argument("--depth", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    qrels, scores = made_up(chosen.queries, chosen.depth)
    times: dict[str, list[float]] = {
        each: [] for each in ("pytrec_eval", "ours", "ours, lists", "ours, by default")
    }
    measures, usual = parse_measures(NAMES), parse_measures(DEFAULT_MEASURES)
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, KINDS)
    for _ in range(chosen.rounds):
        started = perf_counter()
        theirs = evaluator.evaluate(scores)
        times["pytrec_eval"].append(perf_counter() - started)
        started = perf_counter()
        lists = {query: ranked(found) for query, found in scores.items()}
        sorted_at = perf_counter()
        ours = per_query(measures, qrels, lists)
        ended = perf_counter()
        times["ours"].append(ended - started)
        times["ours, lists"].append(ended - sorted_at)
        per_query(usual, qrels, lists)
        times["ours, by default"].append(perf_counter() - ended)
    figures: dict[str, Any] = {"rows": chosen.queries * chosen.depth}
    figures |= {f"{who}, ms": median(seconds) * 1000 for who, seconds in times.items()}
    figures["ratio"] = figures["ours, ms"] / figures["pytrec_eval, ms"]
    differences = _differences(ours, theirs)
    figures["largest difference"] = f"{max(differences):.1e}"
    figures["values that differ"] = sum(difference > _SLACK for difference in differences)
    show("scoring", figures, this_machine(), as_json=chosen.json)


def made_up(queries: int, depth: int) -> tuple[Qrels, Scores]:
    """Return judgements of grades 0 to 3 and a run with some ties; it finds a third of the judged
    documents.
    """
    chance = np.random.default_rng(11)
    qrels: dict[str, dict[str, int]] = {}
    scores: Scores = {}
    for number in range(queries):
        documents = [f"doc-{n}" for n in chance.choice(_CORPUS, depth + _JUDGEMENTS, replace=False)]
        found = chance.permutation(depth)
        judged = [documents[n] for n in found[: _JUDGEMENTS // 3]]
        judged += documents[depth : depth + _JUDGEMENTS - len(judged)]
        grades = chance.integers(0, 4, len(judged)).tolist()
        qrels[f"q{number}"] = dict(zip(judged, grades, strict=True))
        values = (chance.integers(0, depth * 4, depth) / 8).tolist()
        scores[f"q{number}"] = dict(zip(documents[:depth], values, strict=True))
    return qrels, scores


def _differences(
    ours: dict[str, dict[str, float]], theirs: dict[str, dict[str, float]]
) -> list[float]:
    """Return the differences of every query and measure."""
    return [
        abs(row[name] - theirs[query][trec])
        for query, row in ours.items()
        for name, trec in NAMES.items()
    ]


if __name__ == "__main__":
    main()
