"""The batches of a request that has several lanes to itself, cut so that the lanes end together.

A lane that is idle while another runs its last batch costs more than all else here: 20 rows of 128
tokens in five batches of 4 take two lanes as long as 24 rows would. So a few cuts are compared by
the tokens of the busiest lane, where each lane takes the next batch when it ends its last. Smaller
batches cost nothing: a row of 128 tokens takes bge-small 20 ms of a processor in a batch of two and
in a batch of six.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapreplace
from operator import neg


@dataclass(frozen=True, slots=True)
class EvenCut:
    """How rows are cut for `lanes` lanes, at least 1. A batch has at most `tokens` padded tokens,
    and its shortest row at least the share `alike` of the longest's tokens. A longer row is alone.
    One lane has `ahead` tokens to do first.
    """

    tokens: int
    lanes: int
    alike: float
    ahead: int = 0

    def sizes(self, lengths: Sequence[int], most: int) -> tuple[int, ...]:
        """Return the number of rows of each batch, in the order in which batches are taken.
        `lengths` are the rows' tokens, longest first.

        The busiest lane has no more padded tokens than where each batch takes all that fits in
        `most` tokens. Of equal cuts, the one with the fewest batches is taken.
        """
        cuts = [self._cut(lengths, count) for count in self._counts(sum(lengths))]
        cuts.append(self._full(lengths, most))
        return min(cuts, key=lambda sizes: (self._busiest(lengths, sizes), len(sizes)))

    def _counts(self, tokens: int) -> list[int]:
        """Return the numbers of batches to try: the fewest and a few more, and whole rounds."""
        least = math.ceil(tokens / self.tokens)
        rounds = math.ceil(least / self.lanes)
        few = range(max(1, least), least + 4)
        whole = [self.lanes * (rounds + more) for more in (-1, 0, 1)]
        return sorted({count for count in (*few, *whole) if count > 0})

    def _cut(self, lengths: Sequence[int], count: int) -> tuple[int, ...]:
        """Return `count` batches of about equally many tokens; more where those would be too
        large.
        """
        sizes: list[int] = []
        start, left = 0, sum(lengths)
        while start < len(lengths):
            longest, batches = max(1, lengths[start]), count - len(sizes)
            rows = math.ceil(left / batches / longest) if batches > 1 else len(lengths)
            end = start + self._fitting(lengths, start, min(rows, self.tokens // longest))
            left -= sum(lengths[start:end])
            sizes.append(end - start)
            start = end
        return tuple(sizes)

    def _full(self, lengths: Sequence[int], most: int) -> tuple[int, ...]:
        """Return batches that each take all that fits."""
        sizes: list[int] = []
        start = 0
        while start < len(lengths):
            rows = self._fitting(lengths, start, most // max(1, lengths[start]))
            sizes.append(rows)
            start += rows
        return tuple(sizes)

    def _fitting(self, lengths: Sequence[int], start: int, rows: int) -> int:
        """Return how many of the next `rows` are alike enough for one batch, at least 1."""
        alike = bisect_right(lengths, -self.alike * lengths[start], lo=start, key=neg)
        return max(1, min(rows, alike - start))

    def _busiest(self, lengths: Sequence[int], sizes: Sequence[int]) -> int:
        """Return padded tokens of the busiest lane, where each lane takes the next batch when it is
        free.
        """
        lanes = [0] * (self.lanes - 1) + [self.ahead]  # sorted, and so a heap
        start = 0
        for rows in sizes:
            heapreplace(lanes, lanes[0] + rows * lengths[start])
            start += rows
        return max(lanes)
