"""The archive as a few dicts: what is recorded, what of it is shown, and to whom.

Every version of every item has a made-up word of its own, and so has everything that stands inside
a version. So a word in an answer says where it comes from, and whether it may be there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count

from core.callers import OPERATOR, Caller
from core.items import PubStatus
from core.writes import Outcome, SetStatus
from tests.storage.hold_model import HoldModel, State, changed, has_one, put_refusal

# Prefixes of uris that are for the keys of one name alone to write.
RESERVES = {"agency": "urn:agency:", "news": "urn:news:"}
_PAIRS = [a + b for a in "bdfgklmnprtv" for b in "aiou"]
_WORDS = len(_PAIRS) ** 4
_WORD = re.compile(r"zq(?:[bdfgklmnprtv][aiou]){4}")
_STEP = 2_400_007  # has no divisor in common with the number of words: each comes once


def marks_in(shown: str) -> set[str]:
    """The made-up words in what is shown."""
    return set(_WORD.findall(shown.casefold()))


class Words:
    """Gives out made-up words, each once. Words that follow one another are not alike."""

    def __init__(self) -> None:
        self._next = count(1)

    def fresh(self) -> str:
        """A word that was not given out yet."""
        number = next(self._next) * _STEP % _WORDS
        letters = ""
        for _ in range(4):
            number, place = divmod(number, len(_PAIRS))
            letters += _PAIRS[place]
        return f"zq{letters}"


@dataclass(frozen=True, slots=True)
class Reader:
    """A key: the products that it reads and writes, whether it may ask why an item is hidden, and
    whether it may ask the models.
    """

    name: str
    products: frozenset[str]
    writes: frozenset[str] = frozenset()
    inspects: bool = False
    models: bool = False

    @property
    def caller(self) -> Caller:
        """The same key for the product's rules of writing."""
        reserved = tuple(prefix for owner, prefix in RESERVES.items() if owner != self.name)
        return Caller(self.name, self.products, self.writes, reserved)


