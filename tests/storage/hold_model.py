"""Rights to write and holds, said once more over plain sets and dicts, for models of the record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from core.callers import Caller
from core.items import PubStatus
from core.writes import Outcome, SetStatus

ALL = frozenset({"*"})
State = tuple[PubStatus, datetime | None]
FREE: State = (PubStatus.USABLE, None)
_RANKS = {PubStatus.USABLE: 0, PubStatus.WITHHELD: 1, PubStatus.CANCELED: 2}


def has_all(by: Caller, products: Iterable[str]) -> bool:
    codes = set(products)
    return by.writes == ALL or (codes != set() and codes <= by.writes)


def has_one(writes: frozenset[str], products: Iterable[str]) -> bool:
    return writes == ALL or any(code in writes for code in products)


def put_refusal(
    by: Caller,
    after: Iterable[str],
    before: Iterable[str] | None,
    stories: Iterable[Iterable[str]],
) -> Outcome | None:
    """`stories`: the products of each item in a story that is joined or left."""
    if not has_all(by, after):
        return Outcome.FORBIDDEN
    others = [*stories, *(() if before is None else (before,))]
    return None if all(has_all(by, products) for products in others) else Outcome.TAKEN


def worse(one: State, other: State) -> State:
    times = [time for time in (one[1], other[1]) if time is not None]
    return max(one[0], other[0], key=_RANKS.__getitem__), max(times, default=None)


def changed(change: SetStatus, state: State) -> State:
    until = state[1] if change.embargoed is None else change.embargoed
    return change.pubstatus or state[0], None if change.lift_embargo else until


@dataclass
class HoldModel:
    """By uri, for each set of product codes the state that it holds an item in."""

    held: dict[str, dict[frozenset[str], State]] = field(default_factory=dict)

    def put(self, uri: str, products: Iterable[str], own: State, *, new: bool) -> State:
        """The state of a version that comes with `own`; from now on the hold is everyone's."""
        kept: dict[frozenset[str], State] = {}
        state, firm = own, FREE
        if new and own[0] is PubStatus.CANCELED:
            firm = (PubStatus.CANCELED, None)
        for writes, hold in self.held.get(uri, {}).items():
            if has_one(writes, products):
                state, firm = worse(state, hold), worse(firm, hold)
            else:
                kept[writes] = hold
        self._keep(uri, {**kept, ALL: firm})
        return state

    def change(
        self, change: SetStatus, by: Caller, products: Iterable[str] | None = None
    ) -> Outcome:
        """What is told of an item that is not there; with `products` of one that is his."""
        before = self.held.get(change.uri, {})
        mine = by.writes if products is None else ALL
        kept: dict[frozenset[str], State] = {}
        base = FREE
        for writes, hold in before.items():
            rest = frozenset[str]() if by.writes == ALL else writes - by.writes
            if products is not None and has_one(writes, products):
                rest = frozenset()
            if rest != writes:
                base = worse(base, hold)
            kept[rest] = worse(kept.get(rest, FREE), hold)
        kept[mine] = worse(kept.get(mine, FREE), changed(change, base))
        self._keep(change.uri, kept)
        after = self.held.get(change.uri, {})
        if mine in after:
            return Outcome.HELD
        return Outcome.MISSING if before == after else Outcome.RELEASED

    def _keep(self, uri: str, holds: dict[frozenset[str], State]) -> None:
        self.held[uri] = {w: s for w, s in holds.items() if w and s != FREE}
