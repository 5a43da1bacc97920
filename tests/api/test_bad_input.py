"""Bad requests get a 4xx that says what is wrong, and nothing is lost or held."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from api.access.checks import validation_problem
from api.models.refusals import refusal_of
from api.search.parameters import SearchParameters
from tests.api.conftest import INGEST, READ, Served, filled, serving


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("page_size=1000000000", "page_size", "200"),
        ("page_size=0", "page_size", "1"),
        ("page_size=1e9", "page_size", "integer"),
        ("page=0", "page", "1"),
        ("page=99999999999999999999999", "page", ""),
        ("facet_limit=100000", "facet_limit", "200"),
        ("since=lately", "since", "date"),
        ("since=2024-02-30", "since", "calendar"),
        ("since=2024-03-05T10:00:00", "since", "zone"),
        ("until=9999-12-31", "until", "calendar"),
        ("until=0000-01-01", "until", "calendar"),
        ("since=2024-03-05&until=2024-03-04", "since", "until"),
        ("since=20240305", "since", "date"),
        ("sort=headline:asc", "sort", "versioncreated"),
        ("type=novel", "type", "picture"),
        ("facets=mood", "facets", "subject"),
        ("profile=magic", "profile", "hybrid"),
        ("tz=Mars/Olympus", "tz", "Europe/Berlin"),
        ("tz=..%2Fetc%2Fpasswd", "tz", "IANA"),
        ("locale=english", "locale", "en-US"),
        ("dates=maybe", "dates", "'filter' or 'off'"),
        ("entities=maybe", "entities", "'boost', 'filter' or 'off'"),
        ("explain=perhaps", "explain", "boolean"),
        ("pagesize=5", "pagesize", "page_size"),
        ("q=a&q=b", "q", "once"),
        ("q=a%00b", "q", "U+0000"),
        ("place=a%1Bb", "place", "U+001B"),
        ("facets=type%00", "facets", "U+0000"),
        ("session_label=a%C2%85b", "session_label", "U+0085"),
        ("include=a%7Fb", "include", "U+007F"),
        ("st%00range=1", "strange", "U+0000"),
        ("session_label=" + "x" * 49, "session_label", "48"),
        ("place=" + ",".join("abcdefgh" * 13), "place", "100"),
    ],
)
def test_bad_parameters_are_named(served: Served, query: str, field: str, words: str) -> None:
    answer = served.get(f"/content/search?{query}")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["field"] == field
    assert words in error["message"] + error["mend"]


def test_a_parameter_that_is_repeated_unchanged_is_read(served: Served) -> None:
    assert served.get("/content/search?q=ferry&page_size=1&page_size=1").status_code == 200


def test_an_unknown_parameter_gets_the_name_that_it_is_a_slip_for() -> None:
    slips = {"pagesize": ["page_size"], "sence": ["since"], "query": ["q"], "colour": []}
    for written, meant in slips.items():
        missing = {"type": "missing", "loc": ("body", "q")}
        unknown = {"type": "extra_forbidden", "loc": ("query", written)}
        problem = validation_problem([missing, unknown], SearchParameters)
        assert (problem.field, problem.unknown) == (written, True)
        assert re.findall(r"^Did you mean '(\w+)'", problem.mend) == meant


@pytest.mark.parametrize("written", ["%0D", "%0A", "%0D%0A", "a%0Db", "%22a%0Db", "%09,%0D,%22"])
@pytest.mark.parametrize("name", ["place", "facets", "include", "ignore"])
def test_white_space_in_a_list_is_a_blank(served: Served, name: str, written: str) -> None:
    answer = served.get(f"/content/search?{name}={written}")
    assert answer.status_code in (200, 400)
    assert answer.status_code == 200 or answer.json()["error"]["field"] == name


@pytest.mark.parametrize("written", ["%00", "a%1Bb", "a%C2%85b"])
def test_control_characters_are_refused_everywhere(served: Served, written: str) -> None:
    """Every route refuses them in its query string and in each parameter of its path."""
    listed = served.get("/openapi.json").json()["paths"]
    operations = [(method, path) for path, methods in listed.items() for method in methods]
    operations += [("get", path) for path in ("/", "/docs", "/page/config", "/page/{name}")]
    for method, path in operations:
        addresses = {"a": f"{_filled(path, '', '')}?a={written}"} | {
            name: _filled(path, name, written) for name in _PLACES.findall(path)
        }
        for field, address in addresses.items():
            answer = served.http.request(method, address)
            told = answer.json()
            status = 422 if "error_type" in told else 400  # text-embeddings-inference's own
            assert answer.status_code == status, (method, address)
            if refusal_of(path, method.upper()) is not None:
                continue
            error = told["error"]
            assert error["field"] == field if "field" in error else error["code"] == 5001


_PLACES = re.compile("{(.*?)}")


def _filled(path: str, name: str, written: str) -> str:
    """The path with `written` in the place of this name."""
    return _PLACES.sub(lambda found: written if found[1] == name else "urn", path)


def test_query_string_that_is_no_utf8_is_refused(served: Served) -> None:
    answer = served.get("/content/search?q=%ED%A0%80")
    assert answer.status_code == 400
    assert "UTF-8" in answer.json()["error"]["message"]


def test_unparsable_query_says_where(served: Served) -> None:
    error = served.get("/content/search", q='"half').json()["error"]
    assert (error["status"], error["code"]) == (400, "bad_query")
    assert "character 3" in error["message"]
    assert error["mend"] == "Close it."


def test_lost_cursor_is_gone(served: Served) -> None:
    error = served.get("/content/search", cursor="elsewhere").json()["error"]
    assert (error["status"], error["code"]) == (410, "cursor_expired")


@pytest.mark.parametrize(
    "path", ["/content/urn:news:ferry?version=all", "/content/urn:news:ferry?versions=some"]
)
def test_item_refuses_unknown_parameters(served: Served, path: str) -> None:
    assert served.get(path).status_code == 400


def post(
    served: Served, content: bytes | Iterator[bytes], kind: str = "application/json"
) -> tuple[int, dict[str, Any]]:
    headers = {"x-api-key": INGEST, "content-type": kind}
    answer = served.http.post("/content", content=content, headers=headers)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"uri": "a",}',
        b'{"uri": NaN}',
        b'{"uri": "\xff"}',
        b'{"uri": "\\ud800"}',
        b"null",
        b'"text"',
        b"12",
        b'{"uri": "a\x01b"}',
    ],
)
def test_malformed_json_is_refused(fresh: Served, content: bytes) -> None:
    status, answer = post(fresh, content)
    assert (status, answer["error"]["code"]) == (400, "bad_document")
    assert len(fresh.room.items) == 4


@pytest.mark.parametrize("depth", [65, 900, 5000])
def test_deep_nesting_is_refused(fresh: Served, depth: int) -> None:
    content = b'{"uri":"urn:deep","x":' + b"[" * depth + b"1" + b"]" * depth + b"}"
    status, answer = post(fresh, content)
    assert (status, answer["error"]["code"]) == (400, "bad_document")
    assert "urn:deep" not in fresh.room.items


def test_nesting_of_64_is_taken(fresh: Served) -> None:
    content = b'{"uri":"urn:deep","x":' + b"[" * 63 + b"1" + b"]" * 63 + b"}"
    assert post(fresh, content)[0] == 201


def test_missing_uri_is_refused(fresh: Served) -> None:
    status, answer = post(fresh, b'{"headline": "No uri"}')
    assert (status, answer["error"]["field"]) == (400, "uri")


def test_wrong_type_is_named_with_its_field(fresh: Served) -> None:
    status, answer = post(fresh, b'{"uri": "urn:w", "headline": 7}')
    assert (status, answer["error"]["field"]) == (400, "headline")


@pytest.mark.parametrize("kind", ["", "text/plain", "text/csv", "multipart/form-data"])
def test_other_content_types_are_refused(fresh: Served, kind: str) -> None:
    status, answer = post(fresh, b"{}", kind)
    assert (status, answer["error"]["code"]) == (415, "unsupported_media_type")


def test_other_charsets_and_compression_are_refused(fresh: Served) -> None:
    assert post(fresh, b"{}", "application/json; charset=latin-1")[0] == 415
    headers = {
        "x-api-key": INGEST,
        "content-type": "application/json",
        "content-encoding": "gzip",
    }
    assert fresh.http.post("/content", content=b"x", headers=headers).status_code == 415


def test_announced_big_body_is_refused_unread(fresh: Served) -> None:
    status, answer = post(fresh, b" " * 300_000)
    assert (status, answer["error"]["code"]) == (413, "too_large")


def test_streamed_big_body_is_refused_with_flat_memory(fresh: Served) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        chunk = b" " * 65536
        for _ in range(1600):  # 100 MiB
            sent += len(chunk)
            yield chunk

    tracemalloc.start()
    try:
        status, answer = post(fresh, endless())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (status, answer["error"]["code"]) == (413, "too_large")
    assert peak < 16 * 1024 * 1024
    assert sent < 50 * 1024 * 1024  # the rest was never read
    assert fresh.get("/content/search", q="ferry").status_code == 200


def test_slow_body_times_out() -> None:
    begun, rest = b'{"uri": ', b'"urn:slow"}'
    headers = {
        "x-api-key": INGEST,
        "content-type": "application/json",
        "content-length": str(len(begun + rest)),
    }
    with serving(filled(), body_timeout_seconds=0.2) as served:
        client = HTTPConnection(urlsplit(served.url).netloc, timeout=120)
        with closing(client):
            client.request("POST", "/content", begun, headers)
            answer = client.getresponse()
            said = json.loads(answer.read())
            with suppress(OSError):  # the service may have ended the connection
                client.send(rest)
        assert (answer.status, said["error"]["code"]) == (408, "timeout")
        assert "urn:slow" not in served.room.items


def test_too_many_documents_at_once_are_refused() -> None:
    with serving(filled(), max_documents=2) as served:
        status, answer = post(served, b'[{"uri":"a"},{"uri":"b"},{"uri":"c"}]')
        assert (status, answer["error"]["code"]) == (413, "too_large")
        assert len(served.room.items) == 4


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"pubstatus": "gone"}, "pubstatus"),
        ({"pubstatus": 1}, "pubstatus"),
        ({"embargoed": "soon"}, "embargoed"),
        ({"embargoed": 5}, "embargoed"),
        ({"status": "canceled"}, "status"),
    ],
)
def test_bad_status_changes_are_named(fresh: Served, body: dict[str, Any], field: str) -> None:
    answer = fresh.http.patch(
        "/content/urn:news:ferry/status", json=body, headers={"x-api-key": INGEST}
    )
    assert answer.status_code == 400
    assert answer.json()["error"].get("field", "") == field
    assert fresh.get("/content/urn:news:ferry").status_code == 200


def test_status_body_must_be_an_object(fresh: Served) -> None:
    headers = {"x-api-key": INGEST, "content-type": "application/json"}
    answer = fresh.http.patch("/content/urn:news:ferry/status", content=b"[]", headers=headers)
    assert answer.status_code == 400


def test_a_query_that_is_too_long_for_one_is_a_text(served: Served) -> None:
    answer = served.get("/content/search", q="ferry " * 800)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/plain", b'The ferry ( AND type:video* "NOT'),
        ("text/plain", b"\xff\xfe ferry \x00"),
        ("application/json", b'{"text": "The ferry AND \\" ("}'),
        ("", b"ferry"),
        ("application/x-www-form-urlencoded", b"ferry=1"),
        ("application/json", b'{"text": "The \\ud800 ferry \\u0000"}'),
        ("application/json", b'{"text": "The \x01 ferry\xff"}'),
        ("application/json", b'{"text": "' + b"\\u00e9" * 300_000 + b'"}'),
        ("text/plain; charset=iso-8859-99", b"ferry"),
        ("text/plain; charset=punycode", b"ferry"),
        ("text/plain", b"ferry harbour " * 70_000),
        ("text/plain", b"x" * (1 << 20)),
        ("text/plain", b"   "),
        ("text/plain", b""),
    ],
)
def test_no_pasted_text_is_refused(served: Served, kind: str, body: bytes) -> None:
    headers = {"x-api-key": READ} | ({"content-type": kind} if kind else {})
    answer = served.http.post("/content/search?page_size=2", content=body, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [("", b"x" * ((1 << 20) + 1), 413), ("q=ferry", b"ferry", 400), ("page=0", b"ferry", 400)],
)
def test_a_text_has_its_limits(served: Served, query: str, body: bytes, status: int) -> None:
    headers = {"x-api-key": READ}
    answer = served.http.post(f"/content/search?{query}", content=body, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"text": 3}', 400),
        (b'{"texts": "ferry"}', 400),
        (b'{"text": "ferry", "page": 2}', 400),
        (b"[]", 400),
        (b'{"text": "\\ud800"', 400),
        (b'{"text": "' + b"\\u00e9" * 600_000 + b'"}', 413),
        (b'{"text": "' + b"x" * (1 << 20) + b'"}', 200),
        (b'{"text": "' + b"x" * ((1 << 20) + 1) + b'"}', 413),
    ],
)
def test_a_text_in_json_has_its_form(served: Served, body: bytes, status: int) -> None:
    headers = {"x-api-key": READ, "content-type": "application/json"}
    answer = served.http.post("/content/search", content=body, headers=headers)
    assert answer.status_code == status
