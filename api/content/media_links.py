"""Signed addresses of media, for clients that can't send a header: <img>, <video>, a player.

A signature is HMAC-SHA256 over the moment it ends, the key it was made for, the rendition and the
item's uri, with a secret of the service. It gives no more rights than the key itself. The route
asks the record of truth on every request, so that a killed picture is gone at once for everybody
who has the address; and addresses end with the key they were made for.
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
_STEP_SECONDS = 600  # an address stays the same for this time, so that browsers need not ask again
ORIGINAL, PREVIEW, THUMBNAIL = "original", "preview", "thumbnail"


def shot_still(number: int) -> str:
    """Return the name of the rendition that is a shot's still; shots count from 1."""
    return f"shot-{number}"


@dataclass(frozen=True, slots=True)
class MediaSigner:
    """Signs and checks addresses. Services that share addresses need the same secret; the default
    is random and belongs to this process.
    """

    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    clock: Callable[[], float] = time.time

    def links(self, key: str) -> MediaLinks:
        """Return addresses for the owner of `key`."""
        return MediaLinks(self, self._name(fingerprint(key)))

    def signed(self, name: str, uri: str, rendition: str) -> str:
        """Return the address of an item's rendition for the key with this `name`, valid for at
        least `LIFETIME_SECONDS`.
        """
        step = int(self.clock()) // _STEP_SECONDS + 1
        expires = str(step * _STEP_SECONDS + LIFETIME_SECONDS)
        query = {"expires": expires, "for": name}
        query["signature"] = self._signature(expires, name, uri, rendition)
        return f"{PATH}/{rendition}/{quote(uri, safe='')}?{urlencode(query)}"

    def caller(
        self, keys: KeyRing, uri: str, rendition: str, query: Mapping[str, str]
    ) -> Caller | None:
        """Return the caller among `keys` that an address was made for; None if the address is not
        ours or has ended.
        """
        expires, name = query.get("expires", ""), query.get("for", "")
        right = self._signature(expires, name, uri, rendition)
        given = query.get("signature", "")
        if not hmac.compare_digest(right.encode(), given.encode("utf-8", "surrogateescape")):
            return None
        if not expires.isdecimal() or int(expires) < self.clock():
            return None
        return keys.named(name, self._name)

    def _name(self, known: bytes) -> str:
        """Return a key's name in an address. The key can't be computed from it."""
        return hmac.new(self.secret, b"key\n" + known, hashlib.sha256).hexdigest()[:24]

    def _signature(self, expires: str, name: str, uri: str, rendition: str) -> str:
        text = f"media\n{expires}\n{name}\n{rendition}\n{uri}"
        data = text.encode("utf-8", "surrogateescape")
        digest = hmac.new(self.secret, data, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class MediaLinks:
    """Addresses for one key, on this host below `root_path`. `originals` says whether the original
    at a location is served.
    """

    signer: MediaSigner
    name: str
    originals: Callable[[str], bool] = lambda _location: False
    root_path: str = ""

    def of(self, uri: str, rendition: str) -> str:
        """Return the signed address of an item's rendition."""
        return self.root_path + self.signer.signed(self.name, uri, rendition)
