"""Decides when a tail becomes a segment, and which segments are merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class ProjectionSettings:
    """A tail of `seal_rows` becomes a segment; when nothing was written for a while, a tail of
    `idle_seal_rows` does. `merge_segments` segments of about one size become one. A segment with a
    larger share of hidden rows than `dead_share` is rebuilt. No merge makes a segment of more than
    `most_rows`, because a build holds all its vectors in memory twice: 3 GB for a million of 384
    numbers. A checkpoint is written after `checkpoint_changes`, or after changes of 5 % of all
    versions if those are more, and at the end. A process that `follows` never owns the files, even
    if nobody does.
    """

    seal_rows: int = 8192
    idle_seal_rows: int = 512
    merge_segments: int = 4
    dead_share: float = 0.25
    most_rows: int = 1_000_000
    build_threads: int = 2
    lexical_batch: int = 5000
    checkpoint_changes: int = 20_000
    follows: bool = False


def merge_plan(
    sizes: Sequence[int], dead: Sequence[float], settings: ProjectionSettings, *, idle: bool
) -> list[int]:
    """Return which segments to merge, as places in `sizes` (rows); none for no merge.

    `merge_segments` of one tier (sizes within a factor of four) become one, so that a row is
    rebuilt once per tier (as in log-structured merge trees; O'Neil et al., 1996). An idle process
    merges more: all but the largest, and the largest too if the rest is at least a quarter of it.
    """
    by_size = sorted(range(len(sizes)), key=lambda place: sizes[place])
    tiers: dict[int, list[int]] = {}
    for place in by_size:
        tier = int(np.log2(max(1.0, sizes[place] / settings.seal_rows)) / 2)
        tiers.setdefault(tier, []).append(place)
    for places in tiers.values():
        fitting = _fitting(places, sizes, settings.most_rows)
        if len(places) >= settings.merge_segments and fitting:
            return fitting
    decayed = [place for place in by_size if dead[place] > settings.dead_share]
    if decayed or not idle or len(sizes) < 2:
        return decayed[:1]
    rest = by_size[:-1]
    enough = 4 * sum(sizes[place] for place in rest) >= sizes[by_size[-1]]
    return _fitting(by_size if enough else rest, sizes, settings.most_rows)


def _fitting(places: Sequence[int], sizes: Sequence[int], most_rows: int) -> list[int]:
    """Return the first places, by rising size, whose segments have `most_rows` together at most;
    none if that is only one.
    """
    sums = np.cumsum([sizes[place] for place in places])
    fitting = [place for place, rows in zip(places, sums, strict=True) if rows <= most_rows]
    return fitting if len(fitting) > 1 else []
