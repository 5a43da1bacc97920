"""The guard: which candidates the record of truth lets a caller see at this moment.

For engines whose index lags behind the record. What was read of a story is kept, and dropped when
the record's log of changes names the story or the clock passes the moment at which its view changes
by itself. So a question about a thousand candidates is one look at the log, and a kill that another
process acknowledged holds at the next question, whatever the index says.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.callers import Caller
from core.items import Item
from core.ports import Clock
from core.retrieval import Ids
from storage.record.facts import chain_number
from storage.record.item_rows import to_micros
from storage.record.kept_facts import KeptFacts
from storage.record.port import Change, RecordOfTruth, RecordReads
from storage.record.unsettled import SETTLED
from storage.record.visibility import StoryView

_KEPT = 50_000  # versions, of some 300 bytes
_MOST_CHANGES = 1_000  # beyond which everything is read anew
_UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class _Known:
    """A version's story, who may see the version (nobody where the story does not show it), and
    when this changes by itself, in microseconds (None: never).
    """

    chain: str
    story: int
    products: frozenset[str]
    until: int | None


class Guard:
    """What `record` lets callers see. Safe to use from any number of threads."""

    def __init__(self, record: RecordOfTruth, clock: Clock) -> None:
        self._record = record
        self._clock = clock
        self.facts = KeptFacts(record)
        self._kept: dict[int, _Known] = {}
        self._of_chain: dict[str, list[int]] = {}
        self._taken = _UNKNOWN  # number of the last change that was taken in
        self._unsettled = SETTLED.mark  # of what was kept
        self._now = 0
        self._lock = threading.Lock()

    def visible(self, ids: Ids, caller: Caller) -> Ids:
        """See `core.ports.Retriever`."""
        held = frozenset(code.casefold() for code in caller.products if code)
        known = self._known(ids.tolist())
        marks = [seq in known and not held.isdisjoint(known[seq].products) for seq in ids.tolist()]
        return ids[np.array(marks, np.bool_)]

    def items(self, ids: Ids, caller: Caller) -> tuple[Item | None, ...]:
        """See `core.ports.Catalogue`."""
        shown = self.visible(ids, caller).tolist()
        found = self._record.reads.items_by_seq(sorted({*shown}))
        allowed = {*shown}
        return tuple(found.get(seq) if seq in allowed else None for seq in ids.tolist())

    def stories(self, ids: Ids) -> Ids:
        """See `core.ports.Catalogue.chains`; a version that is gone is a story by itself."""
        seqs = ids.tolist()
        known = self._known(seqs)
        numbers = [known[seq].story if seq in known else ~seq for seq in seqs]
        return np.array(numbers, np.int64)

    def _known(self, seqs: Sequence[int]) -> Mapping[int, _Known]:
        """What is recorded among `seqs`, of a state at least as new as when this was called."""
        with self._lock:
            now = to_micros(self._clock())  # in here, so that it never seems to go back
            taken = self._follow(now)
            found = {seq: self._kept[seq] for seq in seqs if seq in self._kept}
        stale = [seq for seq, known in found.items() if known.until and known.until <= now]
        for seq in stale:
            del found[seq]
        missing = [seq for seq in dict.fromkeys(seqs) if seq not in found]
        if missing:
            with self._record.moment() as reads:
                shown = _read(reads, missing, now)
            fresh = self._with_products(shown)
            self._keep(fresh, taken)
            found |= fresh
        return found

    def _with_products(self, shown: Mapping[int, tuple[str, StoryView]]) -> dict[int, _Known]:
        facts = self.facts.of([seq for seq, (_, view) in shown.items() if view.head == seq])
        return {
            seq: _Known(
                chain,
                chain_number(chain),
                facts[seq].products if seq in facts else frozenset(),
                view.changes_at,
            )
            for seq, (chain, view) in shown.items()
        }

    def _follow(self, now: int) -> int:
        """Drops what changed since; gives the number up to which this is so."""
        unsettled = self._record.unsettled.mark
        same = unsettled == self._unsettled
        if now < self._now or self._taken == _UNKNOWN or len(self._kept) > _KEPT or not same:
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
        self._taken = self._record.last_change()

    def _drop(self, chains: Iterable[str]) -> None:
        for chain in chains:
            for seq in self._of_chain.pop(chain, ()):
                self._kept.pop(seq, None)

    def _keep(self, fresh: Mapping[int, _Known], taken: int) -> None:
        """Keeps what was read after change number `taken`, but for stories that changed since."""
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
    """The stories that may show something else: vectors change nothing about that."""
    return {change.chain for change in changes if not change.brings_vectors}


def _read(reads: RecordReads, seqs: Sequence[int], now: int) -> dict[int, tuple[str, StoryView]]:
    """The story of each recorded version, and what that shows."""
    chains = reads.stories_of(seqs)
    views = reads.views_of([*{*chains.values()}], now)
    return {seq: (chain, views[chain][0]) for seq, chain in chains.items()}
