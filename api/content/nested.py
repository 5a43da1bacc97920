"""Filters what stands inside an item's document: other items, their uris, and addresses.

A document may contain other items, as `associations` do, and name them by uri anywhere. A recorded
item has its own rights and state. So the guard is asked, and an answer gives what this caller may
see at this moment, never the document's old copy:

- An object with the `uri` of an item is replaced by that item as it is shown now, or left out.
- An object that names an item in another member, and a text that is an item's uri, stay if the
  caller may know of that item.
- What was never recorded has the rights of the item around it.
- An address is passed on only as absolute http or https, without a user's name and password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from api.formats.carried import CarriedMembers
from core.callers import Caller
from core.items import Item
from core.media_words import MEDIA_WORDS
from core.ports.engine import Sights
from core.standing import Sight

Tree = Mapping[str, Any]
Carried = Callable[[Item, dict[str, Any]], dict[str, Any]]

MOST_URI = 2_048  # characters; no item has a longer uri
# A document can't speak for a machine.
MADE_HERE = frozenset({"shots", "machine_caption", *MEDIA_WORDS})
# Entitlements: only writers of the item may know which products may see it.
PRIVATE = frozenset({"products", "meta"})
_LEFT_OUT = MADE_HERE | PRIVATE
_OF_THE_LINK = ("name", "rel", "role")  # members that describe the association, not its item
_ADDRESSES = frozenset({"href", "src", "url", "contenturl", "thumbnailurl"})
_ALTIDS, _RENDITIONS, _URI, _DOCUMENT = "altids", "renditions", "uri", ""
_NAMING = frozenset({_URI, _ALTIDS})  # where any text could be the uri of an item
_CHECKED = _ADDRESSES | _NAMING  # where a text without a colon may be left out too
_WITH_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(//)?\S*", re.IGNORECASE)
# An http or https address with a host, without a user's name and password.
_SAFE_ADDRESS = re.compile(
    r"https?://(?:\[[0-9a-f:.]+\]|[^\s\x00-\x20\x7f/?#@:\[\]\\]+)(?::[0-9]{1,5})?"
    r"(?:[/?#][^\s\x00-\x20\x7f\\]*)?",
    re.IGNORECASE,
)
_NO_ADDRESS = frozenset({"javascript", "vbscript", "data", "file", "blob"})
_LONGEST_KEPT = 200  # characters
_GONE = object()


@lru_cache(4096)
def plain_name(name: str) -> str:
    """Return a member's name in one spelling; ninjs has `versionCreated` and `versioncreated`, and
    names with `$`.
    """
    return name.lower().removeprefix("$")


def look_inside(
    library: Sights, caller: Caller, documents: Iterable[tuple[Item, Tree]], carried: Carried
) -> Inside:
    """Return what the guard says of all items inside an answer's documents, and of the uris that
    name its stories, in one call; no call if there are none.

    `documents` has each document with its item. `carried` returns the members of an item inside
    another one, from that item and its document's renditions.
    """
    named: dict[str, set[str]] = {}
    looks: list[_Named] = []
    for item, document in documents:
        look = _Named()
        look.in_document(document)
        if item.chain != item.uri:
            look.uris.append(item.chain)
        looks.append(look)
        for uri in look.uris:
            named.setdefault(uri, set()).update(item.products)
    sights = library.sights(named, caller) if named else {}
    plain = [look.plain(sights.keys()) for look in looks]
    return Inside(named.keys(), sights, carried, plain, [look.uris for look in looks])


@dataclass(frozen=True, slots=True)
class Inside:
    """What the guard says of the items inside an answer's documents. A uri that was not `asked`
    about is treated as hidden, so that nothing is told by mistake. `plain` has the members of each
    document that are shown as they are: they name no item, and nothing in them is left out.
    """

    asked: AbstractSet[str]
    sights: Mapping[str, Sight]
    carried: Carried
    plain: Sequence[AbstractSet[str]] = ()
    named: Sequence[Collection[str]] = ()  # by each document

    def may_name(self, uri: str) -> bool:
        """Return whether the caller may be told this uri: it is not an item's, or the caller may
        see its item.
        """
        sight = self.sights.get(uri)
        return uri in self.asked and (sight is None or sight.in_chain)

    def members(
        self, place: int, document: Mapping[str, Any], private: AbstractSet[str]
    ) -> dict[str, Any]:
        """Return the members of the document at a place that the caller may see. No object inside
        it keeps a member called `private`, which is of `PRIVATE`.
        """
        plain = self.plain[place]
        others = {name: member for name, member in document.items() if name not in plain}
        if not others:
            return dict(document)
        alone = _Look(Inside(frozenset(), {}, self.carried), private | MADE_HERE, None)
        shown = _Look(self, alone.left_out, alone).members(others, _DOCUMENT)
        kept = [name for name in document if name in plain or name in shown]
        return {name: shown[name] if name in shown else document[name] for name in kept}


@dataclass(frozen=True, slots=True)
class _Look:
    """One walk through a document: gives each value as it is shown, or `_GONE`. `left_out` members
    are removed from every object. `alone` is the walk for documents that the guard was not asked
    about; it shows no item inside them.

    A value's place is the name of the member that has it; everything within alternative ids is in
    `altids`, at any depth.
    """

    inside: Inside
    left_out: AbstractSet[str]
    alone: _Look | None

    def members(self, tree: Tree, place: str) -> dict[str, Any]:
        """Return the members of an object at a place that are shown."""
        kept: dict[str, Any] = {}
        for name, member in tree.items():
            inner = place if place == _ALTIDS else plain_name(name)
            plain = type(member) is str and ":" not in member and inner not in _CHECKED
            shown = member if plain else self.shown(member, inner)
            if shown is not _GONE and not (":" in name and self._hides(name, _DOCUMENT)):
                kept[name] = shown
        return kept

    def shown(self, value: Any, place: str) -> Any:
        if isinstance(value, str):
            passes = is_passed_on(value, place) and not self._hides(value, place)
            return value if passes else _GONE
        if isinstance(value, list):
            kept = [one for one in (self.shown(e, place) for e in value) if one is not _GONE]
            return kept if kept or not value else _GONE
        is_object = isinstance(value, (dict, Mapping))  # the first is faster
        return self._object(value, place) if is_object else value

    def _object(self, tree: Tree, place: str) -> Any:
        sight = self.inside.sights.get(_own_uri(tree)) if self.inside.sights else None
        if sight is not None:
            return _GONE if sight.item is None else self._item(sight.item, tree)
        kept = self.members(tree, place)
        lost = [name for name in tree if name not in kept] if len(kept) < len(tree) else ()
        if any(self._names_hidden(tree[name], _inner(place, name)) for name in lost):
            return _GONE  # the object is about an item that the caller may not know of
        if not self.left_out.isdisjoint(map(plain_name, kept)):
            kept = {
                name: one for name, one in kept.items() if plain_name(name) not in self.left_out
            }
        return kept if kept or not tree else _GONE

    def _item(self, item: Item, tree: Tree) -> dict[str, Any]:
        own = {name: tree[name] for name in tree if plain_name(name) in _OF_THE_LINK}
        said = {
            name: text
            for name, text in self.members(own, _DOCUMENT).items()
            if isinstance(text, str)
        }
        carried = self.inside.carried(item, self._renditions(item))
        return CarriedMembers.of(item.uri, {**carried, **said})

    def _renditions(self, item: Item) -> dict[str, Any]:
        """Return the renditions in the item's own document."""
        named = (member for name, member in item.source.items() if plain_name(name) == _RENDITIONS)
        shown = (self.alone or self).shown(next(named, {}), _RENDITIONS)
        return {} if shown is _GONE else {_RENDITIONS: shown}

    def _names_hidden(self, member: Any, place: str) -> bool:
        """Return whether a member names a hidden item. Alternative ids are not tested here, because
        each is left out by itself.
        """
        return place != _ALTIDS and isinstance(member, str) and self._hides(member, place)

    def _hides(self, text: str, place: str) -> bool:
        """Return whether a text is the uri of an item that the caller may not know of."""
        uri = _possible_uri(text, place)
        return bool(uri) and not self.inside.may_name(uri)


