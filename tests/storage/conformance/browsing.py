"""Lists by date of an engine, compared with a dict: pages joined are everything that matches."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from core.callers import Caller
from core.items import Item
from core.query_tree import EVERYTHING, Node, Word
from core.retrieval import Browse, FacetRequest, Place, Retrieval, SortOrder
from core.writes import PutItem
from tests.conftest import new_folder
from tests.storage import model
from tests.storage.world import NOW, make_item

Open = Callable[[Path], AbstractContextManager[Any]]
FACETS = tuple(name for name in model.FACETS if name != "product")
SEEN = Caller("all", frozenset(model.PRODUCTS))


@st.composite
def archives(draw: st.DrawFn) -> list[Item]:
    """Items of which many have the same time, some are in no product and some have the word."""
    items = draw(model.items_with_facts())
    more = draw(st.integers(0, 30))
    items += [
        make_item(
            f"urn:more:{number}",
            versioncreated=NOW + timedelta(hours=draw(st.integers(0, 2))),
            products=draw(st.sampled_from((("wire",), ("photos",), ()))),
            headline=draw(st.sampled_from(("zebra", "quagga"))),
        )
        for number in range(more)
    ]
    return items


def check_pages(opened: Open, items: list[Item], data: st.DataObject) -> None:
    """Random filters, orders and sizes over an archive with `items`."""
    folder = new_folder()
    try:
        with opened(folder) as engine:
            for item in items:  # one by one, so that the order grows as it does in use
                engine.put([PutItem(item)])
                if data.draw(st.integers(0, 9)) == 0:
                    _pages(engine, EVERYTHING, EVERYTHING, SortOrder.NEWEST, 2)
            engine.catch_up()
            for _ in range(4):
                filters = data.draw(st.just(EVERYTHING) | model.FILTERS)
                query = data.draw(st.sampled_from((EVERYTHING, Word("zebra"))))
                order = data.draw(st.sampled_from((SortOrder.NEWEST, SortOrder.OLDEST)))
                _agree(engine, items, query, filters, order, data.draw(st.integers(1, 7)))
    finally:
        shutil.rmtree(folder)


def _agree(
    engine: Any, items: list[Item], query: Node, filters: Node, order: SortOrder, size: int
) -> None:
    wanted = [
        item
        for item in items
        if item.products and model.matches(filters, item)
        if query is EVERYTHING or item.headline == "zebra"
    ]
    wanted.sort(key=model.place_of, reverse=order is SortOrder.NEWEST)
    uris = [item.uri for item in wanted]
    assert _pages(engine, query, filters, order, size) == uris
    found = _browse(engine, query, filters, order, size)
    assert found.matches == len(uris)
    for name in FACETS:
        counted = {one.value.casefold(): one.count for one in found.facets[name]}
        assert counted == model.facet(wanted, name), name
    assert sum(one.count for one in found.facets["versioncreated"]) == len(uris)
    for page in range(len(uris) // size + 1):
        found = _browse(engine, query, filters, order, size, skip=page * size)
        assert _uris(engine, found) == uris[page * size :][:size]
        assert found.more == (len(uris) > (page + 1) * size)


def _pages(engine: Any, query: Node, filters: Node, order: SortOrder, size: int) -> list[str]:
    """The uris of all pages, each after the place where the one before ended."""
    uris: list[str] = []
    after: Place | None = None
    while True:
        found = _browse(engine, query, filters, order, size, after)
        uris += _uris(engine, found)
        if not found.more:
            return uris
        after = found.places[-1]


def _browse(
    engine: Any,
    query: Node,
    filters: Node,
    order: SortOrder,
    size: int,
    after: Place | None = None,
    skip: int = 0,
) -> Any:
    asked = Retrieval(query, SEEN, filters, order=order)
    facets = FacetRequest((*FACETS, "versioncreated"), 200)
    return engine.browse(Browse(asked, size, after, skip, facets))


def _uris(engine: Any, found: Any) -> list[str]:
    return _uris_of(engine, found.ids)


def _uris_of(engine: Any, ids: Any) -> list[str]:
    return [item.uri for item in engine.items(ids, SEEN)]
