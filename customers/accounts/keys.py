"""Keys of accounts: `dk_ID_SECRET`. The public id finds a key among many at once, so that the
digest of only one key is compared, in constant time.
"""

from __future__ import annotations

import hashlib
import secrets

_BEGINNING = "dk"
_ID_CHARACTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # none looks like another one
_ID_LENGTH = 12


def new_key() -> tuple[str, str]:
    """Return a new public id, and the whole key, which is shown once and kept nowhere."""
    name = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(_ID_LENGTH))
    return name, f"{_BEGINNING}_{name}_{secrets.token_urlsafe(32)}"


def id_of(key: str) -> str:
    """Return the public id in a key; "" for a text that is not a key of an account."""
    beginning, _, rest = key.partition("_")
    name, _, secret = rest.partition("_")
    return name if beginning == _BEGINNING and secret else ""


def digest_of(key: str) -> bytes:
    """Return the sha256 of a key, which is kept in its place."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
