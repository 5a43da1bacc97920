"""A service is asked as anybody asks it, and what it does not say is not made up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from core.errors import AccessError, BusyError, InputError
from eval.runs.remote_search import ATTEMPTS, ServiceAnswers, open_service

Handler = Callable[[httpx.Request], httpx.Response]


def service(handler: Handler, waits: list[float] | None = None) -> ServiceAnswers:
    client = httpx.Client(transport=httpx.MockTransport(handler), base_url="http://there")
    kept = waits if waits is not None else []
    return ServiceAnswers(client, "hybrid", kept.append)


def page(uris: list[str], cursor: str = "", degraded: tuple[str, ...] = ()) -> httpx.Response:
    items = [{"meta": {}, "item": {"uri": uri}} for uri in uris]
    data = {"items": items, "cursor": cursor, "degraded": list(degraded), "profile": "hybrid"}
    return httpx.Response(200, json={"data": data})


def problem(status: int, message: str, **headers: str) -> httpx.Response:
    tree = {"error": {"status": status, "code": "x", "message": message, "mend": "do better"}}
    return httpx.Response(status, json=tree, headers=headers)


def test_pages_are_followed_to_the_depth() -> None:
    asked: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        start = int(request.url.params.get("cursor", 0))
        return page(
            [f"u{n}" for n in range(start, start + 200)], str(start + 200), ("rerank: late",)
        )

    found = service(answer).answer("ferry & port", 300)
    assert found.uris == tuple(f"u{n}" for n in range(300))
    assert found.degraded == ("rerank: late",)
    assert found.milliseconds > 0
    first = {"q": "ferry & port", "page_size": "200", "highlight": "false", "include": "uri"}
    assert asked == [first | {"profile": "hybrid"}, first | {"profile": "hybrid", "cursor": "200"}]


def test_a_refused_query_is_an_answer() -> None:
    found = service(lambda _: problem(400, "q: has the control character U+0000")).answer("\0", 10)
    assert found.uris == ()
    assert found.refused == "q: has the control character U+0000 — do better"


def test_a_busy_service_is_asked_again_when_it_says() -> None:
    answers = [problem(503, "busy", **{"retry-after": "1"}), page(["u1"])]
    waits: list[float] = []
    assert service(lambda _: answers.pop(0), waits).answer("ferry", 10).uris == ("u1",)
    assert waits == [1.0]


def test_a_service_that_stays_busy_is_no_zero() -> None:
    waits: list[float] = []
    with pytest.raises(BusyError, match="too much to do"):
        service(lambda _: problem(503, "busy"), waits).answer("ferry", 10)
    assert len(waits) == ATTEMPTS
    assert waits == sorted(waits)


def test_a_wrong_key_is_no_zero() -> None:
    with pytest.raises(AccessError, match="unknown key") as caught:
        service(lambda _: problem(401, "unknown key")).answer("ferry", 10)
    assert "--key-env" in caught.value.mend


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"data": {"items": [{}], "cursor": "", "degraded": []}}),
        httpx.Response(200, json={"data": {"items": [], "cursor": None, "degraded": []}}),
        httpx.Response(404, text="nothing here"),
        httpx.Response(302, headers={"location": "http://elsewhere"}),
    ],
)
def test_what_is_no_dateline_service_is_said(answer: httpx.Response) -> None:
    with pytest.raises(InputError, match="not a Dateline service") as caught:
        service(lambda _: answer).answer("ferry", 10)
    assert caught.value.where == "http://there"


def test_a_service_that_breaks_off_is_no_zero() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("timed out", request=request)

    with pytest.raises(InputError, match="can't be asked: timed out"):
        service(answer).answer("ferry", 10)


def test_models_are_told_by_role() -> None:
    rows: list[dict[str, Any]] = [
        {"id": "mini", "task": "encode", "digest": "ab"},
        {"id": "names", "task": "tag", "digest": "cd"},
        {"id": "shots", "task": "shots", "digest": "ef"},
    ]
    there = service(lambda _: httpx.Response(200, json={"data": rows}))
    assert there.models() == {"encoder": "mini ab", "tagger": "names cd"}
    assert service(lambda _: httpx.Response(404, text="")).models() == {}


@pytest.mark.parametrize(
    "url", ["there", "ftp://there", "http://", "http://there?key=1", "http://there:0", "http://[x"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(InputError, match="not a service's address"):
        open_service(url)


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(InputError) as caught:
        open_service("http://me:hunter2@there")
    assert "hunter2" not in str(caught.value)


def test_a_key_that_no_header_takes_is_not_repeated() -> None:
    with pytest.raises(InputError) as caught:
        open_service("http://there", "schlüssel")
    assert "schlüssel" not in str(caught.value)
