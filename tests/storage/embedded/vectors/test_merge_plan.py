"""Which segments are merged, and what it costs over an archive's life."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.embedded.vectors.merge_plan import ProjectionSettings, merge_plan

SETTINGS = ProjectionSettings(seal_rows=100, merge_segments=4, dead_share=0.25)


@pytest.mark.parametrize(
    ("name", "sizes", "dead", "idle", "places"),
    [
        ("nothing there", [], [], True, []),
        ("one segment is left alone", [100], [0.0], True, []),
        ("too few of a size", [100, 100, 100], [0.0] * 3, False, []),
        ("four of a size", [100, 100, 100, 100], [0.0] * 4, False, [0, 1, 2, 3]),
        ("four of a size beside a large one", [9000, 100, 110, 120, 130], [0.0] * 5, False,
         [1, 2, 3, 4]),
        ("sizes too far apart", [100, 900, 9000, 90_000], [0.0] * 4, False, []),
        ("many hidden rows", [1000, 100], [0.3, 0.0], False, [0]),
        ("hidden rows within the share", [1000, 100], [0.25, 0.0], False, []),
        ("one decayed segment at a time, the small one first", [1000, 100], [0.9, 0.9], False, [1]),
        ("idle: a quarter is worth it", [400, 100], [0.0, 0.0], True, [1, 0]),
        ("idle: less than a quarter is not", [10_000, 100], [0.0, 0.0], True, []),
        ("idle: the small ones go together", [90_000, 100, 900], [0.0] * 3, True, [1, 2]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_plan(
    name: str, sizes: list[int], dead: list[float], idle: bool, places: list[int]
) -> None:
    assert merge_plan(sizes, dead, SETTINGS, idle=idle) == places, name


def test_a_row_is_rebuilt_once_per_tier_and_segments_stay_few() -> None:
    sizes: list[int] = []
    rebuilt = 0
    for _ in range(1000):
        sizes.append(SETTINGS.seal_rows)
        while places := merge_plan(sizes, [0.0] * len(sizes), SETTINGS, idle=False):
            merged = sum(sizes[place] for place in places)
            rebuilt += merged
            sizes = [size for place, size in enumerate(sizes) if place not in places] + [merged]
    assert sum(sizes) == 100_000
    assert len(sizes) <= 3 * 6
    assert rebuilt / 100_000 <= 6


def test_an_idle_process_comes_to_an_end() -> None:
    sizes = [100 + 7 * n for n in range(40)]
    for _ in range(40):
        places = merge_plan(sizes, [0.0] * len(sizes), SETTINGS, idle=True)
        if not places:
            break
        merged = sum(sizes[place] for place in places)
        sizes = [size for place, size in enumerate(sizes) if place not in places] + [merged]
    assert len(sizes) == 1


def test_no_merge_makes_more_rows_than_memory_is_meant_for() -> None:
    bounded = replace(SETTINGS, most_rows=5000)
    sizes: list[int] = []
    for turn in range(300):
        sizes.append(100)
        while places := merge_plan(sizes, [0.0] * len(sizes), bounded, idle=turn % 50 == 49):
            merged = sum(sizes[place] for place in places)
            sizes = [size for place, size in enumerate(sizes) if place not in places] + [merged]
            assert merged <= 5000
    assert sum(sizes) == 30_000
    assert len(sizes) <= 2 * 30_000 // 5000 + 3 * 3
