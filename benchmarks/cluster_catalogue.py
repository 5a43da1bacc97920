"""What the cluster engine takes for what is not retrieval, beside the embedded engine: the guard,
facets, names, completions, near words, rarities.

    python -m benchmarks.cluster_catalogue [FOLDER] [--url URL] [--stories N] [--turns N]

Reuters' corpus (repeated until there are N stories, with other words in the headlines) goes into
both engines, without vectors. Each question is put to both in turn, the answers are compared, and
the medians are shown side by side. `a kill` is what the guard takes right after one.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import uuid4

import numpy as np

from benchmarks.machine import REUTERS, arguments, percentile, show, this_machine
from benchmarks.suggest import CONCEPTS, documents_of
from core.callers import Caller
from core.entities import Entity, EntityLabel
from core.items import Concept, Item, ItemType, PubStatus
from core.ports import Engine
from core.query_tree import EVERYTHING
from core.retrieval import Ids, Retrieval
from core.writes import PutItem, SetStatus
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings
from storage.embedded.record.archive import Record
from storage.opensearch.engine import OpenSearchEngine, OpenSearchSettings
from storage.opensearch.nodes.connection import ClusterSettings, MissingError

WIRE = Caller("wire", frozenset({"wire"}))
FACETS = ("type", "subject", "person", "organisation", "place", "language", "versioncreated")
_START = datetime(1987, 2, 26, tzinfo=UTC)
_BATCH, _WINDOW, _WORDS = 500, 1000, 200
_LABELS = {
    "person": EntityLabel.PER,
    "organisation": EntityLabel.ORG,
    "place": EntityLabel.LOC,
}
Ask = Callable[[Engine, Ids], object]  # of an engine, about a thousand candidates of its own


def main() -> None:
    """Runs the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=REUTERS)
    parser.add_argument("--url", default="http://127.0.0.1:9200")
    parser.add_argument("--stories", type=int, default=0, help="stories in all; 0: the corpus")
    parser.add_argument("--turns", type=int, default=100, help="how often each thing is asked")
    chosen = parser.parse_args()
    machine = this_machine()
    items = [_item(n, one) for n, one in enumerate(documents_of(chosen.folder, chosen.stories))]
    with _engines(chosen.url) as engines:
        for engine in engines:
            for start in range(0, len(items), _BATCH):
                engine.put([PutItem(item) for item in items[start : start + _BATCH]])
            engine.catch_up()
        figures = {"stories": len(items), **_compared(engines, items, chosen.turns)}
    show("the cluster's catalogue", figures, machine, as_json=chosen.json)


@contextmanager
def _engines(url: str) -> Iterator[tuple[EmbeddedEngine, OpenSearchEngine]]:
    """Both of them, empty; the index is removed afterwards."""
    name = f"benchmark-{uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as folder:
        embedded = EmbeddedEngine(
            EmbeddedSettings(Path(folder) / "a", {}, background=False), _clock
        )
        settings = OpenSearchSettings(
            {}, name, ClusterSettings((url,)), background=False, patience_s=60.0
        )
        cluster = OpenSearchEngine(settings, _clock, Record(Path(folder) / "b", {}, _clock))
        try:
            yield embedded, cluster
        finally:
            for index in (f"{name}-000001", f"{name}-meta"):
                with suppress(MissingError):
                    cluster.cluster.ask("DELETE", f"/{index}")
            embedded.close()
            cluster.close()


def _compared(
    engines: tuple[EmbeddedEngine, OpenSearchEngine], items: Sequence[Item], turns: int
) -> dict[str, Any]:
    """Medians in milliseconds, and how often the answers were the same."""
    figures: dict[str, Any] = {}
    ids = [_window(engine) for engine in engines]
    for name, asks in _questions(random.Random(5), items, turns):
        times: list[list[float]] = [[], []]
        same = 0
        for ask in asks:
            answers = []
            for at in (0, 1):
                if name == "guard after a kill":
                    victim = items[-1 - len(times[at])].uri
                    engines[at].set_status([SetStatus(victim, PubStatus.CANCELED)])
                started = perf_counter()
                answers.append(ask(engines[at], ids[at]))
                times[at].append(perf_counter() - started)
            same += answers[0] == answers[1]
        for at, engine in enumerate(("embedded", "cluster")):
            figures[f"{name}, {engine} p50_ms"] = percentile(times[at], 50)
            figures[f"{name}, {engine} p99_ms"] = percentile(times[at], 99)
        figures[f"{name}, same"] = same / turns
    return figures


