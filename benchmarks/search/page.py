"""What a page of hits costs beside its search, in processor time of one thread.

    python -m benchmarks.search.page [--items N] [--turns N] [--topics N ...] [--json]

The items are stories of the demo corpus, each with 13 concepts: its own, then those of others.

- `list` and `AP`: the members of the items, as our own lists and as AP's contract have them;
  `again` of items whose forms are kept.
- `topics`: which of an account's followed topics the items match, `new` for items that no page had
  before and `again` for the same ones. The topics are of two words of a story each; every tenth is
  the beginning of a word.

Each figure is the best of `--turns` turns, in ms a page.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from time import process_time

import orjson

from api.formats.items import ItemView
from api.formats.kept_forms import KeptForms, told_versions
from benchmarks.machine import arguments, show, this_machine
from core.callers import Caller
from core.items import Item
from core.standing import Sight
from customers.topics import topic_tree
from dateline.default_folders import demo_folder
from indexing import ninjs
from storage.embedded.percolation import Percolator
from storage.embedded.topic_set import TopicSet
from storage.words.topics import MEDIA_TOPICS, read_topics

_NOW = datetime(2026, 3, 1, tzinfo=UTC)
_READER = Caller("reader", frozenset({"wire"}))
_CONCEPTS = {"subjects": 4, "people": 3, "organisations": 3, "places": 3}
_WORDS = re.compile(r"[a-z]{4,}", re.ASCII)
_TOPICS = (1, 500)


def main() -> None:
    """Print milliseconds a page."""
    parser = arguments(__doc__)
    parser.add_argument("--items", type=int, default=20)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--topics", type=int, nargs="+", default=_TOPICS)
    asked = parser.parse_args()
    machine, stories = this_machine(), made_items()
    page = stories[: asked.items]
    figures = {name: best(form, asked.turns) for name, form in forms(page).items()}
    for count in asked.topics:
        figures |= matching(stories, asked.items, count, asked.turns)
    show(f"a page of {asked.items} hits, ms", figures, machine, as_json=asked.json)


def made_items() -> list[Item]:
    """Return the demo corpus, each story with 13 concepts."""
    lines = (demo_folder() / "stories.jsonl").read_bytes().splitlines()
    documents = [orjson.loads(line) for line in lines]
    for name, count in _CONCEPTS.items():
        known = {e["name"]: e for document in documents for e in document.get(name, ())}
        for place, document in enumerate(documents):
            own = {entry["name"]: entry for entry in document.get(name, ())}
            others = [*[*known.values()][place % len(known) :], *known.values()]
            entries = {**own, **{e["name"]: e for e in others if e["name"] not in own}}
            document[name] = [*entries.values()][:count]
    return [ninjs.read_tree(document, lambda: _NOW, ("wire",)).item for document in documents]


def best(work: Callable[[], object], turns: int) -> float:
    """Return the least processor time of this many turns, in ms."""
    found: list[float] = []
    for _ in range(turns):
        start = process_time()
        work()
        found.append(process_time() - start)
    return min(found) * 1000


class _NoItems:
    """`core.ports.engine.Library` without items: nothing in a document is the uri of one."""

    def item(self, uri: str, caller: Caller) -> Item | None:
        return None

    def chain(self, uri: str, caller: Caller) -> tuple[Item, ...]:
        return ()

    def sights(self, named: Mapping[str, object], caller: Caller) -> Mapping[str, Sight]:
        return {}


@dataclass(frozen=True, slots=True)
class _Addresses:
    """Addresses of a service that nobody runs."""

    def item(self, itemid: str) -> str:
        return f"https://wire.example/media/v/content/{itemid}"

    def download(self, itemid: str, version: int, rendition: str) -> str:
        return f"https://wire.example/media/v/content/{itemid}.{version}/download?rid={rendition}"


def forms(page: Sequence[Item]) -> dict[str, Callable[[], object]]:
    """Return what makes the members of a page's items, by the name of the form."""
    kept = KeptForms()
    return {
        "list": partial(_made, page, None, None),
        "list, again": partial(_made, page, None, kept),
        "AP": partial(_made, page, _Addresses(), None),
        "AP, again": partial(_made, page, _Addresses(), kept),
    }


def _made(page: Sequence[Item], addresses: _Addresses | None, kept: KeptForms | None) -> object:
    view = ItemView(_READER, addresses=addresses)
    return told_versions([*enumerate(page, start=1)], view, _NoItems(), kept)


def matching(stories: Sequence[Item], size: int, topics: int, turns: int) -> dict[str, float]:
    """Return the time of matching pages of new and of known items against this many topics."""
    chance = random.Random(7)
    index = TopicSet(Percolator(read_topics(MEDIA_TOPICS), lambda: ("en",)))
    index.change({n: topic_tree(_query(chance, stories, n), _NOW) for n in range(topics)})
    index.matching(stories[:size])
    pages = [[replace(item, version=turn + 2) for item in stories[:size]] for turn in range(turns)]
    new = min(best(partial(index.matching, page), 1) for page in pages)
    again = best(partial(index.matching, pages[-1]), turns)
    return {f"{topics} topics, new": new, f"{topics} topics, again": again}


def _query(chance: random.Random, stories: Sequence[Item], number: int) -> str:
    words: list[str] = []
    while len(words) < 2:
        words = _WORDS.findall(chance.choice(stories).body)
    one, other = chance.sample(words, 2)
    return f"{one[:4]}*" if number % 10 == 9 else f"{one} {other}"


if __name__ == "__main__":
    main()
