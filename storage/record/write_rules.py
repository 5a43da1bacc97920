"""What a write does to what is recorded, as pure functions: every record of truth keeps to them."""

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

Space = tuple[str, str]  # a vector field, and the digest of the encoder of vectors in it


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest recorded version of an item; times in microseconds, `facts` as they are kept."""

    seq: int
    version: int
    digest: bytes
    pubstatus: str
    embargoed: int | None
    chain: str
    facts: bytes

    @property
    def products(self) -> tuple[str, ...]:
        """The product codes that it was recorded with."""
        return products_in(self.facts)

    @property
    def state(self) -> State:
        """The state that it is in."""
        return (self.pubstatus, self.embargoed)


def products_in(facts: bytes) -> tuple[str, ...]:
    """The product codes in facts as they are kept."""
    return tuple(orjson.loads(facts)["products"])


def refusal(
    item: Item, by: Caller, newest: Newest | None, stories: Iterable[Collection[str]] = ()
) -> Outcome | None:
    """Why `by` may not put the item, None where it may. `newest` is what is recorded of it, and
    `stories` are the products of each item in the stories of `touched_stories`.

    A put needs all products of the item before it and after it, and of each item of a story that
    it joins or leaves. What is reserved for others is refused whatever is recorded.
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
    """The stories that a put joins or leaves: it needs the products of their items. None are listed
    where `by` may write everything.
    """
    if by.writes == EVERY_PRODUCT:
        return ()
    if newest is None:
        return (item.chain,)
    return () if newest.chain == item.chain else (newest.chain, item.chain)


def may_change(writes: frozenset[str], newest: Newest | None) -> bool:
    """Whether there is an item whose state `writes` may change: one of its products is enough."""
    return newest is not None and reaches(writes, newest.products)


def status_change(
    change: SetStatus, writes: frozenset[str], newest: Newest | None, holds: Sequence[Hold]
) -> tuple[Written, State, tuple[Hold, ...]]:
    """What an explicit change by a writer of `writes` does: the answer, the state of the newest
    version from then on, and the holds of the uri. An item that the writer may not change is
    answered like one that is not there.
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
    """What a put of `item` does where `newest` is recorded; None for the same version and content
    once more, of which only the products and the vectors may differ. With `only_vectors` the
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
    """Whether products and vectors are as `item` has them. `have` is for which spaces the recorded
    version was embedded, `wanted` for which ones it should be.
    """
    return newest.products == item.products and all(space in have for space in wanted)


def forgotten(
    have: Iterable[Space], fresh: Collection[Space], kept: Collection[Space]
) -> list[Space]:
    """Which vectors of a version are deleted when those of `fresh` are added: the old ones of the
    same spaces, and in the same fields those of encoders that are not `kept`. An encoder that is
    not kept itself takes the place of all others in its field.
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
    """The state that a new version comes with."""
    return str(item.pubstatus), None if item.embargoed is None else to_micros(item.embargoed)


def digest_of(item: Item) -> bytes:
    """See `item_rows.content_digest`. Raises DocumentError for what no JSON can hold."""
    try:
        return item_rows.content_digest(item)
    except (orjson.JSONEncodeError, ValueError) as error:
        raise DocumentError(
            f"{item.uri!a} can't be recorded as JSON: {error}",
            mend="send whole characters; numbers of at most 64 bits",
        ) from error
