"""Baskets: their limits, who reads them, and what a reader sees of what is in them.

A basket holds uris, and what its reader may see of each is asked at the moment of reading. What was
taken away is shown by its tombstone to an account that received it. Other readers are not told that
it is there.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from core.callers import Caller, folded
from core.customers.baskets import Basket, BasketEntry
from core.customers.transitions import TransitionKind
from core.errors import ConflictError, NotFoundError
from core.items import Item
from core.ports.customers import BasketStore, Receipts, TransitionLog
from core.ports.engine import Clock, Sights
from customers.one_line import one_line

CHANNEL = "basket"  # the channel in receipts
MOST_BASKETS = 200  # of an account
MOST_ITEMS = 200  # in a basket
LONGEST_NAME = 100
_ID_BYTES = 15
_STATUS = {TransitionKind.KILLED: "canceled", TransitionKind.EXPIRED: "expired"}
_HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Held:
    """An entry as its reader sees it: with its `item`, or as a tombstone, whose `pubstatus` is
    `canceled`, `expired` or `hidden`.
    """

    entry: BasketEntry
    item: Item | None = None
    pubstatus: str = "usable"


@dataclass(frozen=True, slots=True)
class Baskets:
    """The baskets of every account. `log` says what became of items, where the service follows
    that. Thread-safe.
    """

    store: BasketStore
    library: Sights
    receipts: Receipts
    clock: Clock
    log: TransitionLog | None = None
    new_id: Callable[[], str] = lambda: secrets.token_urlsafe(_ID_BYTES)

    def create(self, caller: Caller, name: str) -> Basket:
        """Create a basket of the caller's account. Raises InputError, ConflictError."""
        now = self.clock()
        title = one_line(name, "name of a basket", LONGEST_NAME)
        made = Basket(self.new_id(), caller.account, title, now, now)
        if not self.store.create(made, MOST_BASKETS):
            raise ConflictError(
                f"this account has {MOST_BASKETS} baskets already", mend="delete one first"
            )
        return made

    def all(self, caller: Caller) -> Sequence[Basket]:
        """Return the baskets of the caller's account, the last changed first."""
        return self.store.of(caller.account)

    def one(self, caller: Caller, id_: str) -> Basket:
        """Return a basket that the caller may read: one of its account, or a shared one. Raises
        NotFoundError, the same for a basket of others as for none.
        """
        found = self.store.one(id_)
        if found is None or not (found.shared or found.account == caller.account):
            raise _unknown(id_)
        return found

    def held(self, caller: Caller, id_: str) -> list[Held]:
        """Return what is in a basket that the caller may read, as the caller sees it now, the last
        one put in first.
        """
        entries = self.store.entries(self.one(caller, id_).id)
        if not entries:
            return []
        sights = self.library.sights({entry.uri: () for entry in entries}, caller)
        shown = {uri: sight.item for uri, sight in sights.items() if sight.item is not None}
        gone = self._gone({entry.uri for entry in entries} - shown.keys(), caller)
        return [
            Held(entry, shown.get(entry.uri), gone.get(entry.uri, "usable"))
            for entry in entries
            if entry.uri in shown or entry.uri in gone
        ]

    def _gone(self, uris: Collection[str], caller: Caller) -> dict[str, str]:
        """Return what became of those of the hidden items that the caller's account received."""
        received = self.receipts.received(caller.account, uris) if uris else {}
        told = self.log.told([*received]) if self.log is not None and received else {}
        held = folded(caller.products)
        return {
            uri: _STATUS.get(told[uri].kind, _HIDDEN)
            if uri in told and held & told[uri].products
            else _HIDDEN
            for uri in received
        }

    def change(
        self, caller: Caller, id_: str, name: str | None = None, shared: bool | None = None
    ) -> Basket:
        """Give a basket of the caller's account another name, or share it or not; return it."""
        before = self._own(caller, id_)
        now = self.clock()
        title = before.name if name is None else one_line(name, "name of a basket", LONGEST_NAME)
        open_ = before.shared if shared is None else shared
        if not self.store.change(caller.account, id_, title, open_, now):
            raise _unknown(id_)
        return replace(before, name=title, shared=open_, changed=now)

    def put_in(self, caller: Caller, id_: str, uri: str) -> None:
        """Put an item that the caller sees into a basket of its account. Raises NotFoundError for
        a basket or an item that is not there for the caller, ConflictError for a full basket.
        """
        self._own(caller, id_)
        sight = self.library.sights({uri: ()}, caller).get(uri)
        if sight is None or sight.item is None:
            raise NotFoundError(
                f"there is no item '{uri[:200]}' for this key", mend="search for it first"
            )
        version = sight.item.version
        # The account is told that the item is there, so it hears of a kill.
        self.receipts.add(caller.account, CHANNEL, {(uri, version)}, synced=True)
        entry = BasketEntry(uri, version, self.clock())
        if not self.store.put_in(caller.account, id_, entry, MOST_ITEMS):
            raise ConflictError(
                f"the basket has {MOST_ITEMS} items already", mend="begin another basket"
            )

    def take_out(self, caller: Caller, id_: str, uri: str) -> None:
        """Take an item out of a basket of the caller's account. What is not in it is no error."""
        self._own(caller, id_)
        self.store.take_out(caller.account, id_, uri, self.clock())

    def remove(self, caller: Caller, id_: str) -> None:
        """Delete a basket of the caller's account. Raises NotFoundError."""
        if not self.store.remove(caller.account, id_):
            raise _unknown(id_)

    def _own(self, caller: Caller, id_: str) -> Basket:
        found = self.store.one(id_)
        if found is None or found.account != caller.account:
            raise _unknown(id_)
        return found


def _unknown(id_: str) -> NotFoundError:
    return NotFoundError(
        f"there is no basket '{id_[:40]}' for this key",
        mend="the list of baskets has those of your account",
    )
