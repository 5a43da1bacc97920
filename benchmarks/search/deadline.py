"""Does an answer keep its deadline if the reranker is 2 s slower than it should be?

    python -m benchmarks.search.deadline [FOLDER] [--data DIR] [--queries N] [--deadlines
    50,100,300]

The archive and queries are those of `benchmarks.search.pipeline`: Reuters and its headlines, here
by `hybrid-rerank`, with a reranker that sleeps for 2 s before each batch. Queries take the
deadlines in turns. `late` is how long after its deadline an answer came, negative if it came
before; every answer must say that reranking was skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter, sleep
from typing import Any, cast

import numpy as np

from benchmarks.machine import arguments, percentile, show, this_machine
from benchmarks.news import add_options, open_news
from core.items import FloatMatrix
from core.ports.models import NO_LIMITS, BoundedScorer, PassageScores, ScoreLimits, Told
from dateline.build.service import build_service
from search.answers import SearchRequest

_SLOWER_S = 2.0
_LATE_MS = 10.0


class Slower:
    """A scorer that takes 2 s longer."""

    def __init__(self, scorer: BoundedScorer) -> None:
        self._scorer = scorer

    def score(self, queries: Sequence[str], passages: Sequence[str]) -> FloatMatrix:
        """Return the scores of pairs, one after the other."""
        pairs = zip(queries, passages, strict=True)
        return np.vstack([self.score_within(query, [passage]).scores for query, passage in pairs])

    def score_within(
        self,
        query: str,
        passages: Sequence[str],
        limits: ScoreLimits = NO_LIMITS,
        told: Told | None = None,
    ) -> PassageScores:
        """Return the scorer's own scores, 2 s later."""
        sleep(_SLOWER_S)
        return self._scorer.score_within(query, passages, limits, told)


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    add_options(parser)
    parser.add_argument("--deadlines", default="50,100,300", help="milliseconds, by commas")
    chosen = parser.parse_args()
    machine = this_machine()
    deadlines = [float(each) for each in chosen.deadlines.split(",")]
    late: dict[float, list[float]] = {each: [] for each in deadlines}
    with open_news(chosen.folder, chosen.data, chosen.queries) as news:
        models = news.service.models
        scorer = Slower(cast("BoundedScorer", models.scorer))
        settings = news.service.settings.with_archive_in(news.folder)
        service = build_service(settings, models=replace(models, scorer=scorer), background=False)
        for text in news.warm_up:
            service.pipeline.search(SearchRequest(q=text, profile="hybrid"), news.caller)
        for number, text in enumerate(news.queries):
            deadline = deadlines[number % len(deadlines)]
            request = SearchRequest(q=text, profile="hybrid-rerank", deadline_ms=deadline)
            started = perf_counter()
            found = service.pipeline.search(request, news.caller)
            late[deadline].append(perf_counter() - started - deadline / 1000)
            if not any(flag.startswith("rerank: skipped") for flag in found.degraded):
                raise SystemExit(f"{text!r} does not say that it was not reranked")
        service.close()
    figures: dict[str, Any] = {"queries": len(news.queries)}
    for deadline, seconds in late.items():
        figures[f"deadline {deadline:g} ms, late p50_ms"] = percentile(seconds, 50)
        figures[f"deadline {deadline:g} ms, late p99_ms"] = percentile(seconds, 99)
    worst = max(percentile(seconds, 99) for seconds in late.values())
    figures["p99 is at most 10 ms late"] = worst <= _LATE_MS
    show("deadlines, reranker 2 s slower", figures, machine, as_json=chosen.json)


if __name__ == "__main__":
    main()
