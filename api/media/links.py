"""Absolute addresses below `/media/v`, as the client reaches them: its scheme, its host and the
path prefix of a proxy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from starlette.requests import HTTPConnection

from api.access.forwarding import origin_of

PREFIX = "/media/v"


def below_prefix(connection: HTTPConnection) -> bool:
    """Return whether a request is for AP Media API."""
    path = str(connection.scope["path"]).removeprefix(connection.scope.get("root_path", ""))
    return path == PREFIX or path.startswith(f"{PREFIX}/")


@dataclass(frozen=True, slots=True)
class Addresses:
    """Addresses of one service: `origin` is scheme, host and the proxy's prefix."""

    origin: str

    @property
    def base(self) -> str:
        """Return the address of AP's API."""
        return self.origin + PREFIX

    def of(self, path: str, params: Iterable[tuple[str, str]] = ()) -> str:
        """Return the address of `path` below the prefix. It has a `?`, because clients append
        `&name=` to what they are given.
        """
        return f"{self.base}{path}?{urlencode(list(params), safe='{}*')}"

    def item(self, itemid: str) -> str:
        """Return the address of an item."""
        return f"{self.base}/content/{quote(itemid, safe='')}"

    def download(self, itemid: str, version: int, rendition: str) -> str:
        """Return the address of an item's rendition."""
        return f"{self.item(itemid)}.{version}/download?{urlencode({'rid': rendition})}"


def addresses_of(connection: HTTPConnection) -> Addresses:
    """Return the addresses for the client of a request."""
    return Addresses(origin_of(connection))
