"""The archive as a few dicts: what is recorded, what of it is shown, and to whom.

Every version of every item has a made-up word of its own, in each of its members and names. So a
word on a surface says which version it comes from, and whether it may be there.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.callers import OPERATOR, Caller
from core.items import Concept, Item, ItemType, MediaFile, PubStatus, Shot
from core.standing import Hiding
from core.writes import Outcome, SetStatus
from storage.record.source_facts import DOCUMENT_FIELDS
from tests.search.room import story
from tests.storage.hold_model import HoldModel, changed, has_one


def _word(key: str) -> str:
    """Ten letters, no two words near each other."""
    letters = random.Random(f"guard {key}")
    return "".join(letters.choice("bdfgklmnprtvz") + letters.choice("aiou") for _ in range(5))


VERSIONS = range(1, 7)
URIS = tuple(f"urn:{_word(name)}" for name in "abcde")
UNKNOWN = f"urn:{_word('unknown')}"
MARKS = {(uri, version): _word(f"{uri} {version}") for uri in URIS for version in VERSIONS}
SHARED = ("Coast", "Valley")
_TEXTS = {name: " ".join(f"{name}{n}" for n in range(80)) for name in SHARED}  # fold together
_OWN = frozenset((*MARKS.values(), *(uri[4:] for uri in URIS)))
_WORD = re.compile(r"[a-z]+")


def own_words(shown: object) -> set[str]:
    """The words in what is shown that only one item or version has."""
    return set(_WORD.findall(str(shown).casefold())) & _OWN


def words_of(items: Iterable[Item]) -> set[str]:
    """The words that showing `items` may bring."""
    return {word for item in items for word in (MARKS[item.uri, item.version], item.uri[4:])}


def version_of(
    uri: str, version: int, shared: str = "Coast", carries: str = "", **members: object
) -> Item:
    """A version with its word everywhere. Who has a name of `shared` has one code: such names are
    aliases of each other, as far as they are seen. Its document `carries` a copy of another item's
    first version.
    """
    mark = MARKS[uri, version]
    return story(
        uri,
        f"common {mark}",
        version=version,
        description=f"about {mark}",
        body=f"common body of {mark} {_TEXTS[shared]}",
        person=(Concept(f"Ana {mark}", f"id:{shared}"),),
        organisation=(Concept(f"{mark} lines"), Concept(shared)),
        place=(Concept(f"port {mark}", mark), Concept(shared)),
        subject=(Concept(f"{mark} trade", f"medtop:{mark}"), Concept(shared)),
        rights=(f"for {mark}", shared),
        source={"associations": {"main": copy_of(carries)}, "links": [carries]} if carries else {},
        **{**_media(mark), **members},
    )


def copy_of(uri: str) -> dict[str, str]:
    """What a document has of an item that it carries."""
    return {"uri": uri, "headline": f"common {MARKS[uri, 1]}", "rel": "main"}


def _media(mark: str) -> dict[str, object]:
    """What is seen of a version: a file, what a machine says of it, and two shots."""
    media = MediaFile(f"/{mark}.mp4", mark, "video/mp4", len(mark), thumbnail=mark, preview=mark)
    shots = (
        Shot(0, 4, 0, 99, "start", f"shot of {mark}", thumbnail=mark),
        Shot(4, 8, 100, 199, "cut", f"frame of {mark}", f"machine {mark}", thumbnail=mark),
    )
    return {"media": media, "caption": f"seen {mark}", "caption_by": mark, "shots": shots}


@dataclass
class Recorded:
    """A version as it was sent, as it is now, and when it was written."""

    sent: Item
    item: Item
    order: int

    @property
    def age(self) -> tuple[datetime, int]:
        return (self.item.versioncreated, self.order)


@dataclass
class Model:
    """The rules of the record and of visibility, said once more. Versions are oldest first."""

    versions: dict[str, list[Recorded]] = field(default_factory=dict)
    holds: HoldModel = field(default_factory=HoldModel)
    writes: int = 0

    def put(self, item: Item) -> Outcome:
        versions = self.versions.setdefault(item.uri, [])
        newest = versions[-1] if versions else None
        if newest is not None and item.version < newest.sent.version:
            return Outcome.STALE
        if newest is None or item.version > newest.sent.version:
            self.writes += 1
            versions.append(Recorded(item, self._held(item, item, new=True), self.writes))
            return Outcome.CREATED if newest is None else Outcome.SUPERSEDED
        if replace(newest.sent, products=item.products) != item:
            return Outcome.CONFLICT
        if newest.sent.products == item.products:
            return Outcome.UNCHANGED
        self.writes += 1
        kept = replace(newest.item, products=item.products)
        versions[-1] = Recorded(item, self._held(item, kept, new=False), self.writes)
        return Outcome.UPDATED

    def _held(self, item: Item, as_it_is: Item, *, new: bool) -> Item:
        own = (as_it_is.pubstatus, as_it_is.embargoed)
        status, until = self.holds.put(item.uri, item.products, own, new=new)
        return replace(as_it_is, pubstatus=status, embargoed=until)

    def set_status(self, change: SetStatus, by: Caller = OPERATOR) -> Outcome:
        versions = self.versions.get(change.uri)
        if not versions or not has_one(by.writes, versions[-1].item.products):
            return self.holds.change(change, by)
        newest = versions[-1]
        self.holds.change(change, by, newest.item.products)
        status, until = changed(change, (newest.item.pubstatus, newest.item.embargoed))
        now = replace(newest.item, pubstatus=status, embargoed=until)
        outcome = Outcome.UNCHANGED if now == newest.item else Outcome.UPDATED
        newest.item = now
        return outcome

    def shown(self, uri: str, now: datetime) -> list[Recorded]:
        """The version that an item shows and those before it, newest first; entitlement aside."""
        rest = self.versions.get(uri, [])[::-1]
        while rest:
            newest = rest[0].item
            if newest.pubstatus is not PubStatus.USABLE or is_over(newest, now):
                return []
            if not waits(newest, now):
                usable = [one for one in rest if one.item.pubstatus is PubStatus.USABLE]
                return [one for one in usable if not waits(one.item, now)]
            rest.pop(0)
        return []

    def stories(self, now: datetime) -> list[list[Recorded]]:
        """Each story's chain view for those who may see all of it: the head, then newest first."""
        found: dict[str, list[list[Recorded]]] = {}
        for uri, versions in self.versions.items():
            if shown := self.shown(uri, now):
                found.setdefault(versions[-1].item.chain, []).append(shown)
        views: list[list[Recorded]] = []
        for members in found.values():
            head = max((shown[0] for shown in members), key=lambda one: one.age)
            rest = [one for shown in members for one in shown if one is not head]
            views.append([head, *sorted(rest, key=lambda one: one.age, reverse=True)])
        return views

    def views(self, caller: Caller, now: datetime) -> list[list[Recorded]]:
        """The chain views that a caller gets: none without a right to the head."""
        return [
            [one for one in view if may_see(caller, one.item)]
            for view in self.stories(now)
            if may_see(caller, view[0].item)
        ]

    def heads(self, caller: Caller, now: datetime) -> dict[str, Item]:
        """What the caller may find, by uri."""
        return {view[0].item.uri: view[0].item for view in self.views(caller, now)}

    def chain(self, uri: str, caller: Caller, now: datetime) -> list[Item]:
        """The chain view that has `uri`."""
        for view in self.views(caller, now):
            if uri in {one.item.uri for one in view}:
                return [one.item for one in view]
        return []

    def would_be_hidden(self, uri: str, products: Iterable[str], now: datetime) -> bool:
        """Whether what holds a uri that is not recorded hides what has these products."""
        binding = (
            hold
            for writes, hold in self.holds.held.get(uri, {}).items()
            if has_one(writes, products)
        )
        return any(
            status is not PubStatus.USABLE or (until is not None and until > now)
            for status, until in binding
        )

    def hiding(self, uri: str, now: datetime) -> Hiding:
        """What keeps an item from every answer, whoever asks."""
        if not self.versions.get(uri):
            return Hiding.UNKNOWN
        if self.shown(uri, now):
            heads = {view[0].item.uri for view in self.stories(now)}
            return Hiding.NOTHING if uri in heads else Hiding.SUPERSEDED
        for one in reversed(self.versions[uri]):
            if one.item.pubstatus is not PubStatus.USABLE:
                return Hiding(one.item.pubstatus.value)
            if is_over(one.item, now):
                return Hiding.EXPIRED
        return Hiding.EMBARGOED


def waits(item: Item, now: datetime) -> bool:
    return item.embargoed is not None and item.embargoed > now


def is_over(item: Item, now: datetime) -> bool:
    return item.expires is not None and item.expires <= now


def may_see(caller: Caller, item: Item) -> bool:
    return bool(caller.products & set(item.products))


def values(item: Item, name: str) -> Sequence[str]:
    """What an item brings to a facet, casefolded."""
    if name == "versioncreated":
        return (item.versioncreated.strftime("%Y-%m"),)
    if name in ("type", "language"):
        return (str(getattr(item, name)).casefold(),)
    if name in DOCUMENT_FIELDS:
        return ()  # no document of the model has any
    if name == "rights":
        return [word.casefold() for word in item.rights]
    return [concept.name.casefold() for concept in getattr(item, name)]


def counted(items: Iterable[Item], name: str) -> dict[str, int]:
    """A facet: value to the number of items."""
    return dict(Counter(value for item in items for value in set(values(item, name))))


TYPES = (ItemType.TEXT, ItemType.PICTURE, ItemType.VIDEO)
