"""The describe stage: captions for stills that have none, at once or in a batch later.

A still that can't be described does not stop its asset: the item is applied without its caption,
and the next ingest of the same files asks again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from core.errors import StorageError
from core.work import Stage, Tracked
from indexing.work.stages.asking import Asking
from indexing.work.stages.preparing import Prepared, Preparing
from indexing.work.stages.stage import Stop, Worked, with_made


class DescribeStage:
    """`indexing.work.stages.stage.StageWork`. Thread-safe. Without `asking` it only passes assets
    on to the stage `then`.
    """

    def __init__(
        self, preparing: Preparing, asking: Asking | None, then: Stage = Stage.APPLY
    ) -> None:
        self._preparing = preparing
        self._asking = asking
        self._then = then

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        """Ask about the stills of each asset, and pass the asset on."""
        if self._asking is None:
            yield from (Worked(replace(asset, stage=self._then)) for asset in assets)
            return
        ready: list[Prepared] = []
        for asset in assets:
            prepared = self._prepared(asset)
            if isinstance(prepared, Prepared):
                ready.append(prepared)
            else:
                yield prepared
        told = self._asking.ask(ready, stop)
        for prepared in ready:
            asset = prepared.asset
            if asset.id not in told.left:
                made, shared = told.made.get(asset.id, 0), told.shared.get(asset.id, 0)
                cause = told.reasons.get(asset.id, "")
                asset = replace(asset, cause=cause, stage=self._then)
                yield Worked(with_made(asset, captioned=made, shared=shared))

    def _prepared(self, asset: Tracked) -> Prepared | Worked:
        try:
            prepared = self._preparing.prepare(asset)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - an asset fails alone
            return Worked(asset, error)
        return prepared or Worked(replace(asset, stage=Stage.DECODE))
