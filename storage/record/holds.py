"""Holds: rules that keep later versions of an item hidden. Pure functions, the same for all
records.

An explicit kill, withhold or embargo of a uri is kept for that uri. It binds every later put of the
uri: the new version gets its own state or the hold's, whichever is stricter. So a version that was
queued before a kill does not bring the item back; only a later explicit release does. A version
that is recorded as killed makes a hold too.

A change of an item that is not recorded makes a hold as well. So does a change of an item that the
writer may not change, and both get the same answer. Such a hold binds the item only if the item has
a product that the writer may write. Once it has bound the item, it holds for every product, and
only a writer of the item can release it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from core.callers import EVERY_PRODUCT, folded, reaches
from core.items import PubStatus
from core.writes import Outcome, SetStatus
from storage.record.item_rows import to_micros

Key = TypeVar("Key")
State = tuple[str, int | None]  # a pubstatus, and an embargo in microseconds
FREE: State = (str(PubStatus.USABLE), None)
_ORDER = (PubStatus.USABLE, PubStatus.WITHHELD, PubStatus.CANCELED)


@dataclass(frozen=True, slots=True)
class Hold:
    """The least strict state that an item may have if it has a product in `writes`."""

    writes: frozenset[str]
    pubstatus: str
    embargoed: int | None

    @property
    def state(self) -> State:
        """The least strict state that a version may have."""
        return (self.pubstatus, self.embargoed)


def stricter(*states: State) -> State:
    """Return the strictest pubstatus (killed, withheld, usable) and the latest embargo."""
    pubstatus = max((state[0] for state in states), key=lambda name: _ORDER.index(PubStatus(name)))
    return pubstatus, max((until for _, until in states if until is not None), default=None)


def state_after(change: SetStatus, state: State) -> State:
    """Return the state after an explicit change of a version that was in `state`."""
    wanted = state[1] if change.embargoed is None else to_micros(change.embargoed)
    return str(change.pubstatus or state[0]), None if change.lift_embargo else wanted


def held(holds: Iterable[Hold], products: Collection[str], own: State) -> State:
    """Return the state of a version with these products: its `own`, or a stricter one of a hold."""
    return stricter(own, *(hold.state for hold in holds if reaches(hold.writes, products)))


def held_as(state: State, own: State) -> str:
    """Return the word for what holds made of a version's `own` state; "" if it is the same."""
    if state[0] != own[0]:
        return state[0]
    return "embargoed" if state[1] != own[1] else ""


def bound(
    holds: Sequence[Hold], products: Collection[str], own: State, *, new: bool
) -> tuple[State, tuple[Hold, ...]]:
    """Return the state of a version as `held` does, and the holds of its uri once it is recorded.
    The holds that bind the version become one; a `new` version that comes killed adds a hold.
    """
    killed = new and own[0] == PubStatus.CANCELED
    came = (own[0], None) if killed else FREE
    firm = Hold(EVERY_PRODUCT, *held(holds, products, came))
    loose = (hold for hold in holds if not reaches(hold.writes, products))
    return held(holds, products, own), _merged(*loose, firm)


def after_change(
    holds: Sequence[Hold],
    change: SetStatus,
    writes: frozenset[str],
    products: Collection[str] | None = None,
) -> tuple[Hold, ...]:
    """Return the holds after an explicit change by a writer of `writes`. `products` are those of
    the recorded item; None if there is none, or if the writer may not change it.
    """
    own = folded(writes)
    state, left = FREE, []
    for hold in holds:
        binds = products is not None and reaches(hold.writes, products)
        rest = _without(hold.writes, EVERY_PRODUCT if binds else own)
        if rest != hold.writes:
            state = stricter(state, hold.state)
        left.append(Hold(rest, *hold.state))
    by = own if products is None else EVERY_PRODUCT
    return _merged(*left, Hold(by, *state_after(change, state)))


def outcome_unrecorded(
    before: Collection[Hold], after: Collection[Hold], writes: frozenset[str]
) -> Outcome:
    """Return the outcome of a change of an item that is not recorded, or that a writer of `writes`
    may not change.
    """
    if any(hold.writes == folded(writes) for hold in after):
        return Outcome.HELD
    return Outcome.MISSING if set(before) == set(after) else Outcome.RELEASED


def writes_text(writes: frozenset[str]) -> str:
    """Return a hold's product codes as they are recorded."""
    return orjson.dumps(sorted(writes)).decode()


def read_hold(writes: str, pubstatus: str, embargoed: int | None) -> Hold:
    """Return a hold from its recorded columns."""
    return Hold(frozenset(orjson.loads(writes)), pubstatus, embargoed)


def first_holds(
    rows: Iterable[tuple[Key, str, int | None, bytes]],
) -> Iterator[tuple[Key, str, str, int | None]]:
    """Yield the first holds of an older record, which has none, in their recorded form. `rows` are
    the newest version of each item: its key, its state and its recorded document.
    """
    for key, pubstatus, embargoed, document in rows:
        state = _set_apart((pubstatus, embargoed), orjson.loads(document)["source"])
        if state != FREE:
            yield key, writes_text(EVERY_PRODUCT), *state


def _set_apart(state: State, source: Mapping[str, Any]) -> State:
    """Return the part of a version's state that its document does not say itself: somebody set it
    by a change of status. A kill always counts as set.
    """
    said = {name.lower().removeprefix("$"): value for name, value in source.items()}
    own = str(said.get("pubstatus") or PubStatus.USABLE).strip().lower().removeprefix("stat:")
    is_set = state[0] == PubStatus.CANCELED or own == PubStatus.USABLE
    has_embargo = any(name.startswith("embargo") for name, value in said.items() if value)
    return state[0] if is_set else FREE[0], None if has_embargo else state[1]


def _without(writes: frozenset[str], taken: frozenset[str]) -> frozenset[str]:
    return frozenset() if taken == EVERY_PRODUCT else writes - taken


def _merged(*holds: Hold) -> tuple[Hold, ...]:
    """Return one hold for each set of product codes, without holds that have no effect."""
    found: dict[frozenset[str], State] = {}
    for hold in holds:
        if hold.writes and hold.state != FREE:
            found[hold.writes] = stricter(found.get(hold.writes, FREE), hold.state)
    return tuple(Hold(writes, *state) for writes, state in found.items())
