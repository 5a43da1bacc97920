"""AP's contract with our overlay against the whole service: each of its operations is served, and
requests that nobody would think of, made by schemathesis, get no fault of ours but a declared
status and an answer that validates against the contract's schema.

`OPENAPI_CASES` is how many requests there are in all; some hundreds if it is not set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.media.archive import KEY, WIRE, Whole, whole
from tests.api.media.overlaid import MONITOR, contract, needs_contract, operations
from tests.conftest import new_folder

needs_contract()
FEW = 400
PATIENCE_S = 240.0  # a request is given up after 10 s if nothing is said
CASES = int(os.environ.get("OPENAPI_CASES", FEW))
CONFORMS = [status_code_conformance, response_schema_conformance, content_type_conformance]
OPERATIONS = [f"{method} {path}" for path, method, _ in operations(contract())]
PLACES = {"item_id": "b", "rss_id": "7", "monitorId": "night", "session_id": "session-1"}


@pytest.fixture(scope="module")
def running() -> Iterator[Whole]:
    with whole(new_folder()) as made:
        yield made


def test_the_contract_has_21_operations() -> None:
    assert len(OPERATIONS) == 21


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_served(running: Whole, name: str) -> None:
    """A plain request of each, with what it names there: the answer is as the contract has it."""
    method, path = name.split(" ")
    monitoring = running.services.monitoring
    assert monitoring is not None
    if "/create" not in path and not monitoring.all(WIRE):
        monitoring.create(WIRE, MONITOR)
    elif "/create" in path and monitoring.all(WIRE):
        monitoring.remove(WIRE, "night")
    monitoring.seen(WIRE, "session-1", "night")
    case = schemathesis.openapi.from_dict(contract())[path][method].Case(
        path_parameters={name: at for name, at in PLACES.items() if f"{{{name}}}" in path},
        **({"body": MONITOR, "media_type": "application/json"} if method == "POST" else {}),
    )
    answer = asked(running, case)
    assert answer.status_code == 200, answer.text
    case.validate_response(answer, checks=CONFORMS)
    assert answer.headers["x-mediaapi-q-name"]


def _cases(operation: schemathesis.APIOperation) -> st.SearchStrategy[schemathesis.Case]:
    """Requests as the contract has them, and requests that break it."""
    kept = operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE)
    broken = operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)
    return kept | broken if operation.query or operation.body else kept


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_request_has_a_declared_and_valid_answer(running: Whole, name: str) -> None:
    ask(running, name, CASES // len(OPERATIONS), same_each_time=CASES <= FEW)


@pytest.mark.deep
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_of_many_requests_has_one(running: Whole, name: str) -> None:
    ask(running, name, 500, same_each_time=False)


def asked(running: Whole, case: schemathesis.Case) -> Any:
    """The answer to a request, however busy the machine is."""
    base = f"{running.served.url}/media/v"
    return case.call(base_url=base, headers={"x-api-key": KEY}, timeout=PATIENCE_S)


def ask(running: Whole, name: str, cases: int, *, same_each_time: bool) -> None:
    method, path = name.split(" ")
    operation = schemathesis.openapi.from_dict(contract())[path][method]

    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=same_each_time,
        suppress_health_check=list(HealthCheck),
    )
    @given(_cases(operation))
    def holds(case: schemathesis.Case) -> None:
        answer = asked(running, case)
        assert answer.status_code != 500, answer.text
        case.validate_response(answer, checks=CONFORMS)

    holds()
