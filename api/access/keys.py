"""Keys, and their callers."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from core.callers import Caller

HEADER = "x-api-key"


def fingerprint(key: str) -> bytes:
    """Return sha256 of a key. Memory holds only this, so that no dump or traceback shows a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


class AccountKeys(Protocol):
    """The keys of accounts, which change while the service runs."""

    def caller(self, key: str) -> Caller | None:
        """Return the owner of a valid key, None for any other text."""
        ...

    def named(self, name: str, name_of: Callable[[bytes], str]) -> Caller | None:
        """Return the owner of the valid key whose fingerprint has this name by `name_of`."""
        ...

    def version(self) -> int:
        """Return the number of changes that are in force."""
        ...

    def at_least(self, version: int) -> None:
        """Bring this many changes into force before it returns. Raises StorageError."""
        ...


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The known keys by fingerprint; the keys themselves are not kept. `entries` are those of the
    settings.

    Keys of a `local_only` ring are not valid in a request from another machine
    (`api/access/callers.py`), because everybody knows the demo's keys.
    """

    entries: tuple[tuple[bytes, Caller], ...] = field(default=(), repr=False)
    local_only: bool = False
    accounts: AccountKeys | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        callers: Mapping[str, Caller],
        *,
        local_only: bool = False,
        accounts: AccountKeys | None = None,
    ) -> KeyRing:
        """Return a ring from a mapping of key to caller; an empty key is left out."""
        entries = tuple((fingerprint(key), caller) for key, caller in callers.items() if key)
        return cls(entries, local_only, accounts)

    def caller(self, key: str) -> Caller | None:
        """Return the owner of `key`, None for an unknown key. Every entry is compared, in constant
        time, also after a match.
        """
        wanted = fingerprint(key)
        found: Caller | None = None
        for known, caller in self.entries:
            if hmac.compare_digest(known, wanted):
                found = caller
        return self.accounts.caller(key) if found is None and self.accounts else found

    def named(self, name: str, name_of: Callable[[bytes], str]) -> Caller | None:
        """Return the owner of the key whose fingerprint has this name by `name_of`, in constant
        time for the keys of the settings.
        """
        found: Caller | None = None
        for known, caller in self.entries:
            if hmac.compare_digest(name_of(known), name):
                found = caller
        return self.accounts.named(name, name_of) if found is None and self.accounts else found

    def version(self) -> int:
        """Return the number of changes of accounts that are in force."""
        return self.accounts.version() if self.accounts else 0

    def at_least(self, version: int) -> None:
        """Bring this many changes of accounts into force before it returns. Raises StorageError."""
        if self.accounts:
            self.accounts.at_least(version)
