"""Signed addresses of media, for what can't send a header: <img>, <video>, a player.

A signature is HMAC-SHA256 over the moment it ends, the key it was made for, the rendition and the
item's uri, by a secret that the service keeps. It is no more than a key in another form: the route
asks the record of truth on every request, so that a killed picture is gone at once, whoever has the
address; and a key that is no longer known takes its addresses with it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from api.access.keys import KeyRing, fingerprint
from core.callers import Caller

PATH = "/v1/media"
LIFETIME_SECONDS = 3600  # a film can be watched to its end
_STEP_SECONDS = (
    600  # within such a stretch an address is the same, so that browsers need not ask anew
)
ORIGINAL, PREVIEW, THUMBNAIL = "original", "preview", "thumbnail"


def shot_still(number: int) -> str:
    """The rendition that is a shot's still; shots count from 1."""
    return f"shot-{number}"


@dataclass(frozen=True, slots=True)
class MediaSigner:
    """Signs and checks addresses. A secret of several services must be the same in each; without
    one it is this process's own.
    """

    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    clock: Callable[[], float] = time.time

    def links(self, key: str) -> MediaLinks:
        """Addresses for the owner of `key`."""
        return MediaLinks(self, self._name(fingerprint(key)))

    def signed(self, name: str, uri: str, rendition: str) -> str:
        """The address of an item's rendition, good for at least `LIFETIME_SECONDS`, for the key
        that is called `name` here.
        """
        step = int(self.clock()) // _STEP_SECONDS + 1
        expires = str(step * _STEP_SECONDS + LIFETIME_SECONDS)
        query = {"expires": expires, "for": name}
        query["signature"] = self._signature(expires, name, uri, rendition)
        return f"{PATH}/{rendition}/{quote(uri, safe='')}?{urlencode(query)}"

    def caller(
        self, keys: KeyRing, uri: str, rendition: str, query: Mapping[str, str]
    ) -> Caller | None:
        """Whom of `keys` an address was made for; None where it is not ours, or has ended."""
        expires, name = query.get("expires", ""), query.get("for", "")
        right = self._signature(expires, name, uri, rendition)
        given = query.get("signature", "")
        if not hmac.compare_digest(right.encode(), given.encode("utf-8", "surrogateescape")):
            return None
        if not expires.isdecimal() or int(expires) < self.clock():
            return None
        found: Caller | None = None
        for known, caller in keys.entries:
            if hmac.compare_digest(self._name(known), name):
                found = caller
        return found

    def _name(self, known: bytes) -> str:
        """What a key is called in an address: nothing that could be turned back into it."""
        return hmac.new(self.secret, b"key\n" + known, hashlib.sha256).hexdigest()[:24]

    def _signature(self, expires: str, name: str, uri: str, rendition: str) -> str:
        text = f"media\n{expires}\n{name}\n{rendition}\n{uri}"
        data = text.encode("utf-8", "surrogateescape")
        digest = hmac.new(self.secret, data, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class MediaLinks:
    """Addresses for one key, on this host below `root_path`. `originals` says of a location whether
    it is served.
    """

    signer: MediaSigner
    name: str
    originals: Callable[[str], bool] = lambda _location: False
    root_path: str = ""

    def of(self, uri: str, rendition: str) -> str:
        """The signed address of an item's rendition."""
        return self.root_path + self.signer.signed(self.name, uri, rendition)
