"""Evaluates a running service: sends the judged queries to its HTTP search.

The service gives its order, flags, and the digests of its models. Its index and settings stay
unknown, and its times include the network. A busy service is asked again a little later; only the
attempt that was answered is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter, sleep
from typing import Any
from urllib.parse import urlsplit

import httpx

from core.errors import AccessError, BusyError, InputError, QueryError
from eval.runs.answering import Answer
from search.answers import MAX_PAGE_SIZE, DateUse, EntityUse

SECONDS = 60.0  # timeout for one page
ATTEMPTS = 4
_LONGEST_WAIT = 5.0
_LATER = (httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS)
_ROLES = {"encode": "encoder", "tag": "tagger", "score": "reranker"}


def open_service(url: str, key: str = "") -> httpx.Client:
    """Return a client of the service at `url`; the key is in its headers and nowhere else. Raises
    InputError as `check_service` does.
    """
    check_service(url, key)
    headers = {"x-api-key": key} if key else {}
    return httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=SECONDS)


def check_service(url: str, key: str) -> None:
    """Raise InputError for an invalid address, or a key that can't be a header's value."""
    try:
        parts = urlsplit(url)
        fits = parts.port is None or parts.port > 0
    except ValueError:
        parts, fits = urlsplit(""), False
    if parts.username is not None or parts.password is not None:
        mend = "put the key into a variable and name that by --key-env"
        raise InputError("the service's address has a user or password in it", mend=mend)
    if parts.scheme not in ("http", "https") or not parts.hostname or not fits or parts.query:
        raise InputError(
            "that is not a service's address", where=url, mend="such as http://host:8000"
        )
    if not (key.isascii() and key.isprintable()):
        raise InputError("the key has characters that can't be sent", mend="see --key-env")


@dataclass(frozen=True, slots=True)
class ServiceAnswers:
    """Asks `client`'s service by `profile` ("" means its default), page by page, without marks.
    `entities` says what names in queries do; `pause` waits the given seconds.
    """

    client: httpx.Client
    profile: str = ""
    pause: Callable[[float], None] = field(default=sleep)
    entities: EntityUse = EntityUse.BOOST

    def answer(self, text: str, depth: int, dates: DateUse = DateUse.FILTER) -> Answer:
        """Return the best `depth` stories as the service gives them. Raises AccessError, BusyError
        and InputError if the service can't be asked at all.
        """
        size = str(min(depth, MAX_PAGE_SIZE))
        asked = {"q": text, "page_size": size, "highlight": "false", "include": "uri"}
        if dates is not DateUse.FILTER:  # an older service has no such parameter
            asked["dates"] = dates.value
        if self.entities is not EntityUse.BOOST:
            asked["entities"] = self.entities.value
        if self.profile:
            asked["profile"] = self.profile
        uris: list[str] = []
        milliseconds, cursor = 0.0, ""
        while True:
            try:
                data, spent = self._page(asked | ({"cursor": cursor} if cursor else {}))
            except QueryError as error:
                return Answer((), (), milliseconds, str(error))
            milliseconds += spent
            uris += [str(entry["item"]["uri"]) for entry in data["items"]]
            cursor = str(data["cursor"])
            if not cursor or len(uris) >= depth:
                return Answer(tuple(uris[:depth]), tuple(data["degraded"]), milliseconds)

    def served_profile(self) -> str:
        """Return the profile that answers if a request names none."""
        data, _ = self._page({"q": "which profile", "page_size": "1", "include": "uri"})
        return str(data["profile"])

    def models(self) -> Mapping[str, str]:
        """Name and digest of each model by role; empty if the service does not tell."""
        try:
            answer = self.client.get("/v1/models")
            rows = answer.json()["data"] if answer.is_success else []
            return {
                _ROLES[row["task"]]: f"{row['id']} {row['digest']}"
                for row in rows
                if row["task"] in _ROLES
            }
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return {}

    def _page(self, asked: Mapping[str, str]) -> tuple[Mapping[str, Any], float]:
        """Return the `data` of one answer, and its milliseconds."""
        for attempt in range(ATTEMPTS):
            started = perf_counter()
            try:
                answer = self.client.get("/content/search", params=dict(asked))
            except httpx.HTTPError as error:
                raise self._wrong(f"the service can't be asked: {_kind(error)}") from error
            if answer.status_code not in _LATER:
                return self._data(answer), (perf_counter() - started) * 1000
            self.pause(min(_seconds(answer) * 2**attempt, _LONGEST_WAIT))
        mend = "ask when it has less to do"
        raise BusyError("the service has too much to do", where=self._address, mend=mend)

    def _data(self, answer: httpx.Response) -> Mapping[str, Any]:
        try:
            tree = answer.json()
            if answer.is_success:
                data: Mapping[str, Any] = tree["data"]
                _check(data)
                return data
            said, mend = str(tree["error"]["message"]), str(tree["error"].get("mend", ""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"what it answers ({answer.status_code}) is not a Dateline service's"
            raise self._wrong(what, "check the address") from error
        match answer.status_code:
            case 401 | 403:
                raise AccessError(said, where=self._address, mend="name its key by --key-env")
            case 400 | 422:
                raise QueryError(said, mend=mend)
        raise self._wrong(f"{answer.status_code}: {said}", mend)

    @property
    def _address(self) -> str:
        return str(self.client.base_url)

    def _wrong(self, what: str, mend: str = "") -> InputError:
        return InputError(what, where=self._address, mend=mend)


def _check(data: Mapping[str, Any]) -> None:
    """Raise KeyError or TypeError if a needed member is missing."""
    for entry in data["items"]:
        if not isinstance(entry["item"]["uri"], str):
            raise TypeError
    for name, kind in (("cursor", str), ("degraded", list), ("profile", str)):
        if not isinstance(data[name], kind):
            raise TypeError


def _seconds(answer: httpx.Response) -> float:
    """Return the seconds that `Retry-After` asks for; half a second without it."""
    told = answer.headers.get("retry-after", "")
    return float(told) if told.isdecimal() else 0.5


def _kind(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
