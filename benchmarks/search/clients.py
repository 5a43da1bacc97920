"""Several clients at once: how many searches one process answers in a second.

    python -m benchmarks.search.clients [FOLDER] [--data DIR] [--queries N] [--clients 1,2,4]

The archive and the queries are those of `benchmarks.search.pipeline`: Reuters and its headlines,
profile hybrid, 10 hits. The sides take turns, in blocks of 20 queries; no text is asked twice,
because its vector would be cached:

- `N clients`: `SearchPipeline.search` from N threads that ask one after the other;
- `encoder, N`: the same texts through the query encoder alone, without its cache, from N threads.
  No answer can do without it, so it is the machine's own bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from benchmarks.machine import arguments, percentile, show, this_machine
from benchmarks.news import News, add_options, open_news
from inference.encoder import SentenceEncoder
from inference.models.store import ModelStore
from inference.runtimes.onnx import OnnxRuntime
from search.answers import SearchRequest

_BLOCK = 20

Ask = Callable[[str], object]


@dataclass(slots=True)
class Side:
    """One way to ask from `clients` threads, and its measurements."""

    name: str
    ask: Ask
    clients: int
    seconds: float = 0.0
    times: list[float] = field(default_factory=list)

    def block(self, texts: Sequence[str], *, counting: bool = True) -> None:
        """Ask every text; time each text and the whole block."""
        started = perf_counter()
        with ThreadPoolExecutor(self.clients) as pool:
            times = list(pool.map(self._timed, texts))
        if counting:
            self.seconds += perf_counter() - started
            self.times += times

    def _timed(self, text: str) -> float:
        started = perf_counter()
        self.ask(text)
        return perf_counter() - started

    def figures(self) -> dict[str, float]:
        """Return queries a second, and the percentiles of one query."""
        return {
            f"{self.name}, queries_per_s": len(self.times) / self.seconds,
            f"{self.name}, p50_ms": percentile(self.times, 50),
            f"{self.name}, p99_ms": percentile(self.times, 99),
        }


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    add_options(parser)
    parser.add_argument("--clients", default="1,2,4", help="how many at once, by commas")
    chosen = parser.parse_args()
    machine = this_machine()
    counts = [int(count) for count in chosen.clients.split(",")]
    with open_news(chosen.folder, chosen.data, chosen.queries) as news:
        search, encode = _search(news), _encode(news)
        sides = [
            *(Side(f"{count} clients", search, count) for count in counts),
            *(Side(f"encoder, {count}", encode, count) for count in counts),
        ]
        for side in sides:
            side.block(news.warm_up, counting=False)
        for number, start in enumerate(range(0, len(news.queries), _BLOCK)):
            sides[number % len(sides)].block(news.queries[start : start + _BLOCK])
    figures: dict[str, Any] = {"queries": len(news.queries)}
    for side in sides:
        figures |= side.figures()
    show("search, several clients", figures, machine, as_json=chosen.json)


def _search(news: News) -> Ask:
    def ask(text: str) -> None:
        request = SearchRequest(q=text, profile="hybrid", page_size=10)
        found = news.service.pipeline.search(request, news.caller)
        if found.degraded or not found.hits:
            raise SystemExit(f"{text!r} was not answered in full: {found.degraded}")

    return ask


def _encode(news: News) -> Ask:
    settings = news.service.settings
    folder = ModelStore(settings.models).find(settings.encoder)
    runtime = OnnxRuntime.open(folder, threads=1)
    encoder = SentenceEncoder.over(folder, runtime, threads=settings.threads, cache_size=0)
    return lambda text: encoder.encode_queries([text])


if __name__ == "__main__":
    main()
