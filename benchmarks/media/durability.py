"""What durability costs: a part of benchmarks/media/ingest.py, which says what is compared."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from time import time
from typing import Any

from benchmarks.media.decode import computing_s
from benchmarks.media.parts import shares, small_photo
from benchmarks.media.worker import PRODUCTS, Times, opened, settings_in
from core.work import AssetState, FoundAsset, Stage, Tracked
from dateline.build.media.stages import Stages, build_stages
from dateline.build.service import build_service
from indexing.work.sources.listing import look_at

CHUNKS = 3  # chunks that a worker decodes at the same time


def durability(
    place: Path, count: int, turns: int, write: Callable[[Path, int], Path]
) -> dict[str, float]:
    """Return the same work with and without orders, jobs and a ledger on disk, over photos from
    `write`.
    """
    pairs: list[tuple[Lap, Lap]] = []
    with opened(place / "durable") as bench, plainly(place / "plain") as parts:
        for turn, part in enumerate(shares(count, turns)):
            folder = place / f"turn-{turn}"
            folder.mkdir(parents=True)
            paths = [write(folder / f"{n}.jpg", n) for n in part]
            works = [partial(bench.applied, folder), partial(plain_ingest, parts, paths)]
            laps = {n: lap_of(works[n]) for n in ((0, 1) if turn % 2 else (1, 0))}
            pairs.append((laps[0], laps[1]))
            shutil.rmtree(folder)

    def overhead(of: Callable[[Lap], float]) -> float:
        return median(of(durable) / of(plain) for durable, plain in pairs) - 1

    return {
        "durable_per_s": count / sum(durable.seconds for durable, _ in pairs),
        "plain_per_s": count / sum(plain.seconds for _, plain in pairs),
        "durability_overhead": overhead(lambda lap: lap.seconds),
        "durability_overhead_steady": overhead(lambda lap: lap.steady_s),
        "durability_overhead_computing": overhead(lambda lap: lap.computing),
    }


@dataclass(frozen=True, slots=True)
class Lap:
    """One side's turn: its seconds, the seconds from the first applied chunk to the last, and its
    processor seconds.
    """

    seconds: float
    steady_s: float
    computing: float


def lap_of(work: Callable[[], Times]) -> Lap:
    """Run a turn, and ask afterwards when its chunks were applied and when it ended."""
    started, computed = time(), computing_s()
    times = work()
    computing = computing_s() - computed
    *applied, ended = times()
    return Lap(ended - started, max(applied) - min(applied), computing)


@contextmanager
def plainly(folder: Path) -> Iterator[Stages]:
    """The same stages over a new archive and a ledger in memory."""
    settings = settings_in(folder)
    service = build_service(settings)
    parts = build_stages(settings, service, DictLedger(), "plain")
    try:
        plain_ingest(parts, [small_photo(folder / "warm.jpg", 10**6)])
        yield parts
    finally:
        parts.close()
        service.close()


def plain_ingest(parts: Stages, paths: Sequence[Path], chunk: int = 32) -> Times:
    """Put chunks through the stages. As many are decoded at the same time as in a worker, and each
    is applied as soon as it is decoded.
    """
    chunks = [paths[at : at + chunk] for at in range(0, len(paths), chunk)]
    with ThreadPoolExecutor(CHUNKS) as decoding, ThreadPoolExecutor(1) as rest:
        decoded = [decoding.submit(_decode, parts.stages, some) for some in chunks]
        applied = [rest.submit(_rest, parts.stages, some) for some in decoded]
        times = [*(done.result() for done in applied), time()]
    return lambda: times


def _decode(stages: Mapping[Stage, Any], paths: Sequence[Path]) -> list[Tracked]:
    assets = [tracked(n, look_at(path, PRODUCTS)) for n, path in enumerate(paths)]
    return [worked.asset for worked in stages[Stage.DECODE].work(assets, lambda: False)]


def _rest(stages: Mapping[Stage, Any], decoded: Future[list[Tracked]]) -> float:
    assets: Sequence[Tracked] = decoded.result()
    for stage in (Stage.DESCRIBE, Stage.APPLY):
        worked = list(stages[stage].work(assets, lambda: False))
        failed = [each for each in worked if each.failure is not None]
        if failed or len(worked) != len(assets):
            raise SystemExit(f"not all was ingested: {failed}")
        assets = [each.asset for each in worked]
    return time()


def tracked(number: int, found: object) -> Tracked:
    """Return an asset that belongs to no job."""
    if not isinstance(found, FoundAsset):
        raise SystemExit(f"not read: {found}")
    return Tracked("bench", number, 0, found, state=AssetState.WAITING)


@dataclass(slots=True)
class DictLedger:
    """`core.ports.media.Ledger` in memory."""

    kept: dict[str, bytes] = field(default_factory=dict)

    def get(self, keys: Sequence[str]) -> tuple[bytes | None, ...]:
        return tuple(self.kept.get(key) for key in keys)

    def put(self, results: Mapping[str, bytes]) -> None:
        for key, value in results.items():
            self.kept.setdefault(key, value)
