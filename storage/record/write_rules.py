"""The rules of writes as pure functions, which every record of truth follows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import orjson

from core.callers import EVERY_PRODUCT, Caller, covers, reaches
from core.errors import DocumentError
from core.items import Item
from core.writes import Outcome, SetStatus, Written
from storage.record import item_rows
from storage.record.holds import FREE, Hold, State, after_change, outcome_unrecorded, state_after
from storage.record.item_rows import to_micros

Space = tuple[str, str]  # a vector field, and the digest of the encoder of its vectors


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest recorded version of an item; times in microseconds, `facts` as recorded."""

    seq: int
    version: int
    digest: bytes
    pubstatus: str
    embargoed: int | None
    chain: str
    facts: bytes

    @property
    def products(self) -> tuple[str, ...]:
        """The product codes of the version."""
        return products_in(self.facts)

    @property
    def state(self) -> State:
        """The state of the version."""
        return (self.pubstatus, self.embargoed)


def products_in(facts: bytes) -> tuple[str, ...]:
    """Return the product codes in recorded facts."""
    return tuple(orjson.loads(facts)["products"])


def refusal(
    item: Item, by: Caller, newest: Newest | None, stories: Iterable[Collection[str]] = ()
) -> Outcome | None:
    """Return why `by` may not put the item, None if it may. `newest` is its newest recorded
    version; `stories` are the products of each item in the stories of `touched_stories`.

    A put needs the right to all products of the item before and after it, and of each item of a
    story that it joins or leaves. Names reserved for others are always refused.
    """
    if by.reserved and any(name.startswith(by.reserved) for name in (item.uri, item.chain)):
        return Outcome.RESERVED
    if not covers(by.writes, item.products):
        return Outcome.FORBIDDEN
    if newest is not None and not covers(by.writes, newest.products):
        return Outcome.TAKEN
    free = all(covers(by.writes, products) for products in stories)
    return None if free else Outcome.TAKEN


def touched_stories(item: Item, by: Caller, newest: Newest | None) -> tuple[str, ...]:
    """Return the stories that a put joins or leaves, because it needs the products of their items;
    none if `by` may write everything.
    """
    if by.writes == EVERY_PRODUCT:
        return ()
    if newest is None:
        return (item.chain,)
    return () if newest.chain == item.chain else (newest.chain, item.chain)


def may_change(writes: frozenset[str], newest: Newest | None) -> bool:
    """Return whether the item exists and `writes` may change its state: one product is enough."""
    return newest is not None and reaches(writes, newest.products)


def status_change(
    change: SetStatus, writes: frozenset[str], newest: Newest | None, holds: Sequence[Hold]
) -> tuple[Written, State, tuple[Hold, ...]]:
    """Return the effect of an explicit change by a writer of `writes`: the answer, the new state of
    the newest version, and the holds of the uri. The answer for an item that the writer may not
    change is the same as for an item that does not exist.
    """
    if newest is None or not may_change(writes, newest):
        after = after_change(holds, change, writes)
        outcome = outcome_unrecorded(holds, after, writes)
        return Written(change.uri, 0, outcome), FREE, after
    state = state_after(change, newest.state)
    outcome = Outcome.UNCHANGED if state == newest.state else Outcome.UPDATED
    after = after_change(holds, change, writes, newest.products)
    return Written(change.uri, newest.version, outcome), state, after


def outcome_of(
    item: Item, digest: bytes, newest: Newest | None, *, only_vectors: bool = False
) -> Outcome | None:
    """Return the outcome of a put of `item` when `newest` is recorded; None for the same version
    and content, of which only the products and the vectors may differ. With `only_vectors` the
    products may not differ either.
    """
    recorded = newest and (newest.version, newest.products)
    if only_vectors and recorded != (item.version, item.products):
        return Outcome.STALE
    if newest is None:
        return Outcome.CREATED
    if newest.version != item.version:
        return Outcome.SUPERSEDED if newest.version < item.version else Outcome.STALE
    return None if newest.digest == digest else Outcome.CONFLICT


def is_recorded(
    item: Item, newest: Newest, have: Collection[Space], wanted: Iterable[Space]
) -> bool:
    """Return whether the recorded products and vectors are those of `item`. The recorded version
    has vectors for the spaces `have`, and should have some for `wanted`.
    """
    return newest.products == item.products and all(space in have for space in wanted)


def forgotten(
    have: Iterable[Space], fresh: Collection[Space], kept: Collection[Space]
) -> list[Space]:
    """Return which vectors of a version to delete when those of `fresh` are added: the old ones of
    the same spaces, and in the same fields those of encoders that are not `kept`. An encoder that
    is not kept itself replaces all others in its field.
    """
    sole = {field for field, encoder in fresh if (field, encoder) not in kept}
    fields = {field for field, _ in fresh}
    return [
        (field, encoder)
        for field, encoder in have
        if field in fields
        and (field in sole or (field, encoder) in fresh or (field, encoder) not in kept)
    ]


def state_of(item: Item) -> State:
    """Return the state that a new version comes with."""
    return str(item.pubstatus), None if item.embargoed is None else to_micros(item.embargoed)


def digest_of(item: Item) -> bytes:
    """Return the digest of the item's content. Raises DocumentError for what JSON can't hold."""
    try:
        return item_rows.content_digest(item)
    except (orjson.JSONEncodeError, ValueError) as error:
        raise DocumentError(
            f"{item.uri!a} can't be recorded as JSON: {error}",
            mend="send whole characters; numbers of at most 64 bits",
        ) from error
