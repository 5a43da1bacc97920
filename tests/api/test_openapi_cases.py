"""Requests that nobody would think of, made from the OpenAPI document by schemathesis, against a
real archive: no answer is a fault of ours or an undeclared status, none takes longer than two
seconds of processor, and each conforms to what the document says of it.

`OPENAPI_CASES` is how many requests there are in all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.access.keys import KeyRing
from api.access.services import Services
from api.app import create_app
from core.items import Item, PassageVectors
from indexing.ingest import Ingest
from search.suggest import Suggester
from tests.api.conftest import CALLERS, INGEST
from tests.api.newsroom import Newsroom
from tests.search.room import Room, story

CASES = int(os.environ.get("OPENAPI_CASES", "1000"))
MOST_SECONDS = 6.0  # three times the bound, for machines that do other things too
CONFORMS = [status_code_conformance, response_schema_conformance, content_type_conformance]


class RoomEmbedder:
    """An embedder that makes one passage of an item."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def embed(self, items: Sequence[Item]) -> tuple[tuple[PassageVectors, ...], ...]:
        return tuple((self._room.embedded(item),) for item in items)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    room = Room(tmp_path_factory.mktemp("openapi"))
    room.put(story("a", "Ferry aground"), story("0", "Ferry freed", chain="a"), story("b", "Bank"))
    services = Services(
        search=room.pipeline,
        library=room.engine,
        writer=room.engine,
        ingest=Ingest(room.engine, RoomEmbedder(room), lambda: room.now),
        status=Newsroom(),
        keys=KeyRing.of({INGEST: replace(CALLERS[INGEST], may_inspect=True)}),
        suggest=Suggester(room.engine),
    )
    made = create_app(services)
    with TestClient(made):  # ends its pools
        yield made
    room.engine.close()


def _cases(operation: schemathesis.APIOperation) -> st.SearchStrategy[schemathesis.Case]:
    """Requests as the document has them, and requests that break it."""
    kept = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    broken = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    return kept | broken if operation.query or operation.body else kept


@pytest.mark.timed
def test_every_request_has_a_declared_answer_in_time(app: FastAPI) -> None:
    document = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) > 10
    for operation in operations:

        @settings(
            max_examples=CASES // len(operations),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(_cases(operation))
        def holds(case: schemathesis.Case) -> None:
            started = time.process_time()
            answer = case.call(headers={"x-api-key": INGEST})
            assert time.process_time() - started < MOST_SECONDS
            assert answer.status_code != 500
            case.validate_response(answer, checks=CONFORMS)

        holds()
