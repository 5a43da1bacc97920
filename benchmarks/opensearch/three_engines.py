"""One archive on three engines: embedded, OpenSearch by our path, OpenSearch's own hybrid query.

    python -m benchmarks.opensearch.three_engines [FOLDER] [--url URL] [--stories N] [--documents N]
    [--queries N] [--shards N] [--clients N] [--workers N] [--keep] [--without-embedded]

The stories of Reuters (with `--stories` the first N), or with `--documents` so many made from them
(benchmarks/made_stories.py), are recorded once, in the data folder; a later run continues there.
The record of truth then gets two projections, both made anew and timed: the embedded one, and an
index on the cluster, settled, with one copy of each shard. `--keep` leaves them to the next run,
which takes them as they are. `--without-embedded` asks the cluster only, and compares hits with
ours there. Queries are headlines, of stories that are not in the archive if it has not all of them,
each asked once of each side:

- `opensearch`: the whole pipeline, from the words to ten hits with their contents, by the profile
  `hybrid`, without names. The query is new: it is encoded, and meanwhile the frequencies of its
  words are looked up;
- `encode`: the same encoding alone, which every sender of an `_msearch` needs too;
- `opensearch, again`: the same query right after, when its vector, the frequencies of its words and
  its candidates' vectors are cached;
- `…, _msearch`: what either of them sent to the cluster to retrieve: the time it took within the
  search, and (`sent again`) the same request once more. By then what it reads is in memory, so the
  ratio is against us if anything;
- `embedded`: the whole pipeline; the query's vector is cached;
- `hybrid`: a `hybrid` query of the same two clauses with the same filters, by a search pipeline
  with a `normalization-processor` (min_max, arithmetic_mean, our weights), for the ids of ten hits.
  Making its body is not timed, and its vector is cached. It has no guard, groups, contents, marks
  or spelling. `hybrid` looks as deep in each list as there are hits, which is its default;
  `hybrid, deep` looks as deep as we do (`pagination_depth`).

The last figures are of `--clients` that ask at the same time, each query once: our whole search
without a cached vector, and the deep `hybrid` query, in turns.

Quartiles stand beside medians: if others use the machine too, they are nearer to what it can do.
`found` is how often the story with the headline is among the ten hits; `as embedded` is the share
of the embedded engine's ten hits that a side has too. `request NAME` is what one search sends to
the cluster: how often in a query, its bytes there and back, and its time. Bytes of an item are
those of the projections; both have the record of truth beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.machine import REUTERS, arguments, percentile, show, this_machine
from benchmarks.news import WARM_UP
from benchmarks.opensearch.agreement import Agreement
from benchmarks.opensearch.archive import (
    NAME,
    WIRE,
    both_engines,
    engine_of,
    ingest,
    make,
    settings_of,
)
from benchmarks.opensearch.paces import Pace, paces, ratio, workers_of
from benchmarks.search.suggest import documents_of
from core.ports.models import TextEncoder
from core.retrieval import Ids
from dateline.build.models.served import load_models
from dateline.build.service import Service
from search.answers import SearchRequest
from search.profiles import standard_profiles
from search.understanding.understand import Understanding
from storage.opensearch.nodes.connection import Cluster, Reply, ndjson

_PROFILE = standard_profiles(("text",))["hybrid"]
_PLAIN = Understanding(None)
_HITS = 10
_TURNS = 4
AT_FIRST, AGAIN = "opensearch", "opensearch, again"
_DEPTHS: Mapping[str, Mapping[str, int]] = {
    "hybrid": {},
    "hybrid, deep": {"pagination_depth": _PROFILE.lexical_depth},
}
Bodies = Sequence[Mapping[str, Any]]


@dataclass(slots=True)
class Side:
    """Seconds of each query, whether the wanted story was found, and the share of hits that the
    embedded engine has too.
    """

    seconds: list[float] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)
    shared: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trip:
    """One request to the cluster: the end of its path, bytes there and back, and seconds."""

    name: str
    sent: int
    received: int
    seconds: float


@dataclass(slots=True)
class Tap:
    """Passes requests on to a cluster, and notes what was asked and how long it took."""

    cluster: Cluster
    searches: list[tuple[Bodies, Mapping[str, Any], float]] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)

    def listen(self) -> None:
        """Begin to note."""
        nodes = self.cluster._nodes  # noqa: SLF001 - only there are requests bytes
        pass_on = nodes.send

        def send(method: str, path: str, params: Any, body: bytes | None, timeout_s: float) -> str:
            started = perf_counter()
            reply = pass_on(method, path, params, body, timeout_s)
            seconds = perf_counter() - started
            name = f"{path.rpartition('/')[2]} {len(self.trips) + 1}"
            self.trips.append(Trip(name, len(body or b""), len(reply), seconds))
            return reply

        nodes.send = send  # type: ignore[method-assign]
        self.cluster.search_many = self.search_many  # type: ignore[method-assign]

    def search_many(self, bodies: Bodies, **header: Any) -> list[Reply]:
        """Ask the cluster, and note the searches and the time."""
        started = perf_counter()
        replies = Cluster.search_many(self.cluster, bodies, **header)
        self.searches.append((bodies, header, perf_counter() - started))
        return replies

    def retrieval(self) -> tuple[Bodies, Mapping[str, Any], float]:
        """Return the searches with the query's vector, which is by far the longest request, and
        their seconds.
        """
        return max(self.searches, key=lambda call: len(ndjson(call[0])))


@dataclass(slots=True)
class Comparison:
    """The sides over one archive, and the times of the pipelines' stages. Without the embedded
    engine hits are compared with ours on the cluster.
    """

    embedded: Service | None
    cluster: Service
    encoder: TextEncoder
    tap: Tap
    sides: dict[str, Side] = field(default_factory=dict)
    stages: dict[str, list[float]] = field(default_factory=dict)
    trips: dict[str, list[Trip]] = field(default_factory=dict)
    asked: list[Bodies] = field(default_factory=list)
    agreement: Agreement = field(default_factory=Agreement)

    def ask(self, text: str, turn: int) -> None:
        """Ask every side one query; the last three take turns."""
        found = {"opensearch": self._on_cluster(AT_FIRST, text)}
        self._encode(text)
        self._on_cluster(AGAIN, text)
        bodies, _, _ = self.tap.retrieval()
        self.asked.append(bodies[:2])
        sides: dict[str, Callable[[], list[str]]] = {
            name: partial(self._hybrid, name, bodies) for name in _DEPTHS
        }
        if self.embedded is not None:
            sides["embedded"] = partial(self._by_pipeline, "embedded", self.embedded, text)
        names = [*sides]
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            found[name] = sides[name]()
        self._compare(text, found)
        self._agree(text, found[self.standard], found["hybrid, deep"])

    @property
    def standard(self) -> str:
        """The side that others' hits are compared with."""
        return AT_FIRST if self.embedded is None else "embedded"

    def _agree(self, text: str, ours: Sequence[str], theirs: Sequence[str]) -> None:
        request = SearchRequest(q=text, profile="hybrid", page_size=_HITS)
        retrieved = self.cluster.pipeline.fusion_input(request, WIRE).found
        self.agreement.note(retrieved, _PROFILE, self._uris, ours, theirs)

    def _uris(self, ids: Ids) -> list[str]:
        items = self.cluster.engine.versions(ids.tolist())
        return [items[number].uri for number in ids.tolist()]

    def _encode(self, text: str) -> None:
        said = _PLAIN.understand(text).said.vector_text  # without quotes and signs
        started = perf_counter()
        self.encoder.encode_queries([said])
        self._side("encode").seconds.append(perf_counter() - started)

    def _by_pipeline(self, name: str, service: Service, text: str) -> list[str]:
        request = SearchRequest(q=text, profile="hybrid", page_size=_HITS)
        started = perf_counter()
        found = service.pipeline.search(request, WIRE)
        self._side(name).seconds.append(perf_counter() - started)
        if found.degraded:
            raise SystemExit(f"{text!r} was not answered in full by {name}: {found.degraded}")
        for stage, milliseconds in found.milliseconds.items():
            self.stages.setdefault(f"{name}, stage {stage}", []).append(milliseconds / 1000)
        return [hit.item.uri for hit in found.hits]

    def _on_cluster(self, name: str, text: str) -> list[str]:
        self.tap.searches.clear()
        self.tap.trips.clear()
        uris = self._by_pipeline(name, self.cluster, text)
        for trip in self.tap.trips:
            self.trips.setdefault(f"{name}, request {trip.name}", []).append(trip)
        bodies, header, seconds = self.tap.retrieval()
        self._side(f"{name}, _msearch").seconds.append(seconds)
        started = perf_counter()
        replies = Cluster.search_many(self.tap.cluster, bodies, **header)
        self._side(f"{name}, _msearch sent again").seconds.append(perf_counter() - started)
        assert not any("error" in reply for reply in replies)
        return uris

    def _hybrid(self, name: str, bodies: Bodies) -> list[str]:
        body = _hybrid_body(bodies, _DEPTHS[name])
        started = perf_counter()
        uris = self.by_hybrid(body)
        self._side(name).seconds.append(perf_counter() - started)
        return uris

    def by_hybrid(self, body: bytes) -> list[str]:
        """Return the uris that a `hybrid` query finds."""
        index = f"/{engine_of(self.cluster).family.concrete}/_search"
        reply = self.tap.cluster.ask("POST", index, body, search_pipeline=NAME)
        return [hit["_source"]["uri"] for hit in reply["hits"]["hits"]]

    def _compare(self, text: str, found: Mapping[str, list[str]]) -> None:
        every = list(dict.fromkeys(uri for uris in found.values() for uri in uris))
        items = zip(every, self.cluster.engine.newest(every), strict=True)
        right = {uri for uri, item in items if item is not None and item.headline == text}
        ours = set(found[self.standard])
        for name, uris in found.items():
            self._side(name).found.append(not right.isdisjoint(uris))
            self._side(name).shared.append(len(ours.intersection(uris)) / max(1, len(ours)))

    def _side(self, name: str) -> Side:
        return self.sides.setdefault(name, Side())


