"""What every stage is: something that takes the assets of a chunk and answers for each alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from core.work import Tracked

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Worked:
    """An asset that a stage is done with for now; `failure` says why it could not be done."""

    asset: Tracked
    failure: Exception | None = None


class StageWork(Protocol):
    """One stage's work."""

    def work(self, assets: Sequence[Tracked], stop: Stop) -> Iterator[Worked]:
        """Works on each asset and gives each once, in any order; those that it did not begin when
        `stop` said so are left out. Raises StorageError where nothing can go on just now.
        """
        ...


def with_made(asset: Tracked, **counts: int) -> Tracked:
    """The asset with more computed for it."""
    made: Mapping[str, int] = {
        **asset.made,
        **{name: asset.made.get(name, 0) + count for name, count in counts.items()},
    }
    return replace(asset, made=made)
