"""The profiles by name, in the version that is in force; `hybrid@2` is one version of `hybrid`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from time import monotonic

from core.customers.experiments import VersionBook, exactly
from core.errors import SettingsError, StorageError
from search.profiles import Profile

_FRESH_S = 1.0
_log = logging.getLogger("dateline.profiles")


class VersionedProfiles(Mapping[str, Profile]):
    """The `plain` profiles of the settings, changed by the version in force. `read` returns the
    versions, and is called once a second at most; `change` makes changes to a profile. A version
    that does not fit the settings any more ranks as the settings do. Thread-safe.
    """

    def __init__(
        self,
        plain: Mapping[str, Profile],
        read: Callable[[], VersionBook],
        change: Callable[[Profile, Mapping[str, str]], Profile],
    ) -> None:
        self._plain, self._read, self._change = plain, read, change
        self._book, self._until = VersionBook(), 0.0
        self._made: dict[str, Profile] = {}

    def book(self) -> VersionBook:
        """Return the versions and the running experiment, at most a second old."""
        if monotonic() >= self._until:
            self._until = monotonic() + _FRESH_S
            try:
                self._book = self._read()
            except StorageError as error:
                _log.error("versions of profiles are not read for now: %s", error)
        return self._book

    def __getitem__(self, name: str) -> Profile:
        book = self.book()
        if name in self._plain:
            number = book.in_force.get(name, 0)
            return self._version(book, name, number) if number else self._plain[name]
        profile, _, digits = name.rpartition("@")
        if profile not in self._plain or not digits.isdecimal():
            raise KeyError(name)
        if digits != "0" and name not in book.versions:
            raise KeyError(name)
        return self._version(book, profile, int(digits))

    def __iter__(self) -> Iterator[str]:
        return iter(self._plain)

    def __len__(self) -> int:
        return len(self._plain)

    def _version(self, book: VersionBook, profile: str, number: int) -> Profile:
        name = exactly(profile, number)
        if name not in self._made:
            made = self._plain[profile]
            try:
                if number:
                    made = self._change(made, book.versions[name].changes)
            except (SettingsError, KeyError) as error:
                _log.error("%s does not fit the settings, which rank instead: %s", name, error)
            self._made[name] = replace(made, name=name)
        return self._made[name]
