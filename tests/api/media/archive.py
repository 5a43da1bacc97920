"""The surface over a real archive in a room of the tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI

from api.access.keys import KeyRing
from api.access.services import ApiSettings, Services
from api.app import create_app
from core.items import Item, PassageVectors
from indexing.ingest import Ingest
from search.suggest import Suggester
from tests.api.conftest import CALLERS
from tests.api.newsroom import Newsroom
from tests.search.room import Room


class RoomEmbedder:
    """An embedder that makes one passage of an item."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def embed(self, items: Sequence[Item]) -> tuple[tuple[PassageVectors, ...], ...]:
        return tuple((self._room.embedded(item),) for item in items)


def app_of_room(room: Room, **settings: Any) -> FastAPI:
    """The application over a room; documents are ingested as they arrive."""
    return create_app(
        Services(
            search=room.pipeline,
            library=room.engine,
            writer=room.engine,
            ingest=Ingest(room.engine, RoomEmbedder(room), lambda: room.now),
            status=Newsroom(),
            keys=KeyRing.of(CALLERS),
            settings=ApiSettings(**{"default_products": ("wire",), **settings}),
            suggest=Suggester(room.engine),
        )
    )
