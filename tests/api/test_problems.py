"""Every error has one shape, and a fault of ours tells nothing of our insides."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from api.contract import ErrorAnswer
from api.problems import problem_of
from core.errors import BusyError, CorruptError, DatelineError, DocumentError, ModelError
from tests.api.conftest import INGEST, READ, Served

CASES = [
    ("GET", "/content/search?page_size=0", READ, 400, "bad_parameter"),
    ("GET", "/content/search", "", 401, "unauthorized"),
    ("POST", "/content", READ, 403, "forbidden"),
    ("GET", "/content/urn:none", READ, 404, "not_found"),
    ("GET", "/nowhere", READ, 404, "not_found"),
    ("GET", "/page/../app.py", "", 404, "not_found"),
    ("GET", "/page/absent.js", "", 404, "not_found"),
    ("DELETE", "/content/search", READ, 405, "method_not_allowed"),
    ("PUT", "/content", INGEST, 405, "method_not_allowed"),
    ("GET", "/content/search?cursor=x", READ, 410, "cursor_expired"),
    ("POST", "/content", INGEST, 415, "unsupported_media_type"),
]


def check_shape(answer: object, headers: object, status: int, code: str) -> None:
    parsed = ErrorAnswer.model_validate(answer)
    assert (parsed.error.status, parsed.error.code) == (status, code)
    assert parsed.error.message
    assert parsed.error.timestamp.endswith("Z")
    assert parsed.id


@pytest.mark.parametrize(("method", "path", "key", "status", "code"), CASES)
def test_errors_have_one_shape(
    served: Served, method: str, path: str, key: str, status: int, code: str
) -> None:
    answer = served.http.request(method, path, headers={"x-api-key": key} if key else {})
    assert answer.status_code == status
    check_shape(answer.json(), answer.headers, status, code)
    assert answer.json()["id"] == answer.headers["x-request-id"]
    assert answer.json()["error"]["mend"]


def test_method_that_is_not_there_names_those_that_are(served: Served) -> None:
    answer = served.http.put("/content/search")
    assert "GET" in answer.headers["allow"]


def test_who_deletes_an_item_is_told_how_to_take_it_away(served: Served) -> None:
    answer = served.http.delete("/content/urn:news:ferry", headers={"x-api-key": INGEST})
    assert "PATCH" in answer.json()["error"]["mend"]


def test_fault_of_ours_tells_nothing(fresh: Served, caplog: pytest.LogCaptureFixture) -> None:
    fresh.room.broken = True
    with caplog.at_level(logging.ERROR, "dateline.api"):
        answer = fresh.get("/content/urn:news:ferry")
    assert answer.status_code == 500
    check_shape(answer.json(), answer.headers, 500, "internal")
    assert "secret" not in answer.text
    assert "fire" not in answer.text
    assert answer.json()["id"] in caplog.text
    assert "disk /secret/path is on fire" in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        CorruptError("checksum", where="/var/lib/x"),
        ModelError("model", where="/models"),
        DatelineError("other"),
    ],
)
def test_storage_and_model_faults_keep_their_paths(error: DatelineError) -> None:
    problem = problem_of(error)
    assert problem.status == 500
    assert "/" not in problem.message


def test_place_of_a_document_is_told_and_of_storage_is_not() -> None:
    assert "line 3" in problem_of(DocumentError("bad", where="line 3")).message
    busy = problem_of(BusyError("busy", where="/var/lib"))
    assert (busy.status, busy.retry_after, busy.message) == (503, 1, "busy")


def test_request_id_of_the_client_is_kept_where_harmless(served: Served) -> None:
    kept = served.http.get("/healthz", headers={"x-request-id": "abc-1.2_3"})
    assert kept.headers["x-request-id"] == kept.json()["id"] == "abc-1.2_3"
    replaced = served.http.get("/healthz", headers={"x-request-id": "a b<script>"})
    assert replaced.headers["x-request-id"] != "a b<script>"


def test_access_log_has_a_line_per_request_without_query_or_key(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "dateline.access"):
        served.get("/content/search", q="verysecretquery")
        served.http.get("/content/search", params={"apikey": READ})
        served.http.get("/healthz")  # a line is written when its answer is out: wait for both
    records: list[Any] = [r for r in caplog.records if r.name == "dateline.access"]
    lines = [r.members for r in records if r.members["path"] == "/content/search"]
    assert [line["status"] for line in lines] == [200, 401]
    assert lines[0]["route"] == "/content/search"
    assert lines[0]["caller"] == "Morning Post"
    assert lines[0]["milliseconds"] > 0
    assert READ not in caplog.text
    assert "verysecretquery" not in caplog.text
