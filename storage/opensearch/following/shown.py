"""When stories show which version, all that the record knows of the time to come included.

An embargo that lifts and an item that expires change a story without a write. Their moments are
known beforehand, so an index holds the stretches of time in which a version is shown, and a search
asks for those that are shown now: nothing has to be awake at the moment.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from storage.record.port import StoryReads

Stretch = tuple[int | None, int | None]  # microseconds, [since, until); None is open


@dataclass(frozen=True, slots=True)
class Shown:
    """Of some stories: each version that is or will be shown with its stretches, every version that
    is not, and the chain of all of them.
    """

    stretches: dict[int, list[Stretch]]
    chains: dict[int, str]
    hidden: set[int]


def shown_of(reads: StoryReads, chains: Iterable[str], now: int) -> Shown:
    """What the chains show from `now` (microseconds) on."""
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
    """Adds a stretch; one that begins where the last one ends is the same one."""
    if stretches and since is not None and stretches[-1][1] == since:
        since, _ = stretches.pop()
    stretches.append((since, until))
