"""What nodes of OpenSearch do for a search, by the shape of their index.

An index has shards, which lie on different nodes, and a shard has segments. A search goes through
all of them:

    a shard      a             takes its requests apart and puts its answers together, and looks for
                               names and spellings
    a segment    b n           its words
                 c ln n        its graph

Shards are searched at the same time, and so are slices of a shard's segments. So the work of a
search is the sum over all, and a search waits for the slowest slice of a shard.

Only an index of one shard and one segment was measured: a, b and c are of dated constants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from capacity.instances import End
from capacity.service_model import constant, high_end

_SMALL, _LARGE = 20_000, 1_000_000  # passages of the measured indexes
_MOST_SLICES = 4  # of a shard: OpenSearch's own limit of its automatic choice


@dataclass(frozen=True, slots=True)
class IndexShape:
    """An index of `passages`, its shards, the segments of each, and how many slices of a shard's
    segments are searched at the same time.
    """

    passages: float
    shards: int = 1
    segments: int = 1
    slices: int = 1

    @property
    def of_segment(self) -> float:
        """Return the passages of a segment."""
        return max(2.0, self.passages / self.shards / self.segments)


@dataclass(frozen=True, slots=True)
class NodeTimes:
    """Milliseconds of one thread for a search: the `work` of all shards, and that of the `slowest`
    slice, for which it waits.
    """

    work: float
    slowest: float


def slices_of(segments: int, vcpus: int) -> int:
    """Return how many slices of a shard a node searches at the same time: half of its threads at
    most, as OpenSearch chooses by itself.
    """
    return max(1, min(segments, vcpus // 2, _MOST_SLICES))


def node_times(shape: IndexShape, end: End) -> NodeTimes:
    """Return what nodes do for a search, at one end of the constants: SLOW is the most."""
    high = high_end(end)
    graph = constant("opensearch_graph_ms").at(high) / math.log(_LARGE)
    small = constant("opensearch_node_ms").at(high) - graph * math.log(_SMALL)
    large = constant("opensearch_million_ms").at(high) - graph * math.log(_LARGE)
    word = (large - small) / (_LARGE - _SMALL)
    shard = max(0.0, small - word * _SMALL) + constant("opensearch_spelling_ms").at(high)
    rows = shape.of_segment
    segment = word * rows + graph * math.log(rows)
    most = math.ceil(shape.segments / shape.slices)  # segments of a slice
    return NodeTimes(shape.shards * (shard + shape.segments * segment), shard + most * segment)
