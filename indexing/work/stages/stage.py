"""The common form of all stages: each takes the assets of a chunk and answers for each alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from core.work import Tracked

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
        `stop` returned true. Raises StorageError if nothing can go on at the moment.
        """
        ...


def with_made(asset: Tracked, **counts: int) -> Tracked:
    """Return the asset with increased counts of what was computed for it."""
    made: Mapping[str, int] = {
        **asset.made,
        **{name: asset.made.get(name, 0) + count for name, count in counts.items()},
    }
    return replace(asset, made=made)
