"""Does a reranker add to the search where it was not trained? Judged on lists, not on the service.

    python -P -m training.rerank.judge_lists --lists DIR
                                      --scores head:FILE|tokens|model:NAME|combination:FILE
                                      [--cache DIR] [--models DIR] [--depth N] [--threads N]
                                      [--choose NAME,…] [--judge] [--json FILE]

DIR has lists of the profile `best` (`dateline eval candidates --profile best`). The first `--depth`
of each are ordered anew by the mix that is served. How much the reranker counts is chosen on the
choosing sets alone: one weight for all queries, or one that falls or rises with something that is
known of a query before its answer is shown. With `--judge` the judging sets are scored, too: only
what the choosing sets preferred is worth that, or the judging sets choose. Each difference has a 95
% bootstrap interval over its queries; of a mean of sets, over the queries of each.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.ports.models import PairScorer
from eval.compare.significance import bootstrap_interval
from training.graphs.quantize import Floats
from training.rerank.candidates import CandidateList, ndcg, read_lists
from training.rerank.pools import CHOOSING, JUDGING
from training.rerank.teachers import pair_scorer
from training.rerank.token_cache import fill_lists

FIVE = ("scifact-test", "checkthat2020-dev", "cacm", "vaswani", "fnc1")
ENCODER = "bge-small-en-v1.5"
DEPTH = 20
WEIGHTS = (0.0, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 0.9)
SLOPES = (-1.0, -0.5, 0.5, 1.0)
_POINTS = 100.0
_FIRST = 10
_ALL = 0.99  # the weight of an order that is known to be right
_SAME = 1e-6  # points
_MEANS = ("without", "by_rule", "points", "room")
_COUNTS = ("queries", "better", "worse")

Values = npt.NDArray[np.float64]
Scorer = Callable[[Sequence[CandidateList]], list[Floats]]


@dataclass(frozen=True, slots=True)
class Scored:
    """A list, and the reranker's scores of its first candidates."""

    given: CandidateList
    scores: Floats


def _words(one: Scored) -> float:
    """Return how long the query is: 0 for one word, 1 for 32 and more."""
    return min(1.0, float(np.log2(max(1, len(one.given.query.split())))) / 5)


def _sure(one: Scored) -> float:
    """Return how far the search's first hit is above its tenth, as a share of its score."""
    fused = one.given.fused[:_FIRST]
    return float((fused[0] - fused[-1]) / max(float(fused[0]), 1e-9))


def _agree(one: Scored) -> float:
    """Return how well the two orders agree: the share of the search's first ten that is also the
    reranker's.
    """
    first = {*range(min(_FIRST, len(one.scores)))}
    theirs = {*np.argsort(-one.scores, kind="stable")[:_FIRST].tolist()}
    return len(first & theirs) / len(first) if first else 1.0


TOLD: Mapping[str, Callable[[Scored], float]] = {"words": _words, "sure": _sure, "agree": _agree}


@dataclass(frozen=True, slots=True)
class Rule:
    """The reranker's weight for a query: `weight` times 1 + `slope` x (the value `told` of the
    query, less `middle`), from 0 to .9. `told` is a key of TOLD, or "" for one weight.
    """

    weight: float
    told: str = ""
    slope: float = 0.0
    middle: float = 0.0

    def __call__(self, one: Scored) -> float:
        """Return the weight for this query."""
        if not self.told:
            return self.weight
        away = TOLD[self.told](one) - self.middle
        return float(np.clip(self.weight * (1 + self.slope * 2 * away), 0.0, 0.9))


def values(rule: Rule, lists: Sequence[Scored]) -> Values:
    """Return nDCG@10 of each list by the rule."""
    every = [ndcg(one.given, one.scores, rule(one), len(one.scores)) for one in lists]
    return np.array(every, np.float64)


def rules(chosen_on: Iterable[Scored]) -> list[Rule]:
    """Return the choices: each weight alone, and each weight with each slope."""
    known = list(chosen_on)
    middles = {name: float(np.mean([of(one) for one in known])) for name, of in TOLD.items()}
    plain = [Rule(weight) for weight in WEIGHTS]
    sloped = [
        Rule(weight, name, slope, middles[name])
        for weight, name, slope in product(WEIGHTS[1:], TOLD, SLOPES)
    ]
    return [*plain, *sloped]


def chosen(sets: Mapping[str, Sequence[Scored]], among: Sequence[Rule]) -> Rule:
    """Return the rule with the best mean of the sets' means; of equal ones the first."""
    means = [float(np.mean([values(rule, one).mean() for one in sets.values()])) for rule in among]
    return among[int(np.argmax(means))]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; in nDCG@10, the difference and its interval in points. `better` and
    `worse` count queries. `room` is the bound: what the best order of the same candidates would
    add, in points.
    """

    name: str
    queries: int
    without: float
    by_rule: float
    points: float
    low: float
    high: float
    better: int
    worse: int
    room: float


def best_order(lists: Sequence[Scored]) -> Values:
    """Return nDCG@10 of each list if its scored candidates stood in the judges' own order."""
    judged = [np.array(one.given.grades[: len(one.scores)], np.float32) for one in lists]
    pairs = zip(lists, judged, strict=True)
    return np.array([ndcg(one.given, grades, _ALL, len(grades)) for one, grades in pairs])


