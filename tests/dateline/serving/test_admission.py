"""What the HTTP server refuses by itself, before there is a task or a body: in words of the API,
and no change of state but for a key that nobody has.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from api.access import admission
from core.callers import Caller
from core.limits import Share
from dateline.serving.http_server import HttpServer
from dateline.serving.listener import Limits, Listener
from tests.api import conftest
from tests.api.conftest import INGEST, READ, Served, app_over, filled
from tests.api.newsroom import Newsroom

SLOW = "slow-key"
FERRY = "/content/urn:news:ferry"


@pytest.fixture
def room() -> Newsroom:
    return filled()


@pytest.fixture
def app(room: Newsroom) -> FastAPI:
    """One thread and one place for searches, and none for model requests beside theirs."""
    slow = Caller("One in a minute", frozenset({"wire"}), share=Share(rate=1 / 60))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(conftest, "CALLERS", {**conftest.CALLERS, SLOW: slow})
        return app_over(room, max_concurrent_searches=1, max_waiting=1)


@pytest.fixture
def served(app: FastAPI, room: Newsroom) -> Iterator[Served]:
    """The app behind the server that asks it first."""
    bound = socket.create_server(("127.0.0.1", 0), backlog=64)
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    server = HttpServer(app, Listener(bound, Limits()), None, app.state.admission)
    thread = threading.Thread(target=server.serve_until_told)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with httpx.Client(base_url=url, timeout=120) as http:
        yield Served(room, url, http)
    server.should_exit = True
    thread.join()


def test_every_path_that_is_refused_early_is_a_route(served: Served) -> None:
    items = (admission._ITEMS, admission._STATUS, admission._WRITES)
    early = {*admission._READS, *admission._MODELS, *(one.replace(":path", "") for one in items)}
    assert early <= set(served.get("/openapi.json").json()["paths"])


@contextmanager
def full(served: Served) -> Iterator[list[Future[httpx.Response]]]:
    """One search runs and one waits meanwhile; their answers."""
    served.room.hold = threading.Event()
    try:
        with ThreadPoolExecutor(2) as crowd:
            asked = [crowd.submit(served.get, "/content/search", q="ferry") for _ in range(2)]
            while in_flight(served) < 2:
                time.sleep(0.01)
            try:
                yield asked
            finally:
                served.room.hold.set()
    finally:
        served.room.hold = None


def metric(served: Served, name: str) -> float:
    lines = served.get("/metrics", key=INGEST).text.splitlines()
    found = [line for line in lines if line.startswith(f"{name} ")]
    return float(found[0].split()[-1]) if found else 0.0


def in_flight(served: Served) -> int:
    return round(metric(served, "dateline_http_in_flight")) - 1  # without the one that asks


@pytest.mark.parametrize("path", ["/content/search?q=a&nonsense=1", FERRY, "/v1/suggest?q=a"])
def test_a_read_without_a_place_is_refused_in_the_words_of_the_api(
    served: Served, path: str
) -> None:
    with full(served) as asked:
        answer = served.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"] == answer.json()["id"]
        assert served.get(path).status_code == 503  # over the same connection
        assert metric(served, "dateline_http_refused_total") == 2
        assert in_flight(served) == 2, "it was not let in"
    assert [one.result().status_code for one in asked] == [200, 200]
    assert served.get(FERRY).status_code == 200


def test_who_asks_to_close_the_connection_has_it_closed(served: Served) -> None:
    with full(served), socket.create_connection(("127.0.0.1", httpx.URL(served.url).port)) as one:
        one.sendall(
            b"GET /content/search HTTP/1.1\r\nhost: a\r\nconnection: close\r\n"
            b"x-api-key: " + READ.encode() + b"\r\n\r\n"
        )
        head, _, body = b"".join(iter(lambda: one.recv(65536), b"")).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert b"\r\nconnection: close" in head
    assert f"content-length: {len(body)}".encode() in head


def test_a_body_is_not_waited_for(served: Served) -> None:
    """The key is over its share; of what it announced not a byte was sent."""
    assert served.get(FERRY, key=SLOW).status_code == 200
    assert served.get(FERRY, key=SLOW).status_code == 429
    with socket.create_connection(("127.0.0.1", httpx.URL(served.url).port), timeout=120) as one:
        one.sendall(
            b"POST /v1/embeddings HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
            b"content-length: 100000\r\nx-api-key: " + SLOW.encode() + b"\r\n\r\n"
        )
        head = one.recv(65536)
        assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
        with suppress(ConnectionError):
            one.sendall(b" " * 100000)
            one.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
            assert one.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_change_of_state_and_keys_that_nobody_knows_are_no_matter_of_places(
    served: Served,
) -> None:
    with full(served):
        headers = {"x-api-key": INGEST}
        told = {"pubstatus": "canceled"}
        assert served.http.patch(f"{FERRY}/status", json=told, headers=headers).is_success
        assert served.get("/content/search", key="nobody's").status_code == 401
        assert served.get("/content/search", key="").status_code == 401
        assert served.get("/nothing").status_code == 404
    assert served.get(FERRY).status_code == 404


KEYED = [
    ("GET", "/content/search?q=a", {"x-api-key": "nobody's"}),
    ("GET", FERRY, {"x-api-key": "nobody's"}),
    ("GET", "/v1/suggest?q=a", {"x-api-key": "nobody's"}),
    ("POST", "/content", {"x-api-key": "nobody's"}),
    ("PATCH", f"{FERRY}/status", {"x-api-key": "nobody's"}),
    ("POST", "/v1/embeddings", {"x-api-key": "nobody's"}),
    ("POST", "/v1/rerank", {"authorization": "Bearer nobody's"}),
    ("POST", "/v1/tag", {"x-api-key": "nobody's", "authorization": f"Bearer {READ}"}),
    ("POST", "/v2/embed", {"authorization": "Bearer nobody's"}),
    ("POST", "/embed", {"authorization": "Bearer nobody's"}),
]
NOT_OURS = [
    ("GET", "/content/search?q=a", {}),
    ("GET", "/content/search?q=a", {"authorization": "Bearer nobody's"}),
    ("POST", "/v1/tag", {"x-api-key": "", "authorization": "Basic nobody's"}),
    ("GET", "/healthz", {"x-api-key": "nobody's"}),
    ("GET", "/docs", {"x-api-key": "nobody's"}),
    ("GET", "/nothing", {"x-api-key": "nobody's"}),
    ("PUT", "/content", {"x-api-key": "nobody's"}),
]


@pytest.mark.parametrize(("method", "path", "headers"), KEYED)
def test_a_key_that_nobody_has_is_refused_early_and_as_its_route_refuses_it(
    app: FastAPI, served: Served, method: str, path: str, headers: dict[str, str]
) -> None:
    route = TestClient(app).request(method, path, headers=headers)
    early = answered_early(served)
    answer = served.http.request(method, path, headers=headers)
    assert answered_early(served) == early + 1
    assert answer.status_code == 401
    assert told(answer) == told(route)


@pytest.mark.parametrize(("method", "path", "headers"), NOT_OURS)
def test_what_has_no_key_or_needs_none_is_its_route_s(
    served: Served, method: str, path: str, headers: dict[str, str]
) -> None:
    early = answered_early(served)
    served.http.request(method, path, headers=headers)
    assert answered_early(served) == early


def test_each_address_has_an_answer_of_its_own(app: FastAPI) -> None:
    """One has the id of the line in the log that names its sender."""
    ids = []
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1"):
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/content/search",
            "client": (address, 1),
            "headers": [(b"x-api-key", b"nobody's"), (b"x-request-id", address.encode())],
        }
        ids.append(json.loads(app.state.admission(scope).body)["id"])
    assert ids == ["10.0.0.1", "10.0.0.2", "10.0.0.1"]


def told(answer: httpx.Response) -> tuple[int, dict[str, str], dict[str, Any]]:
    """What an answer says beside its time, its id and what it echoes."""
    apart = {"date", "x-request-id", "content-length"}
    headers = {name: value for name, value in answer.headers.items() if name not in apart}
    body = {name: value for name, value in answer.json().items() if name not in ("id", "params")}
    if isinstance(body.get("error"), dict):
        body["error"].pop("timestamp", None)
    return answer.status_code, headers, body


def answered_early(served: Served) -> int:
    """How many answers were given without a route, whose time would have been taken."""
    lines = served.get("/metrics", key=INGEST).text.splitlines()
    answers, timed = (
        sum(float(line.split()[-1]) for line in lines if line.startswith(name))
        for name in ("dateline_http_requests_total{", "dateline_http_request_seconds_count{")
    )
    return round(answers - timed)


def test_what_is_over_a_share_is_refused_without_being_counted_again(served: Served) -> None:
    assert served.get(FERRY, key=SLOW).status_code == 200
    for _ in range(3):
        answer = served.get(FERRY, key=SLOW)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_requests")
        assert 50 <= int(answer.headers["retry-after"]) <= 60
    assert served.get(FERRY).status_code == 200  # another key