def is_passed_on(text: str, name: str) -> bool:
    """Return whether the text of a member `name` may go into an answer: it is a safe address, or no
    address. In a member for addresses, such as `href`, it must be a safe address.
    """
    if name in _ADDRESSES:
        return _SAFE_ADDRESS.fullmatch(text) is not None
    scheme = _WITH_SCHEME.fullmatch(text) if ":" in text else None
    if scheme is None:
        return True
    if scheme[2]:
        return _SAFE_ADDRESS.fullmatch(text) is not None
    return scheme[1].lower() not in _NO_ADDRESS


def _own_uri(tree: Tree) -> str:
    named = (m for n, m in tree.items() if plain_name(n) == _URI and isinstance(m, str))
    return next(named, "").strip()


@dataclass(slots=True)
class _Named:
    """What a document names: every text that could be an item's uri, members' names included.
    `members` has those texts of each of its members, None for one with a text that is not passed
    on, or with an object inside of which a member may be left out.
    """

    uris: list[str] = field(default_factory=list)
    members: dict[str, list[str] | None] = field(default_factory=dict)
    passes: bool = True

    def in_document(self, document: Tree) -> None:
        """Look at a whole document."""
        for name, member in document.items():
            before, self.passes = len(self.uris), True
            self._in_member(name, plain_name(name), member)
            self.members[name] = self.uris[before:] if self.passes else None

    def plain(self, items: AbstractSet[str]) -> AbstractSet[str]:
        """Return the members that are shown as they are, where `items` are the uris of items."""
        return {
            name
            for name, uris in self.members.items()
            if uris is not None and items.isdisjoint(uris)
        }

    def _in_member(self, name: str, inner: str, member: Any) -> None:
        if ":" in name:
            self._in_text(name, _DOCUMENT)
        if type(member) is not str or ":" in member or inner in _CHECKED:
            self._in_value(member, inner)

    def _in_value(self, value: Any, place: str) -> None:
        if isinstance(value, str):
            self._in_text(value, place)
        elif isinstance(value, list):
            for entry in value:
                self._in_value(entry, place)
        elif isinstance(value, (dict, Mapping)):  # the first is faster
            for name, member in value.items():
                plain = plain_name(name)
                if plain in _LEFT_OUT:
                    self.passes = False
                self._in_member(name, place if place == _ALTIDS else plain, member)

    def _in_text(self, text: str, place: str) -> None:
        look = _kept_reading if len(text) <= _LONGEST_KEPT else _reading
        passes, uri = look(text, place if place in _CHECKED else _DOCUMENT)
        if uri:
            self.uris.append(uri)
        if not passes:
            self.passes = False


def _reading(text: str, place: str) -> tuple[bool, str]:
    """Return whether a text at a place is passed on, and the uri that it could be."""
    return is_passed_on(text, place), _possible_uri(text, place)


_kept_reading = lru_cache(16_384)(_reading)  # the same concepts stand in many documents


def _inner(place: str, name: str) -> str:
    """Return the place of the member `name` of an object at a place."""
    return place if place == _ALTIDS else plain_name(name)


def _possible_uri(text: str, place: str) -> str:
    """Return a text as a uri if it could be an item's, else "". In `uri` and in alternative ids any
    text could be; elsewhere only text with a scheme and without blanks.
    """
    if place not in _NAMING and ":" not in text:
        return ""
    uri = text.strip()
    could_be = place in _NAMING or _WITH_SCHEME.fullmatch(uri)
    return uri if could_be and len(uri) <= MOST_URI else ""
