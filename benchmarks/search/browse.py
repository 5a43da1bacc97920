"""What a page of a list by date costs the embedded engine, by the size of the archive.

    python -m benchmarks.search.browse [--stories N ...] [--pages N]

Made-up facts are read into columns as in an archive; no index and no model are needed. Each kind of
page is asked for N times, 20 stories each, with the bitmap of what the caller may see made anew.
`after a write` is the first page after a story came; `facets` counts types and subjects of all.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from time import perf_counter
from typing import Any, cast

import numpy as np

from benchmarks.machine import arguments, peak_memory_mb, percentile, show, this_machine
from core.callers import Caller
from core.query_tree import EVERYTHING, Keyword, Node
from core.retrieval import Browse, Browsed, DateBuckets, Place, Retrieval
from storage.embedded.browsing import browse, matching
from storage.embedded.columns.facets import count_facets
from storage.embedded.columns.facts import Columns
from storage.embedded.lexical.reader import LexicalReader
from storage.embedded.retrieval import Moment
from storage.record.facts import FactRow

_CALLER = Caller("reader", frozenset({"wire"}))
_SIZE, _SECOND = 20, 1_000_000
_YEARS_S = 5 * 365 * 86_400
_TYPES = ("text", "text", "picture", "video")
_SUBJECTS, _BLOCK = 1_000, 10_000


def main() -> None:
    """Print milliseconds a page, by kind of page."""
    parser = arguments(__doc__)
    parser.add_argument("--stories", type=int, nargs="+", default=[100_000])
    parser.add_argument("--pages", type=int, default=200)
    chosen = parser.parse_args()
    machine = this_machine()
    figures: dict[str, Any] = {}
    for count in chosen.stories:
        figures |= {f"{count:,}: {name}": it for name, it in _measured(count, chosen.pages).items()}
    figures["peak memory, MB"] = peak_memory_mb()
    show("lists by date", figures, machine, as_json=chosen.json)


def _measured(count: int, pages: int) -> dict[str, float]:
    chance, columns = random.Random(7), Columns()
    for first in range(0, count, _BLOCK):
        rows = range(first, min(count, first + _BLOCK))
        columns.append([_row(chance, seq) for seq in rows])
    columns.set_visible(range(count), [])
    started = perf_counter()
    columns.by_date.rows(count)
    figures = {"sorted once, s": perf_counter() - started}
    kinds: dict[str, Callable[[], object]] = {
        "first page": lambda: _page(columns),
        "page after a place": lambda: _page(columns, after=_place(chance)),
        "page by number": lambda: _page(columns, skip=chance.randrange(count)),
        "pictures after a place": lambda: _page(columns, _kind("picture"), after=_place(chance)),
        "one subject of 1,000": lambda: _page(columns, _subject(chance), after=_place(chance)),
        "facets of everything": lambda: _facets(columns),
        "after a write": lambda: _written(columns, chance),
    }
    for name, ask in kinds.items():
        times = [_timed(ask) for _ in range(pages)]
        figures |= {f"{name} p{at}_ms": percentile(times, at) for at in (50, 99)}
    return figures


def _timed(ask: Callable[[], object]) -> float:
    started = perf_counter()
    ask()
    return perf_counter() - started


def _row(chance: random.Random, seq: int) -> FactRow:
    facts = {
        "type": chance.choice(_TYPES),
        "firstcreated": seq,
        "urgency": None,
        "products": ["wire"],
        "subject": [[f"topic {chance.randrange(_SUBJECTS)}", ""]],
        "person": [],
        "organisation": [],
        "place": [],
    }
    uri = f"urn:made:{seq}"
    return FactRow(seq, uri, "en", chance.randrange(_YEARS_S) * _SECOND, facts, uri)


def _kind(name: str) -> Node:
    return Keyword("type", (name,))


def _subject(chance: random.Random) -> Node:
    return Keyword("subject", (f"topic {chance.randrange(_SUBJECTS)}",))


def _place(chance: random.Random) -> Place:
    return Place(chance.randrange(_YEARS_S) * _SECOND, 0)


def _page(
    columns: Columns,
    filters: Node = EVERYTHING,
    after: Place | None = None,
    skip: int = 0,
) -> Browsed:
    """Return a page as the engine makes it, with no bitmap kept from before."""
    view = columns.view()
    allowed = view.allowed(_CALLER.products, filters)
    lexical = cast("LexicalReader", None)  # facts ask for no words
    moment = Moment(view, lexical, {}, allowed, False, 0, {})
    asked = Retrieval(EVERYTHING, _CALLER, filters)
    request = Browse(asked, _SIZE, after, skip)
    return browse(moment, request, matching(moment, request))


def _facets(columns: Columns) -> None:
    every = np.flatnonzero(columns.view().allowed(_CALLER.products, EVERYTHING))
    for name in ("type", "subject"):
        count_facets(columns, every, name, 20, DateBuckets())


def _written(columns: Columns, chance: random.Random) -> None:
    seq = columns.size
    columns.append([_row(chance, seq)])
    columns.set_visible([seq], [])
    _page(columns)


if __name__ == "__main__":
    main()