def row_of(name: str, lists: Sequence[Scored], rule: Rule) -> tuple[Row, Values]:
    """Return a set's row, and the difference of each query."""
    before, after = values(Rule(0.0), lists), values(rule, lists)
    moved = (after - before) * _POINTS
    low, high = bootstrap_interval([moved])
    row = Row(
        name,
        len(moved),
        float(before.mean()),
        float(after.mean()),
        float(moved.mean()),
        low,
        high,
        int((moved > _SAME).sum()),
        int((moved < -_SAME).sum()),
        float((best_order(lists) - before).mean() * _POINTS),
    )
    return row, moved


def table(sets: Mapping[str, Sequence[Scored]], rule: Rule, label: str) -> list[Row]:
    """Return a row for each set, and one for their mean."""
    found = [row_of(name, lists, rule) for name, lists in sets.items()]
    if not found:
        return []
    rows = [row for row, _ in found]
    low, high = bootstrap_interval([moved for _, moved in found])
    mean: dict[str, Any] = {k: float(np.mean([getattr(row, k) for row in rows])) for k in _MEANS}
    whole: dict[str, Any] = {k: sum(getattr(row, k) for row in rows) for k in _COUNTS}
    return [*rows, Row(f"mean of {label}", **mean, **whole, low=low, high=high)]


def shown(rows: Iterable[Row]) -> str:
    """Return the table in Markdown."""
    head = "| set | queries | `best` | with | points | 95 % | better, worse | room |"
    lines = [
        f"| {row.name} | {row.queries:,} | {row.without:.4f} | {row.by_rule:.4f}"
        f" | {row.points:+.2f} | {row.low:+.2f} to {row.high:+.2f}"
        f" | {row.better}, {row.worse} | {row.room:+.1f} |"
        for row in rows
    ]
    return "\n".join([head, "|---" * 8 + "|", *lines])


def read_scored(folder: Path, names: Iterable[str], scorer: Scorer) -> dict[str, list[Scored]]:
    """Return the judged lists of each set that `folder` has, with the reranker's scores."""
    found = {}
    for name in names:
        path = folder / f"{name}.jsonl.gz"
        if path.exists():
            lists = [one for one in read_lists(path) if one.ideal]
            pairs = zip(lists, scorer(lists), strict=True)
            found[name] = [Scored(given, scores) for given, scores in pairs]
    return found


def _by_model(scorer: PairScorer, depth: int, lists: Sequence[CandidateList]) -> list[Floats]:
    texts = [one.texts[:depth] for one in lists]
    pairs = zip(lists, texts, strict=True)
    return [scorer.score([one.query] * len(each), each)[:, 0] for one, each in pairs]


def scorer_of(given: argparse.Namespace) -> Scorer:
    """Return what `--scores` names."""
    kind, _, which = given.scores.partition(":")
    if kind == "model":
        return partial(_by_model, pair_scorer(given.models, which, given.threads), given.depth)
    if kind == "combination":
        from training.rerank import combination

        numbers = combination.read(Path(which))
        rest = (given.cache, given.models, given.threads, given.depth)
        return lambda lists: [numbers.score(e) for e in combination.features_of(lists, *rest)]
    from training.rerank.projection import Head, head_scores, read_head

    def scores(lists: Sequence[CandidateList]) -> list[Floats]:
        cache = fill_lists(
            given.cache, given.encoder, lists, given.depth, given.models, given.threads
        )
        width = cache[lists[0].query].shape[1]
        plain = Head(
            np.eye(width, dtype=np.float32), np.zeros(width + 1, np.float32), np.ones(2, np.float32)
        )
        head = read_head(Path(which)) if kind == "head" else plain
        return head_scores(head, lists, cache, given.depth)

    return scores


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--lists", type=Path, required=True)
    parser.add_argument(
        "--scores", required=True, help="head:FILE, tokens, model:NAME or combination:FILE"
    )
    parser.add_argument("--cache", type=Path, help="folder of token vectors")
    parser.add_argument("--encoder", default=ENCODER, help="whose tokens")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--depth", type=int, default=DEPTH)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--choose", default=",".join(CHOOSING), help="the choosing sets")
    parser.add_argument("--judge", action="store_true", help="score the judging sets too")
    parser.add_argument("--json", type=Path, help="file to write the rows to")
    given = parser.parse_args()
    scorer = scorer_of(given)
    choosing = read_scored(given.lists, given.choose.split(","), scorer)
    rule = chosen(choosing, rules(one for lists in choosing.values() for one in lists))
    print(f"chosen: {rule}")
    rows = table(choosing, rule, "the choosing sets")
    judging = ((FIVE, "the five"), (JUDGING, "the five unseen sources")) if given.judge else ()
    for names, label in judging:
        rows += table(read_scored(given.lists, names, scorer), rule, label)
    print(shown(rows))
    if given.json is not None:
        written = {"rule": asdict(rule), "rows": [asdict(row) for row in rows]}
        given.json.write_text(json.dumps(written, indent=1), "utf-8")


if __name__ == "__main__":
    main()
