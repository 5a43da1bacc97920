"""Times by operator with their bounds, from ONNX Runtime's profile of a graph.

Source: the profiler's JSON (Chrome's trace events): a `model_run` for each run, and for each call
of an operator a `Node` event with its type and the shapes of its inputs and outputs.
"""

import json
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from inference.measuring.machine import MachineLimits
from inference.measuring.operators import Group, Operand, Work, work_of

_TRUNCATED_S = 0.5e-6  # durations are cut to whole microseconds: half of one is lost on average
_LAYER = re.compile(r"layers?[._]?\d+[./]|_?\d+$")


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """All operators of one type in one place, over all layers; all figures are per round.

    `bound` is the least seconds that the machine could take; `work` adds up all calls.
    """

    place: str
    kind: str
    group: Group
    calls: int
    seconds: float
    bound: float
    work: Work


@dataclass(slots=True)
class _Sum:
    """Totals of one place over the rounds that count."""

    calls: int = 0
    seconds: float = 0.0
    bound: float = 0.0
    operations: float = 0.0
    weights: float = 0.0
    activations: float = 0.0
    unrounded: float = 0.0


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """One call of one operator, as the profiler wrote it; times in seconds."""

    at: float
    seconds: float
    name: str
    kind: str
    work: Work


@dataclass(frozen=True, slots=True)
class Trace:
    """A profiler's file: start and length of each run of the graph, and every operator's call."""

    runs: tuple[tuple[float, float], ...]
    nodes: tuple[NodeEvent, ...]


def read_trace(text: str) -> Trace:
    """Return ONNX Runtime's profile, a JSON list of events; loading the graph is left out."""
    runs: list[tuple[float, float]] = []
    nodes: list[NodeEvent] = []
    for event in json.loads(text):
        at, length = event["ts"] * 1e-6, event["dur"] * 1e-6
        if event["name"] == "model_run":
            runs.append((at, length))
        elif event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            about = event["args"]
            name = event["name"].removesuffix("_kernel_time").removesuffix("/op")
            kind = str(about["op_name"])
            inputs = _operands(about.get("input_type_shape", ()))
            work = work_of(kind, name, inputs, _operands(about.get("output_type_shape", ())))
            nodes.append(NodeEvent(at, length + _TRUNCATED_S, name, kind, work))
    runs.sort()
    nodes.sort(key=lambda node: node.at)
    return Trace(tuple(runs), tuple(nodes))


def operator_times(
    trace: Trace, batches: int, graph: float, limits: MachineLimits
) -> tuple[OperatorTime, ...]:
    """Return means over the faster half of the rounds without the first; a round is `batches` runs.
    The slowest place is first. Where the operators take longer than the unwatched `graph` seconds,
    their times are scaled down to it, because the difference is the profiler's own time.
    """
    rounds = list(_rounds(trace, batches))[1:]
    rounds.sort(key=lambda nodes: sum(node.seconds for node in nodes))
    kept = rounds[: (len(rounds) + 1) // 2]
    once = {node.name: node.work.weights for node in kept[0]}
    reading = limits.bandwidth(sum(once.values()))
    sums: dict[tuple[str, str, Group, str], _Sum] = defaultdict(_Sum)
    for node in (node for nodes in kept for node in nodes):
        work = node.work
        added = sums[place_of(node.name), node.kind, work.group, work.precision]
        added.calls += 1
        added.seconds += node.seconds
        added.bound += least_seconds(work, limits, reading)
        added.operations += work.operations
        added.weights += work.weights
        added.activations += work.activations
        added.unrounded += work.unrounded
    scale = min(1.0, graph * len(kept) / sum(each.seconds for each in sums.values()))
    found = [_mean(key, each, len(kept), scale) for key, each in sums.items()]
    return tuple(sorted(found, key=lambda each: -each.seconds))


def least_seconds(work: Work, limits: MachineLimits, reading: float) -> float:
    """Return the roofline: the longer of arithmetic at its greatest speed and bytes at the memory's
    speed. Weights come at `reading` bytes a second, activations at the speed for a block of their
    size.
    """
    moving = work.weights / reading + work.activations / limits.bandwidth(work.activations)
    counting = sum(count / limits.arithmetic(precision) for precision, count in work.by_precision)
    return max(counting, moving)


def place_of(name: str) -> str:
    """Return a node's name without its layer's number, so that layers are added up."""
    return _LAYER.sub("", name).strip("/") or name


def _mean(key: tuple[str, str, Group, str], each: _Sum, rounds: int, scale: float) -> OperatorTime:
    place, kind, group, precision = key
    work = Work(
        group,
        each.operations / rounds,
        each.weights / rounds,
        each.activations / rounds,
        precision,
        each.unrounded / rounds,
    )
    seconds = each.seconds / rounds * scale
    return OperatorTime(
        place, kind, group, each.calls // rounds, seconds, each.bound / rounds, work
    )


def _rounds(trace: Trace, batches: int) -> Iterator[list[NodeEvent]]:
    """Yield the operators' calls of each round of `batches` runs."""
    starts = [at for at, _ in trace.runs[::batches]]
    found: list[list[NodeEvent]] = [[] for _ in starts]
    for node in trace.nodes:
        found[bisect_right(starts, node.at) - 1].append(node)
    yield from found


def _operands(shapes: Sequence[Mapping[str, Sequence[int]]]) -> tuple[Operand, ...]:
    return tuple(Operand(kind, tuple(shape)) for each in shapes for kind, shape in each.items())
