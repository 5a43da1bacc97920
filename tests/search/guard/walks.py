"""Lists that callers page through while the archive and their rights change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from core.callers import Caller
from core.errors import ExpiredError, NotFoundError
from core.items import Item
from core.query_tree import EVERYTHING, Keyword
from search.answers import Fold, SearchResponse
from tests.search.guard.model import MARKS, SHARED, URIS
from tests.search.guard.surfaces import assert_facets, check
from tests.search.guard.world import World
from tests.storage.model import matches, place_of

Asked = Mapping[str, Any]
QUERIES: tuple[Asked, ...] = (
    {"q": ""},
    {"q": "", "open_facets": ("place",), "filters": Keyword("place", SHARED[:1])},
    {"q": "", "fold": Fold.NEAR_DUPLICATES},
    {"q": "common", "profile": "vector"},
    {"q": f"common ana {MARKS[URIS[0], 1][:-1]}"},  # a name that is known by its spelling
    {"q": "common", "fold": Fold.NEAR_DUPLICATES},
    *({"q": "", "similar_to": uri} for uri in URIS[1::-1]),
)


@dataclass(frozen=True)
class Walk:
    """Whose list it is, what was asked, and where it goes on: a list by date after its `last` hit,
    another list in `frozen`, which is what was on it, each hit with what was folded under it.
    `others` is what else the caller saw. An item is told by the order of its writing.
    """

    caller: Caller
    asked: Asked
    frozen: tuple[tuple[int, ...], ...]
    others: frozenset[int]
    cursor: str
    last: Item

    @property
    def is_by_date(self) -> bool:
        return self.cursor.startswith("b.")

    def next_page(self, world: World, caller: Caller) -> SearchResponse:
        return world.ask(caller=caller, cursor=self.cursor, page_size=1, **self.asked)


@dataclass
class Walks:
    """The lists that are being paged through; `now` gives a caller's rights of this moment."""

    world: World
    now: Callable[[str], Caller]
    open: list[Walk] = field(default_factory=list)

    def begin(self, name: str, asked: Asked) -> None:
        """Asks for the whole list, then for its first page."""
        caller = self.now(name)
        if asked.get("similar_to", "") not in ("", *self.world.heads(caller)):
            asked = QUERIES[0]
        whole = self.world.ask(caller=caller, **asked)
        check(self.world, whole, caller)
        first = self.world.ask(caller=caller, page_size=1, **asked)
        assert [hit.item for hit in first.hits] == [hit.item for hit in whole.hits][:1]
        orders = {item.uri: order for order, item in self._heads(caller).items()}
        frozen = tuple(
            tuple(orders[uri] for uri in (hit.item.uri, *hit.near_duplicates)) for hit in whole.hits
        )
        if first.cursor:
            self.open.append(
                Walk(
                    caller,
                    asked,
                    frozen,
                    frozenset(orders.values()),
                    first.cursor,
                    first.hits[0].item,
                )
            )

    def look(self, *, move: bool) -> None:
        """Reads every next page, and with `move` goes on from it."""
        walks, self.open = self.open, []
        for walk in walks:
            caller = self.now(walk.caller.name)
            if caller != walk.caller:  # granted or revoked since
                with pytest.raises(ExpiredError):
                    walk.next_page(self.world, caller)
                cursor, last = walk.cursor, walk.last
            elif walk.is_by_date:
                cursor, last = self._next_by_date(walk)
            else:
                cursor, last = self._next(walk), walk.last
            if cursor:
                self.open.append(replace(walk, cursor=cursor, last=last) if move else walk)

    def try_with(self, name: str) -> None:
        """Nobody else can read on."""
        for walk in self.open:
            if walk.caller.name != name:
                with pytest.raises(ExpiredError):
                    walk.next_page(self.world, self.now(name))

    def after_a_restart(self) -> None:
        """Lists by date and shared lists go on; those in memory are gone with the process, and
        cursors say so.
        """
        if not self.world.shared:
            for walk in self.open:
                if not walk.is_by_date:
                    with pytest.raises(ExpiredError):
                        walk.next_page(self.world, walk.caller)
            self.open = [walk for walk in self.open if walk.is_by_date]
        self.look(move=False)

    def _next(self, walk: Walk) -> str:
        """The rest of the frozen list without what is hidden by now; the cursor after its page."""
        if walk.asked.get("similar_to", "") not in ("", *self.world.heads(walk.caller)):
            with pytest.raises(NotFoundError):
                walk.next_page(self.world, walk.caller)
            return walk.cursor
        answer = walk.next_page(self.world, walk.caller)
        check(self.world, answer, walk.caller)
        heads = self._heads(walk.caller)
        left = [tuple(heads[n].uri for n in group if n in heads) for group in walk.frozen]
        rest = [group for group in left[int(walk.cursor.split(".")[1]) :] if group]
        shown = [(hit.item.uri, *hit.near_duplicates) for hit in answer.hits]
        assert shown == rest[:1]
        assert bool(answer.cursor) == (len(rest) > 1)
        hits = [self.world.heads(walk.caller)[group[0]] for group in left if group]
        assert answer.total.value == len(hits)
        others = [item for order, item in heads.items() if order in walk.others]
        assert_facets(answer, hits, dict.fromkeys(walk.asked.get("open_facets", ()), others))
        return answer.cursor

    def _next_by_date(self, walk: Walk) -> tuple[str, Item]:
        """What matches by now after the last hit that was seen; the cursor after it and the hit."""
        answer = walk.next_page(self.world, walk.caller)
        check(self.world, answer, walk.caller)
        heads = [*self._heads(walk.caller).values()]
        matching = [item for item in heads if matches(walk.asked.get("filters", EVERYTHING), item)]
        rest = [item for item in matching if place_of(item) < place_of(walk.last)]
        rest.sort(key=place_of, reverse=True)
        assert [hit.item.uri for hit in answer.hits] == [item.uri for item in rest[:1]]
        assert bool(answer.cursor) == (len(rest) > 1)
        assert answer.total.value == answer.depth == len(matching)
        assert_facets(answer, matching, dict.fromkeys(walk.asked.get("open_facets", ()), heads))
        return answer.cursor, answer.hits[0].item if answer.hits else walk.last

    def _heads(self, caller: Caller) -> dict[int, Item]:
        """What the caller may find, by the order of writing."""
        now = self.world.room.now
        return {view[0].order: view[0].item for view in self.world.model.views(caller, now)}
