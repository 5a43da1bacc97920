"""Keeps items as bytes of JSON that are the same for every customer who may see the item.

A kept form says nothing of who may see it: the guard is asked for the item first, at every answer.
What an item carries, and which other items it names, depends on the caller and the moment. So the
guard is asked about the names in a kept form, too, and the form is used where it says the same as
when the form was made.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple

import orjson

from api.content.answer_size import Cut
from api.envelope import written
from api.formats.items import ItemView, Made, made_items, share_of
from core.items import Item
from core.ports.engine import Sights
from core.standing import Head, Sight

_MOST_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Form:
    """An item as JSON. `names` are the texts in it that could be an item's uri, each with the
    products with which it is named; `sights` what the guard said of those that are items' uris: the
    version that is shown, and whether the item may be named. `carried` are the items inside it.
    """

    body: bytes
    names: AbstractSet[str]
    products: AbstractSet[str]
    sights: Mapping[str, Hashable]
    carried: tuple[Head, ...]

    def holds(self, sights: Mapping[str, Sight]) -> bool:
        """Return whether the guard says the same of all names."""
        if not self.sights:
            return self.names.isdisjoint(sights.keys())
        return self.sights == _seen({name: sights[name] for name in self.names & sights.keys()})


class KeptForms:
    """The forms that were made last, by the version of the item and what the view shows of it.
    Thread-safe.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._forms: OrderedDict[tuple[Hashable, Hashable], Form] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    @property
    def count(self) -> int:
        """How many are kept."""
        return len(self._forms)

    def of(
        self, heads: Collection[Head], view: ItemView, library: Sights, share: int
    ) -> Mapping[int, Form]:
        """Return the kept forms of heads that the guard lets through, by their id, each of at most
        `share` bytes. None for a caller who writes, because it is shown members that others are not
        shown.
        """
        if view.caller.may_write:
            return {}
        shown, known = _shown(view), dict[int, Form]()
        with self._lock:
            for head in heads:
                key = _state(head.id, head), shown
                form = self._forms.get(key)
                if form is not None and len(form.body) <= share:
                    self._forms.move_to_end(key)
                    known[head.id] = form
        named: dict[str, set[str]] = {}
        for form in known.values():
            for name in form.names:
                if name in named:
                    named[name].update(form.products)
                else:
                    named[name] = set(form.products)
        sights = library.sights(named, view.caller) if named else {}
        return {id_: form for id_, form in known.items() if form.holds(sights)}

    def keep(self, head: Head, item: Item, view: ItemView, made: Made) -> None:
        """Keep an item's form, unless it has media: their addresses are signed for one key."""
        inside = [item, *(sight.item for sight in made.sights.values() if sight.item is not None)]
        if (
            head.id <= 0
            or view.caller.may_write
            or made.cut
            or any(one.media or one.shots for one in inside)
        ):
            return
        form = Form(
            written(made.members),
            made.names,
            {code for one in inside for code in one.products},
            _seen(made.sights),
            tuple(Head(one.uri, one.version, 0, one.products) for one in made.carried),
        )
        key = _state(head.id, item), _shown(view)  # the item was read after its head
        with self._lock:
            self._forget(key)
            self._forms[key] = form
            self._bytes += len(form.body)
            while self._bytes > self._most:
                self._forget(next(iter(self._forms)))

    def _forget(self, key: tuple[Hashable, Hashable]) -> None:
        form = self._forms.pop(key, None)
        if form is not None:
            self._bytes -= len(form.body)


class ToldItem(NamedTuple):
    """An item's members, or the JSON of them, and which are cut."""

    item: Any
    cut: Cut


def told_items(
    heads: Mapping[int, Head],
    read: Callable[[Collection[int]], Mapping[int, Item]],
    view: ItemView,
    library: Sights,
    share: int,
    kept: KeptForms | None,
    shape: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> dict[int, ToldItem]:
    """Return the members of versions that the guard lets through, by their id: a kept form, else
    the members of the item that `read` returns, shaped and each within `share` bytes. One that
    `read` does not return is left out.
    """
    forms = {} if kept is None else kept.of(heads.values(), view, library, share)
    told = {id_: ToldItem(orjson.Fragment(form.body), {}) for id_, form in forms.items()}
    items = read(heads.keys() - forms.keys())
    made = made_items([*items.values()], view, library, share) if items else ()
    for (id_, item), each in zip(items.items(), made, strict=True):
        shaped = each._replace(members=shape(each.members))
        told[id_] = ToldItem(shaped.members, shaped.cut)
        if kept is not None:
            kept.keep(heads[id_], item, view, shaped)
    if forms:
        view.receive([one for id_, form in forms.items() for one in (heads[id_], *form.carried)])
    return told


def told_versions(
    versions: Sequence[tuple[int, Item]],
    view: ItemView,
    library: Sights,
    kept: KeptForms | None,
    shape: Callable[[dict[str, Any]], dict[str, Any]] = dict,
) -> list[ToldItem]:
    """Return the members of items that were read already, in order. Each comes with the engine's
    number of its version, or 0 if that is not known.
    """
    items = {id_ or -n: item for n, (id_, item) in enumerate(versions, start=1)}
    heads = {
        id_: Head(item.uri, item.version, id_, item.products, item.embargoed, item.expires)
        for id_, item in items.items()
    }

    def read(ids: Collection[int]) -> dict[int, Item]:
        return {id_: item for id_, item in items.items() if id_ in ids}

    told = told_items(heads, read, view, library, share_of(len(versions)), kept, shape)
    return [told[id_ or -n] for n, (id_, _) in enumerate(versions, start=1)]


def _seen(sights: Mapping[str, Sight]) -> dict[str, Hashable]:
    return {
        name: (sight.in_chain, sight.item and _state(sight.id, sight.item))
        for name, sight in sights.items()
    }


def _state(id_: int, version: Head | Item) -> Hashable:
    """Return what an item's members depend on: the version, and its facts that may change. After a
    restore another item may have its number.
    """
    return id_, version.uri, version.version, version.embargoed, version.expires


def _shown(view: ItemView) -> Hashable:
    """Return what a view shows of an item that is the same for everybody."""
    return frozenset(view.include), frozenset(view.exclude), view.whole, view.addresses