@dataclass(frozen=True, slots=True)
class Nested:
    """A copy of another item inside a story; each member of the copy has `word`."""

    uri: str
    word: str


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an item as it is sent; `by_worker` where a worker records it, with its media,
    and `states_products` where its document names them itself.
    """

    uri: str
    number: int
    word: str
    chain: str
    products: tuple[str, ...]
    created: datetime
    place: str
    kind: str = "text"
    named_by: str = ""
    pubstatus: PubStatus = PubStatus.USABLE
    embargoed: datetime | None = None
    expires: datetime | None = None
    nested: tuple[Nested, ...] = ()
    by_worker: bool = False
    states_products: bool = False
    invented: str = ""  # in a machine's words alone: shown to nobody

    @property
    def marks(self) -> set[str]:
        """The words that are its own; not those of what stands inside it."""
        return {self.word, *marks_in(self.uri)}

    @property
    def content(self) -> Version:
        """What the same version must have again: all but products that its document leaves out."""
        return self if self.states_products else replace(self, products=())


@dataclass
class Recorded:
    """A version as it was sent, as it is now, and when it was written."""

    sent: Version
    now: Version
    order: int

    @property
    def age(self) -> tuple[datetime, int]:
        return (self.now.created, self.order)


@dataclass
class Model:
    """A second, simple form of the rules of writing and of visibility. Versions of an item are
    listed from the oldest.
    """

    versions: dict[str, list[Recorded]] = field(default_factory=dict)
    holds: HoldModel = field(default_factory=HoldModel)
    writes: int = 0

    def put(self, version: Version, by: Caller = OPERATOR) -> Outcome:
        versions = self.versions.get(version.uri, [])
        newest = versions[-1] if versions else None
        if refused := self._refusal(version, newest, by):
            return refused
        if newest is not None and version.number < newest.sent.number:
            return Outcome.STALE
        if newest is not None and newest.sent == version:
            return Outcome.UNCHANGED
        self.writes += 1
        if newest is None or version.number > newest.sent.number:
            now = self._held(version, version, new=True)
            self.versions[version.uri] = [*versions, Recorded(version, now, self.writes)]
            return Outcome.CREATED if newest is None else Outcome.SUPERSEDED
        if newest.sent.content != version.content and newest.sent.number == version.number:
            return Outcome.CONFLICT
        now = replace(newest.now, products=version.products)
        versions[-1] = Recorded(version, self._held(version, now, new=False), self.writes)
        return Outcome.UPDATED

    def _refusal(self, version: Version, newest: Recorded | None, by: Caller) -> Outcome | None:
        if any(name.startswith(by.reserved) for name in (version.uri, version.chain)):
            return Outcome.RESERVED
        before = None if newest is None else newest.now.products
        chains = {version.chain} if newest is None else {version.chain, newest.now.chain}
        joins = newest is None or newest.now.chain != version.chain
        recorded = [versions[-1].now for versions in self.versions.values()]
        stories = [one.products for one in recorded if joins and one.chain in chains]
        return put_refusal(by, version.products, before, stories)

    def _held(self, sent: Version, now: Version, *, new: bool) -> Version:
        own = (now.pubstatus, now.embargoed)
        pubstatus, embargoed = self.holds.put(sent.uri, sent.products, own, new=new)
        return replace(now, pubstatus=pubstatus, embargoed=embargoed)

    def set_status(self, change: SetStatus, by: Caller = OPERATOR) -> Outcome:
        versions = self.versions.get(change.uri)
        if not versions or not has_one(by.writes, versions[-1].now.products):
            return self.holds.change(change, by)
        newest = versions[-1]
        self.holds.change(change, by, newest.now.products)
        before = (newest.now.pubstatus, newest.now.embargoed)
        after = changed(change, before)
        newest.now = replace(newest.now, pubstatus=after[0], embargoed=after[1])
        return Outcome.UNCHANGED if after == before else Outcome.UPDATED

    def shown(self, uri: str, now: datetime) -> list[Recorded]:
        """The versions of an item that may be shown, newest first, whoever asks."""
        rest = self.versions.get(uri, [])[::-1]
        while rest:
            newest = rest[0].now
            if newest.pubstatus is not PubStatus.USABLE or _is_over(newest, now):
                return []
            if not _waits(newest, now):
                usable = [one for one in rest if one.now.pubstatus is PubStatus.USABLE]
                return [one for one in usable if not _waits(one.now, now)]
            rest.pop(0)
        return []

    def stories(self, now: datetime) -> list[list[Version]]:
        """Each story, whoever asks: its head, then the rest of it, newest first."""
        found: dict[str, list[list[Recorded]]] = {}
        for uri, versions in self.versions.items():
            if shown := self.shown(uri, now):
                found.setdefault(versions[-1].now.chain, []).append(shown)
        stories: list[list[Version]] = []
        for members in found.values():
            head = max((shown[0] for shown in members), key=lambda one: one.age)
            rest = [one for shown in members for one in shown if one is not head]
            newest_first = sorted(rest, key=lambda one: one.age, reverse=True)
            stories.append([head.now, *(one.now for one in newest_first)])
        return stories


@dataclass(frozen=True, slots=True)
class View:
    """What one caller may see at one moment: of each story the head, then the rest. `unknown` are
    uris that items name although no item has them. Those that were killed all the same have the
    products of each writer who did it.
    """

    stories: tuple[tuple[Version, ...], ...]
    unknown: Mapping[str, Sequence[frozenset[str]]]

    @property
    def heads(self) -> dict[str, Version]:
        """The items that searches find, by uri."""
        return {story[0].uri: story[0] for story in self.stories}

    def chain(self, uri: str) -> tuple[Version, ...]:
        """The story that has `uri`, as far as it is seen."""
        found = (story for story in self.stories if uri in {one.uri for one in story})
        return next(found, ())

    def may_name(self, uri: str, version: Version) -> bool:
        """Whether `version` may name this uri: it is seen, or no item has it."""
        seen = {one.uri for story in self.stories for one in story}
        return uri in seen or self._is_no_item(uri, version)

    def marks(self, versions: Iterable[Version]) -> set[str]:
        """The words that an answer about `versions` may have."""
        seen = {one.uri for story in self.stories for one in story}
        return {word for version in versions for word in self._words(version, seen)}

    def _words(self, version: Version, seen: Collection[str]) -> Iterator[str]:
        yield from version.marks
        for uri in {version.chain, *(inside.uri for inside in version.nested)}:
            if uri in seen or self._is_no_item(uri, version):
                yield from marks_in(uri)
        for inside in version.nested:  # a copy of what is an item of its own is never shown
            if self._is_no_item(inside.uri, version):
                yield inside.word

    def _is_no_item(self, uri: str, version: Version) -> bool:
        """Whether `version` may name this uri, which no item has."""
        killed = self.unknown.get(uri)
        return killed is not None and not any(has_one(w, version.products) for w in killed)


def view_of(model: Model, reader: Reader, now: datetime) -> View:
    """What `reader` may see: nothing of a story without a right to its head."""
    stories = tuple(
        tuple(one for one in story if _may_see(reader, one))
        for story in model.stories(now)
        if _may_see(reader, story[0])
    )
    named = {
        uri
        for versions in model.versions.values()
        for one in versions
        for uri in (one.sent.chain, *(inside.uri for inside in one.sent.nested))
    }
    unknown = {
        uri: [
            writes for writes, state in model.holds.held.get(uri, {}).items() if _hides(state, now)
        ]
        for uri in named - set(model.versions)
    }
    return View(stories, unknown)


def _hides(state: State, now: datetime) -> bool:
    pubstatus, embargoed = state
    return pubstatus is not PubStatus.USABLE or (embargoed is not None and embargoed > now)


def _may_see(reader: Reader, version: Version) -> bool:
    return bool(reader.products & set(version.products))


def _waits(version: Version, now: datetime) -> bool:
    return version.embargoed is not None and version.embargoed > now


def _is_over(version: Version, now: datetime) -> bool:
    return version.expires is not None and version.expires <= now
