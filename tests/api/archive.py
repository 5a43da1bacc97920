"""The surface over a real archive: the query path and the engine of tests/search/room.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi.testclient import TestClient

from api.access.keys import KeyRing
from api.access.services import Services
from api.app import create_app
from search.suggest import Suggester
from tests.api.conftest import CALLERS
from tests.api.newsroom import Newsroom
from tests.search.room import Room


@contextmanager
def answering(room: Room) -> Iterator[TestClient]:
    """A client before a service that searches and suggests from `room`."""
    absent = Newsroom()
    services = Services(
        search=room.pipeline,
        library=room.engine,
        writer=room.engine,
        ingest=absent,
        status=absent,
        keys=KeyRing.of(CALLERS),
        suggest=Suggester(room.engine),
    )
    with TestClient(create_app(services)) as client:
        yield client
