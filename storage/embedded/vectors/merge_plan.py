"""When a tail becomes a segment, and which segments become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class ProjectionSettings:
    """`seal_rows`: the tail's length at which it becomes a segment; a tail of at least
    `idle_seal_rows` is sealed when nothing was written for a while. `merge_segments`: so many
    segments of about one size become one. `dead_share`: a segment with more hidden rows than that
    is rebuilt. A process that `follows` leaves the files to others, also where nobody has them.
    """

    seal_rows: int = 8192
    idle_seal_rows: int = 512
    merge_segments: int = 4
    dead_share: float = 0.25
    build_threads: int = 2
    lexical_batch: int = 2000
    follows: bool = False


def merge_plan(
    sizes: Sequence[int], dead: Sequence[float], settings: ProjectionSettings, *, idle: bool
) -> list[int]:
    """Which segments to merge, as places in `sizes` (rows); empty for none.

    `merge_segments` of one tier (sizes within a factor of four) become one, so that a row is
    rebuilt once per tier (as in log-structured merge trees; O'Neil et al., 1996). An idle process
    goes on: it merges all but the largest, and that too when the rest is a quarter of it.
    """
    by_size = sorted(range(len(sizes)), key=lambda place: sizes[place])
    tiers: dict[int, list[int]] = {}
    for place in by_size:
        tier = int(np.log2(max(1.0, sizes[place] / settings.seal_rows)) / 2)
        tiers.setdefault(tier, []).append(place)
    for places in tiers.values():
        if len(places) >= settings.merge_segments:
            return places
    decayed = [place for place in by_size if dead[place] > settings.dead_share]
    if decayed or not idle or len(sizes) < 2:
        return decayed[:1]
    rest = by_size[:-1]
    if 4 * sum(sizes[place] for place in rest) >= sizes[by_size[-1]]:
        return by_size
    return rest if len(rest) > 1 else []
