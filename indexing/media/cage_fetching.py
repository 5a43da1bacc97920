"""Fetches over HTTP what a child asks for, of the host that was named and of no other.

A playlist is hostile: it may name any address. Scheme, host and port of each are looked at here, of
each redirection too, and the child gets the bytes through a pipe.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from contextlib import suppress

import httpx

_REDIRECTIONS = 5
_TIMEOUT_S = 15.0
_CHUNK = 64 * 2**10
_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


class RefusedFetchError(Exception):
    """An address that is not fetched, or that gave nothing."""


class Fetches:
    """One source's host and what may be fetched of it; `also` are further hosts, by name."""

    def __init__(self, url: str, also: Iterable[str] = ()) -> None:
        self._origin = origin_of(url)
        self._also = frozenset(host.lower() for host in also)
        self._client = httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False)

    def open(self, url: str, start: int = 0, end: int = 0) -> int:
        """A handle to read the bytes from; raises RefusedFetchError."""
        try:
            response = self._ask(url, start, end)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise RefusedFetchError(f"it could not be fetched: {type(error).__name__}") from error
        ours, theirs = os.pipe()
        threading.Thread(target=_pour, args=(response, theirs), daemon=True).start()
        return ours

    def close(self) -> None:
        """Hangs up."""
        self._client.close()

    def _ask(self, url: str, start: int, end: int) -> httpx.Response:
        headers = {"Range": f"bytes={start}-{end - 1 if end else ''}"} if start or end else {}
        for _ in range(_REDIRECTIONS + 1):
            self._check(url)
            request = self._client.build_request("GET", url, headers=headers)
            response = self._client.send(request, stream=True)
            if not response.has_redirect_location:
                break
            url = str(response.url.join(response.headers["location"]))
            response.close()
        else:
            raise RefusedFetchError("it is redirected too often")
        if not response.is_success:
            response.close()
            raise RefusedFetchError(f"HTTP {response.status_code}")
        return response

    def _check(self, url: str) -> None:
        scheme, host, port = origin_of(url)
        same = (host, port) == self._origin[1:] and scheme == self._origin[0]
        named = host in self._also and port == _PORTS[scheme]
        if not (same or named):
            raise RefusedFetchError("another host than the one that was named")


def origin_of(url: str) -> Origin:
    """Scheme, host and port; raises RefusedFetchError where they are none of HTTP."""
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise RefusedFetchError("no address") from error
    if parts.scheme not in _PORTS or not parts.host:
        raise RefusedFetchError("not an address of http or https")
    return parts.scheme, parts.host.lower(), parts.port or _PORTS[parts.scheme]


def _pour(response: httpx.Response, into: int) -> None:
    """Writes the body into a pipe until either side has enough."""
    with suppress(OSError, httpx.HTTPError, httpx.StreamError), os.fdopen(into, "wb", 0) as pipe:
        for chunk in response.iter_bytes(_CHUNK):
            view = memoryview(chunk)
            while view:
                view = view[pipe.write(view) or 0 :]
    with suppress(httpx.HTTPError, RuntimeError):
        response.close()