def _hybrid_body(bodies: Bodies, depth: Mapping[str, int]) -> bytes:
    queries = [body["query"] for body in bodies[:2]]
    query = {"hybrid": {"queries": queries, **depth}}
    return ndjson([{"size": _HITS, "_source": ["uri"], "query": query}])


def _paces(
    comparison: Comparison, texts: Sequence[str], clients: int, workers: int
) -> dict[str, Any]:
    """Return the paces of `clients` at the same time: our whole search for new texts, and again;
    the deep `hybrid` query for those that were asked before, and the encoding that it needs, too.
    With `workers` a service of so many processes is also asked, over HTTP.
    """
    search, deep = comparison.cluster.pipeline.search, _DEPTHS["hybrid, deep"]
    bodies = [_hybrid_body(each, deep) for each in comparison.asked][: len(texts)]

    def ours(text: str) -> object:
        return search(SearchRequest(q=text, profile="hybrid", page_size=_HITS), WIRE)

    def encode(text: str) -> object:
        return comparison.encoder.encode_queries([text])

    raw, encoding = Pace(comparison.by_hybrid, bodies), Pace(encode, texts)
    new, again = Pace(ours, texts), Pace(ours, texts)
    sides = {"hybrid, deep": raw, "encode": encoding, AT_FIRST: new, AGAIN: again}
    with ExitStack() as running:
        if workers:
            settings = comparison.cluster.settings
            ask, here = running.enter_context(workers_of(settings, workers))
            sides[f"{workers} workers"] = Pace(ask, texts, here)
        figures = paces(sides, clients, comparison.tap.cluster, _TURNS)
    of = f"{clients} clients, {{}} / {{}}"
    for name in [AT_FIRST, AGAIN, *[*sides][4:]]:
        figures[of.format(name, "hybrid, deep")] = ratio(sides[name], raw)
        both = ratio(sides[name], raw, encoding)
        figures[of.format(name, "(hybrid, deep + encode)")] = both
    return figures


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=REUTERS)
    parser.add_argument("--url", default="http://127.0.0.1:9200")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where archives are kept")
    parser.add_argument("--stories", type=int, default=0, help="of the corpus; 0: all")
    parser.add_argument("--documents", type=int, default=0, help="made stories; 0: the corpus")
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--clients", type=int, default=8, help="at the same time; 0: not measured")
    parser.add_argument("--workers", type=int, default=0, help="of a service that is asked too")
    parser.add_argument("--keep", action="store_true", help="keep both projections")
    parser.add_argument("--without-embedded", action="store_true", help="ask the cluster only")
    chosen = parser.parse_args()
    alone = chosen.without_embedded
    machine = this_machine()
    corpus = [*documents_of(chosen.folder, 0)]
    documents = corpus[: chosen.stories or len(corpus)]
    place = chosen.data / "cluster-benchmark"
    settings = settings_of(place / f"{len(documents)}")
    changes = {"opensearch_url": chosen.url, "opensearch_shards": chosen.shards}
    models = load_models(settings)
    ingest(settings, models, documents)
    if chosen.documents:
        parents, settings = settings, settings_of(place / f"made-{chosen.documents}")
        make(settings, models, parents, chosen.documents)
    strange = corpus[len(documents) :] or corpus
    texts = [*dict.fromkeys(document["title"] for document in strange if document["title"])]
    step = max(1, len(texts) // (2 * chosen.queries + WARM_UP))
    texts = texts[::step]
    figures: dict[str, Any] = {"documents": chosen.documents or len(documents)}
    with (
        both_engines(settings, models, changes, figures, chosen.keep, alone) as (embedded, cluster),
        _compared(embedded, cluster, load_models(settings).encoder) as comparison,
    ):
        for turn, text in enumerate(texts[: chosen.queries + WARM_UP]):
            if turn == WARM_UP:
                comparison.sides.clear()
                comparison.stages.clear()
                comparison.trips.clear()
                comparison.agreement.shares.clear()
            comparison.ask(text, turn)
        figures |= _figures(comparison) | comparison.agreement.figures()
        if chosen.clients:
            others = texts[chosen.queries + WARM_UP :][: chosen.queries]
            figures |= _paces(comparison, others, chosen.clients, chosen.workers)
    show("embedded, OpenSearch, and its hybrid query", figures, machine, as_json=chosen.json)


@contextmanager
def _compared(
    embedded: Service | None, cluster: Service, encoder: TextEncoder
) -> Iterator[Comparison]:
    """A comparison that is ready to ask, with the search pipeline on the cluster while it is used.
    The services have read ahead.
    """
    engine = engine_of(cluster)
    while engine.read_ahead():
        pass
    weights = [_PROFILE.lexical_weight, *_PROFILE.vector_weights.values()]
    combination = {"technique": "arithmetic_mean", "parameters": {"weights": weights}}
    processor = {"normalization": {"technique": "min_max"}, "combination": combination}
    body = {"phase_results_processors": [{"normalization-processor": processor}]}
    engine.cluster.ask("PUT", f"/_search/pipeline/{NAME}", body)
    try:
        tap = Tap(engine.cluster)
        tap.listen()
        yield Comparison(embedded, cluster, encoder, tap)
    finally:
        engine.cluster.ask("DELETE", f"/_search/pipeline/{NAME}")


def _figures(comparison: Comparison) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, side in comparison.sides.items():
        figures[f"{name}, queries_per_s"] = len(side.seconds) / sum(side.seconds)
        figures[f"{name}, p25_ms"] = percentile(side.seconds, 25)
        figures[f"{name}, p50_ms"] = percentile(side.seconds, 50)
        figures[f"{name}, p99_ms"] = percentile(side.seconds, 99)
        if side.found:
            figures[f"{name}, found"] = float(np.mean(side.found))
            figures[f"{name}, as {comparison.standard}"] = float(np.mean(side.shared))
    for name, at in product((AT_FIRST, AGAIN), (25, 50)):
        retrieved = percentile(comparison.stages[f"{name}, stage retrieve"], at)
        encoded = percentile(comparison.sides["encode"].seconds, at) if name == AT_FIRST else 0.0
        figures[f"{name}, retrieval p{at}_ms"] = retrieved
        for way in ("_msearch", "_msearch sent again"):
            raw = encoded + figures[f"{name}, {way}, p{at}_ms"]
            beside = f"encode + {way}" if encoded else way
            figures[f"{name} / {beside}, p{at}"] = figures[f"{name}, p{at}_ms"] / raw
            figures[f"{name}, retrieval / {beside}, p{at}"] = retrieved / raw
    for at in (25, 50):
        deep = figures[f"hybrid, deep, p{at}_ms"]
        encoded = deep + figures[f"encode, p{at}_ms"]
        ours, again = figures[f"opensearch, p{at}_ms"], figures[f"opensearch, again, p{at}_ms"]
        figures[f"opensearch / hybrid, deep + encode, p{at}"] = ours / encoded
        figures[f"opensearch, again / hybrid, deep, p{at}"] = again / deep
    for name in _DEPTHS:
        for other in dict.fromkeys((comparison.standard, AT_FIRST)):
            faster = figures[f"{name}, p50_ms"] / figures[f"{other}, p50_ms"]
            figures[f"{name} / {other}, p50"] = faster
    asked = len(comparison.sides["opensearch"].seconds)
    for stage, seconds in comparison.stages.items():
        figures[f"{stage} p50_ms"] = percentile(seconds, 50)
    for request, trips in comparison.trips.items():
        figures[f"{request}, of a query"] = len(trips) / asked
        figures[f"{request}, bytes sent"] = float(np.mean([trip.sent for trip in trips]))
        figures[f"{request}, bytes received"] = float(np.mean([trip.received for trip in trips]))
        figures[f"{request} p50_ms"] = percentile([trip.seconds for trip in trips], 50)
    return figures


if __name__ == "__main__":
    main()
