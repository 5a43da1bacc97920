"""Keeps versions of items that were read lately, so that an answer does not parse them again.

A recorded version never changes, except for its state. So each read asks the record for the states
first: a kept item counts only while the record has the same state for it. Nothing has to be told of
a write, whichever process makes it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from core.items import Item
from storage.record.item_rows import State, state_of
from storage.record.port import RecordReads

_MOST_ITEMS = 2048
_LONGEST = 20_000  # characters of a body; longer items are read anew, so that memory is bounded


class KeptItems:
    """The versions that were read last. Thread-safe."""

    def __init__(self, most: int = _MOST_ITEMS) -> None:
        self._most = most
        self._items: OrderedDict[int, tuple[State, Item]] = OrderedDict()
        self._lock = Lock()

    def of(self, reads: RecordReads, seqs: Sequence[int]) -> dict[int, Item]:
        """Return the recorded versions among `seqs`, as `items_by_seq` does."""
        known = [seq for seq in seqs if seq in self._items]
        states = reads.states_by_seq(known) if known else {}
        found: dict[int, Item] = {}
        with self._lock:
            for seq, state in states.items():
                kept = self._items.get(seq)
                if kept is not None and kept[0] == state:
                    found[seq] = kept[1]
                    self._items.move_to_end(seq)
        if missing := [seq for seq in seqs if seq not in found]:
            read = reads.items_by_seq(missing)
            self._keep(read)
            found |= read
        return found

    def _keep(self, read: dict[int, Item]) -> None:
        """Keep items under their own states: the record may have changed since its states were
        asked for.
        """
        with self._lock:
            for seq, item in read.items():
                if len(item.body) <= _LONGEST:
                    self._items[seq] = (state_of(item), item)
            while len(self._items) > self._most:
                self._items.popitem(last=False)
