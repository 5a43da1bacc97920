"""A small working newsroom in memory: every port that the surface needs, for real.

Items are found by words, with entitlement and status looked at on each read; writes follow the
rules of versions. No text is analysed and no vector made: the pipeline has tests of its own.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from core.callers import OPERATOR, Caller
from core.errors import ExpiredError, QueryError, StorageFullError
from core.items import Concept, Item, ItemType, PubStatus
from core.query_tree import Bool, DateRange, Everything, Keyword, Node
from core.retrieval import FacetCount, SortOrder, TotalRelation
from core.standing import Sight
from core.writes import Outcome, Part, SetStatus, Written
from search.answers import (
    Explanation,
    Hit,
    SearchRequest,
    SearchResponse,
    Total,
    Understood,
    VectorShare,
)

MARKS = ("\ue000", "\ue001")


@dataclass(frozen=True, slots=True)
class Refused:
    """A document that was not taken."""

    field: str
    reason: str


@dataclass
class Newsroom:
    """Items by uri, all versions in order. `full`, `hold` (searches) and `hold_embedding` bring
    about what tests need.
    """

    items: dict[str, list[Item]] = field(default_factory=dict)
    full: bool = False
    broken: bool = False
    closed: bool = False
    hold: threading.Event | None = None
    hold_embedding: threading.Event | None = None
    embedding: int = 0  # calls that were held
    asked: list[tuple[SearchRequest, Caller]] = field(default_factory=list)

    # --- reading

    def head(self, uri: str, caller: Caller) -> Item | None:
        versions = self.items.get(uri)
        if not versions:
            return None
        item = versions[-1]
        hidden = item.pubstatus is not PubStatus.USABLE or (
            item.embargoed is not None and item.embargoed > datetime.now(UTC)
        )
        return None if hidden or not caller.products & set(item.products) else item

    def item(self, uri: str, caller: Caller) -> Item | None:
        if self.broken:
            raise RuntimeError("disk /secret/path is on fire")
        return self.head(uri, caller)

    def sights(self, named: Mapping[str, Collection[str]], caller: Caller) -> Mapping[str, Sight]:
        return {
            uri: Sight(head := self.head(uri, caller), head is not None)
            for uri in named
            if uri in self.items
        }

    def chain(self, uri: str, caller: Caller) -> tuple[Item, ...]:
        head = self.head(uri, caller)
        if head is None:
            return ()
        return tuple(
            version
            for versions in self.items.values()
            for version in reversed(versions)
            if version.chain == head.chain and caller.products & set(version.products)
        )

    def search(self, request: SearchRequest, caller: Caller) -> SearchResponse:
        self.asked.append((request, caller))
        if self.hold:
            self.hold.wait(120)
        if request.q.count('"') % 2:
            raise QueryError("A quote is not closed", where="character 3", mend="Close it.")
        if request.cursor and not request.cursor.startswith("from:"):
            raise ExpiredError("This cursor's list is gone.", mend="Search again.")
        words = re.findall(r"\w+", request.q.casefold())
        heads = [item for uri in self.items if (item := self.head(uri, caller))]
        scored = [
            (item, sum(word in text_of(item) for word in words))
            for item in heads
            if matches(request.filters, item)
        ]
        found = [(item, score) for item, score in scored if score or not words]
        found.sort(key=lambda pair: (-pair[1], pair[0].uri))
        if request.order is not SortOrder.SCORE:
            newest = request.order is SortOrder.NEWEST
            found.sort(key=lambda pair: pair[0].versioncreated, reverse=newest)
        start = (
            int(request.cursor[5:]) if request.cursor else (request.page - 1) * request.page_size
        )
        end = start + request.page_size
        hits = tuple(
            hit_of(item, rank, score, words, request, len(self.chain(item.uri, caller)))
            for rank, (item, score) in enumerate(found[start:end], start=start + 1)
        )
        return SearchResponse(
            hits=hits,
            total=Total(len(found), TotalRelation.EXACT),
            page=start // request.page_size + 1,
            page_size=request.page_size,
            profile=request.profile or "hybrid",
            understood=Understood(request.q, " ".join(words)),
            facets={name: facet([i for i, _ in found], name) for name in request.facets},
            cursor=f"from:{end}" if end < len(found) else "",
            milliseconds={"understand": 0.2, "bm25": 0.9, "vectors": 2.1, "total": 3.4},
            lexical_matches=len(found),
        )

    # --- writing

    def put_documents(
        self,
        documents: Sequence[Mapping[str, Any]],
        products: Sequence[str],
        by: Caller = OPERATOR,
        part: Part = Part.WHOLE,
    ) -> tuple[Written | Refused, ...]:
        if self.full:
            raise StorageFullError("No space left on the device.", mend="Free some space.")
        if part is not Part.TEXT and self.hold_embedding:
            self.embedding += 1
            self.hold_embedding.wait(120)
        return tuple(self._put(document, tuple(products)) for document in documents)

    def _put(self, document: Any, products: tuple[str, ...]) -> Written | Refused:
        if not isinstance(document, Mapping):
            return Refused("", "A document is a JSON object")
        uri = document.get("uri")
        if not isinstance(uri, str) or not uri:
            return Refused("uri", "uri is missing")
        if not isinstance(document.get("headline", ""), str):
            return Refused("headline", "headline must be text")
        item = item_of(uri, document, products)
        versions = self.items.setdefault(uri, [])
        if not versions:
            versions.append(item)
            return Written(uri, item.version, Outcome.CREATED)
        last = versions[-1]
        if item.version < last.version:
            return Written(uri, item.version, Outcome.STALE)
        if item.version == last.version:
            same = item.source == last.source
            return Written(uri, item.version, Outcome.UNCHANGED if same else Outcome.CONFLICT)
        versions.append(item)
        return Written(uri, item.version, Outcome.SUPERSEDED)

    def cover(self) -> str:
        return ""

    def set_status(self, changes: Sequence[SetStatus], by: Caller) -> tuple[Written, ...]:
        return tuple(self._set(change) for change in changes)

    def _set(self, change: SetStatus) -> Written:
        versions = self.items.get(change.uri)
        if not versions:
            hides = change.embargoed or change.pubstatus not in (None, PubStatus.USABLE)
            return Written(change.uri, 0, Outcome.HELD if hides else Outcome.MISSING)
        last = versions[-1]
        embargoed = None if change.lift_embargo else change.embargoed or last.embargoed
        versions[-1] = replace(
            last, pubstatus=change.pubstatus or last.pubstatus, embargoed=embargoed
        )
        return Written(change.uri, last.version, Outcome.UPDATED)

    # --- operating

    def status(self) -> dict[str, Any]:
        return {
            "items": len(self.items),
            "visible": sum(v[-1].pubstatus is PubStatus.USABLE for v in self.items.values()),
            "passages": 7,
            "projections": {"lexical": {"lag": 0}, "vectors": {"lag": 3}},
        }

    def ready(self) -> tuple[bool, str]:
        return (False, "The vectors are being replayed.") if self.broken else (True, "")

    def close(self) -> None:
        self.closed = True


def text_of(item: Item) -> str:
    return f"{item.headline} {item.description} {item.body}".casefold()


def item_of(uri: str, document: Mapping[str, Any], products: tuple[str, ...]) -> Item:
    created = datetime.fromisoformat(document.get("versioncreated", "2024-03-05T07:30:00+00:00"))
    return Item(
        uri=uri,
        version=int(document.get("version", 1)),
        type=ItemType(document.get("type", "text")),
        versioncreated=created,
        firstcreated=created,
        chain=document.get("chain", uri),
        pubstatus=PubStatus(document.get("pubstatus") or document.get("pubStatus") or "usable"),
        headline=document.get("headline", ""),
        description=document.get("description_caption", ""),
        body=document.get("body_text", ""),
        byline=document.get("byline", ""),
        located=document.get("located", ""),
        usageterms=document.get("usageterms", ""),
        urgency=document.get("urgency"),
        subject=concepts(document, "subject"),
        person=concepts(document, "person"),
        organisation=concepts(document, "organisation"),
        place=concepts(document, "place"),
        products=tuple(document.get("products", products)),
        source=dict(document),
    )


def concepts(document: Mapping[str, Any], name: str) -> tuple[Concept, ...]:
    return tuple(Concept(c["name"], c.get("code", "")) for c in document.get(name, ()))


def matches(node: Node, item: Item) -> bool:
    match node:
        case Everything():
            return True
        case Keyword(name, values):
            wanted = {value.casefold() for value in values}
            return bool(wanted & {value.casefold() for value in facts(item, name)})
        case DateRange(_, since, until):
            when = item.versioncreated
            return (since is None or when >= since) and (until is None or when < until)
        case Bool(must=must):
            return all(matches(child, item) for child in must)
        case _:
            raise AssertionError(node)


def facts(item: Item, name: str) -> tuple[str, ...]:
    if name in ("type", "language"):
        return (str(getattr(item, name)),)
    if name == "versioncreated":
        return (item.versioncreated.strftime("%Y-%m"),)
    return tuple(concept.name for concept in getattr(item, name))


def facet(items: Sequence[Item], name: str) -> tuple[FacetCount, ...]:
    counts = Counter(value for item in items for value in facts(item, name))
    return tuple(FacetCount(value, count) for value, count in counts.most_common())


def hit_of(
    item: Item, rank: int, score: int, words: Sequence[str], request: SearchRequest, versions: int
) -> Hit:
    share = VectorShare("text", 0.5, rank, 0.61, 0.8)
    explanation = Explanation(rank, 4.2, 0.9, 0.5, (share,), 0.85, rank)
    return Hit(
        item=item,
        rank=rank,
        score=float(score),
        highlights={"headline": marked(item.headline, words)} if request.highlight else {},
        passage=marked(item.body, words),
        versions=versions,
        explanation=explanation if request.explain else None,
    )


def marked(text: str, words: Sequence[str]) -> str:
    if not words:
        return text
    pattern = "|".join(re.escape(word) for word in words)
    return re.sub(rf"\b({pattern})\b", rf"{MARKS[0]}\1{MARKS[1]}", text, flags=re.IGNORECASE)
