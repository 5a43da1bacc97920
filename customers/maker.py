"""Makes the transitions: follows the record's log of changes, and tells what became of stories.

Like every projection, it compares what should be told with what was told, and writes the difference
together with its own position. So writes, embargoes that lift, items that expire, both records, old
archives and restores are one mechanism, and nothing is lost if a process ends. Any number of
processes may try: the first one that writes wins, the others start again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from core.callers import folded
from core.customers.transitions import Told, TransitionKind
from core.ports.customers import Receipts, TransitionBook, Turn
from core.ports.engine import Clock
from customers.transitions import Differences, Items, differences, elsewhere, items_of
from storage.record.item_rows import to_micros
from storage.record.port import Change, RecordOfTruth, RecordReads
from storage.record.unsettled import SETTLED
from storage.woken_thread import WokenThread

log = logging.getLogger(__name__)
_CHANGES = 500  # in one step
_INTERVAL_S = 0.05  # between two looks for writes of other processes, embargoes and expiries
_PAUSE_S = 1.0  # pause after a failure
_UNKNOWN = -1
HIDDEN = TransitionKind.HIDDEN

Entitled = Callable[[], Mapping[str, frozenset[str]]]


class TransitionMaker:
    """Writes the transitions of `record` to `book`. `entitled` returns the products of each
    account; an item that an account received and may no longer see is told to it as hidden.
    `changed` is called after each write. One thread at a time calls `step`.
    """

    def __init__(
        self,
        record: RecordOfTruth,
        book: TransitionBook,
        receipts: Receipts,
        clock: Clock,
        entitled: Entitled = dict,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self._record = record
        self._book = book
        self._receipts = receipts
        self._clock = clock
        self._entitled = entitled
        self._changed = changed
        self._followed = _UNKNOWN
        self._unsettled = SETTLED.mark
        self._seen: Mapping[str, frozenset[str]] = {}

    def run(self) -> None:
        """Write all transitions that are due now."""
        while self.has_work() and self.step():
            pass
        self.entitle()

    def has_work(self) -> bool:
        """Return whether the record changed, or an embargo or expiry of a story is due; cheap."""
        if self._record.last_change() != self._followed:
            return True
        if self._record.unsettled.mark != self._unsettled:
            return True
        due = self._book.next_due()
        return due is not None and due <= to_micros(self._clock())

    def step(self) -> bool:
        """Write the transitions of some stories; return whether more may be due at once."""
        turn, now = self._book.turn(), to_micros(self._clock())
        unsettled = self._record.unsettled
        with self._record.moment() as reads:
            line = repr(reads.line(turn.position)) if turn.position else ""
            if line != turn.line:
                log.warning(
                    "the record is another one, or went back: another history of transitions begins"
                )
                self._book.begin_anew(turn)
                return True
            changes = reads.changes_after(turn.position, _CHANGES)
            due = self._book.due(now, _CHANGES)
            owed = self._book.owed(_CHANGES)
            aside = _stories_of(reads, {*unsettled.uris, *owed})
            touched = {*_touched(changes), *due, *aside}
            items, told = self._gather(reads, touched, now)
            found = self._compare(reads, items, told, now, owed)
            to = _reached(reads, changes, turn)
        worth = changes or due or owed or found.transitions or found.noted
        if worth and not self._write(turn, found, items, due, to, now, owed):
            return True
        self._followed, self._unsettled = to.position, unsettled.mark
        return _CHANGES in (len(changes), len(due), len(owed))

    def _write(
        self,
        turn: Turn,
        found: Differences,
        items: Items,
        due: Collection[str],
        to: Turn,
        now: int,
        owed: Collection[str],
    ) -> bool:
        wakes = {**dict.fromkeys(due), **items.wakes}
        written = self._book.write(turn, found.transitions, found.noted, wakes, to, now, owed)
        if written and found.transitions:
            self._changed()
        return written

    def _gather(
        self, reads: RecordReads, stories: Collection[str], now: int
    ) -> tuple[Items, dict[str, Told]]:
        """Return the items of the stories and of the stories that items moved from or to, and what
        was told of all.
        """
        rows: dict[str, Any] = {}
        told: dict[str, Told] = {}
        items = items_of(rows, now)
        left = {*stories}
        while left:
            rows |= reads.versions_of_stories(sorted(left))
            told |= {each.uri: each for each in self._book.told_of(left)}
            items = items_of(rows, now)
            told |= self._book.told(items.versions.keys() - told.keys())
            left = elsewhere(items, told.values())
        return items, told

    def _compare(
        self,
        reads: RecordReads,
        items: Items,
        told: Mapping[str, Told],
        now: int,
        owed: Collection[str],
    ) -> Differences:
        heads = sorted(seq for seq in items.heads.values() if seq)
        facts = reads.facts_by_seq(heads) if heads else {}
        products = {seq: row.products for seq, row in facts.items()}
        return differences(items, products, told, now, {*owed})

    def entitle(self) -> None:
        """Tell accounts as hidden what they received and may no longer see because their products
        changed.
        """
        accounts = {name: folded(products) for name, products in self._entitled().items()}
        if accounts == self._seen:
            return
        noted = self._book.entitled([name for name in accounts if name not in self._seen])
        before = {**noted, **self._seen}
        for account, products in accounts.items():
            if before.get(account) != products:
                lost = self._lost(account, before.get(account, frozenset()) - products, products)
                self._book.entitle(account, products, lost, to_micros(self._clock()))
                if lost:
                    self._changed()
        self._seen = accounts

    def _lost(self, account: str, gone: frozenset[str], products: frozenset[str]) -> list[Told]:
        """Return the shown items that the account received by the products that are `gone`."""
        lost: list[Told] = []
        after = ""
        while gone and (uris := self._receipts.of(account, after, _CHANGES)):
            told = self._book.told(uris).values()
            reached = [each for each in told if each.shown and each.products & gone]
            lost += [replace(t, kind=HIDDEN) for t in reached if not t.products & products]
            after = uris[-1]
        return lost

    def status(self) -> dict[str, Any]:
        """Return how far the transitions are behind the record, as values for JSON."""
        turn = self._book.turn()
        return {"lag": max(0, self._record.last_change() - turn.position), "at": turn.position}


class MakingTransitions:
    """The thread of a process that makes transitions. A failure is noted and logged, and the thread
    tries again.
    """

    def __init__(self, maker: TransitionMaker) -> None:
        self._maker = maker
        self.failure = ""
        self._thread = WokenThread("transitions", _INTERVAL_S, self._step)
        self._thread.start()

    def wake(self) -> None:
        """Note that something was written."""
        self._thread.wake()

    def status(self) -> dict[str, Any]:
        """Return how far the transitions are behind the record, and why, as values for JSON."""
        return {**self._maker.status(), "failure": self.failure}

    def close(self) -> None:
        """End the thread after the step under way; a second call does nothing."""
        self._thread.stop()

    def _step(self) -> None:
        try:
            while not self._thread.stopping and self._maker.has_work() and self._maker.step():
                pass
            self._maker.entitle()
        except Exception as error:
            if str(error) != self.failure:
                log.exception("transitions could not be made")
            self.failure = str(error)
            self._thread.pause(_PAUSE_S)
        else:
            self.failure = ""


def _touched(changes: Collection[Change]) -> set[str]:
    """Return the stories that may show something else; vectors do not change that."""
    return {change.chain for change in changes if not change.brings_vectors}


def _stories_of(reads: RecordReads, uris: Collection[str]) -> set[str]:
    return {rows[0].chain for rows in reads.versions_of_each(uris).values()} if uris else set()


def _reached(reads: RecordReads, changes: list[Change], turn: Turn) -> Turn:
    """Return the turn after these changes."""
    if not changes:
        return turn
    n = changes[-1].n
    return Turn(turn.number + 1, n, repr(reads.line(n)))
