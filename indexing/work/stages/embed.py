"""The embed stage: computes vectors before items are applied, for hosts with fast models.

They go into the ledger (`indexing.work.remembered`), where the apply stage finds them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.work import Tracked
from indexing.ingest import Ingest
from indexing.work.stages.apply import Newest, item_of
from indexing.work.stages.preparing import Prepared, Preparing
from indexing.work.stages.reading import CHUNK
from indexing.work.stages.stage import Stop, Worked


class EmbedStage:
    """`indexing.work.stages.stage.StageWork`, `batch` items in one call of the encoder. The encoder
    of `ingest` keeps its vectors.
    """

    def __init__(
        self, preparing: Preparing, ingest: Ingest, newest: Newest, batch: int = CHUNK
    ) -> None:
        self._preparing = preparing
        self._ingest = ingest
        self._newest = newest
        self._batch = batch

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        """Embed the items of the assets, and pass the assets on."""
        for start in range(0, len(assets), self._batch):
            if stop():
                return
            ready: list[Prepared] = []
            for asset in assets[start : start + self._batch]:
                prepared = self._preparing.prepare(asset)
                if isinstance(prepared, Prepared):
                    ready.append(prepared)
                else:
                    yield prepared
            yield from self._embed(ready)

    def _embed(self, ready: Sequence[Prepared]) -> Iterator[Worked]:
        recorded = self._newest([prepared.item.uri for prepared in ready])
        pairs = zip(ready, recorded, strict=True)
        self._ingest.embed([item_of(self._preparing, *pair) for pair in pairs])
        yield from (Worked(prepared.asset) for prepared in ready)
