"""Requests that nobody would think of, made by schemathesis from AP's contract with our overlay,
against a real archive behind a real server: no answer is a fault of ours, and each has a declared
status and validates against the contract's schema.

`OPENAPI_CASES` is how many requests there are in all; some hundreds if it is not set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.conftest import INGEST, Served, serving_app
from tests.api.media.archive import app_of_room
from tests.api.media.overlaid import contract, needs_contract, operations
from tests.api.newsroom import Newsroom
from tests.search.room import Room, story

needs_contract()
CASES = int(os.environ.get("OPENAPI_CASES", "400"))
CONFORMS = [status_code_conformance, response_schema_conformance, content_type_conformance]
OPERATIONS = [f"{method} {path}" for path, method, _ in operations(contract())]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    room = Room(tmp_path_factory.mktemp("contract"))
    room.put(story("a", "Ferry aground"), story("0", "Ferry freed", chain="a"), story("b", "Bank"))
    with serving_app(Newsroom(), app_of_room(room)) as served:
        yield served
    room.engine.close()


def test_the_contract_has_21_operations() -> None:
    assert len(OPERATIONS) == 21


def _cases(operation: schemathesis.APIOperation) -> st.SearchStrategy[schemathesis.Case]:
    """Requests as the contract has them, and requests that break it."""
    kept = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    broken = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    return kept | broken if operation.query or operation.body else kept


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_request_has_a_declared_and_valid_answer(running: Served, name: str) -> None:
    method, path = name.split(" ")
    operation = schemathesis.openapi.from_dict(contract())[path][method]

    @settings(
        max_examples=CASES // len(OPERATIONS),
        deadline=None,
        database=None,
        derandomize=CASES <= 400,
        suppress_health_check=list(HealthCheck),
    )
    @given(_cases(operation))
    def holds(case: schemathesis.Case) -> None:
        answer = case.call(base_url=f"{running.url}/media/v", headers={"x-api-key": INGEST})
        assert answer.status_code != 500, answer.text
        case.validate_response(answer, checks=CONFORMS)

    holds()
