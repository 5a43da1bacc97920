"""BM25 in a large index of words: what counting, a caller's filter and an excluded word cost.

    python -m benchmarks.search.words [FOLDER] [--data DIR] [--documents N] [--queries N]
                                      [--depth N]

The documents are made: each has some sentences of each of two stories of the set in FOLDER, and
seven of ten are in the product of the caller. Half of them have one word more, which the last two
rows exclude. The index is made once, in the data folder; there are no vectors. Each query is one of
the set's, to the depth of the profile hybrid, 400. All sides are asked each query in turns. Times
are processor time of the thread, so that other work on the machine counts as little as it can.

- `counted`, `not counted`: a caller who may see everything.
- `filtered and counted`, `filtered`: the caller's product is a part of the query.
- `best of all`: the caller's hits out of the best of all, as the engine does it with vectors.
- `NOT, all matches`, `NOT, looked up`: the matches of the excluded word for a bitmap, and only
  those among as many passages as a search by vectors looks at first.

tantivy's binding gives every hit to several collectors, so nothing is left out that can't be among
the best. `words_one_collector.patch` gives them to one where nothing is counted. To see what that
would change: pip download --no-deps --no-binary :all: tantivy==0.27.0, unpack it, patch -p1 it,
maturin build --release (with Rust), pip install --target DIR the wheel, and run this with
PYTHONPATH=DIR.
"""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import thread_time
from typing import Any

import numpy as np
import orjson
import tantivy

from benchmarks.machine import arguments, percentile, show, this_machine
from benchmarks.news import add_options
from core.items import Item, ItemType
from core.query_tree import EVERYTHING, Keyword, Word
from core.retrieval import Marks
from eval.sets.datasets import Conventions, read_judged_set
from search.understanding.language import parse
from storage.embedded.lexical.fields import build_schema, document_of, take_words
from storage.embedded.lexical.reader import LexicalHits, LexicalReader

_WIDE, _LOOKED_AT = 1.25, 450
_OWN, _OTHERS = Keyword("product", ("wire",)), "photos"
_EXCLUDED = "excluded"
_SHARE = 0.7
_SEED = 1987
_NOW = datetime(2026, 1, 1, tzinfo=UTC)

Side = Callable[[str], Any]


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    add_options(parser)
    parser.add_argument("--documents", type=int, default=1_000_000, help="how many")
    parser.add_argument("--depth", type=int, default=400, help="best hits that are asked for")
    chosen = parser.parse_args()
    machine = this_machine()
    place = chosen.data / f"words-{chosen.documents}"
    index = _index(place, chosen.folder, chosen.documents)
    held = np.ones(chosen.documents, np.bool_)
    reader = LexicalReader(index.searcher(), index.schema, ("en",), ("en",), held)
    judged = read_judged_set(str(chosen.folder), Conventions())
    queries = list(dict.fromkeys(judged.queries.values()))[: chosen.queries or None]
    figures = _figures(_sides(reader, chosen.documents, chosen.depth), queries)
    show(
        "BM25 in a large index",
        {"documents": chosen.documents, **figures},
        machine,
        as_json=chosen.json,
    )


def _index(place: Path, folder: Path, wanted: int) -> tantivy.Index:
    """Return the index in `place`; make it first if it is not there."""
    if (place / "meta.json").exists():
        return tantivy.Index.open(str(place))
    making = place.with_name(place.name + ".part")
    making.mkdir(parents=True)
    index = tantivy.Index(build_schema(), str(making))
    take_words(index)
    writer = index.writer(400_000_000, 1)
    for seq, item in enumerate(_made(folder, wanted)):
        writer.add_document(document_of(seq, item))
        if seq % 100_000 == 0:
            print(f"indexing: {seq:,} documents", file=sys.stderr)
    writer.commit()
    writer.wait_merging_threads()
    making.rename(place)
    return tantivy.Index.open(str(place))


def _made(folder: Path, wanted: int) -> Iterator[Item]:
    with gzip.open(folder / "corpus.jsonl.gz") as lines:
        stories = [orjson.loads(line) for line in lines]
    sentences = [one["text"].replace("\n", " ").split(". ") for one in stories]
    random = np.random.default_rng(_SEED)
    for number in range(wanted):
        first, second = (int(one) for one in random.integers(len(stories), size=2))
        parts = [*_some(random, sentences[first], 6), *_some(random, sentences[second], 3)]
        parts += [_EXCLUDED] if random.random() < 0.5 else []
        product = "wire" if random.random() < _SHARE else _OTHERS
        yield Item(
            uri=f"urn:{number}",
            version=1,
            type=ItemType.TEXT,
            versioncreated=_NOW,
            firstcreated=_NOW,
            chain=f"urn:{number}",
            language="en",
            headline=stories[first].get("title", ""),
            body=". ".join(parts),
            products=(product,),
        )


def _some(random: np.random.Generator, sentences: Sequence[str], most: int) -> list[str]:
    size = min(len(sentences), int(random.integers(1, most + 1)))
    return [sentences[n] for n in random.choice(len(sentences), size, replace=False)]


def _sides(reader: LexicalReader, documents: int, depth: int) -> dict[str, Side]:
    allowed: Marks = np.zeros(documents, np.bool_)
    allowed[reader.having(_OWN)] = True
    wide = int(_WIDE * depth / allowed.mean())
    near = np.unique(np.random.default_rng(_SEED).integers(documents, size=_LOOKED_AT))

    def out_of_all(text: str) -> LexicalHits:
        hits = reader.search(parse(text).tree, EVERYTHING, wide, counted=False)
        kept = np.flatnonzero(allowed[hits.ids])[:depth]
        return LexicalHits(hits.ids[kept], hits.scores[kept], len(kept), hits.bound)

    return {
        "counted": lambda text: reader.search(parse(text).tree, EVERYTHING, depth),
        "not counted": lambda text: reader.search(
            parse(text).tree, EVERYTHING, depth, counted=False
        ),
        "filtered and counted": lambda text: reader.search(parse(text).tree, _OWN, depth),
        "filtered": lambda text: reader.search(parse(text).tree, _OWN, depth, counted=False),
        "best of all": out_of_all,
        "NOT, all matches": lambda _: reader.matching(Word(_EXCLUDED)),
        "NOT, looked up": lambda _: reader.matching(Word(_EXCLUDED), near),
    }


def _figures(sides: dict[str, Side], queries: Sequence[str]) -> dict[str, float]:
    """Ask every side each query twice, the second time for the figures; each query begins with
    another side.
    """
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number, text in enumerate(queries):
        names = [*sides][number % len(sides) :] + [*sides][: number % len(sides)]
        for name in names:
            sides[name](text)
            began = thread_time()
            sides[name](text)
            times[name].append(thread_time() - began)
    figures: dict[str, float] = {"queries": len(queries)}
    for name, seconds in times.items():
        figures[f"{name} p50_ms"] = percentile(seconds, 50)
        figures[f"{name} p99_ms"] = percentile(seconds, 99)
    pairs = (
        ("not counted", "counted"),
        ("best of all", "filtered and counted"),
        ("NOT, looked up", "NOT, all matches"),
    )
    for one, other in pairs:
        ratio = np.median(np.array(times[one]) / np.array(times[other]))
        figures[f"{one} / {other}, p50"] = float(ratio)
    return figures


if __name__ == "__main__":
    main()
