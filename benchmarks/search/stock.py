"""Queries a second against the stock path, in the same run on the same documents and queries.

    python -m benchmarks.search.stock --stock-python PYTHON --stock-model DIR [FOLDER] [--queries N]

The stock path (benchmarks/search/stock_path.py) follows the tutorials of its parts:
sentence-transformers on torch in fp32 for the query, rank-bm25 over lower-cased words, hnswlib over
the passages, and the same fusion in plain Python. It runs in an interpreter of its own that has
these packages (extras [torch] and [hnswlib], and rank-bm25); `--stock-model` is a folder of
all-MiniLM-L6-v2 as sentence-transformers saves it.

To keep the run short, the stock side does not embed the documents: it gets the vectors of our
encoder, the same model in int8. That changes no measured time, because only queries are timed. The
sides take turns of 10 queries; each times itself, so that passing the query costs neither of them
anything. Queries are different headlines, each asked once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import orjson

from benchmarks.interpreter import OtherInterpreter, other_interpreter
from benchmarks.machine import arguments, percentile, show, this_machine
from benchmarks.news import News, add_options, embedded_of, open_news
from dateline.build.engine import VECTOR_FIELD
from search.answers import SearchRequest

_BLOCK = 10
_STOCK = Path(__file__).with_name("stock_path.py")


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    add_options(parser)
    parser.add_argument("--stock-python", required=True, help="an interpreter with the stock parts")
    parser.add_argument("--stock-model", required=True, help="folder of the model")
    chosen = parser.parse_args()
    machine = this_machine()
    ours: list[float] = []
    theirs: list[float] = []
    shared: list[float] = []
    with (
        open_news(chosen.folder, chosen.data, chosen.queries or 200) as news,
        _stock(news, chosen.stock_python, chosen.stock_model) as stock,
    ):
        for text in news.warm_up:
            _ask(news, text)
            _ask_stock(stock, text)
        for number, start in enumerate(range(0, len(news.queries), _BLOCK)):
            block = news.queries[start : start + _BLOCK]
            found: dict[str, list[list[str]]] = {}
            for side in ("ours", "theirs") if number % 2 else ("theirs", "ours"):
                ask = partial(_ask, news) if side == "ours" else partial(_ask_stock, stock)
                answers = [ask(text) for text in block]
                (ours if side == "ours" else theirs).extend(seconds for seconds, _ in answers)
                found[side] = [uris for _, uris in answers]
            pairs = zip(found["ours"], found["theirs"], strict=True)
            shared.extend(len(set(own) & set(other)) / 10 for own, other in pairs)
        versions = stock.versions
    figures = _figures(ours, theirs, shared, versions)
    show("against the stock path", figures, machine, as_json=chosen.json)


def _ask(news: News, text: str) -> tuple[float, list[str]]:
    request = SearchRequest(q=text, profile="hybrid", page_size=10)
    started = perf_counter()
    found = news.service.pipeline.search(request, news.caller)
    return perf_counter() - started, [hit.item.uri for hit in found.hits]


@contextmanager
def _stock(news: News, python: str, model: str) -> Iterator[OtherInterpreter]:
    """The stock path over the same documents, ready for queries."""
    with tempfile.TemporaryDirectory() as place:
        _hand_over(news, Path(place))
        with other_interpreter([python, "-P", str(_STOCK), place, model]) as stock:
            yield stock


def _ask_stock(stock: OtherInterpreter, text: str) -> tuple[float, list[str]]:
    """Return the seconds of the query, and the uris of its 10 hits."""
    answer = stock.ask(text)
    return float(answer["seconds"]), list(answer["uris"])


def _hand_over(news: News, place: Path) -> None:
    """Write texts and passage vectors of every document: `documents.jsonl` (uri, text),
    `vectors.npy` float32 [n, d] and `owners.npy` int64 [n], the line of each passage's document.
    """
    engine = embedded_of(news.service)
    view = engine.projections.fields[VECTOR_FIELD].view()
    blocks = [*view.segments, *((view.tail,) if len(view.tail.seqs) else ())]
    vectors = np.concatenate([block.vectors for block in blocks])
    seqs = np.concatenate([block.seqs for block in blocks])
    ids = np.unique(seqs)
    with (place / "documents.jsonl").open("wb") as stream:
        for start in range(0, len(ids), 1000):
            for item in engine.items(ids[start : start + 1000], news.caller):
                assert item is not None
                text = f"{item.headline}\n{item.body}"
                stream.write(orjson.dumps({"uri": item.uri, "text": text}) + b"\n")
    np.save(place / "vectors.npy", vectors)
    np.save(place / "owners.npy", np.searchsorted(ids, seqs))


def _figures(
    ours: list[float], theirs: list[float], shared: list[float], versions: dict[str, str]
) -> dict[str, Any]:
    return {
        "queries": len(ours),
        "dateline queries_per_s": len(ours) / sum(ours),
        "stock queries_per_s": len(theirs) / sum(theirs),
        "times as many": sum(theirs) / sum(ours),
        "dateline p50_ms": percentile(ours, 50),
        "stock p50_ms": percentile(theirs, 50),
        "shared of the first 10": float(np.mean(shared)),
        "stock parts": ", ".join(f"{name} {number}" for name, number in versions.items()),
    }


if __name__ == "__main__":
    main()
