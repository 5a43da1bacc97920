"""The surface over a small newsroom, served by a real server on a free port of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.access.keys import KeyRing
from api.access.services import ApiSettings, Example, Services
from api.app import create_app
from core.callers import EVERY_PRODUCT, Caller
from tests.api.newsroom import Newsroom
from tests.app_server import on_a_port

READ, INGEST, OTHER = "read-key-1234", "ingest-key-5678", "other-key-9012"
INSPECT = "inspect-key-3456"
CALLERS = {
    READ: Caller("Morning Post", frozenset({"wire"})),
    INGEST: Caller(
        "agency", frozenset({"wire", "photos"}), writes=EVERY_PRODUCT, may_use_models=True
    ),
    OTHER: Caller("Photo Weekly", frozenset({"photos"})),
    INSPECT: Caller("operator", frozenset({"wire"}), may_inspect=True),
}
DOCUMENTS: list[dict[str, Any]] = [
    {
        "uri": "urn:news:ferry",
        "version": 2,
        "type": "text",
        "headline": "Ferry service resumes after storm",
        "body_text": "The ferry to the islands sails again.",
        "byline": "Ana Reyes",
        "located": "PORTO ALTO",
        "usageterms": "Editorial use only",
        "urgency": 3,
        "versioncreated": "2024-03-05T07:30:00+00:00",
        "subject": [{"name": "transport", "code": "medtop:20000337", "scheme": "medtop"}],
        "person": [{"name": "Ana Reyes"}],
        "place": [{"name": "Porto Alto, Lower Quay"}],
        "organisation": [{"name": "Island Lines"}],
        "agency_mood": "relieved",
        "renditions": {"main": {"href": "https://example.org/1.txt", "mimetype": "text/plain"}},
    },
    {
        "uri": "https://news.example/stories/storm?id=1&x=ü",
        "headline": "Storm closes ferry port",
        "body_text": "A storm closed the port.",
        "versioncreated": "2024-03-04T07:30:00+00:00",
        "place": [{"name": "Porto Alto, Lower Quay"}],
    },
    {
        "uri": "urn:news:photo",
        "type": "picture",
        "headline": "Ferry at the quay",
        "description_caption": "A ferry at the quay on Monday.",
        "products": ["photos", "900"],
        "versioncreated": "2024-02-01T07:30:00+00:00",
    },
    {
        "uri": "urn:news:mixed",
        "headline": "القمة تبدأ 🌍 today",
        "body_text": "مرحبا 👩‍🚀 \u200fשלום",
        "products": ["wire", "photos"],
        "versioncreated": "2023-12-31T23:59:59+00:00",
    },
]


@dataclass(frozen=True)
class Served:
    """A running service: its newsroom behind, and a client with the read key before it."""

    room: Newsroom
    url: str
    http: httpx.Client

    def get(self, path: str, key: str = READ, **params: Any) -> httpx.Response:
        headers = {"x-api-key": key} if key else {}
        return self.http.get(path, params=params or None, headers=headers)


def filled() -> Newsroom:
    room = Newsroom()
    room.put_documents(DOCUMENTS, ["wire"])
    return room


def services_over(room: Newsroom, **settings: Any) -> Services:
    """The parts of a surface over `room`, with `settings` beside the tests' own; a demo's keys are
    local.
    """
    chosen: dict[str, Any] = {
        "max_body_bytes": 256 * 1024,
        "default_products": ("wire",),
        **settings,
    }
    return Services(
        search=room,
        library=room,
        writer=room,
        ingest=room,
        status=room,
        keys=KeyRing.of(CALLERS, local_only=bool(settings.get("demo"))),
        settings=ApiSettings(**chosen),
        close=room.close,
    )


def app_over(room: Newsroom, **settings: Any) -> FastAPI:
    """The surface over `room`, see `services_over`."""
    return create_app(services_over(room, **settings))


@contextmanager
def serving(room: Newsroom, **settings: Any) -> Iterator[Served]:
    """Serve the application of `app_over` on a free port."""
    with serving_app(room, app_over(room, **settings)) as served:
        yield served


@contextmanager
def serving_app(room: Newsroom, app: FastAPI) -> Iterator[Served]:
    """Serve an application over `room` on a free port."""
    with on_a_port(app) as url, httpx.Client(base_url=url, timeout=120) as http:
        yield Served(room, url, http)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """One service for a module's reading tests."""
    with serving(filled()) as running:
        yield running


@pytest.fixture
def fresh() -> Iterator[Served]:
    """A service of its own for a test that writes."""
    with serving(filled()) as running:
        yield running


@pytest.fixture
def demo() -> Iterator[Served]:
    """A service in demo mode on loopback, whose keys are for this machine."""
    examples = (Example("A ferry", {"q": "ferry"}, "two stories"),)
    with serving(
        filled(),
        demo=True,
        loopback=True,
        examples=examples,
        demo_read_key=READ,
        demo_ingest_key=INGEST,
    ) as running:
        yield running
