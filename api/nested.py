"""What stands inside of an item's document: other items, their uris, and addresses.

A document may carry other items whole, as `associations` do, and name them by their uris wherever
it likes. What the record knows has rights and a state of its own, so the guard is asked, and an
answer gives what this caller is shown at this moment, never what the document once copied:

- An object with the `uri` of an item is that item: as it is shown now, or not there at all.
- An object that names an item in another member, and a text that is an item's uri, stay where the
  caller may know of that item.
- What was never recorded has the rights of the item that it stands in.
- An address is passed on only as absolute http or https, without a user's name and password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from core.callers import Caller
from core.items import Item
from core.ports import Library
from core.standing import Sight

Tree = Mapping[str, Any]
Carried = Callable[[Item, dict[str, Any]], dict[str, Any]]

MOST_URI = 2_048  # characters: no item has a longer one
MADE_HERE = frozenset({"shots", "machine_caption"})  # a document can't speak for a machine
_OF_THE_LINK = ("name", "rel", "role")  # what an association says of itself, not of its item
_ADDRESSES = frozenset({"href", "src", "url", "contenturl", "thumbnailurl"})
_ALTIDS, _RENDITIONS, _URI = "altids", "renditions", "uri"
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(//)?", re.IGNORECASE)
_NO_ADDRESS = frozenset({"javascript", "vbscript", "data", "file", "blob"})
_GONE = object()


def plain_name(name: str) -> str:
    """A member's name in one spelling: ninjs has `versionCreated` and `versioncreated`, and `$`."""
    return name.lower().removeprefix("$")


def look_inside(
    library: Library,
    caller: Caller,
    documents: Iterable[Tree],
    named: Iterable[str],
    carried: Carried,
) -> Inside:
    """What the guard says of all items inside of the `documents` of an answer and of those that are
    `named` beside them, in one look; none where there is nothing to look at. `carried` gives the
    members of an item that stands inside of another, from it and its document's renditions.
    """
    asked = {*named}
    for document in documents:
        asked.update(_uris_in(document, _Place()))
    sights = library.sights(asked, caller) if asked else {}
    return Inside(asked, sights, carried)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands: in which member, and whether that is one of alternative ids."""

    name: str = ""
    is_id: bool = False

    def of(self, name: str) -> _Place:
        """The place of the member `name` of an object here."""
        plain = plain_name(name)
        return _Place(plain, self.is_id or plain == _ALTIDS)

    def uri(self, text: str) -> str:
        """The text as a uri where it could be an item's, else "": anything in `uri` and in
        alternative ids, elsewhere what has a scheme and no blanks.
        """
        uri = text.strip()
        could_be = self.name == _URI or self.is_id or _has_scheme(uri)
        return uri if could_be and len(uri) <= MOST_URI else ""


_KEY = _Place()  # of the names of members, which may be uris, too


@dataclass(frozen=True, slots=True)
class Inside:
    """What the guard says of the items inside of an answer's documents. A uri that was not `asked`
    about is taken for a hidden item's, so that nothing is told by mistake.
    """

    asked: AbstractSet[str]
    sights: Mapping[str, Sight]
    carried: Carried

    def may_name(self, uri: str) -> bool:
        """Whether the caller may be told this uri: no item's, or that of one the caller sees."""
        sight = self.sights.get(uri)
        return uri in self.asked and (sight is None or sight.in_chain)

    def members(self, document: Tree, private: AbstractSet[str]) -> dict[str, Any]:
        """The members of a document, less what the caller may not see. Those called `private` are
        in no object inside of it.
        """
        look = _Look(self, private)
        return dict(look.members(document, _Place()))


