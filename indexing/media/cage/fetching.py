"""Fetches over HTTP what a child asks for, from the named host and no other.

A playlist is hostile: it may name any address. The scheme, host and port of each address and
redirection are checked here, and the child gets the bytes through a pipe. However slowly a server
answers, no fetch takes longer than the caller allows.

Certificates are checked against the bundled authorities, or those of the file that the environment
names in SSL_CERT_FILE (httpx, SSL configuration).
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress

import httpx

_REDIRECTIONS = 5
_TIMEOUT_S = 15.0
_LOOK_S = 0.25
_JOIN_S = 1.0  # a thread that is still connecting after this ends within _TIMEOUT_S
_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


class RefusedFetchError(Exception):
    """An address that may not be fetched, or that failed."""


class Fetches:
    """Fetches from one source's host; `also` are further allowed hosts, by name.

    `trouble` says why the last address was refused, `broken` how the last answer broke off.
    """

    def __init__(self, url: str, also: Iterable[str] = ()) -> None:
        self._origin = origin_of(url)
        self._also = frozenset(host.lower() for host in also)
        self._client = httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False)
        self._lock = threading.Lock()
        self._open: set[httpx.Response] = set()
        self._threads: set[threading.Thread] = set()
        self._closed = False
        self.trouble = ""
        self.broken = ""

    def open(
        self, url: str, start: int = 0, end: int = 0, wait: Callable[[], object] = lambda: None
    ) -> int:
        """Return a handle to read the bytes from. Raises RefusedFetchError. Until it is ready,
        `wait` is called again and again, and may raise.
        """
        handle: Future[int] = Future()
        thread = threading.Thread(target=self._bring, args=(handle, url, start, end), daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()
        try:
            return _awaited(handle, wait)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            return self._refuse(f"it could not be fetched: {type(error).__name__}: {error}")
        except RefusedFetchError as error:
            return self._refuse(str(error))

    def close(self) -> None:
        """Close the connections, and wait for the threads."""
        with self._lock:
            self._closed = True
            responses, threads = list(self._open), list(self._threads)
        for response in responses:
            _hang_up(response)
        for thread in threads:
            thread.join(_JOIN_S)
        self._client.close()

    def _refuse(self, why: str) -> int:
        self.trouble = why[:300]
        raise RefusedFetchError(self.trouble)

    def _bring(self, handle: Future[int], url: str, start: int, end: int) -> None:
        """The thread: sets `handle` from the answer's head, then pours its body."""
        try:
            self._answer(handle, url, start, end)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _answer(self, handle: Future[int], url: str, start: int, end: int) -> None:
        try:
            response = self._ask(url, start, end)
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            if handle.set_running_or_notify_cancel():
                handle.set_exception(error)
            return
        try:
            if not self._is_wanted(response) or not handle.set_running_or_notify_cancel():
                return
            try:
                ours, theirs = os.pipe()
            except OSError as error:
                handle.set_exception(error)
                return
            handle.set_result(ours)
            broken = _pour(response, theirs)
            if not self._closed:
                self.broken = broken
        finally:
            with self._lock:
                self._open.discard(response)
            with suppress(httpx.HTTPError, RuntimeError, OSError):
                response.close()

    def _is_wanted(self, response: httpx.Response) -> bool:
        """Return whether the fetches are still open; if so, `close` also ends this one."""
        with self._lock:
            self._open.add(response)
            return not self._closed

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
    """Return scheme, host and port. Raises RefusedFetchError if they are not of HTTP."""
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise RefusedFetchError("no address") from error
    if parts.scheme not in _PORTS or not parts.host:
        raise RefusedFetchError("not an address of http or https")
    return parts.scheme, parts.host.lower(), parts.port or _PORTS[parts.scheme]


def _awaited(handle: Future[int], wait: Callable[[], object]) -> int:
    while True:
        try:
            return handle.result(_LOOK_S)
        except TimeoutError:
            try:
                wait()
            except BaseException:
                if not handle.cancel():
                    os.close(handle.result())
                raise


def _pour(response: httpx.Response, into: int) -> str:
    """Write the body into a pipe until either side ends; return how the sender broke off, or ""."""
    try:
        with os.fdopen(into, "wb", 0) as pipe:
            for chunk in response.iter_bytes():  # as they come: a size would wait for so many
                view = memoryview(chunk)
                while view:
                    view = view[pipe.write(view) or 0 :]
    except (httpx.HTTPError, httpx.StreamError) as error:
        return str(error)[:200] or type(error).__name__
    except OSError:
        pass  # the reader has enough
    return ""


def _hang_up(response: httpx.Response) -> None:
    """Wake the thread that waits for more of a response."""
    line = response.extensions.get("network_stream")
    outside = line.get_extra_info("socket") if line is not None else None
    if outside is not None:
        with suppress(OSError):
            outside.shutdown(socket.SHUT_RDWR)
