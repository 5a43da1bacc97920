"""Search over Reuters, warm, one client: the pipeline against the three calls that it can't avoid.

    python -m benchmarks.search.pipeline [FOLDER] [--data DIR] [--queries N] [--profile P]
    [--no-http]

The queries are different headlines, and no side is asked one twice. The first part of them goes to
the pipeline and the bare calls, in turns query by query. If the profile asks several encoders, the
next part is dealt out to the pipeline (`all encoders`) and to the profile hybrid, which asks one
(`one encoder`), so that no query vector is in a cache. The last part goes to the pipeline (`in
process`) and to HTTP, in turns of 20 queries: two processes that take turns at every query empty
each other's caches, which a single service does not.

- `pipeline`: `SearchPipeline.search` of the default request for 10 hits by the profile, which is
  the service's default one unless `--profile` names another: understanding, the retrievers, fusion,
  grouping, the guard, the hits' contents, marks.
- `bare`: the profile's encoders on the query, without a cache; tantivy's own search of the same
  compiled query to the same depth; the search of each field's HNSW graph for the same number of
  passages with the same width; one after the other. They stay as they were when the bar of 1.35
  times was set: tantivy counts the matches, which a search no longer asks for. Their medians are
  also given separately; the pipeline's median is compared with the median of their sum. The
  pipeline's own stages are given as `stage`; `lexical`, `encode`, `vectors` and `cosines` are
  inside `retrieve`, the first in parallel with the next two.
- `http`: the same search by `dateline serve` on the same archive, in a process of its own, over
  loopback with a connection kept alive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import httpx

from benchmarks.machine import arguments, percentile, show, this_machine
from benchmarks.news import News, add_options, embedded_of, open_news
from dateline.build.engine import SECOND_FIELD, VECTOR_FIELD
from dateline.build.service import profiles
from dateline.measuring.served import served
from inference.encoder import SentenceEncoder
from inference.models.store import ModelStore
from inference.runtimes.onnx import OnnxRuntime
from search.answers import SearchRequest
from search.profiles import Profile, profile_named
from search.understanding.understand import Understanding

_PASSAGES_PER_ITEM = 1.5  # the engine fetches as many
_ONE_ENCODER = "hybrid"
_BLOCK = 20

Side = Callable[[str], None]


@dataclass(slots=True)
class Times:
    """Seconds of each query, by side, with the bare calls separate. Nothing is kept during the
    warm-up.
    """

    sides: dict[str, list[float]] = field(default_factory=dict)
    counting: bool = False

    def add(self, side: str, seconds: float) -> None:
        """Keep one time."""
        if self.counting:
            self.sides.setdefault(side, []).append(seconds)


class Bare:
    """The calls of encoders, tantivy and graphs, each directly to its library, timed separately."""

    def __init__(self, news: News, profile: Profile, times: Times) -> None:
        engine = embedded_of(news.service)
        fields = [*profile.vector_weights]
        self._encoders = [_encoder(news, name) for name in fields]
        # Times the libraries' own objects, without their wrappers.
        reader = engine.moments.lexical()
        self._compiled = reader._compiler.scored  # noqa: SLF001
        self._match = reader._searcher.search  # noqa: SLF001
        views = [engine.projections.fields[name].view() for name in fields]
        self._graphs = [[segment.graph for segment in view.segments] for view in views]
        self._passages = int(profile.vector_depth * _PASSAGES_PER_ITEM)
        self._depth = profile.lexical_depth
        self._understanding = Understanding(None)
        self._times = times

    def __call__(self, text: str) -> None:
        """Encode, then search the indexes. Preparing the arguments of each call is not timed."""
        meaning = self._understanding.understand(text)
        query = self._compiled(meaning.tree)
        started = perf_counter()
        vectors = [one.encode_queries([meaning.said.vector_text]) for one in self._encoders]
        encoded = perf_counter()
        self._match(query, self._depth, count=True)
        matched = perf_counter()
        for vector, graphs in zip(vectors, self._graphs, strict=True):
            for graph in graphs:
                graph.search(vector, self._passages, None)
        ended = perf_counter()
        self._times.add("bare", ended - started)
        self._times.add("bare encode", encoded - started)
        self._times.add("bare tantivy", matched - encoded)
        self._times.add("bare hnsw", ended - matched)


def _encoder(news: News, field: str) -> SentenceEncoder:
    settings = news.service.settings
    names = {VECTOR_FIELD: settings.encoder, SECOND_FIELD: settings.second_encoder}
    folder = ModelStore(settings.models).find(names[field])
    runtime = OnnxRuntime.open(folder, threads=1)
    return SentenceEncoder.over(folder, runtime, cache_size=0)


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    add_options(parser)
    parser.add_argument("--profile", default="", help="the service's default one without it")
    parser.add_argument("--no-http", action="store_true", help="leave the HTTP side out")
    chosen = parser.parse_args()
    machine = this_machine()
    times = Times()
    with open_news(chosen.folder, chosen.data, chosen.queries) as news:
        settings = news.service.settings
        profile = profile_named(profiles(settings), chosen.profile or settings.profile)
        several = len(profile.vector_weights) > 1
        left, part = news.queries, len(news.queries) // (1 + several + (not chosen.no_http))
        sides: list[Side] = [
            _pipeline(news, profile.name, times, "pipeline"),
            Bare(news, profile, times),
        ]
        _take_turns(sides, news.warm_up, 1)
        times.counting = True
        _take_turns(sides, left[:part], 1)
        left = left[part:]
        if several:
            every = _pipeline(news, profile.name, times, "all encoders")
            one = _pipeline(news, _ONE_ENCODER, times, "one encoder")
            _deal([every, one], left[:part])
            left = left[part:]
        if not chosen.no_http:
            served_as = {"DATELINE_TAGGER": "", "DATELINE_PROFILE": profile.name}
            served_as["DATELINE_SECOND_ENCODER"] = settings.second_encoder
            with served(news.folder, sorted(news.caller.products), served_as) as client:
                inside = _pipeline(news, profile.name, times, "in process")
                sides = [inside, _http(client, times)]
                times.counting = False
                _take_turns(sides, news.warm_up, 1)
                times.counting = True
                _take_turns(sides, left, _BLOCK)
        segments = len(news.service.engine.status()["vectors"][VECTOR_FIELD]["segments"])
    counts = {"profile": profile.name, "queries": len(news.queries), "segments": segments}
    figures = {**counts, **_figures(times)}
    show("search, one client", figures, machine, as_json=chosen.json)


def _take_turns(sides: Sequence[Side], texts: Sequence[str], block: int) -> None:
    """Ask every side every text, `block` texts at a time; each block begins with another side."""
    for number, start in enumerate(range(0, len(texts), block)):
        first = number % len(sides)
        for side in (*sides[first:], *sides[:first]):
            for text in texts[start : start + block]:
                side(text)


def _deal(sides: Sequence[Side], texts: Sequence[str]) -> None:
    """Ask each text of one side, in turns."""
    for number, text in enumerate(texts):
        sides[number % len(sides)](text)


def _pipeline(news: News, profile: str, times: Times, name: str) -> Side:
    def ask(text: str) -> None:
        request = SearchRequest(q=text, profile=profile, page_size=10)
        started = perf_counter()
        found = news.service.pipeline.search(request, news.caller)
        times.add(name, perf_counter() - started)
        for stage, milliseconds in found.milliseconds.items() if name == "pipeline" else ():
            times.add(f"stage {stage}", milliseconds / 1000)
        if found.degraded or not found.hits:
            raise SystemExit(f"{text!r} was not answered in full: {found.degraded}")

    return ask


def _http(client: httpx.Client, times: Times) -> Side:
    def ask(text: str) -> None:
        started = perf_counter()
        answer = client.get("/content/search", params={"q": text, "page_size": 10})
        times.add("http", perf_counter() - started)
        answer.raise_for_status()

    return ask


def _figures(times: Times) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for side, seconds in times.sides.items():
        figures[f"{side} p50_ms"] = percentile(seconds, 50)
        if not side.startswith("stage"):
            figures[f"{side} p99_ms"] = percentile(seconds, 99)
    figures["pipeline / bare, p50"] = figures["pipeline p50_ms"] / figures["bare p50_ms"]
    if "one encoder" in times.sides:
        more = figures["all encoders p50_ms"] - figures["one encoder p50_ms"]
        figures["more encoders add p50_ms"] = more
    figures["queries_per_s"] = len(times.sides["pipeline"]) / sum(times.sides["pipeline"])
    if "http" in times.sides:
        figures["http adds p50_ms"] = figures["http p50_ms"] - figures["in process p50_ms"]
    return figures


if __name__ == "__main__":
    main()
