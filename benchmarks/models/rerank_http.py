"""A whole query with rerank over HTTP, against the reranker's graph alone.

    python -m benchmarks.models.rerank_http [--judged FOLDER | --data DIR --products P,P]
                                     [--sweep CANDIDATESxTOKENS,…] [--queries N]

For each setting of the sweep `dateline serve` is started anew on the same archive, and three sides
take turns of 10 queries: the profile `hybrid-rerank`, the profile `hybrid`, and the bare graph on
the same number of pairs and tokens, on one thread in this process. Every query is different and
asked once, of one profile, so no cache of query vectors can help.

`floor` is the bare graph's p50; the target is at most twice (floor + 3 ms) at p50 and four times at
p99. `cut short` are answers in which the deadline left passages unscored: they are faster than they
would be, and a setting with any of them is too large for this machine.

The archive is that of a judged set's folder (indexed once into the cache in `data`), any archive,
or the demo corpus in a temporary folder. Queries are its headlines.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx

from benchmarks.machine import arguments, percentile, show, show_table, this_machine
from benchmarks.models.costs import bare_call
from benchmarks.news import open_news
from dateline.build.models.subject import open_subject
from dateline.commands.models.profile import read_shape
from dateline.default_folders import demo_folder
from dateline.measuring.served import served
from dateline.serving.demo import DEMO_PRODUCTS
from dateline.settings import Settings, configure

SWEEP = "20x48,20x128,30x48,50x48"
HEAD = ("setting", "p50 ms", "p99", "hybrid p50", "p99", "floor", "x p50", "x p99", "short")
ADDED_MS, P50_TIMES, P99_TIMES = 3.0, 2.0, 4.0
WANTED_MS = 66.0  # at least one setting must reach this p50
_BLOCK = 10
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive's folder, the products of its readers, and the queries (empty: its headlines)."""

    folder: Path
    products: tuple[str, ...]
    queries: tuple[str, ...]


@dataclass(slots=True)
class Sides:
    """Seconds of each side's calls, and how many reranked answers were cut short."""

    rerank: list[float] = field(default_factory=list)
    hybrid: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    short: int = 0

    def figures(self) -> dict[str, float]:
        """Return milliseconds and ratios."""
        floor = percentile(self.bare, 50)
        p50, p99 = percentile(self.rerank, 50), percentile(self.rerank, 99)
        return {
            "rerank p50_ms": p50,
            "rerank p99_ms": p99,
            "hybrid p50_ms": percentile(self.hybrid, 50),
            "hybrid p99_ms": percentile(self.hybrid, 99),
            "floor_ms": floor,
            "p50 / (floor + 3 ms)": p50 / (floor + ADDED_MS),
            "p99 / (floor + 3 ms)": p99 / (floor + ADDED_MS),
            "cut short": self.short / max(1, len(self.rerank)),
            "queries": float(len(self.rerank)),
        }


def main() -> None:
    """Run the benchmark."""
    chosen = _arguments()
    machine = this_machine()
    settings = configure({"models": chosen.models, "reranker": chosen.reranker}).settings
    figures: dict[str, Any] = {}
    with _archive(chosen) as archive:
        for shape in chosen.sweep.split(","):
            figures[shape] = measure(settings, archive, shape, chosen.queries).figures()
    if chosen.json:
        tree = {"settings": figures, "reranker": settings.reranker}
        show("rerank over HTTP", tree, machine, as_json=True)
        return
    print(f"rerank over HTTP, {settings.reranker}, candidates x tokens")
    show_table(HEAD, _rows(figures))
    fast = {shape: row for shape, row in figures.items() if row["rerank p50_ms"] <= WANTED_MS}
    reached = [shape for shape, row in fast.items() if not row["cut short"]]
    print(f"at most {WANTED_MS:g} ms p50: {', '.join(reached) or 'none'}")
    print(machine)


def measure(settings: Settings, archive: Archive, shape: str, limit: int) -> Sides:
    """Measure one setting: start its own service, and let all sides take turns."""
    candidates, tokens = read_shape(shape)
    variables = {
        "DATELINE_MODELS": str(settings.models.resolve()),
        "DATELINE_RERANKER": settings.reranker,
        "DATELINE_RERANK_CANDIDATES": str(candidates),
        "DATELINE_RERANK_TOKENS": str(tokens),
        "DATELINE_TAGGER": "",
    }
    subject = open_subject(
        settings, settings.reranker, candidates, tokens, task="score", as_served=True
    )
    subject.call()
    bare = bare_call(subject)
    found = Sides()
    with served(archive.folder, archive.products, variables) as client:
        texts = archive.queries or _headlines(client, limit)
        texts = texts[:limit] if limit else texts
        blocks = [texts[start : start + _BLOCK] for start in range(0, len(texts), _BLOCK)]
        if len(blocks) < 4:
            raise SystemExit(f"{len(texts)} queries are too few: at least {4 * _BLOCK} are needed")
        for warm_up, profile in zip(blocks[:2], ("hybrid-rerank", "hybrid"), strict=True):
            for text in warm_up:
                _ask(client, text, profile)
        bare()
        for number, block in enumerate(blocks[2:]):
            _turn(client, found, block, reranked=number % 2 == 0, bare=bare)
    return found


