"""What proxies say is believed from ours alone, and links keep the path that one puts first."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Message, Scope

from api.access.forwarding import Forwarding, Proxies
from tests import own_loop
from tests.api.conftest import READ, app_over, filled

OURS, STRANGER = "10.0.0.1", "203.0.113.5"
PROXIES = Proxies.of(["10.0.0.0/8", "2001:db8::/32"])
PLAIN = (OURS, "http", "inner:8000")


def seen(headers: list[tuple[str, str]], peer: str = OURS, root: str = "", path: str = "/x") -> Any:
    """The scope that reaches the application."""
    scope: Scope = {
        "type": "http",
        "client": (peer, 4711),
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "headers": [(n.encode(), v.encode()) for n, v in [("host", "inner:8000"), *headers]],
    }
    found: list[Scope] = []

    async def app(scope: Scope, _receive: Any, _send: Any) -> None:
        found.append(scope)

    async def nothing() -> Message:
        raise AssertionError

    own_loop.run(Forwarding(app, PROXIES, root)(scope, nothing, nothing))  # type: ignore[arg-type]
    return found[0]


def believed(headers: list[tuple[str, str]], peer: str = OURS) -> tuple[str, str, str]:
    scope = seen(headers, peer)
    return scope["client"][0], scope["scheme"], dict(scope["headers"])[b"host"].decode()


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("x-forwarded-for", "192.0.2.1")], ("192.0.2.1", "http", "inner:8000")),
        ([("x-forwarded-for", "192.0.2.1:99")], ("192.0.2.1", "http", "inner:8000")),
        ([("x-forwarded-for", "6.6.6.6, 192.0.2.1")], ("192.0.2.1", "http", "inner:8000")),
        ([("x-forwarded-for", "6.6.6.6, 192.0.2.1, 10.9.9.9")],
         ("192.0.2.1", "http", "inner:8000")),
        ([("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.1")],
         ("192.0.2.1", "http", "inner:8000")),
        ([("x-forwarded-for", "10.1.1.1, 10.9.9.9")], ("10.1.1.1", "http", "inner:8000")),
        ([("x-forwarded-for", "unknown")], PLAIN),
        ([("x-forwarded-for", "")], PLAIN),
        ([("x-forwarded-proto", "https")], (OURS, "https", "inner:8000")),
        ([("x-forwarded-proto", "gopher")], PLAIN),
        ([("x-forwarded-host", "news.example")], (OURS, "http", "news.example")),
        ([("x-forwarded-host", "news.example/../x")], PLAIN),
        ([("x-forwarded-host", "[2001:db8::9]:443")], (OURS, "http", "[2001:db8::9]:443")),
        ([("x-forwarded-for", "192.0.2.1, 10.9.9.9"), ("x-forwarded-proto", "https, http"),
          ("x-forwarded-host", "news.example, inner.example")],
         ("192.0.2.1", "https", "news.example")),
        ([("forwarded", 'for=192.0.2.1;proto=https;host="news.example:443"')],
         ("192.0.2.1", "https", "news.example:443")),
        ([("forwarded", 'For="[2001:db9::1]:4711", for=10.2.2.2;proto=http')],
         ("2001:db9::1", "http", "inner:8000")),
        ([("forwarded", "for=6.6.6.6;host=evil.example, for=192.0.2.1;proto=https")],
         ("192.0.2.1", "https", "inner:8000")),
        ([("forwarded", "for=_hidden;proto=https")], (OURS, "https", "inner:8000")),
        ([("forwarded", "for=6.6.6.6;proto=https"), ("x-forwarded-for", "192.0.2.1")],
         (OURS, "https", "inner:8000")),
        ([("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "192.0.2.1")],
         ("192.0.2.1", "http", "inner:8000")),
    ],
    ids=str,
)  # fmt: skip
def test_what_our_proxies_say(
    headers: list[tuple[str, str]], expected: tuple[str, str, str]
) -> None:
    assert believed(headers) == expected
    assert believed(headers, STRANGER) == (STRANGER, "http", "inner:8000")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["forwarded"] + [f"x-forwarded-{n}" for n in ("for", "proto", "host")]),
            st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80),
        ),
        max_size=6,
    )
)
def test_whatever_they_say_leaves_a_request_well_formed(headers: list[tuple[str, str]]) -> None:
    client, scheme, host = believed(headers)
    assert scheme in ("http", "https")
    assert client
    assert host
    assert not set(host) & set("/ \r\n,;\"'")
    assert believed(headers, STRANGER) == (STRANGER, "http", "inner:8000")


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7"])
def test_addresses_of_our_networks(address: str) -> None:
    assert address in PROXIES
    assert address not in Proxies()


@pytest.mark.parametrize("sent", ["/archive/content/search", "/content/search"])
def test_paths_are_whole_whether_a_proxy_takes_its_part_off_or_not(sent: str) -> None:
    scope = seen([], root="/archive", path=sent)
    assert scope["root_path"] == "/archive"
    assert scope["path"] == "/archive/content/search"
    assert scope["raw_path"] == b"/archive/content/search"


@pytest.mark.parametrize("before", ["", "/archive"])
def test_links_in_answers_begin_with_the_root_path(before: str) -> None:
    app = app_over(filled(), root_path="/archive")
    with TestClient(app, headers={"x-api-key": READ}) as client:
        first = client.get(f"{before}/content/search", params={"q": "ferry", "page_size": 1})
        link = first.json()["data"]["next_page"]
        assert link.startswith("/archive/content/search?")
        assert client.get(link).status_code == 200
        assert client.get(f"{before}/openapi.json").json()["servers"] == [{"url": "/archive"}]
        assert client.get(f"{before}/").status_code == 200
