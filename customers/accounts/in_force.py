"""The accounts in force in this process, and the callers of their keys.

A thread asks the store for its version at most once a second, and reads the accounts when it has
changed. A look-up waits for nobody. The process that makes a change has it in force at once.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from threading import Lock

from core.audit import AuditEntry
from core.callers import Caller
from core.customers.accounts import AccountBook, AccountKey
from core.errors import DatelineError
from core.limits import Share
from core.ports.customers import AccountStore
from customers.accounts.keys import digest_of, id_of
from storage.woken_thread import WokenThread

log = logging.getLogger(__name__)

INTERVAL_S = 0.5  # between two looks at the version
_NO_DIGEST = bytes(32)


class AccountsInForce:
    """The accounts of a store, as this process knows them. Thread-safe.

    Each caller of an account gets `share`, and may not write uris that begin with one of
    `reserved`. While the store can't be read, the last accounts stay in force.
    """

    def __init__(
        self,
        store: AccountStore,
        clock: Callable[[], datetime],
        share: Share | None = None,
        reserved: tuple[str, ...] = (),
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._store = store
        self._clock = clock
        self._share = share or Share()
        self._reserved = reserved
        self._changing = Lock()  # held from reading the accounts to having them in force
        self._take(store.book())
        self._failing = False
        self._thread = WokenThread("accounts", interval_s, self._follow)
        self._thread.start()

    @property
    def book(self) -> AccountBook:
        """Return all accounts."""
        return self._book

    def entitled(self) -> Mapping[str, frozenset[str]]:
        """Return the product codes that each account reads. An item that the account can no longer
        read is told to it as hidden (`customers/maker.py`).
        """
        return {account: self._products(account) for account in self._book.accounts}

    def caller(self, key: str) -> Caller | None:
        """Return the caller of a valid key, None for any other text. Digests are compared in
        constant time, also if there is no key of this id.
        """
        found = self._book.keys.get(id_of(key))
        right = hmac.compare_digest(found.digest if found else _NO_DIGEST, digest_of(key))
        return self._caller_of(found) if found is not None and right else None

    def named(self, name: str, name_of: Callable[[bytes], str]) -> Caller | None:
        """Return the caller of the valid key whose digest has this name by `name_of`."""
        found = self._names(name_of).get(name)
        return None if found is None else self._caller_of(found)

    def change(
        self, rule: Callable[[AccountBook], AccountBook], entries: Sequence[AuditEntry] = ()
    ) -> tuple[AccountBook, AccountBook]:
        """Change the accounts; return them before and after. In force here when it returns, in
        other processes within a second.
        """
        with self._changing:
            before, after = self._store.change(rule, entries)
            self._take(after)
        return before, after

    def version(self) -> int:
        """Return the number of changes that are in force."""
        return self._book.version

    def at_least(self, version: int) -> None:
        """Bring at least this number of changes into force. Raises StorageError."""
        if self._book.version < version:
            self.refresh()

    def refresh(self) -> None:
        """Bring every change into force that was made before this call. Raises StorageError."""
        with self._changing:
            if self._store.version() != self._book.version:
                self._take(self._store.book())

    def close(self) -> None:
        """End the thread; a second call does nothing."""
        self._thread.stop()

    def _follow(self) -> None:
        if self._thread.stopping:
            return
        try:
            self.refresh()
            self._failing = False
        except DatelineError as error:
            if not self._failing:
                log.error("accounts stay as they were: %s", error.what)
            self._failing = True

    def _take(self, book: AccountBook) -> None:
        self._products = cache(book.products_of)
        self._names = cache(
            lambda name_of: {name_of(key.digest): key for key in book.keys.values()}
        )
        self._book = book

    def _caller_of(self, key: AccountKey) -> Caller | None:
        if not key.is_valid(self._clock()):
            return None
        return Caller(
            f"{key.account}/{key.name}",
            self._products(key.account),
            writes=key.writes,
            reserved=self._reserved,
            may_inspect=key.may_inspect,
            may_use_models=key.may_use_models,
            share=self._share,
            customer=key.account,
        )