def _turn(
    client: httpx.Client,
    found: Sides,
    block: Sequence[str],
    *,
    reranked: bool,
    bare: Callable[[], None],
) -> None:
    """Send a block of queries to one of the profiles, then run the bare graph three times."""
    for text in block:
        started = perf_counter()
        short = _ask(client, text, "hybrid-rerank" if reranked else "hybrid")
        (found.rerank if reranked else found.hybrid).append(perf_counter() - started)
        found.short += short
    for _ in range(3):
        started = perf_counter()
        bare()
        found.bare.append(perf_counter() - started)


def _ask(client: httpx.Client, text: str, profile: str) -> bool:
    """Send a query; return whether the answer says that reranking is incomplete."""
    parameters = {"q": text, "page_size": "10", "profile": profile}
    answer = client.get("/content/search", params=parameters)
    answer.raise_for_status()
    return any("rerank" in note for note in answer.json()["data"].get("degraded", ()))


def _headlines(client: httpx.Client, limit: int) -> tuple[str, ...]:
    """Return different headlines of the archive, the newest first, at most `limit` (0: 1,000)."""
    found: dict[str, None] = {}
    wanted = limit or 1000
    for page in range(1, 2 + wanted // 50):
        parameters = {"page": str(page), "page_size": str(_PAGE), "sort": "versioncreated:desc"}
        answer = client.get("/content/search", params=parameters)
        answer.raise_for_status()
        items = answer.json()["data"]["items"]
        found.update(dict.fromkeys(entry["item"]["headline"] for entry in items))
        if not items or len(found) >= wanted:
            break
    return tuple(text for text in found if text)[:wanted]


@contextmanager
def _archive(chosen: argparse.Namespace) -> Iterator[Archive]:
    """The archive from the command line, ready to be served."""
    if chosen.judged is not None:
        with open_news(chosen.judged, chosen.data or Path("data"), chosen.queries) as news:
            products = tuple(sorted(news.caller.products))
            archive = Archive(news.folder, products, (*news.warm_up, *news.queries))
        yield archive
    elif chosen.data is not None:
        yield Archive(chosen.data, tuple(chosen.products.split(",")), ())
    else:
        with tempfile.TemporaryDirectory() as place:
            _ingest_demo(Path(place))
            yield Archive(Path(place), DEMO_PRODUCTS, ())


def _ingest_demo(folder: Path) -> None:
    stories = str(demo_folder() / "stories.jsonl")
    command = [sys.executable, "-c", "from dateline.cli import main; main()", "ingest", stories]
    subprocess.run([*command, "--data", str(folder)], check=True, stdout=subprocess.DEVNULL)


def _arguments() -> argparse.Namespace:
    parser = arguments(__doc__)
    archive = parser.add_argument_group("the archive")
    archive.add_argument("--judged", type=Path, help="folder of a judged set, such as Reuters")
    archive.add_argument("--data", type=Path, help="folder of an archive, or of the cache")
    archive.add_argument("--products", default=",".join(DEMO_PRODUCTS), help="whose to read")
    parser.add_argument("--sweep", default=SWEEP, help=f"candidates x tokens, by default {SWEEP}")
    parser.add_argument("--queries", type=int, default=0, help="how many a setting; 0 for all")
    parser.add_argument("--models", help="folder of the models")
    parser.add_argument("--reranker", help="in place of the setting's")
    return parser.parse_args()


def _rows(figures: dict[str, dict[str, float]]) -> Iterator[list[str]]:
    """Yield the table's rows, with the columns of HEAD."""
    for shape, row in figures.items():
        times = [f"{row[key]:,.1f}" for key in list(row)[:5]]
        p50 = _marked(row["p50 / (floor + 3 ms)"], P50_TIMES)
        p99 = _marked(row["p99 / (floor + 3 ms)"], P99_TIMES)
        yield [shape, *times, p50, p99, f"{row['cut short']:.0%}"]


def _marked(ratio: float, most: float) -> str:
    """Return a ratio, with a mark if it exceeds the target."""
    return f"{ratio:.2f}{'' if ratio <= most else ' !'}"


if __name__ == "__main__":
    main()
