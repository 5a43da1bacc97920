"""Embeds recorded items: for a vector field that was added later, or a new encoder.

The record says which items lack vectors, and each batch is written before the next is read. So it
can be interrupted and run again at any time, also beside a running service, and embeds nothing
twice. Several processes or machines lease parts of the record, a thousand numbers of items each; if
one of them is killed, another one takes its part when the lease ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from sys import maxsize

from core.items import Item, PassageVectors
from core.ports.engine import VectorKeeper
from core.ports.models import Embedder
from core.ports.work import Parts

PART = 1000  # numbers of items
_BATCH = 64  # items
_LOOK_S = 0.5  # between two looks at parts that others hold


@dataclass(frozen=True, slots=True)
class Embedding:
    """The progress of a vector field: `done` here, of the `total` items that lacked vectors at the
    start, and the seconds since then.
    """

    field: str
    done: int
    total: int
    seconds: float


Told = Callable[[Embedding], None]


@dataclass(frozen=True, slots=True)
class SeveralEmbedders:
    """A `core.ports.models.Embedder` that joins the results of several `embedders`, in order."""

    embedders: tuple[Embedder, ...]

    def embed(self, items: Sequence[Item]) -> tuple[tuple[PassageVectors, ...], ...]:
        """Return each item's passages and vectors from all embedders."""
        columns = [embedder.embed(items) for embedder in self.embedders]
        return tuple(sum(entries, ()) for entries in zip(*columns, strict=True))


def embed_lacking(
    keeper: VectorKeeper,
    embedders: Mapping[str, Embedder],
    told: Told,
    batch: int = _BATCH,
    parts: Parts | None = None,
) -> Mapping[str, int]:
    """Embed, field by field, every recorded version that lacks vectors of the field's encoder; with
    `parts`, share the work with other processes and return when all is done.

    `embedders` has one embedder for each field, with that field alone; `told` is called after each
    batch is written. Returns how many items each field got. Raises StorageError and ModelError; the
    batches written until then stay.
    """
    return {
        field: _embed_field(keeper, field, embedder, told, batch, parts)
        for field, embedder in embedders.items()
    }


def _embed_field(
    keeper: VectorKeeper,
    field: str,
    embedder: Embedder,
    told: Told,
    batch: int,
    parts: Parts | None,
) -> int:
    started = time.monotonic()
    total, seen, added = keeper.count_lacking(field), 0, 0
    with closing(_spans(keeper, field, batch, parts)) as spans:
        for items in spans:
            vectors = embedder.embed(list(items.values()))
            fresh = {id_: one for id_, (one,) in zip(items, vectors, strict=True)}
            added += keeper.add_vectors(fresh)
            seen += len(items)
            told(Embedding(field, seen, max(seen, total), time.monotonic() - started))
    return added


def _spans(
    keeper: VectorKeeper, field: str, batch: int, parts: Parts | None
) -> Generator[Mapping[int, Item], None, None]:
    """Yield batches of items that lack vectors: all, or those of the parts that are leased here."""
    if parts is None:
        yield from _batches(keeper, field, batch, -1, maxsize)
        return
    parts.divide(field, _lacking_parts(keeper, field))
    while parts.left(field):
        part = parts.lease(field)
        if part is None:  # others hold the rest, until they end or their leases do
            time.sleep(_LOOK_S)
            continue
        try:
            for items in _batches(keeper, field, batch, part * PART - 1, part * PART + PART - 1):
                parts.renew(field, part)
                yield items
        except BaseException:
            parts.give_back(field, part)
            raise
        parts.end(field, part)


def _batches(
    keeper: VectorKeeper, field: str, batch: int, after: int, last: int
) -> Iterator[Mapping[int, Item]]:
    """Yield the items above number `after` up to `last` that lack vectors, in batches."""
    while found := keeper.lacking(field, after, batch):
        own = {id_: item for id_, item in found.items() if id_ <= last}
        if not own:
            return
        yield own
        after = max(own)


def _lacking_parts(keeper: VectorKeeper, field: str) -> Iterator[int]:
    """Yield the parts in which an item lacks vectors."""
    after = -1
    while found := keeper.lacking(field, after, 1):
        part = min(found) // PART
        yield part
        after = part * PART + PART - 1
