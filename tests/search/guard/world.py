"""The archive that the guard looks at, as a service has it: names, spelling, pins, shared lists."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.callers import Caller
from core.entities import Entity, EntityLabel
from core.items import Item
from dateline.build.record import SharedLists
from search.answers import FACET_FIELDS, SearchResponse
from search.kept_candidates import CandidateStore, KeptCandidates, SharedCandidateStore
from search.pipeline import SearchPipeline
from search.understanding.editorial import Editorial
from search.understanding.spelling import Doubt
from tests.search.engines import EMBEDDED, Tried
from tests.search.guard.model import UNKNOWN, URIS, Model
from tests.search.room import Room

ALL = 200  # hits, more than there are
PINNED = "front page"
RULES = Editorial(pins={PINNED: (URIS[3], URIS[0], UNKNOWN, URIS[1])})
_NAME = re.compile(r"\bana \w+", re.IGNORECASE)


class AnaTagger:
    """Every Ana is a person."""

    def tag(self, texts: Sequence[str]) -> tuple[tuple[Entity, ...], ...]:
        return tuple(
            tuple(
                Entity(found[0], EntityLabel.PER, found.start(), found.end(), 0.9)
                for found in _NAME.finditer(text)
            )
            for text in texts
        )


@dataclass
class World:
    """The archive and its model. `settled`: the index has followed everything. `shared`: kept lists
    are read from where processes share them.
    """

    folder: Path
    model: Model = field(default_factory=Model)
    settled: bool = True
    shared: bool = False
    tried: Tried = EMBEDDED
    lists: SharedLists | None = None

    def __post_init__(self) -> None:
        self.room = Room(self.folder, open_engine=self.tried.open)
        self._open()

    def _open(self) -> None:
        kept: KeptCandidates = CandidateStore()
        if self.shared:
            self.lists = self.tried.lists(self.folder, self.room.engine.record)
            kept = SharedCandidateStore(self.lists, CandidateStore(kept=0))
        parts = self.room.build(tagger=AnaTagger(), candidates=kept)._parts
        self.pipeline = SearchPipeline(replace(parts, editorial=lambda: RULES, doubt=Doubt()))

    def share(self) -> None:
        """From now on each page is asked of another process than the one before it."""
        self.shared = True
        self._open()

    def reopen(self) -> None:
        if self.lists is not None:
            self.lists.close()
        self.room.reopen()
        self._open()

    def close(self) -> None:
        if self.lists is not None:
            self.lists.close()
        self.room.engine.close()
        shutil.rmtree(self.folder)

    def index(self) -> None:
        self.room.engine.catch_up()
        self.settled = True

    def ask(self, q: str, caller: Caller, **members: object) -> SearchResponse:
        members = {"page_size": ALL, "facets": FACET_FIELDS, "facet_limit": ALL} | members
        return self.room.ask(q, caller, pipeline=self.pipeline, explain=True, **members)

    def heads(self, caller: Caller) -> dict[str, Item]:
        return self.model.heads(caller, self.room.now)
