"""Embeds recorded items: for a vector field that was added later, or a new encoder.

The record says which items lack vectors, and each batch is written before the next is read. So it
can be interrupted and run again at any time, also beside a running service, and embeds nothing
twice. Several processes or machines take a part each, by the remainder of an item's number, so they
need not know of each other; if one of them ends early, any later run does what it left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.items import Item, PassageVectors
from core.ports.engine import VectorKeeper
from core.ports.models import Embedder
from indexing.work.request import WHOLE, Shard

_BATCH = 64  # items


@dataclass(frozen=True, slots=True)
class Embedding:
    """The progress of a vector field: `done` of `total` items that lacked vectors at the start, and
    the seconds since then.
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
    shard: Shard = WHOLE,
) -> Mapping[str, int]:
    """Embed, field by field, every recorded version of this shard that lacks vectors of the field's
    encoder.

    `embedders` has one embedder for each field, with that field alone; `told` is called after each
    batch is written. Returns how many items each field got. Raises StorageError and ModelError; the
    batches written until then stay.
    """
    return {
        field: _embed_field(keeper, field, embedder, told, batch, shard)
        for field, embedder in embedders.items()
    }


def _embed_field(
    keeper: VectorKeeper, field: str, embedder: Embedder, told: Told, batch: int, shard: Shard
) -> int:
    started = time.monotonic()
    total = keeper.count_lacking(field) // shard.count
    after, seen, added = 0, 0, 0
    while found := keeper.lacking(field, after, batch * shard.count):
        own = {id_: item for id_, item in found.items() if shard.has_number(id_)}
        after = max(found)
        if not own:
            continue
        vectors = embedder.embed(list(own.values()))
        added += keeper.add_vectors({id_: one for id_, (one,) in zip(own, vectors, strict=True)})
        seen += len(own)
        told(Embedding(field, seen, max(seen, total), time.monotonic() - started))
    return added
