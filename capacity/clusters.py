"""Nodes of OpenSearch: how many of which type hold an index and answer in time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from capacity.demand import Demand
from capacity.instances import BOUNDS, GIBI, End
from capacity.mix import BillLine, NotMetError, Role
from capacity.nodes import IndexShape, NodeTimes, node_times, slices_of
from capacity.prices import HOURS, Prices
from capacity.service_model import Elsewhere, demand_passages
from storage.opensearch.index.plan import Archive, Graphs, Hardware, Plan, plan

_SLOW_NODE = 0.7  # a Graviton's thread against the measured one: an estimate's low end
_BUSY = 0.6  # of the nodes' processors in a burst
SHARES = (0.5, 0.35, 0.25)  # of the p95 that nodes may take for a mean search without a queue
_SHARDS = (1, 2, 4, 8)  # times the fewest, for a search that waits less
_MOST_NODES = 40


@dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes, their bill, and how a search sees them."""

    role: Role
    bill: tuple[BillLine, ...]
    elsewhere: Elsewhere


@dataclass(frozen=True, slots=True)
class _Searched:
    """How nodes search an index: what a search waits for them without a queue, in milliseconds, and
    the share of their threads that a burst keeps busy.
    """

    shape: IndexShape
    times: NodeTimes
    waits: float
    busy: float
    elsewhere: Elsewhere


class Clusters:
    """Finds nodes by their prices, for archives with so many vector `fields`."""

    def __init__(self, prices: Prices, fields: int) -> None:
        self._prices = prices
        self._fields = fields

    def cheapest(self, demand: Demand, share: float) -> Cluster:
        """Return the cheapest nodes that hold the index and answer in time with one of them
        missing, by the sizes of `dateline index plan`. `share` of the p95 is for a mean search in
        the nodes. Raises NotMetError.
        """
        found: list[Cluster] = []
        short = f"{_MOST_NODES} nodes don't hold the index"
        for name, row in self._prices.by_name["opensearch"].items():
            for count in range(2, _MOST_NODES + 1):
                index = self._index(demand, count - 1, row)  # one node may be missing
                if not index.fits:
                    continue
                one = _searched(demand, index, name, (count - 1, int(row["vcpus"]), share))
                if one.waits > share * demand.p95_ms:
                    short = f"a search waits {one.waits:.0f} ms for {count - 1} x {name}"
                elif one.busy <= _BUSY:
                    role, lines = self._node_bill(index, (name, row, count), one)
                    found.append(Cluster(role, lines, one.elsewhere))
                    break
        if not found:
            raise NotMetError(f"OpenSearch: {short}")
        return min(found, key=lambda each: (sum(b.dollars for b in each.bill), each.role.type))

    def _index(self, demand: Demand, nodes: int, row: Mapping[str, float]) -> Plan:
        size = round(demand.items)
        archive = Archive(size, demand.characters, demand.passages, 384, self._fields)
        return plan(archive, Hardware(nodes, int(row["memory"] * GIBI)), Graphs())

    def _node_bill(
        self,
        index: Plan,
        nodes: tuple[str, Mapping[str, float], int],
        one: _Searched,
    ) -> tuple[Role, tuple[BillLine, ...]]:
        name, row, count = nodes
        disk = 2 * index.primary_bytes * (index.replicas + 1) / 1e9
        gb = self._prices.of("disk", "gp3_search_gb_month")
        why = (
            f"{count} x ${row['hour']:g} x {HOURS:g} h: {one.shape.shards} shards x "
            f"{one.shape.segments} segments; a search is {one.times.work:,.0f} ms of work in all, "
            f"{one.times.slowest:.0f} in the slowest slice"
        )
        lines = (
            BillLine("nodes of OpenSearch", count * row["hour"] * HOURS, why),
            BillLine("disks of nodes", disk * gb, f"{disk:,.0f} GB x ${gb:g}"),
        )
        memory = row["memory"] * GIBI
        return Role("nodes", name, count, one.busy, index.memory_of_node, memory, "estimate"), lines


def _searched(demand: Demand, index: Plan, name: str, nodes: tuple[int, int, float]) -> _Searched:
    """Return how so many nodes of so many threads search an index: of the fewest shards that answer
    in time, which is a share of the p95, or of those that answer soonest.
    """
    count, vcpus, share = nodes
    found = [_of_shards(demand, index, times * index.shards, (count, vcpus)) for times in _SHARDS]
    fast = (each for each in found if each[2] <= share * demand.p95_ms)
    shape, times, waits = next(fast, min(found, key=lambda each: each[2]))
    threads = count * vcpus
    there = Elsewhere(
        name,
        tuple(float(n) for n in range(1, threads + 1)),
        dict.fromkeys(BOUNDS, _SLOW_NODE),
        0.0,
        work=times.work,
        width=times.work / times.slowest,
    )
    busy = demand.peak * times.work / 1000 / (threads * _SLOW_NODE)
    return _Searched(shape, times, waits, busy, there)


def _of_shards(
    demand: Demand, index: Plan, shards: int, nodes: tuple[int, int]
) -> tuple[IndexShape, NodeTimes, float]:
    """Return an index of so many shards, the work of a search, and the milliseconds it waits."""
    count, vcpus = nodes
    segments = math.ceil(index.segments * index.shards / shards)
    shape = IndexShape(demand_passages(demand), shards, segments, slices_of(segments, vcpus))
    times = node_times(shape, End.SLOW)
    return shape, times, max(times.slowest, times.work / (count * vcpus)) / _SLOW_NODE
