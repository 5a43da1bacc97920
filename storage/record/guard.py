"""The guard: says which candidates a caller may see now, by the record of truth.

It is for engines whose index may be behind the record. It keeps what it read of a story until the
record's log of changes names the story, or until the moment at which the story changes by itself.
So a question about a thousand candidates takes one look at the log. A kill that another process
acknowledged holds from the next question on, even if the index is behind. Facts of versions are
kept without such a check, because the facts under a seq never change.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.callers import Caller
from core.items import Item
from core.ports.engine import Clock
from core.retrieval import Ids
from storage.record.facts import FactRow, chain_number
from storage.record.item_rows import to_micros
from storage.record.kept_items import KeptItems
from storage.record.kept_values import KeptValues
from storage.record.port import Change, RecordOfTruth, RecordReads
from storage.record.unsettled import SETTLED
from storage.record.visibility import StoryView

_KEPT_FACTS = 40_000  # versions, of some kilobytes


class KeptFacts:
    """The facts of versions by seq, kept up to a limit. Thread-safe."""

    def __init__(self, record: RecordOfTruth) -> None:
        self._record = record
        self._kept = KeptValues[FactRow](_KEPT_FACTS)

    def of(self, seqs: Sequence[int]) -> Mapping[int, FactRow]:
        """Return the facts of the `seqs` that are recorded."""
        found = self._kept.of(seqs)
        missing = [seq for seq in dict.fromkeys(seqs) if seq not in found]
        if missing:
            fresh = self._record.reads.facts_by_seq(missing)
            self._kept.keep(fresh)
            found |= fresh
        return found


_VERSION_BYTES = 300  # what is known of a version, with its places in dictionaries
_PAGE = 500  # versions that are read ahead at once
_MOST_CHANGES = 1_000  # with so many changes, all is read again
_UNKNOWN = -1
_NONE = frozenset[str]()
_Rows = Mapping[int, FactRow]


@dataclass(frozen=True, slots=True)
class _Known:
    """A version's story, the products that may see the version (none if it is not its story's
    head), and when this changes by itself, in microseconds (None: never).
    """

    chain: str
    story: int
    products: frozenset[str]
    until: int | None


class Guard:
    """Says what callers may see of `record`; keeps what it knows of versions in `kept_bytes`, and
    reads ahead as much as fills three quarters of them. Thread-safe.
    """

    def __init__(self, record: RecordOfTruth, clock: Clock, kept_bytes: int = 60 * 2**20) -> None:
        self._record = record
        self._clock = clock
        self._most = kept_bytes // _VERSION_BYTES
        self.facts = KeptFacts(record)
        self._items = KeptItems()
        self._kept: dict[int, _Known] = {}
        self._of_chain: dict[str, list[int]] = {}
        self._taken = _UNKNOWN  # the number of the last change read
        self._unsettled = SETTLED.mark  # mark of the state that was kept
        self._now = 0
        self._alike: dict[frozenset[str], frozenset[str]] = {}  # products, each set once
        self._unread: int | None = None  # the newest version that was not read ahead
        self._lock = threading.Lock()

    def read_ahead(self) -> bool:
        """Read about the next versions before a search asks for them, newest first, into the memory
        that is left; return whether there is more to read.
        """
        top = self._record.last_change() if self._unread is None else self._unread
        self._unread = 0  # after a failure nothing more is read ahead
        if top <= 0 or len(self._kept) + _PAGE > self._most * 3 // 4:
            return False
        first = max(1, top - _PAGE + 1)
        self._known(range(top, first - 1, -1), self._record.reads.facts_by_seq)
        self._unread = first - 1
        return self._unread > 0

    def visible(self, ids: Ids, caller: Caller) -> Ids:
        """Return the ids that the caller may see, in the given order."""
        if not len(ids):
            return ids
        held = frozenset(code.casefold() for code in caller.products if code)
        seqs = ids.tolist()
        known = self._known(seqs)
        # Few sets of products stand for many versions.
        seen = {one for one in {each.products for each in known.values()} if held & one}
        marks = [seq in known and known[seq].products in seen for seq in seqs]
        return ids[np.array(marks, np.bool_)]

    def items(self, ids: Ids, caller: Caller) -> tuple[Item | None, ...]:
        """Return the items, None for an id that the caller may not see."""
        shown = self.visible(ids, caller).tolist()
        found = self._items.of(self._record.reads, sorted({*shown}))
        allowed = {*shown}
        return tuple(found.get(seq) if seq in allowed else None for seq in ids.tolist())

    def stories(self, ids: Ids) -> Ids:
        """Return a number for each id; equal numbers are one story. A version that is gone is a
        story of its own.
        """
        seqs = ids.tolist()
        known = self._known(seqs) if seqs else {}
        numbers = [known[seq].story if seq in known else ~seq for seq in seqs]
        return np.array(numbers, np.int64)

    def _known(
        self, seqs: Sequence[int], facts_of: Callable[[Sequence[int]], _Rows] | None = None
    ) -> Mapping[int, _Known]:
        """Return what is known of the recorded `seqs`, at least as new as when this was called.
        `facts_of` reads facts that are not to be kept.
        """
        with self._lock:
            now = to_micros(self._clock())  # with the lock held, so that time never goes back
            taken = self._follow(now)
            found = {seq: self._kept[seq] for seq in seqs if seq in self._kept}
        stale = [seq for seq, known in found.items() if known.until and known.until <= now]
        for seq in stale:
            del found[seq]
        missing = [seq for seq in dict.fromkeys(seqs) if seq not in found]
        if missing:
            with self._record.moment() as reads:
                shown = _read(reads, missing, now)
            fresh = self._with_products(shown, facts_of or self.facts.of)
            self._keep(fresh, taken)
            found |= fresh
        return found

    def _with_products(
        self,
        shown: Mapping[int, tuple[str, StoryView]],
        facts_of: Callable[[Sequence[int]], _Rows],
    ) -> dict[int, _Known]:
        facts = facts_of([seq for seq, (_, view) in shown.items() if view.head == seq])
        alike = self._alike  # most versions have the products of many others
        return {
            seq: _Known(
                chain,
                chain_number(chain),
                alike.setdefault(held := facts[seq].products, held) if seq in facts else _NONE,
                view.changes_at,
            )
            for seq, (chain, view) in shown.items()
        }

    def _follow(self, now: int) -> int:
        """Drop what changed since the last call; return the number of the last change read."""
        unsettled = self._record.unsettled.mark
        same = unsettled == self._unsettled
        if now < self._now or self._taken == _UNKNOWN or len(self._kept) > self._most or not same:
            self._unsettled = unsettled
            self._clear()
        else:
            changes = self._record.reads.changes_after(self._taken, _MOST_CHANGES)
            if len(changes) == _MOST_CHANGES:
                self._clear()
            elif changes:
                self._drop(_touched(changes))
                self._taken = changes[-1].n
        self._now = now
        return self._taken

    def _clear(self) -> None:
        self._kept.clear()
        self._of_chain.clear()
        self._alike.clear()
        self._taken = self._record.last_change()

    def _drop(self, chains: Iterable[str]) -> None:
        for chain in chains:
            for seq in self._of_chain.pop(chain, ()):
                self._kept.pop(seq, None)

    def _keep(self, fresh: Mapping[int, _Known], taken: int) -> None:
        """Keep what was read after change number `taken`, except stories that changed since."""
        with self._lock:
            changes = self._record.reads.changes_after(taken, _MOST_CHANGES)
            same = self._record.unsettled.mark == self._unsettled
            if len(changes) == _MOST_CHANGES or self._taken < taken or not same:
                return
            touched = _touched(changes)
            for seq, known in fresh.items():
                if known.chain not in touched:
                    if seq not in self._kept:
                        self._of_chain.setdefault(known.chain, []).append(seq)
                    self._kept[seq] = known


def _touched(changes: Iterable[Change]) -> set[str]:
    """Return the stories that may show another version now; vectors do not change that."""
    return {change.chain for change in changes if not change.brings_vectors}


def _read(reads: RecordReads, seqs: Sequence[int], now: int) -> dict[int, tuple[str, StoryView]]:
    """Return the story of each recorded version, and the view of that story."""
    chains = reads.stories_of(seqs)
    views = reads.views_of([*{*chains.values()}], now)
    return {seq: (chain, views[chain][0]) for seq, chain in chains.items()}
