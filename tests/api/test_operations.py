"""Health, metrics, documentation, the page's files, and refusal under load."""

from __future__ import annotations

import posixpath
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.page_routes import FOLDER as PAGE
from tests.api.conftest import INGEST, READ, Served, app_over, filled, serving


def samples(served: Served) -> dict[tuple[str, str], float]:
    text = served.get("/metrics", key=INGEST).text
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_requests_stages_and_state(fresh: Served) -> None:
    fresh.get("/content/search", q="ferry")
    fresh.get("/content/search", page_size=0)
    fresh.get("/content/urn:news:ferry")
    fresh.get("/nowhere/at/all")
    fresh.http.request("BREW", "/content/search")
    found = samples(fresh)
    requests = "dateline_http_requests_total"
    assert found[requests, "GET,/content/search,200"] == 1
    assert found[requests, "GET,/content/search,400"] == 1
    assert found[requests, "GET,/content/{item_id:path},200"] == 1
    assert found[requests, "GET,unmatched,404"] == 1
    assert not any("BREW" in labels or "nowhere" in labels for _, labels in found)
    assert found["dateline_search_stage_seconds_sum", "vectors"] == pytest.approx(0.0021)
    assert found["dateline_search_stage_seconds_count", "total"] == 1
    assert found["dateline_items", ""] == 4
    assert found["dateline_items_visible", ""] == 4
    assert found["dateline_projection_lag", "vectors"] == 3
    assert found["dateline_http_in_flight", ""] == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": "127.0.0.1"},
        {"x-forwarded-host": "localhost"},
        {"forwarded": "for=127.0.0.1"},
        {"via": "1.1 proxy"},
        {"x-real-ip": "127.0.0.1"},
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example:8000"},
        {"host": "[::1].evil.example"},
        {"host": "localhost@evil.example"},
        {"host": ""},
    ],
    ids=str,
)
def test_demo_keys_are_for_this_machine_only(demo: Served, headers: dict[str, str]) -> None:
    def codes(further: dict[str, str]) -> list[int]:
        key, desk = {"x-api-key": READ, **further}, {"x-api-key": INGEST, **further}
        document = {"uri": "urn:new", "headline": "New"}
        bearer = {"authorization": f"Bearer {INGEST}", **further}
        return [
            demo.http.get("/content/search", headers=key).status_code,
            demo.http.get("/content/urn:news:ferry", headers=key).status_code,
            demo.http.post("/content", headers=desk, json=document).status_code,
            demo.http.get("/v1/models", headers=bearer).status_code,
            demo.http.get("/metrics", headers=desk).status_code,
            demo.http.get("/v1/media/thumbnail/urn:news:ferry", headers=key).status_code,
        ]

    assert codes({}) == [200, 200, 201, 200, 200, 404]
    assert codes(headers) == [401] * 6
    near = demo.http.get("/page/config").json()
    far = demo.http.get("/page/config", headers=headers).json()
    assert (near["demo_key"], near["demo_ingest_key"], near["desk"]) == (READ, INGEST, True)
    assert (far["demo_key"], far["demo_ingest_key"], far["desk"]) == ("", "", False)


@pytest.mark.parametrize(
    ("peer", "code"), [("127.0.0.1", 404), ("::1", 404), ("192.0.2.7", 401), ("", 401)]
)
def test_demo_keys_and_what_they_signed_open_nothing_to_another_machine(
    peer: str, code: int
) -> None:
    app = app_over(filled(), demo=True, loopback=True)
    signed = app.state.surface.signer.links(READ).of("urn:news:ferry", "thumbnail")
    with TestClient(app, base_url="http://127.0.0.1", client=(peer, 5)) as client:
        assert client.get(signed).status_code == code
        assert client.get("/content/urn:x", headers={"x-api-key": READ}).status_code == code


def test_metrics_are_open_to_everybody_only_where_that_is_set(served: Served) -> None:
    assert served.get("/metrics", key="").status_code == 401
    for key, code in ((INGEST, 200), (READ, 403), ("x", 401)):  # as Prometheus sends it
        bearer = {"authorization": f"Bearer {key}"}
        assert served.http.get("/metrics", headers=bearer).status_code == code
    with serving(filled(), open_metrics=True) as running:
        assert running.get("/metrics", key="").status_code == 200


def test_page_config_without_demo_has_no_key(served: Served) -> None:
    answer = served.http.get("/page/config")
    assert READ not in answer.text
    assert answer.json()["desk"] is False


