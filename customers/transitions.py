"""Finds the transitions: compares what stories show at a moment with what was told of them.

An item is shown while it is the head of its story. Any other item was taken away: it was killed, it
expired, or it is hidden (withheld, embargoed again, replaced by a write-through, gone).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter

from core.callers import folded
from core.customers.transitions import Told, TransitionKind
from core.items import PubStatus
from core.standing import Head
from storage.record.visibility import VersionRow, story_view

Products = Mapping[int, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Items:
    """The items of some stories: `versions` by uri, the newest first, `heads` by story (the seq of
    its head, 0 for none), and when each story next changes without a write (None: never).
    """

    versions: Mapping[str, Sequence[VersionRow]]
    heads: Mapping[str, int]
    wakes: Mapping[str, int | None]


def items_of(stories: Mapping[str, Sequence[VersionRow]], now: int) -> Items:
    """Return the items of stories at `now` (microseconds). `stories` maps each story to every
    version of each item that has a version in it; each item belongs to the story that its newest
    version names.
    """
    views = {chain: story_view(chain, rows, now) for chain, rows in stories.items()}
    versions: dict[str, Sequence[VersionRow]] = {}
    for rows in stories.values():
        ordered = sorted(rows, key=lambda row: (row.uri, -row.version))
        for uri, group in groupby(ordered, key=attrgetter("uri")):
            versions[uri] = [*group]
    return Items(
        versions,
        {chain: view.head for chain, view in views.items()},
        {chain: view.changes_at for chain, view in views.items()},
    )


def elsewhere(items: Items, told: Iterable[Told]) -> set[str]:
    """Return the stories that must be looked at too: those that items have moved from or to."""
    named = {rows[0].chain for rows in items.versions.values()}
    return {*named, *(each.story for each in told)} - items.heads.keys()


@dataclass(frozen=True, slots=True)
class Differences:
    """The transitions, in order, and the changes that need no transition."""

    transitions: tuple[Told, ...]
    noted: tuple[Told, ...]


def differences(
    items: Items,
    products: Products,
    told: Mapping[str, Told],
    now: int,
    owed: Collection[str] = (),
) -> Differences:
    """Return what became of `items` since it was `told`. `products` has the products of each head
    by its seq. Kills come first, then what else was taken away. Somebody saw the `owed` items in a
    state that was not told, so they get a transition even if nothing differs now.
    """
    transitions: list[Told] = []
    noted: list[Told] = []
    for uri in dict.fromkeys((*items.versions, *told)):
        before = told.get(uri)
        state = _state(items, products, uri, before, now)
        if state is None:
            continue
        kind = _became(state, before) or (_again(state, before) if uri in owed else None)
        if kind is not None:
            undoes = state.shown and before is not None and before.kind is TransitionKind.KILLED
            transitions.append(replace(state, kind=kind, undoes=undoes))
        elif before is not None and (state.story, state.seq) != (before.story, before.seq):
            kept = state.version if state.shown else before.version
            noted.append(replace(before, story=state.story, seq=state.seq, version=kept))
    transitions.sort(key=_rank)
    return Differences(tuple(transitions), tuple(noted))


def _rank(told: Told) -> tuple[int, int]:
    """Return the sort key: kills first, then other ends, then the rest in the order of the
    record.
    """
    return 0 if told.kind is TransitionKind.KILLED else 2 if told.shown else 1, told.seq


def _state(
    items: Items, products: Products, uri: str, before: Told | None, now: int
) -> Told | None:
    """Return the present state of an item; None if not all of its versions are at hand."""
    versions = items.versions.get(uri, ())
    if not versions:  # it belongs to another record
        return before and replace(before, kind=TransitionKind.HIDDEN, products=frozenset())
    chain = versions[0].chain
    if chain not in items.heads:
        return None
    head = next((row for row in versions if row.seq == items.heads[chain]), None)
    if head is not None:
        shown = TransitionKind.SHOWN
        return Told(uri, chain, shown, head.version, head.seq, products.get(head.seq, frozenset()))
    kind, row = _ended(versions, now)
    known = row or before
    version, seq = (known.version, known.seq) if known else (0, 0)
    return Told(uri, chain, kind, version, seq)


def _ended(versions: Sequence[VersionRow], now: int) -> tuple[TransitionKind, VersionRow | None]:
    """Return what took an item away, and the version that shows it; no version if all are under
    embargo, because nobody may know of them.
    """
    for row in versions:
        if row.pubstatus == PubStatus.CANCELED:
            return TransitionKind.KILLED, row
        if row.pubstatus != PubStatus.USABLE:
            return TransitionKind.HIDDEN, row
        if row.expires is not None and row.expires <= now:
            return TransitionKind.EXPIRED, row
        if row.embargoed is None or row.embargoed <= now:
            return TransitionKind.HIDDEN, row  # another item is the story's head
    return TransitionKind.HIDDEN, None


def _again(state: Told, before: Told | None) -> TransitionKind | None:
    """Return the kind of a transition that tells an item again. An item that was told as gone and
    is gone needs none: its end was told after everything that was seen.
    """
    if before is None or before.shown:
        return TransitionKind.UPDATED if state.shown else state.kind
    return None


def untold(
    heads: Mapping[str, Head], told: Mapping[str, Told], products: frozenset[str]
) -> list[str]:
    """Return the items that an account with these products sees in a state that was not told:
    another version, other products, or not at all. `heads` has those that it sees. After such an
    answer has left, the difference may disappear before it is told, so a transition is owed.
    """
    found: list[str] = []
    for uri, each in told.items():
        head = heads.get(uri)
        if head is None:
            differs = not products.isdisjoint(each.products)
        else:
            differs = (head.version, folded(head.products)) != (each.version, each.products)
        if each.shown and differs:
            found.append(uri)
    return found


def _became(state: Told, before: Told | None) -> TransitionKind | None:
    """Return the kind of a transition to `state`; None if there is nothing to tell."""
    if state.shown:
        if before is None or not before.shown:
            return TransitionKind.SHOWN
        same = (state.version, state.products) == (before.version, before.products)
        return None if same else TransitionKind.UPDATED
    if state.kind is TransitionKind.KILLED:  # an account that got it by a search needs it, too
        return None if before is not None and before.kind is state.kind else state.kind
    return state.kind if before is not None and before.shown else None