@dataclass(frozen=True, slots=True)
class _Look:
    """One way through a document: each value as it is shown, `_GONE` where it is not."""

    inside: Inside
    private: AbstractSet[str]

    def shown(self, value: Any, place: _Place) -> Any:
        if isinstance(value, str):
            return value if self._passes(value, place) else _GONE
        if isinstance(value, list):
            entries = [self.shown(entry, place) for entry in value]
            kept = [entry for entry in entries if entry is not _GONE]
            return kept if kept or not value else _GONE
        return self._object(value, place) if isinstance(value, Mapping) else value

    def _object(self, tree: Tree, place: _Place) -> Any:
        sight = self.inside.sights.get(_own_uri(tree))
        if sight is not None:
            return _GONE if sight.item is None else self._item(sight.item, tree)
        if any(self._names_hidden(member, place.of(name)) for name, member in tree.items()):
            return _GONE  # it is about an item that the caller may not know of
        kept = {
            name: member
            for name, member in self.members(tree, place)
            if plain_name(name) not in self.private | MADE_HERE
        }
        return kept if kept or not tree else _GONE

    def members(self, tree: Tree, place: _Place) -> Iterator[tuple[str, Any]]:
        """The members of an object at a place, as far as they are shown."""
        for name, member in tree.items():
            shown = _GONE if self._hides(name, _KEY) else self.shown(member, place.of(name))
            if shown is not _GONE:
                yield name, shown

    def _names_hidden(self, member: Any, place: _Place) -> bool:
        """Whether a member names a hidden item; alternative ids are left out one by one."""
        return not place.is_id and isinstance(member, str) and self._hides(member, place)

    def _item(self, item: Item, tree: Tree) -> dict[str, Any]:
        own = {n: m for n, m in tree.items() if plain_name(n) in _OF_THE_LINK}
        texts = {n: m for n, m in own.items() if isinstance(m, str) and self._passes(m, _Place(n))}
        return {**self.inside.carried(item, self._renditions(item)), **texts}

    def _renditions(self, item: Item) -> dict[str, Any]:
        """What the item's own document says of its renditions. Nobody asked which items are inside
        of that: none is shown.
        """
        said: Any = next((m for n, m in item.source.items() if plain_name(n) == _RENDITIONS), {})
        alone = _Look(replace(self.inside, asked=frozenset(), sights={}), self.private)
        shown = alone.shown(said, _Place().of(_RENDITIONS))
        return {} if shown is _GONE else {_RENDITIONS: shown}

    def _passes(self, text: str, place: _Place) -> bool:
        return is_passed_on(text, place.name) and not self._hides(text, place)

    def _hides(self, text: str, place: _Place) -> bool:
        """Whether a text is the uri of an item that the caller may not know of."""
        uri = place.uri(text)
        return bool(uri) and not self.inside.may_name(uri)


def is_passed_on(text: str, name: str) -> bool:
    """Whether the text of a member `name` may go into an answer: it is a safe address, or none. In
    a member that is made for addresses, such as `href`, it has to be one.
    """
    if name in _ADDRESSES:
        return _is_safe_address(text)
    scheme = _SCHEME.match(text)
    if scheme is None or not _has_scheme(text):
        return True
    return _is_safe_address(text) if scheme[2] else scheme[1].lower() not in _NO_ADDRESS


def _is_safe_address(text: str) -> bool:
    """Whether it is an absolute address of http or https, with a host and without a password."""
    if any(char <= " " or char in "\\\x7f" for char in text):
        return False
    try:
        parts = urlsplit(text)
        return bool(
            parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        )
    except ValueError:
        return False


def _has_scheme(text: str) -> bool:
    """Whether a text without blanks begins as a uri does."""
    return bool(_SCHEME.match(text)) and not any(map(str.isspace, text))


def _own_uri(tree: Tree) -> str:
    named = (m for n, m in tree.items() if plain_name(n) == _URI and isinstance(m, str))
    return next(named, "").strip()


def _uris_in(value: Any, place: _Place) -> Iterator[str]:
    """Every text at a place that could be the uri of an item, members' names included."""
    if isinstance(value, str):
        if uri := place.uri(value):
            yield uri
    elif isinstance(value, list):
        for entry in value:
            yield from _uris_in(entry, place)
    elif isinstance(value, Mapping):
        for name, member in value.items():
            if uri := _KEY.uri(name):
                yield uri
            yield from _uris_in(member, place.of(name))
