"""What the service answers, as frozen values. `raw` has everything as it came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """One version of a story, photo or video."""

    uri: str
    version: int
    pubstatus: str
    type: str = ""
    headline: str = ""
    body: str = ""
    raw: Json = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, raw: Json) -> Item:
        """Return the item of its JSON."""
        return cls(
            uri=str(raw["uri"]),
            version=int(raw.get("version") or 0),
            pubstatus=str(raw.get("pubstatus", "")),
            type=str(raw.get("type", "")),
            headline=str(raw.get("headline", "")),
            body=str(raw.get("body_text", "")),
            raw=raw,
        )

    def rendition(self, name: str) -> str:
        """Return the address of a rendition, such as `preview`; "" without it."""
        found = (self.raw.get("renditions") or {}).get(name) or {}
        return str(found.get("href", ""))


@dataclass(frozen=True, slots=True)
class Hit:
    """An item that a search found, or that was asked for."""

    item: Item
    meta: Json = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, raw: Json) -> Hit:
        """Return the hit of its JSON."""
        return cls(Item.of(raw["item"]), raw.get("meta") or {})


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a text that changed. `line` is where they begin in the old text, counted from 1."""

    line: int
    removed: tuple[str, ...]
    added: tuple[str, ...]

    @classmethod
    def of(cls, raw: Json) -> Lines:
        """Return the lines of their JSON."""
        return cls(int(raw["line"]), tuple(raw["removed"]), tuple(raw["added"]))


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from version `since` of an item to version `until`: in `fields` the members of
    the item that differ, each before and after (None: it has none), in `body` the text.
    """

    uri: str
    since: int
    until: int
    fields: Mapping[str, tuple[Any, Any]]
    body: tuple[Lines, ...]
    raw: Json = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, raw: Json) -> Difference:
        """Return the difference of its JSON."""
        return cls(
            uri=str(raw["uri"]),
            since=int(raw["from"]["version"]),
            until=int(raw["to"]["version"]),
            fields={name: (pair["from"], pair["to"]) for name, pair in raw["fields"].items()},
            body=tuple(map(Lines.of, raw["body"])),
            raw=raw,
        )


@dataclass(frozen=True, slots=True)
class SearchPage:
    """A page of an answer. `total_relation` says what `total` is: exact, lower_bound or window."""

    hits: tuple[Hit, ...]
    total: int
    total_relation: str
    next_page: str
    raw: Json = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, raw: Json) -> SearchPage:
        """Return the page of an answer's `data`."""
        return cls(
            hits=tuple(Hit.of(hit) for hit in raw["items"]),
            total=int(raw["total_items"]),
            total_relation=str(raw.get("total_relation", "")),
            next_page=str(raw.get("next_page", "")),
            raw=raw,
        )

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of an item. `id` is the same in the feed, the stream and webhooks: drop
    repeats by it. `kind` is shown, updated, hidden, killed or expired.
    """

    id: str
    position: int
    kind: str
    at: str
    item: Item
    meta: Json = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, raw: Json) -> Entry:
        """Return the entry of its JSON."""
        told = raw["meta"]["transition"]
        return cls(
            str(told["id"]),
            int(told["position"]),
            str(told["kind"]),
            str(told["at"]),
            Item.of(raw["item"]),
            raw["meta"],
        )

    @property
    def gone(self) -> bool:
        """Return whether the item was taken away. Then `item` has its uri, version and pubstatus
        only.
        """
        return self.kind in ("hidden", "killed", "expired")


@dataclass(frozen=True, slots=True)
class FeedPage:
    """A page of a feed. `next_page` is always given; `more` is whether there is more behind it."""

    entries: tuple[Entry, ...]
    next_page: str
    more: bool

    @classmethod
    def of(cls, raw: Json) -> FeedPage:
        """Return the page of an answer's `data`."""
        entries = tuple(Entry.of(entry) for entry in raw["items"])
        return cls(entries, str(raw["next_page"]), bool(raw.get("more")))

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)


@dataclass(frozen=True, slots=True)
class Topic:
    """A followed topic. `reads` is its query as the service reads it, `emails` are the addresses
    that hear how many items matched.
    """

    id: int
    name: str
    query: str
    reads: str = ""
    emails: tuple[str, ...] = ()

    @classmethod
    def of(cls, raw: Json) -> Topic:
        """Return the topic of its JSON."""
        return cls(
            int(raw["id"]),
            str(raw["name"]),
            str(raw["query"]),
            str(raw.get("reads", "")),
            tuple(map(str, raw.get("emails") or ())),
        )


@dataclass(frozen=True, slots=True)
class Match:
    """An item that matched a followed topic. `position` is where to go on after it."""

    id: str
    topic: int
    kind: str
    uri: str
    version: int

    @classmethod
    def of(cls, raw: Json) -> Match:
        """Return the match of its JSON."""
        return cls(
            str(raw["id"]),
            int(raw["topic"]),
            str(raw["kind"]),
            str(raw["uri"]),
            int(raw["version"]),
        )


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook. `secret` is told when it is made or replaced, and never again."""

    id: str
    url: str
    state: str
    q: str
    topics: tuple[int, ...]
    kinds: tuple[str, ...]
    sent: int
    why: str
    secret: str = field(default="", repr=False)

    @classmethod
    def of(cls, raw: Json) -> Webhook:
        """Return the webhook of its JSON."""
        return cls(
            id=str(raw["id"]),
            url=str(raw["url"]),
            state=str(raw["state"]),
            q=str(raw.get("q", "")),
            topics=tuple(raw.get("topics", ())),
            kinds=tuple(raw.get("kinds", ())),
            sent=int(raw.get("sent", 0)),
            why=str(raw.get("why", "")),
            secret=str(raw.get("secret", "")),
        )


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A verified webhook. `entry` is set where it is about an item: type `item.…`."""

    id: str
    type: str
    timestamp: str
    entry: Entry | None
    raw: Json = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Job:
    """An ingest or an operation that the service was asked to carry out. `state` is running,
    paused, canceled, finished or failed; `trouble` says why it failed, or what holds it up.
    `progress` counts the files of an ingest. `result` is what came of it, and `digest` the sha256
    of that, in hex; both are empty until it has finished.
    """

    name: str
    kind: str
    state: str
    trouble: str = ""
    progress: Json = field(default_factory=dict)
    result: Json = field(default_factory=dict)
    digest: str = ""

    @classmethod
    def of(cls, raw: Json) -> Job:
        """Return the job of its JSON."""
        return cls(
            str(raw["id"]),
            str(raw["kind"]),
            str(raw["state"]),
            str(raw.get("trouble", "")),
            raw.get("progress") or {},
            raw.get("result") or {},
            str(raw.get("digest", "")),
        )


def items_of(raw: Json) -> Sequence[Json]:
    """Return the entries of a list's `data`."""
    found: Sequence[Json] = raw["items"]
    return found
