"""What the weights of words that are said, written and seen in media do to the order of an answer.

    python -m benchmarks.media.media_weights ARCHIVE [--sets DIR] [--reuters 5000] [--json]

ARCHIVE is the data folder of an archive with the demo's stories and media and the shared photos,
videos and sounds, looked at and read by the models (docs/media.md has the commands). Its items and
Reuters stories, as distractors, go into an index of words without vectors: the weights are within
BM25. Judged are few known items, by people: `said_and_written.tsv` beside this file has what is
said and written, `looked_at.tsv` what is in each still and has a class. Each row is nDCG@10 at one
weight of one field, the others as they ship: of the queries for that field, and of the demo's
judged queries, which ask for texts among the same media.

Known items alone want every weight to be high. So cacm and vaswani, which nobody tuned on, are
asked, too, with half of their documents as videos in which the text is said, a tenth of the words
heard wrong: there an answer is as likely a text as a video, and a weight that is too high or too
low loses.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.machine import REUTERS, arguments, show, this_machine
from benchmarks.media.heard import video
from benchmarks.media.machine_weight import opened_archive
from core.callers import Caller
from core.items import Item
from core.query_tree import Bool, Word
from core.retrieval import MACHINE_WEIGHT, MEDIA_WEIGHTS, LexicalWeights, Retrieval
from dateline.build.service import build_service
from dateline.settings import configure
from eval.runs.measures import means, parse_measures, per_query
from eval.sets.datasets import JudgedSet, read_judged_set
from indexing.ingest import IngestOptions
from indexing.sources import Accepted
from storage.embedded.engine import EmbeddedEngine
from storage.words.text_analysis import Analysis

WEIGHTS = (0.0, 0.25, 0.4, 0.6, 0.75, 1.0, 1.5)
FIELDS = ("speech", "seen", "looks")
_SAID = Path(__file__).with_name("said_and_written.tsv")
_LOOKED = Path(__file__).with_name("looked_at.tsv")
_NOW = datetime(2026, 12, 1, tzinfo=UTC)
_READER = Caller("benchmark", frozenset({"demo"}))
_WORD = re.compile(r"\w+")
_DEPTH = 100
_WRONG = 0.1
_ANALYSIS = Analysis()

Queries = dict[str, tuple[str, dict[str, int]]]  # text and grades by the query's name


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--sets", type=Path, default=REUTERS.parent)
    parser.add_argument("--reuters", type=int, default=5000)
    chosen = parser.parse_args()
    items = [*_archived(chosen.archive)]
    asked = {field: _known(field, items) for field in FIELDS}
    demo = read_judged_set("datasets/demo")
    texts: Queries = {name: (text, dict(demo.qrels[name])) for name, text in demo.queries.items()}
    items += islice(_stories(chosen.sets / "reuters21578"), chosen.reuters)
    figures: dict[str, Any] = {"items": len(items)}
    figures |= {f"queries for {name}": len(queries) for name, queries in asked.items()}
    with opened_archive(items, _NOW) as engine:
        for field in FIELDS:
            for weight in WEIGHTS:
                own, other = (_score(engine, one, field, weight) for one in (asked[field], texts))
                figures[_name(field, weight)] = f"{own:.3f}, texts {other:.4f}"
    for name in ("cacm", "vaswani"):
        judged = read_judged_set(str(chosen.sets / name))
        queries: Queries = {n: (text, dict(judged.qrels[n])) for n, text in judged.queries.items()}
        with opened_archive([*_half_said(judged)], _NOW) as engine:
            for weight in WEIGHTS:
                score = _score(engine, queries, "speech", weight)
                figures[f"{name}, half of it said, {_name('speech', weight)}"] = f"{score:.4f}"
    show("weights of words in media", figures, this_machine(), as_json=chosen.json)


def _name(field: str, weight: float) -> str:
    return f"{field} at {weight:g}" + (" (ships)" if weight == MEDIA_WEIGHTS[field] else "")


def _half_said(judged: JudgedSet) -> Iterator[Item]:
    """Yield a set's documents by their ids, every second one as a video in which it is said."""
    sources = IngestOptions(products=("demo",)).sources([judged.corpus], lambda: _NOW)
    for number, one in enumerate(sources):
        if isinstance(one, Accepted):
            uri = judged.document_id(one.item.uri)
            text = f"{one.item.headline}\n{one.item.body}"
            item = replace(one.item, uri=uri, chain=uri)
            said = replace(video(uri, text, _WRONG), products=("demo",))
            yield said if number % 2 else item


def _archived(folder: Path) -> Iterator[Item]:
    """Yield the newest version of each item of the archive, without embargoes."""
    service = build_service(configure({"data": str(folder)}).settings, background=False)
    try:
        every = service.engine.all_items()
        yield from [replace(item, embargoed=None) for item in every if "demo" in item.products]
    finally:
        service.close()


def _stories(folder: Path) -> Iterator[Item]:
    corpus = folder / "corpus.jsonl.gz"
    for one in IngestOptions(products=("demo",)).sources([corpus], lambda: _NOW):
        if isinstance(one, Accepted):
            yield one.item


def _known(field: str, items: Sequence[Item]) -> Queries:
    """Return the queries for a field: each text once, with the media that answer it."""
    uris = {Path(item.media.location).name: item.uri for item in items if item.media is not None}
    found: Queries = {}
    for text, file in _looked() if field == "looks" else _said(field):
        if uri := uris.get(file):
            found.setdefault(text, (text, {}))[1][uri] = 1
    return found


def _said(field: str) -> Iterator[tuple[str, str]]:
    for row in _rows(_SAID):
        if row["kind"] == field:
            yield from ((row["query"], file) for file in row["files"].split(", "))


def _looked() -> Iterator[tuple[str, str]]:
    """Yield the names of what is in each still, and the still's file."""
    for row in _rows(_LOOKED):
        file = Path(row["still"].partition("#")[0]).name
        yield from ((name, file) for name in row["there"].split(", ") if name)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)


def _score(engine: EmbeddedEngine, queries: Queries, field: str, weight: float) -> float:
    """Return the mean nDCG@10 of queries, ranked by BM25 with this weight of a field."""
    weights = LexicalWeights(apart={"machine": MACHINE_WEIGHT, **MEDIA_WEIGHTS, field: weight})
    run: dict[str, tuple[str, ...]] = {}
    for name, (text, _) in queries.items():
        every = _WORD.findall(text)
        telling = [word for word in every if not _ANALYSIS.is_stop_word(word, "en")]
        words = Bool(should=tuple(map(Word, telling or every)))
        request = Retrieval(words, _READER, lexical_depth=_DEPTH, lexical=weights)
        items = engine.items(engine.retrieve(request).ids, _READER)
        run[name] = tuple(item.uri for item in items if item is not None)
    qrels = {name: grades for name, (_, grades) in queries.items()}
    return means(per_query(parse_measures(["nDCG@10"]), qrels, run))["nDCG@10"]


if __name__ == "__main__":
    main()
