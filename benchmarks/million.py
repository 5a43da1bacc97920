"""Search in an archive of a million passages, one client, warm.

    python -m benchmarks.million [FOLDER] [--data DIR] [--passages N] [--queries N]

There is no free news archive of that size, so one is made of Reuters: each story has the sentences
of two of the 19,043 stories, half of each, drawn at random, and one passage whose vector is between
those of its two parents with noise beside it. Words keep their frequencies and vectors their
neighbourhoods; it says nothing of quality, and is not asked about it. Every story is an item of its
own, so BM25 has as many documents as the vectors have rows. The archive is made once, in the data
folder, as any other: written in batches, indexed, its segments merged as in an idle process.

Each headline of Reuters is asked once, by the profile hybrid, for 10 hits.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from benchmarks.machine import arguments, percentile, show, this_machine
from benchmarks.news import News, add_options, open_news
from core.items import FloatMatrix, Item, Passage, PassageVectors
from core.writes import PutItem
from dateline.build import Service, build_service
from dateline.build_engine import VECTOR_FIELD
from search.answers import SearchRequest

_SEED = 1987
_BATCH = 2_000
_SECOND_PARENT, _NOISE = 0.6, 0.35  # beside the first parent's 1


@dataclass(frozen=True, slots=True)
class Parents:
    """The stories that the archive is made of, and a vector of each: float32 [n, d]."""

    items: tuple[Item, ...]
    sentences: tuple[tuple[str, ...], ...]
    vectors: FloatMatrix
    encoder: str


def main() -> None:
    """Runs the benchmark."""
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
    """Writes what is not there yet and brings the projections up to it."""
    started = perf_counter()
    there = service.engine.status()["versions"]
    parents = _parents(news) if there < wanted else None
    while parents is not None and there < wanted:
        size = min(_BATCH, wanted - there)
        service.engine.put(tuple(_stories(parents, there, size)))
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


def _parents(news: News) -> Parents:
    items = tuple(item for item in news.service.engine.all_items() if item.body.strip())
    sentences = tuple(tuple(item.body.replace("\n", " ").split(". ")) for item in items)
    encoder = news.service.models.encoder
    texts = [f"{item.headline}\n{item.body[:300]}" for item in items]
    vectors = np.concatenate(
        [encoder.encode_passages(texts[n : n + 512]) for n in range(0, len(texts), 512)]
    )
    return Parents(items, sentences, vectors, encoder.digest)


def _stories(parents: Parents, first: int, size: int) -> Iterator[PutItem]:
    """Stories number `first` to `first + size`: the same whenever they are made."""
    random = np.random.default_rng((_SEED, first))
    ones, others = random.integers(0, len(parents.items), (2, size))
    noise = random.standard_normal((size, parents.vectors.shape[1]), np.float32)
    noise *= _NOISE / np.sqrt(noise.shape[1])
    mixed = parents.vectors[ones] + _SECOND_PARENT * parents.vectors[others] + noise
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    for n, (one, other) in enumerate(zip(ones, others, strict=True)):
        drawn = [
            sentence
            for parent in (int(one), int(other))
            for sentence in parents.sentences[parent]
            if random.random() < 0.5
        ]
        uri = f"urn:made:{first + n}"
        body = ". ".join(drawn) or parents.items[int(one)].headline
        item = replace(parents.items[int(one)], uri=uri, chain=uri, body=body, source={})
        passages = (Passage("body", 0, len(body)),)
        vectors = PassageVectors(VECTOR_FIELD, parents.encoder, passages, mixed[n : n + 1])
        yield PutItem(item, (vectors,))


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
