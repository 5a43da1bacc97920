"""Keys, and their callers."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.callers import Caller

HEADER = "x-api-key"


def fingerprint(key: str) -> bytes:
    """sha256 of a key. Memory holds only this, so that no dump or traceback shows a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The known keys by fingerprint; the keys themselves are not kept.

    Keys of a `local_only` ring are not valid in a request from another machine
    (`api/access/callers.py`), because everybody knows the demo's keys.
    """

    entries: tuple[tuple[bytes, Caller], ...] = field(default=(), repr=False)
    local_only: bool = False

    @classmethod
    def of(cls, callers: Mapping[str, Caller], *, local_only: bool = False) -> KeyRing:
        """A ring from a mapping of key to caller; an empty key is left out."""
        entries = tuple((fingerprint(key), caller) for key, caller in callers.items() if key)
        return cls(entries, local_only)

    def caller(self, key: str) -> Caller | None:
        """The owner of `key`, None for an unknown key. Every entry is compared, in constant time,
        also after a match.
        """
        wanted = fingerprint(key)
        found: Caller | None = None
        for known, caller in self.entries:
            if hmac.compare_digest(known, wanted):
                found = caller
        return found
