"""From a map of where text is to boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label

from inference.text_in_pictures import boxes
from inference.text_in_pictures.boxes import TextBox, boxes_of


def bar(box: TextBox, height: int = 200, width: int = 400) -> np.ndarray:
    """A map that is 1 in a box and 0 elsewhere."""
    y, x = np.mgrid[:height, :width]
    dx, dy = x - box.x, y - box.y
    along = dx * np.cos(box.angle) + dy * np.sin(box.angle)
    across = dy * np.cos(box.angle) - dx * np.sin(box.angle)
    inside = (np.abs(along) <= box.width / 2) & (np.abs(across) <= box.height / 2)
    return inside.astype(np.float32)


@pytest.mark.parametrize("degrees", [-44, -20, -3, 0, 3, 20, 44])
def test_a_bar_at_any_angle_is_found_and_made_larger(degrees: float) -> None:
    wanted = TextBox(200.0, 100.0, 120.0, 16.0, np.radians(degrees))
    (found,) = boxes_of(bar(wanted))
    larger = boxes.LARGER * 120 * 16 / (120 + 16)
    assert (found.x, found.y) == pytest.approx((200, 100), abs=1.5)
    assert found.width == pytest.approx(120 + larger, abs=4)
    assert found.height == pytest.approx(16 + larger, abs=4)
    assert np.degrees(found.angle) == pytest.approx(degrees, abs=2)


def test_boxes_come_by_size_without_specks_and_doubtful_ones() -> None:
    small, large = TextBox(60, 40, 40, 10, 0.0), TextBox(250, 120, 200, 20, 0.0)
    doubtful = TextBox(300, 40, 100, 20, 0.0)
    likely = bar(small) + bar(large) + 0.4 * bar(doubtful)
    likely[180, 20] = likely[181, 22] = 1.0
    assert [round(box.x) for box in boxes_of(likely)] == [250, 60]
    assert boxes_of(np.zeros((64, 64), np.float32)) == []


@given(arrays(np.bool_, (9, 11)))
def test_pixels_that_touch_are_one_group(mask: np.ndarray) -> None:
    """The groups are those of another implementation, where corners touch, too."""
    marked, count = label(mask, np.ones((3, 3)))
    wanted = sorted(sorted(zip(*np.nonzero(marked == n), strict=True)) for n in range(1, count + 1))
    found = []
    for outline in boxes._outlines(mask):
        pixels = set()
        for (left, y), (right, _) in zip(*np.split(outline.astype(int), 2), strict=True):
            pixels |= {(y, x) for x in range(left, right + 1)}
        found.append(sorted(pixels))
    assert sorted(found) == wanted


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12))
def test_the_smallest_box_holds_all_points_and_none_is_smaller(
    points: list[tuple[int, int]],
) -> None:
    places = np.array(points, np.float64)
    box = boxes._smallest_box(places)
    middle = places - (box.x, box.y)
    along = middle @ (np.cos(box.angle), np.sin(box.angle))
    across = middle @ (-np.sin(box.angle), np.cos(box.angle))
    assert np.abs(along).max() <= box.width / 2 + 1e-3
    assert np.abs(across).max() <= box.height / 2 + 1e-3
    for angle in np.radians(np.arange(0, 90, 1.0)):
        wide = np.ptp(places @ (np.cos(angle), np.sin(angle)))
        high = np.ptp(places @ (-np.sin(angle), np.cos(angle)))
        assert box.width * box.height <= wide * high + 1e-3
