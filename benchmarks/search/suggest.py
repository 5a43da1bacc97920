"""What a suggestion costs while someone types: every key stroke of headlines and names.

    python -m benchmarks.search.suggest [FOLDER] [--queries N] [--stories N]

Reuters' corpus is read into columns as in an archive; no index and no model are needed. Each of N
headlines and the names in it are typed letter by letter, up to 12 letters, and each key stroke asks
the archive once. `after a write` is the first key stroke after a story was killed, when counts have
to follow. `--stories` repeats the corpus with other words in its headlines until there are so many
stories.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import orjson

from benchmarks.machine import REUTERS, arguments, peak_memory_mb, percentile, show, this_machine
from core.query_tree import EVERYTHING
from storage.embedded.columns.facts import Columns
from storage.embedded.lexical.suggestions import ColumnsSuggestions
from storage.record.facts import FactRow

_KEY_STROKES, _WRITES, _LIMIT = 12, 50, 10
_PRODUCTS = frozenset({"wire"})
CONCEPTS = {"subject": "topics", "person": "people", "organisation": "orgs", "place": "places"}


def main() -> None:
    """Run the benchmark."""
    parser = arguments(__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=REUTERS)
    parser.add_argument("--queries", type=int, default=500, help="headlines to type")
    parser.add_argument("--stories", type=int, default=0, help="stories in all; 0: the corpus")
    chosen = parser.parse_args()
    machine = this_machine()
    documents = list(documents_of(chosen.folder, chosen.stories))
    columns = Columns()
    columns.append([_facts(seq, document) for seq, document in enumerate(documents)])
    columns.set_visible(range(len(documents)), [])
    suggestions = ColumnsSuggestions(
        columns,
        lambda since, until: ((seq, documents[seq]["title"]) for seq in range(since, until)),
    )
    started = perf_counter()
    _suggest(suggestions, columns, "")
    figures: dict[str, Any] = {
        "stories": len(documents),
        "taken in, s": perf_counter() - started,
        **_typing(suggestions, columns, documents, chosen.queries),
        **_writing(suggestions, columns, len(documents)),
        "peak memory, MB": peak_memory_mb(),
    }
    show("suggestions", figures, machine, as_json=chosen.json)


def _typing(
    suggestions: ColumnsSuggestions, columns: Columns, documents: list[Any], queries: int
) -> dict[str, Any]:
    """Return milliseconds by the number of typed letters, and over all."""
    times: dict[str, list[float]] = {}
    answered = 0
    for text in _typed(documents, queries):
        for end in range(1, min(len(text), _KEY_STROKES) + 1):
            started = perf_counter()
            found = _suggest(suggestions, columns, text[:end])
            seconds = perf_counter() - started
            answered += bool(found)
            times.setdefault("key stroke", []).append(seconds)
            if end <= 3:
                times.setdefault(f"letter {end}", []).append(seconds)
    figures: dict[str, Any] = {
        "key strokes": len(times["key stroke"]),
        "answered": answered / len(times["key stroke"]),
    }
    for name, seconds_of in times.items():
        for at in (50, 95, 99):
            figures[f"{name} p{at}_ms"] = percentile(seconds_of, at)
    return figures


def _writing(suggestions: ColumnsSuggestions, columns: Columns, stories: int) -> dict[str, float]:
    chance = random.Random(11)
    times: list[float] = []
    for seq in chance.sample(range(stories), _WRITES):
        columns.set_visible([], [seq])
        started = perf_counter()
        _suggest(suggestions, columns, "oil pr")
        times.append(perf_counter() - started)
    return {f"after a write p{at}_ms": percentile(times, at) for at in (50, 95, 99)}


def _suggest(suggestions: ColumnsSuggestions, columns: Columns, text: str) -> tuple[Any, ...]:
    """Ask as the engine does; here the bitmap of what a caller may see is made anew each time."""
    allowed = columns.view().allowed(_PRODUCTS, EVERYTHING)
    return suggestions.suggest(text, _LIMIT, _PRODUCTS, allowed)


def _typed(documents: list[Any], queries: int) -> list[str]:
    chosen = random.Random(7).sample(documents, min(queries, len(documents)))
    names = [name for one in chosen for field in CONCEPTS for name, _ in _named(one, field)]
    return [one["title"].lower() for one in chosen if one["title"]] + names


def documents_of(folder: Path, stories: int) -> Iterator[Any]:
    """Yield the corpus, or `stories` of it: repeated, with other words in the headlines."""
    with gzip.open(folder / "corpus.jsonl.gz") as lines:
        corpus = [orjson.loads(line) for line in lines]
    wanted = stories or len(corpus)
    for number in range(wanted):
        document = corpus[number % len(corpus)]
        turn = number // len(corpus)
        title = document["title"]
        yield {**document, "title": f"{title} {turn:x}x{number:x}" if turn else title}


def _facts(seq: int, document: Any) -> FactRow:
    facts = {"type": "text", "firstcreated": seq, "urgency": None, "products": ["wire"]}
    named = {field: _named(document, field) for field in CONCEPTS}
    return FactRow(seq, str(seq), "en", seq, {**facts, **named}, str(seq))


def _named(document: Any, field: str) -> list[list[str]]:
    return [[name, ""] for name in document.get("metadata", {}).get(CONCEPTS[field], ())]


if __name__ == "__main__":
    main()
