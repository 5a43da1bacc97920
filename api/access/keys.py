"""Keys and the callers that they stand for."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.callers import Caller

HEADER = "x-api-key"


def fingerprint(key: str) -> bytes:
    """sha256 of a key: what is kept in memory, so that no dump or traceback shows a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The known keys by fingerprint; the keys themselves are not kept.

    The keys of a ring that is `local_only` open nothing to a request from another machine
    (`api/access/callers.py`): everybody knows the demo's.
    """

    entries: tuple[tuple[bytes, Caller], ...] = field(default=(), repr=False)
    local_only: bool = False

    @classmethod
    def of(cls, callers: Mapping[str, Caller], *, local_only: bool = False) -> KeyRing:
        """A ring from key to caller; an empty key opens nothing and is left out."""
        entries = tuple((fingerprint(key), caller) for key, caller in callers.items() if key)
        return cls(entries, local_only)

    def caller(self, key: str) -> Caller | None:
        """The owner of `key`. Every entry is compared in constant time, a hit or not."""
        wanted = fingerprint(key)
        found: Caller | None = None
        for known, caller in self.entries:
            if hmac.compare_digest(known, wanted):
                found = caller
        return found
