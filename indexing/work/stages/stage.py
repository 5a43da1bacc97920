"""The common form of all stages: each takes the assets of a chunk and answers for each alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from core.work import Stage, Tracked

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Worked:
    """An asset that a stage has finished; `failure` says why it failed."""

    asset: Tracked
    failure: Exception | None = None


class StageWork(Protocol):
    """The work of one stage."""

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        """Work on each asset and yield each once, in any order, except those not begun before
        `stop` returned true, and those that are too much for one order: the stage gets what it did
        not yield once more, in the next order. Raises StorageError if nothing can go on at the
        moment.
        """
        ...


def with_made(asset: Tracked, **counts: int) -> Tracked:
    """Return the asset with increased counts of what was computed for it."""
    made: Mapping[str, int] = {
        **asset.made,
        **{name: asset.made.get(name, 0) + count for name, count in counts.items()},
    }
    return replace(asset, made=made)


def with_remark(asset: Tracked, remark: str) -> Tracked:
    """Return the asset with one more remark on what is left undone, "" for none. The reason of a
    failed try at this stage goes.
    """
    earlier = "" if asset.attempts else asset.cause
    return replace(asset, cause="; ".join(part for part in (earlier, remark) if part))


class PassOn:
    """The stage where its model is missing: each asset goes on to the stage `then`, with a remark
    if it `concerns` it.
    """

    def __init__(
        self, then: Stage, remark: str, concerns: Callable[[Tracked], bool] = lambda _: True
    ) -> None:
        self._then = then
        self._remark = remark
        self._concerns = concerns

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        """Pass each asset on."""
        for asset in assets:
            remark = self._remark if self._concerns(asset) else ""
            yield Worked(replace(with_remark(asset, remark), stage=self._then))