def _questions(
    chance: random.Random, items: Sequence[Item], turns: int
) -> Iterator[tuple[str, list[Ask]]]:
    """Each thing with what is asked, turn by turn."""
    for name, ask in (("guard", _guard), ("stories", _stories), ("created", _created)):
        yield name, [ask] * turns
    yield "facets", [_facets] * turns
    names = [pair for item in items[:2000] for pair in _names(item)]
    exact = [Entity(text.lower(), label, 0, 1, 0.9) for text, label in names]
    wrong = [Entity(_misspelt(text, chance), label, 0, 1, 0.9) for text, label in names]
    yield "a name", [partial(_known, one) for one in _some(chance, exact, turns)]
    yield "a misspelt name", [partial(_known, one) for one in _some(chance, wrong, turns)]
    lines = [item.headline.lower() for item in items if item.headline]
    for letters in (1, 3, 8):
        typed = [line[:letters] for line in _some(chance, lines, turns)]
        yield f"letter {letters}", [partial(_suggested, text) for text in typed]
    words = [word for line in lines for word in line.split() if word.isalpha() and len(word) > 5]
    near = [_misspelt(word, chance) for word in _some(chance, words, turns)]
    yield "near words", [partial(_similar, word) for word in near]
    texts = [[*dict.fromkeys(item.body.split())][:_WORDS] for item in _some(chance, items, turns)]
    yield "rarities", [partial(_rarities, text) for text in texts]
    yield "guard after a kill", [_guard] * turns


def _guard(engine: Engine, own: Ids) -> object:
    return len(engine.visible(own, WIRE))


def _stories(engine: Engine, own: Ids) -> object:
    return engine.chains(own).tolist()


def _created(engine: Engine, own: Ids) -> object:
    return engine.created(own).tolist()


def _facets(engine: Engine, own: Ids) -> object:
    return engine.facets(own, FACETS, 10)


def _known(entity: Entity, engine: Engine, _: Ids) -> object:
    return engine.known([entity], WIRE)


def _suggested(text: str, engine: Engine, _: Ids) -> object:
    return engine.suggest(text, 10, WIRE)


def _similar(word: str, engine: Engine, _: Ids) -> object:
    return engine.similar_words([(word, 1)], WIRE)


def _rarities(words: Sequence[str], engine: Engine, _: Ids) -> object:
    return engine.rarities(words, "en", WIRE).values.round(2).tolist()


def _window(engine: Engine) -> Ids:
    found = engine.retrieve(Retrieval(EVERYTHING, WIRE, lexical_depth=_WINDOW, vector_depth=0))
    return np.sort(found.ids)


def _some(chance: random.Random, values: Sequence[Any], count: int) -> list[Any]:
    return [chance.choice(values) for _ in range(count)]


def _misspelt(text: str, chance: random.Random) -> str:
    """Two neighbours changed, behind the first letter."""
    place = chance.randrange(1, max(2, len(text) - 1))
    return text[:place] + text[place + 1 : place + 2] + text[place] + text[place + 2 :]


def _names(item: Item) -> Iterator[tuple[str, EntityLabel]]:
    for field, label in _LABELS.items():
        for concept in getattr(item, field):
            yield concept.name, label


def _item(number: int, document: Any) -> Item:
    created = _START + timedelta(minutes=number)
    found = document.get("metadata", {})
    named = {
        field: tuple(Concept(name) for name in found.get(member, ()))
        for field, member in CONCEPTS.items()
    }
    uri = f"urn:reuters:{number}"
    plain = Item(uri, 1, ItemType.TEXT, created, created, uri, products=("wire",))
    texts = {"headline": document["title"], "body": document.get("text", "")}
    members: dict[str, Any] = {**named, **texts}
    return replace(plain, **members)


def _clock() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
