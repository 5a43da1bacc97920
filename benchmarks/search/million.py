"""Search in an archive of a million passages, one client, warm.

    python -m benchmarks.search.million [FOLDER] [--data DIR] [--passages N] [--queries N]

The stories are made (benchmarks/made_stories.py), so the figures are about speed, not quality.
Every story is an item of its own, so BM25 has as many documents as the vectors have rows. The
archive is made once, in the data folder, like any other: written in batches, indexed, and its
segments merged as in an idle process.

Each headline of Reuters is asked once, by the profile hybrid, for 10 hits.
"""

from __future__ import annotations

import sys
from time import perf_counter

from benchmarks.machine import arguments, percentile, show, this_machine
from benchmarks.news import News, add_options, open_news
from dateline.build.engine import VECTOR_FIELD
from dateline.build.service import Service, build_service
from dateline.measuring.made_stories import made_stories, parents_of
from search.answers import SearchRequest

_BATCH = 2_000


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    add_options(parser)
    parser.add_argument("--passages", type=int, default=1_000_000, help="how many")
    chosen = parser.parse_args()
    machine = this_machine()
    folder = chosen.data / f"million-{chosen.passages}"
    with open_news(chosen.folder, chosen.data, chosen.queries) as news:
        settings = news.service.settings.model_copy(update={"data": folder})
        service = build_service(settings, models=news.service.models, background=False)
        try:
            built = _fill(service, news, chosen.passages)
            figures = {**built, **_ask(service, news)}
        finally:
            service.close()
    show("search in a large archive, one client", figures, machine, as_json=chosen.json)


def _fill(service: Service, news: News, wanted: int) -> dict[str, float]:
    """Write the missing stories and bring the projections up to date."""
    started = perf_counter()
    there = service.engine.status()["versions"]
    parents = parents_of(news.service) if there < wanted else None
    while parents is not None and there < wanted:
        size = min(_BATCH, wanted - there)
        service.engine.put(tuple(made_stories(parents, there, size)))
        there += size
        if there % 20_000 == 0:
            rate = there / (perf_counter() - started)
            print(f"writing: {there:,} of {wanted:,}, {rate:,.0f}/s", file=sys.stderr)
    service.engine.catch_up()
    service.engine.compact()
    status = service.engine.status()["vectors"][VECTOR_FIELD]
    return {
        "passages": wanted,
        "segments": len(status["segments"]),
        "tail": status["tail"],
        "made in s": round(perf_counter() - started),
    }


def _ask(service: Service, news: News) -> dict[str, float]:
    times: dict[str, list[float]] = {"search": []}
    for number, text in enumerate((*news.warm_up, *news.queries)):
        request = SearchRequest(q=text, profile="hybrid", page_size=10)
        started = perf_counter()
        found = service.pipeline.search(request, news.caller)
        seconds = perf_counter() - started
        if found.degraded or not found.hits:
            raise SystemExit(f"{text!r} was not answered in full: {found.degraded}")
        if number < len(news.warm_up):
            continue
        times["search"].append(seconds)
        for stage, milliseconds in found.milliseconds.items():
            times.setdefault(f"stage {stage}", []).append(milliseconds / 1000)
    figures = {f"{name} p50_ms": percentile(seconds, 50) for name, seconds in times.items()}
    return {
        "queries": len(times["search"]),
        **figures,
        "search p99_ms": percentile(times["search"], 99),
    }


if __name__ == "__main__":
    main()
