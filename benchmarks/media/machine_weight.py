"""What the weight of machines' words does: photos that people describe among photos that only a
machine describes, found by BM25.

    python -m benchmarks.media.machine_weight FOLDER [--wrong 0.3] [--photos 8000] [--seed 7]

FOLDER is a judged set in BEIR's layout whose documents are several sentences on one photo. The
first half of a photo's sentences represents people's words; the second, with a share of `wrong`
taken from another photo, represents a machine's. In `mixed`, half of the photos have people's words
and the other half a machine's; in `both`, all have both; in `machine`, none has people's words.
Queries are the judged ones. Each row is nDCG@10 at one weight; in `mixed` also for the queries
whose photo people, or a machine, described. The line `single field` indexes machines' words as
people's, which is the alternative to a weight.
"""

from __future__ import annotations

import gzip
import random
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from math import log2
from pathlib import Path
from typing import Any

import orjson

from benchmarks.machine import arguments, show, this_machine
from core.callers import Caller
from core.items import Item, ItemType
from core.query_tree import Bool, Word
from core.retrieval import LexicalWeights, Retrieval
from core.writes import PutItem
from eval.sets.datasets import Conventions, read_judged_set
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 2.0)
_NOW = datetime(2024, 1, 1, tzinfo=UTC)
_READER = Caller("benchmark", frozenset({"all"}))
_DEPTH = 10
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"(?<= \.)\s+")

Photos = Mapping[str, tuple[str, str]]  # uri to people's words and a machine's
Kind = Callable[[str, str, str], Item]


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--wrong", type=float, default=0.3)
    parser.add_argument("--photos", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    judged = read_judged_set(str(chosen.folder), Conventions())
    wanted = {query: next(iter(judged.qrels[query])) for query in judged.queries}
    photos = photos_of(judged, chosen, set(wanted.values()))
    people = {uri for number, uri in enumerate(sorted(photos)) if number % 2 == 0}
    archives: dict[str, Kind] = {
        "mixed": lambda uri, own, said: (
            _item(uri, own, "") if uri in people else _item(uri, "", said)
        ),
        "both": _item,
        "machine": lambda uri, _own, said: _item(uri, "", said),
    }
    figures: dict[str, Any] = {"photos": len(photos), "queries": len(wanted)}
    for name, kind in archives.items():
        figures |= _archive(
            name,
            [kind(uri, *texts) for uri, texts in photos.items()],
            judged.queries,
            wanted,
            people,
        )
    show("machine weight", figures, this_machine(), as_json=chosen.json)


def photos_of(judged: Any, chosen: Any, needed: set[str]) -> Photos:
    """Return people's and machine's words of each photo; photos that are asked for come first."""
    chance = random.Random(chosen.seed)
    texts = {}
    with (
        gzip.open(judged.corpus) if judged.corpus.suffix == ".gz" else judged.corpus.open() as lines
    ):
        for line in lines:
            document = orjson.loads(line)
            texts[document["_id"]] = _SENTENCE.split(document["text"])
    kept = sorted(texts, key=lambda uri: (uri not in needed, uri))[: chosen.photos]
    found = {}
    for uri in kept:
        half = max(1, len(texts[uri]) // 2)
        own, said = texts[uri][:half], texts[uri][half:]
        said = [
            chance.choice(texts[chance.choice(kept)])
            if chance.random() < chosen.wrong
            else sentence
            for sentence in said
        ]
        found[uri] = (" ".join(own), " ".join(said))
    return found


def _item(uri: str, own: str, said: str) -> Item:
    made_by = "benchmark" if said else ""
    plain = Item(uri, 1, ItemType.PICTURE, _NOW, _NOW, uri, products=("all",), description=own)
    return replace(plain, caption=said, caption_by=made_by)


def _as_own(item: Item) -> Item:
    words = " ".join(text for text in (item.description, item.caption) if text)
    return replace(item, description=words, caption="", caption_by="")


def _archive(
    name: str,
    items: Sequence[Item],
    queries: Mapping[str, str],
    wanted: Mapping[str, str],
    people: set[str],
) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    with opened_archive(items, _NOW) as engine:
        for weight in WEIGHTS:
            scores = _scores(engine, queries, wanted, LexicalWeights(apart={"machine": weight}))
            figures[f"{name} at {weight:g}"] = _told(name, scores, wanted, people)
    with opened_archive([_as_own(item) for item in items], _NOW) as engine:
        scores = _scores(engine, queries, wanted, LexicalWeights())
        figures[f"{name}, single field"] = _told(name, scores, wanted, people)
    return figures


@contextmanager
def opened_archive(items: Sequence[Item], now: datetime) -> Iterator[EmbeddedEngine]:
    """An archive of the items, found by words, as of a moment; removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        settings = EmbeddedSettings(Path(folder), {}, background=False)
        engine = EmbeddedEngine(settings, lambda: now)
        try:
            for start in range(0, len(items), 500):
                engine.put([PutItem(item) for item in items[start : start + 500]])
            engine.catch_up()
            yield engine
        finally:
            engine.close()


def _scores(
    engine: EmbeddedEngine,
    queries: Mapping[str, str],
    wanted: Mapping[str, str],
    weights: LexicalWeights,
) -> dict[str, float]:
    """Return nDCG@10 of each query, which has one relevant photo."""
    found = {}
    for query, text in queries.items():
        words = tuple(Word(word) for word in _WORD.findall(text))
        request = Retrieval(Bool(should=words), _READER, lexical_depth=_DEPTH, lexical=weights)
        items = engine.items(engine.retrieve(request).ids, _READER)
        uris = [item.uri for item in items if item is not None]
        place = uris.index(wanted[query]) if wanted[query] in uris else -1
        found[query] = 0.0 if place < 0 else 1 / log2(place + 2)
    return found


def _told(
    name: str, scores: Mapping[str, float], wanted: Mapping[str, str], people: set[str]
) -> str:
    sides = {"all": list(scores.values())}
    if name == "mixed":
        sides["people's"] = [s for q, s in scores.items() if wanted[q] in people]
        sides["machine's"] = [s for q, s in scores.items() if wanted[q] not in people]
    means = (f"{side} {sum(values) / len(values):.3f}" for side, values in sides.items())
    return ", ".join(means)


if __name__ == "__main__":
    main()
