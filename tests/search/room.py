"""A small archive for tests of the query path: the real engine, real clocks replaced by one that
stands still, and an encoder of hashed words where meaning plays no part.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from core.callers import Caller
from core.items import FloatMatrix, Item, ItemType, Passage, PassageVectors, PubStatus
from core.ports.engine import Clock
from core.ports.models import Tagger, TextEncoder
from core.writes import PutItem, SetStatus, Written
from rerank.deadline import DeadlineReranker
from search.answers import SearchRequest, SearchResponse
from search.floor import Floor
from search.kept_candidates import CandidateStore, KeptCandidates
from search.pipeline import Parts, SearchPipeline
from search.profiles import Profile, standard_profiles
from search.understanding.understand import Understanding
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings
from storage.words.text_analysis import Analysis

START = datetime(2024, 3, 1, 12, tzinfo=UTC)
READER = Caller("reader", frozenset({"wire"}))
PHOTOS = Caller("photo desk", frozenset({"photos"}))
BOTH = Caller("all", frozenset({"wire", "photos"}))
DIMENSION = 32


class HashingEncoder:
    """The PairScorer port's neighbour for tests: a text is the sum of its words' random vectors."""

    name = "hashing"
    digest = "hashed-words"
    dimension = DIMENSION

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        return self.encode_passages(texts)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        rows = np.zeros((len(texts), DIMENSION), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.casefold()) or [""]:
                seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
                row += np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)
        scaled: FloatMatrix = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return scaled


class FailingEncoder(HashingEncoder):
    """An encoder whose model breaks on queries."""

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        raise RuntimeError("the graph is broken")


def story(uri: str, headline: str = "", **members: Any) -> Item:
    """An item for the wire; `when` is hours after the start."""
    when = START + timedelta(hours=members.pop("when", 0))
    return Item(
        **{
            "uri": uri,
            "version": 1,
            "type": ItemType.TEXT,
            "versioncreated": when,
            "firstcreated": when,
            "chain": uri,
            "headline": headline,
            "products": ("wire",),
            **members,
        }
    )


OpenEngine = Callable[[Path, TextEncoder, Clock], Any]


def embedded(folder: Path, encoder: TextEncoder, clock: Clock) -> EmbeddedEngine:
    """The embedded engine; others are in tests.search.engines."""
    settings = EmbeddedSettings(folder, {"text": encoder.digest}, background=False)
    return EmbeddedEngine(settings, clock)


@dataclass
class Room:
    """An engine in a folder, a clock to turn, and pipelines over them."""

    folder: Path
    encoder: TextEncoder = field(default_factory=HashingEncoder)
    now: datetime = START
    open_engine: OpenEngine = embedded

    def __post_init__(self) -> None:
        self.engine = self.open_engine(self.folder, self.encoder, lambda: self.now)
        self.pipeline = self.build()

    def reopen(self) -> None:
        """Ends the process that holds the archive, as far as it can be told, and begins another."""
        self.engine.close()
        self.__post_init__()

    def build(
        self,
        *,
        encoders: Mapping[str, TextEncoder] | None = None,
        tagger: Tagger | None = None,
        tagger_missing: str = "",
        reranker: DeadlineReranker | None = None,
        reranker_missing: str = "",
        candidates: KeptCandidates | None = None,
        floors: Sequence[Floor] = (),
        **changes: Any,
    ) -> SearchPipeline:
        """A pipeline; `changes` are made to every profile."""
        profiles: dict[str, Profile] = {
            name: replace(profile, **changes)
            for name, profile in standard_profiles(("text",)).items()
        }
        return SearchPipeline(
            Parts(
                engine=self.engine,
                encoders={"text": self.encoder} if encoders is None else encoders,
                understanding=Understanding(tagger, self.engine, tagger_missing=tagger_missing),
                analysis=Analysis(),
                profiles=profiles,
                default_profile="hybrid",
                reranker=reranker,
                reranker_missing=reranker_missing,
                candidates=candidates or CandidateStore(),
                floors=floors,
            )
        )

    def put(self, *items: Item, vectors: bool = True, index: bool = True) -> tuple[Written, ...]:
        """Writes items, each with one passage, and brings the lexical index up to date."""
        written = self.engine.put(
            [PutItem(item, (self.embedded(item),) if vectors else ()) for item in items]
        )
        if index:
            self.engine.catch_up()
        return written

    def embedded(self, item: Item) -> PassageVectors:
        name = "body" if item.body else "headline"
        text = getattr(item, name)
        passages = (Passage(name, 0, len(text)),)
        matrix = self.encoder.encode_passages([f"{item.headline}\n{text}"])
        return PassageVectors("text", self.encoder.digest, passages, matrix)

    def kill(self, uri: str) -> None:
        self.engine.set_status([SetStatus(uri, PubStatus.CANCELED)])

    def ask(
        self,
        q: str = "",
        caller: Caller = READER,
        *,
        pipeline: SearchPipeline | None = None,
        **members: Any,
    ) -> SearchResponse:
        return (pipeline or self.pipeline).search(SearchRequest(q, **members), caller)

    def walk(self, q: str, page_size: int, caller: Caller = READER, **members: Any) -> list[str]:
        """The uris of every page, by cursors."""
        answer = self.ask(q, caller, page_size=page_size, **members)
        found = uris(answer)
        while answer.cursor:
            answer = self.ask(q, caller, page_size=page_size, cursor=answer.cursor, **members)
            found += uris(answer)
        return found


def uris(answer: SearchResponse) -> list[str]:
    return [hit.item.uri for hit in answer.hits]
