"""Embeds what is recorded already: for a vector field that came later, or a new encoder.

The record says what lacks vectors, and each batch is written before the next is read. So it can be
interrupted and run again at any time, beside a running service too, and embeds nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.items import Item, PassageVectors
from core.model_ports import Embedder
from core.ports import VectorKeeper

_BATCH = 64  # items


@dataclass(frozen=True, slots=True)
class Embedding:
    """How far a vector field is: `done` items of `total` that lacked vectors when it began, and the
    seconds since then.
    """

    field: str
    done: int
    total: int
    seconds: float


Told = Callable[[Embedding], None]


@dataclass(frozen=True, slots=True)
class SeveralEmbedders:
    """A `core.model_ports.Embedder`: each of `embedders` after the one before."""

    embedders: tuple[Embedder, ...]

    def embed(self, items: Sequence[Item]) -> tuple[tuple[PassageVectors, ...], ...]:
        """See `core.model_ports.Embedder`."""
        columns = [embedder.embed(items) for embedder in self.embedders]
        return tuple(sum(entries, ()) for entries in zip(*columns, strict=True))


def embed_lacking(
    keeper: VectorKeeper, embedders: Mapping[str, Embedder], told: Told, batch: int = _BATCH
) -> Mapping[str, int]:
    """Embeds, field by field, every recorded version that lacks vectors of the field's encoder.

    `embedders` are by field, each with that field alone; `told` hears of each batch that was
    written. Returns how many items each field got. Raises StorageError and ModelError; what was
    written until then stays.
    """
    return {
        field: _embed_field(keeper, field, embedder, told, batch)
        for field, embedder in embedders.items()
    }


def _embed_field(
    keeper: VectorKeeper, field: str, embedder: Embedder, told: Told, batch: int
) -> int:
    started = time.monotonic()
    total = keeper.count_lacking(field)
    after, seen, added = 0, 0, 0
    while found := keeper.lacking(field, after, batch):
        vectors = embedder.embed(list(found.values()))
        added += keeper.add_vectors({id_: own for id_, (own,) in zip(found, vectors, strict=True)})
        after = max(found)
        seen += len(found)
        told(Embedding(field, seen, max(seen, total), time.monotonic() - started))
    return added
