"""Calls to a model service: bounded in time, size and number, and safe to repeat.

A call to a model changes nothing, so one that was cut off is made again. A service that did not
answer is left alone for a moment: otherwise every search would wait its whole time for it.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from core.errors import ModelError, SettingsError, UnavailableError
from core.tracing import Span, header

KEY_VARIABLE = "DATELINE_REMOTE_KEY"
DIGEST_HEADER = "x-model-digest"
ATTEMPTS = 3
FIRST_WAIT = 0.05  # seconds before the second attempt, twice that before the third
REST = 2.0  # seconds that a service is left alone after it did not answer, doubled each time
LONGEST_REST = 30.0
LONGEST_TRIAL = 2.0  # seconds that others wait for the outcome of a trial after a rest
FAIR_SECONDS = 0.25  # a shorter wait does not prove that a service is down
MAX_ANSWER_BYTES = 64 * 2**20
CONNECT_SECONDS = 1.0
_IN_TIME = "did not answer in time"
_PASSING = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class RemoteAddress:
    """Where a service is. `verified` means that each answer must prove to come from our files."""

    url: str
    verified: bool

    @classmethod
    def parse(cls, runtime: str, *, where: str, path: str = "/v1") -> RemoteAddress:
        """Read `remote:URL`, `remote-unverified:URL` or another `KIND:URL`; a URL without a path is
        given `path`.

        Raises SettingsError, which never repeats a password that someone wrote into the URL.
        """
        kind, _, url = runtime.partition(":")
        try:
            parts = urlsplit(url)
            port_fits = parts.port is None or parts.port > 0
        except ValueError:
            parts, port_fits = urlsplit(""), False
        if parts.username is not None or parts.password is not None:
            raise SettingsError(
                "a service's address has a user or password in it",
                where=where,
                mend=f"give the key in {KEY_VARIABLE}",
            )
        if parts.scheme not in ("http", "https") or not parts.hostname or not port_fits:
            raise SettingsError(
                "the runtime names no service's address",
                where=where,
                mend="such as remote:http://host:8001",
            )
        if parts.query or parts.fragment:
            raise SettingsError(
                "a service's address has more than a path", where=where, mend="end it before ? or #"
            )
        path = parts.path.rstrip("/") or path
        return cls(f"{parts.scheme}://{parts.netloc}{path}", kind == "remote")


@dataclass(slots=True)
class _Health:
    """How often in a row a service did not answer, and until when (monotonic clock) it is left
    alone. After that one caller tries it, and the others wait for the outcome.
    """

    failures: int = 0
    until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def may_ask(self, seconds: float) -> bool:
        """Return whether to ask now. A caller that tries after a rest has `seconds` to itself, or
        LONGEST_TRIAL.
        """
        now = monotonic()
        with self.lock:
            if now < self.until:
                return False
            if self.failures:
                self.until = now + min(seconds, LONGEST_TRIAL)
            return True

    def answered(self) -> None:
        """Note that the service answered."""
        if self.failures:  # nearly always 0: no lock is taken then
            with self.lock:
                self.failures, self.until = 0, 0.0

    def failed(self) -> None:
        """Note that the service did not answer."""
        with self.lock:
            rest = min(REST * 2.0**self.failures, LONGEST_REST)
            self.failures, self.until = min(self.failures + 1, 10), monotonic() + rest


@dataclass(frozen=True, slots=True)
class RemoteService:
    """One service and its key, which is only in the headers of the client. Thread-safe."""

    address: RemoteAddress
    _client: httpx.Client = field(repr=False)
    _health: _Health = field(default_factory=_Health, repr=False)

    @classmethod
    def open(cls, address: RemoteAddress, *, key: str = "") -> RemoteService:
        """Return a service, before the first call. Raises SettingsError for a key that can't stand
        in a header.
        """
        if not (key.isascii() and key.isprintable()):
            raise SettingsError("the key has characters that can't be sent", where=KEY_VARIABLE)
        # Both headers: ours, and the one of the services whose shapes we speak.
        headers = {"x-api-key": key, "authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=32, keepalive_expiry=30.0)
        return cls(address, httpx.Client(headers=headers, limits=limits, follow_redirects=False))

    def post(
        self, path: str, body: Mapping[str, Any], *, seconds: float
    ) -> tuple[Any, Mapping[str, str]]:
        """Return the JSON answer and its headers, as `send` does. Raises ModelError also if it
        answers something else than JSON.
        """
        content = orjson.dumps(body)
        data, headers = self.send(path, content, "application/json", seconds=seconds)
        try:
            return orjson.loads(data), headers
        except orjson.JSONDecodeError as error:
            raise self.wrong("its answer is not JSON") from error

    def send(
        self, path: str, content: bytes, content_type: str, *, seconds: float
    ) -> tuple[bytes, Mapping[str, str]]:
        """Return the answer's body and its headers, within `seconds` for all attempts together.

        Raises UnavailableError if the service doesn't answer, is busy or breaks off, and ModelError
        if it refuses.
        """
        began = monotonic()
        if not self._health.may_ask(seconds):
            raise self._unavailable("did not answer a moment ago and is left alone")
        with Span(f"POST {path}", {"server.address": self._host}, kind="client"):
            headers = {"content-type": content_type, **_traced()}
            return self._tried(path, content, headers, began, seconds)

    @property
    def _host(self) -> str:
        return urlsplit(self.address.url).hostname or ""

    def _tried(
        self, path: str, content: bytes, headers: Mapping[str, str], began: float, seconds: float
    ) -> tuple[bytes, Mapping[str, str]]:
        for attempt in range(ATTEMPTS):
            left = began + seconds - monotonic()
            try:
                return self._once(path, content, headers, left)
            except _PassingError as failure:
                wait = max(failure.wait, FIRST_WAIT * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311
                if attempt == ATTEMPTS - 1 or monotonic() + wait >= began + seconds:
                    raise self._given_up(failure) from failure.__cause__
                sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _once(
        self, path: str, content: bytes, headers: Mapping[str, str], seconds: float
    ) -> tuple[bytes, Mapping[str, str]]:
        if seconds <= 0:
            raise self._unavailable(_IN_TIME)
        until = monotonic() + seconds
        timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
        try:
            with self._client.stream(
                "POST",
                f"{self.address.url}{path}",
                content=content,
                headers=headers,
                timeout=timeout,
            ) as answer:
                data = self._bounded(answer, until, seconds)
        except httpx.TimeoutException as error:
            raise self._slow(seconds) from error
        except httpx.HTTPError as error:
            word = "can't be reached" if isinstance(error, httpx.ConnectError) else "was cut off"
            raise _PassingError(f"{word} ({type(error).__name__})", down=True) from error
        self._health.answered()
        if answer.status_code != 200:
            raise self._refused(answer, data)
        return data, answer.headers

    def _bounded(self, answer: httpx.Response, until: float, seconds: float) -> bytes:
        """Return the whole body within the time. The client's own timeout is for each read, so that
        a service could hold us for ever with a byte now and then.
        """
        body = bytearray()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise self.wrong(f"its answer is over {MAX_ANSWER_BYTES // 2**20} MiB")
            if monotonic() > until:
                raise self._slow(seconds)
        return bytes(body)

    def _refused(self, answer: httpx.Response, data: bytes) -> Exception:
        """Return the error for an answer other than 200."""
        status = answer.status_code
        if status in _PASSING:
            return _PassingError(f"is busy or away (HTTP {status})", wait=_seconds_to_wait(answer))
        if status in (401, 403):
            return ModelError(
                "the model service did not take our key",
                where=self.address.url,
                mend=f"set {KEY_VARIABLE} to one of its keys",
            )
        return self.wrong(f"it answered HTTP {status}: {_message(data)}")

    def wrong(self, what: str) -> ModelError:
        """Return the error for an answer that can't be right."""
        return ModelError(
            f"the model service gave no usable answer: {what}",
            where=self.address.url,
            mend="check which service and model the setting `runtimes` names",
        )

    def _slow(self, seconds: float) -> UnavailableError:
        """Return the error for no answer in so many seconds."""
        if seconds >= FAIR_SECONDS:
            self._health.failed()
        return self._unavailable(_IN_TIME)

    def _given_up(self, failure: _PassingError) -> UnavailableError:
        if failure.down:
            self._health.failed()
        return self._unavailable(str(failure))

    def _unavailable(self, why: str) -> UnavailableError:
        return UnavailableError(
            f"the model service {why}", where=self.address.url, mend="try again in a while"
        )


def _traced() -> dict[str, str]:
    """Return the header `traceparent`, so that the service goes on with the caller's trace."""
    here = header()
    return {"traceparent": here} if here else {}


class _PassingError(Exception):
    """An error that may be gone at the next attempt, after `wait` seconds at least. `down` says
    that nothing was answered.
    """

    def __init__(self, why: str, *, wait: float = 0.0, down: bool = False) -> None:
        super().__init__(why)
        self.wait = wait
        self.down = down


def _seconds_to_wait(answer: httpx.Response) -> float:
    """Return Retry-After in seconds; 0 if it is missing or a date."""
    said = answer.headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() else 0.0


def _message(data: bytes) -> str:
    """Return the text of an error's body, in one short printable line."""
    try:
        found = orjson.loads(data)
        error = found.get("error", found)
        text = error.get("message", "") if isinstance(error, dict) else error
    except (orjson.JSONDecodeError, AttributeError):
        text = ""
    line = "".join(c if c.isprintable() else " " for c in str(text or "no reason given"))
    return line[:200]
