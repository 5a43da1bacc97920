"""When a story shows which version, now and in the future as far as the record knows it.

An embargo that lifts and an item that expires change a story without a write. Both moments are
known beforehand. So an index holds the stretches of time in which a version is shown, and a search
asks for the versions shown now: no process has to act at that moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from storage.record.port import StoryReads

Stretch = tuple[int | None, int | None]  # microseconds, [since, until); None is open


@dataclass(frozen=True, slots=True)
class Shown:
    """What some stories show: the stretches of each version that is or will be shown, the chain of
    each version, and the versions that are never shown (`hidden`).
    """

    stretches: dict[int, list[Stretch]]
    chains: dict[int, str]
    hidden: set[int]


def shown_of(reads: StoryReads, chains: Iterable[str], now: int) -> Shown:
    """Return what the chains show from `now` (microseconds) on."""
    found = Shown({}, {}, set())
    every: set[int] = set()
    due: dict[int, list[str]] = {now: list(dict.fromkeys(chains))}
    while due:
        moment = min(due)
        for chain, (view, seqs) in reads.views_of(due.pop(moment), moment).items():
            every.update(seqs)
            found.chains.update(dict.fromkeys(seqs, chain))
            if view.head:
                since = None if moment == now else moment
                found.chains[view.head] = chain
                _extend(found.stretches.setdefault(view.head, []), since, view.changes_at)
            if view.changes_at is not None:
                due.setdefault(view.changes_at, []).append(chain)
    found.hidden.update(every - found.stretches.keys())
    return found


def _extend(stretches: list[Stretch], since: int | None, until: int | None) -> None:
    """Add a stretch, or lengthen the last one if it ends where the new one begins."""
    if stretches and since is not None and stretches[-1][1] == since:
        since, _ = stretches.pop()
    stretches.append((since, until))
