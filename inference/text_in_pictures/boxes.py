"""From a map of where text is to boxes around its lines.

A map holds, for each pixel, how likely it lies in the core of a line of text. Pixels above a
threshold that touch form a line. The box is the smallest turned rectangle around them, made larger,
because the model learned cores that are smaller than the lines.

Source: Liao et al. 2020, Real-time scene text detection with differentiable binarization (sections
3.2 and 3.5); Freeman and Shapira 1975 for the smallest rectangle, which lies along an edge of the
convex hull.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.items import FloatMatrix

LEAST_PIXEL = 0.3  # a pixel that may be text
LEAST_BOX = 0.5  # the mean of a box
MOST_BOXES = 200  # of a picture, the largest ones: a page of a newspaper has no more lines
SMALLEST_EDGE = 3.0  # pixels of the map
LARGER = 1.6  # area / perimeter, times this, is what each side moves outward

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TextBox:
    """A turned rectangle: its middle, its size along its own axes, and the direction in which its
    `width` goes, in radians clockwise from the x axis, within a quarter turn around 0.

    Coordinates are pixels, y downward.
    """

    x: float
    y: float
    width: float
    height: float
    angle: float

    def corners(self) -> Floats:
        """Return float64 [4, 2]: the corners, clockwise from the one at the line's beginning."""
        along = np.array([np.cos(self.angle), np.sin(self.angle)]) * self.width / 2
        across = np.array([-np.sin(self.angle), np.cos(self.angle)]) * self.height / 2
        middle = np.array([self.x, self.y])
        parts = (-along - across, along - across, along + across, across - along)
        return np.stack([middle + part for part in parts])

    def scaled(self, x: float, y: float) -> TextBox:
        """Return the box in a picture that is `x` times as wide and `y` times as high. The two
        differ by little, because only a side's rounding parts them.
        """
        mean = (x + y) / 2
        return TextBox(self.x * x, self.y * y, self.width * mean, self.height * mean, self.angle)


def boxes_of(likely: FloatMatrix) -> list[TextBox]:
    """Return the boxes in a map float32 [height, width], larger ones first."""
    mask = _thicker(likely > LEAST_PIXEL)
    found: list[tuple[float, TextBox]] = []
    for points in _outlines(mask):
        box = _smallest_box(points)
        if min(box.width, box.height) < SMALLEST_EDGE or _mean_in(likely, box) < LEAST_BOX:
            continue
        out = LARGER * box.width * box.height / (box.width + box.height)  # both sides together
        wide = TextBox(box.x, box.y, box.width + out, box.height + out, box.angle)
        found.append((wide.width * wide.height, wide))
    found.sort(key=lambda pair: -pair[0])
    return [box for _, box in found[:MOST_BOXES]]


def _thicker(mask: Mask) -> Mask:
    """Return the mask, each pixel also to its right and below: it joins letters that nearly
    touch.
    """
    out = mask.copy()
    out[:, 1:] |= mask[:, :-1]
    out[1:] |= mask[:-1]
    out[1:, 1:] |= mask[:-1, :-1]
    return out


def _outlines(mask: Mask) -> list[Floats]:
    """Return, for each group of pixels that touch (also at corners), the corners of its runs:
    float64 [n, 2] of x and y.
    """
    rows, starts, ends = _runs(mask)
    if not len(rows):
        return []
    groups = _groups(len(rows), _touching(rows, starts, ends, mask.shape[1]))
    order = np.argsort(groups, kind="stable")
    borders = np.flatnonzero(np.diff(groups[order])) + 1
    outlines = []
    for part in np.split(order, borders):
        left = np.stack([starts[part], rows[part]], axis=1)
        right = np.stack([ends[part] - 1, rows[part]], axis=1)
        outlines.append(np.concatenate([left, right]).astype(np.float64))
    return outlines


def _runs(mask: Mask) -> tuple[Ints, Ints, Ints]:
    """Return the rows of the runs of set pixels, their first columns, and those after the last."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return rows, starts, ends


def _touching(rows: Ints, starts: Ints, ends: Ints, width: int) -> Ints:
    """Return int64 [n, 2]: pairs of runs in neighbouring rows that touch."""
    wide = width + 2
    places = rows * wide + starts  # in order, because runs come row by row
    stops = rows * wide + ends
    first = np.searchsorted(stops, (rows + 1) * wide + starts, side="left")
    after = np.searchsorted(places, (rows + 1) * wide + ends, side="right")
    counts = np.maximum(after - first, 0)
    above = np.repeat(np.arange(len(rows)), counts)
    below = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([above, below + np.repeat(first, counts)], axis=1)


def _groups(count: int, pairs: Ints) -> Ints:
    """Return the group of each of `count` things, where `pairs` are in the same one."""
    above = list(range(count))

    def top(one: int) -> int:
        while above[one] != one:
            above[one] = above[above[one]]
            one = above[one]
        return one

    for left, right in pairs.tolist():
        above[top(right)] = top(left)
    return np.array([top(one) for one in range(count)], np.int64)


def _smallest_box(points: Floats) -> TextBox:
    """Return the smallest turned rectangle around points, float64 [n, 2]."""
    hull = _hull(points)
    edges = np.roll(hull, -1, axis=0) - hull
    angles = np.unique(np.round(np.arctan2(edges[:, 1], edges[:, 0]) % (np.pi / 2), 6))
    cosine, sine = np.cos(angles), np.sin(angles)
    along = np.outer(hull[:, 0], cosine) + np.outer(hull[:, 1], sine)
    across = np.outer(hull[:, 1], cosine) - np.outer(hull[:, 0], sine)
    widths, heights = np.ptp(along, axis=0), np.ptp(across, axis=0)
    best = int(np.argmin(widths * heights))
    u = (along[:, best].min() + along[:, best].max()) / 2
    v = (across[:, best].min() + across[:, best].max()) / 2
    x = u * cosine[best] - v * sine[best]
    y = u * sine[best] + v * cosine[best]
    angle, width, height = float(angles[best]), float(widths[best]), float(heights[best])
    if angle > np.pi / 4:
        angle, width, height = angle - np.pi / 2, height, width
    return TextBox(float(x), float(y), width, height, angle)


def _hull(points: Floats) -> Floats:
    """Return the corners of the convex hull, in order (Andrew's monotone chain)."""
    places = np.unique(points, axis=0).tolist()
    if len(places) < 3:
        return np.array(places)

    def half(places: list[list[float]]) -> list[list[float]]:
        kept: list[list[float]] = []
        for x, y in places:
            while len(kept) > 1:
                (ax, ay), (bx, by) = kept[-2], kept[-1]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                kept.pop()
            kept.append([x, y])
        return kept[:-1]

    return np.array(half(places) + half(places[::-1]))


def _mean_in(likely: FloatMatrix, box: TextBox) -> float:
    """Return the mean of a map inside a box."""
    corners = box.corners()
    low = np.maximum(np.floor(corners.min(axis=0)).astype(int), 0)
    high = np.ceil(corners.max(axis=0)).astype(int) + 1
    part = likely[low[1] : high[1], low[0] : high[0]]
    y, x = np.mgrid[: part.shape[0], : part.shape[1]]
    dx, dy = x + low[0] - box.x, y + low[1] - box.y
    along = dx * np.cos(box.angle) + dy * np.sin(box.angle)
    across = dy * np.cos(box.angle) - dx * np.sin(box.angle)
    inside = (np.abs(along) <= box.width / 2) & (np.abs(across) <= box.height / 2)
    return float(part[inside].mean()) if inside.any() else 0.0