def test_ready_says_why_not(fresh: Served) -> None:
    assert fresh.http.get("/readyz").json()["data"] == {"ready": True}
    fresh.room.broken = True
    answer = fresh.http.get("/readyz")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
    assert "replayed" in answer.json()["error"]["message"]
    assert int(answer.headers["retry-after"]) >= 1
    assert fresh.http.get("/healthz").status_code == 200


def test_busy_service_refuses_fast_and_stays_alive() -> None:
    room = filled()
    room.hold = threading.Event()
    with (
        serving(room, max_concurrent_searches=1, max_waiting=1) as served,
        ThreadPoolExecutor(6) as crowd,
    ):
        waiting = [crowd.submit(served.get, "/content/search") for _ in range(2)]
        while samples(served)["dateline_http_in_flight", ""] < 3:  # with the one that asks
            time.sleep(0.01)
        refused = served.get("/content/search", q="ferry")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "busy")
        assert refused.headers["retry-after"] == "1"
        assert served.http.get("/healthz").status_code == 200
        assert samples(served)["dateline_http_refused_total", ""] == 1
        room.hold.set()
        assert [future.result().status_code for future in waiting] == [200, 200]
        assert served.get("/content/search", q="ferry").status_code == 200


def test_permit_is_held_until_the_work_ends_not_the_client() -> None:
    room = filled()
    room.hold = threading.Event()
    with serving(room, max_concurrent_searches=1, max_waiting=0) as served:
        place = (served.http.base_url.host, served.http.base_url.port)
        with socket.create_connection(place) as client:
            head = f"GET /content/search HTTP/1.1\r\nhost: a\r\nx-api-key: {READ}\r\n\r\n"
            client.sendall(head.encode())
            while not room.asked:
                time.sleep(0.01)
        assert served.get("/content/search").status_code == 503
        room.hold.set()
        deadline = time.monotonic() + 240
        while served.get("/content/search").status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_services_are_closed_at_the_end() -> None:
    room = filled()
    with serving(room):
        assert not room.closed
    assert room.closed


def test_openapi_document_is_whole(served: Served) -> None:
    document = served.http.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert set(document["paths"]) >= {
        "/content/search",
        "/v1/suggest",
        "/content/{item_id}",
        "/content/{item_id}/status",
        "/content",
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/models",
        "/v1/embeddings",
        "/v1/media/{rendition}/{item_id}",
        "/v1/rerank",
        "/v1/tag",
        "/v1/models/{model}",
        "/v2/embed",
        "/v2/rerank",
        "/embed",
        "/rerank",
        "/predict",
        "/tokenize",
        "/info",
    }
    known = document["components"]["schemas"]
    references = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert references <= set(known)
    search = document["paths"]["/content/search"]["get"]
    assert {one["name"] for one in search["parameters"]} >= {"q", "page_size", "cursor", "since"}
    assert all(one.get("description") for one in search["parameters"])
    assert search["security"] == [{"apikey": []}]
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            assert "500" in operation["responses"]


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_load_nothing_from_elsewhere(served: Served, path: str) -> None:
    answer = served.http.get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"(src|href)=\"(https?:)?//", answer.text)
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=", answer.text)
    names = re.findall(r"\"(page/[^\"]+)\"", answer.text)
    assert len(names) > 2
    for name in names:
        assert served.http.get(f"/{name}").status_code == 200


def test_scripts_never_parse_markup_and_import_what_exists(served: Served) -> None:
    seen: set[str] = set()
    left = ["app.js", "docs/docs.js", "judge/judge.js"]
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        answer = served.http.get(f"/page/{name}")
        assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", answer.text)
        assert not re.search(
            r"\beval\(|new Function|https?://(?!www\.w3\.org/2000/svg)", answer.text
        )
        for other in re.findall(r"from \"(\.[\w./-]+)\"", answer.text):
            left.append(posixpath.normpath(posixpath.join(posixpath.dirname(name), other)))
    assert seen == {path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*.js")}


def test_headers_are_safe_on_every_answer(served: Served) -> None:
    for path in ("/", "/content/search", "/nowhere", "/page/app.js"):
        headers = served.http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "access-control-allow-origin" not in headers
    assert served.get("/content/search").headers["cache-control"] == "no-store"
    font = served.http.get("/page/shared/newsreader-latin.woff2")
    assert "immutable" in font.headers["cache-control"]
