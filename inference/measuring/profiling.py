"""Where a model's time goes, by operator, and what the machine can do at most.

A profiler slows what it watches. So each round puts the texts to the model's public class, and then
runs the same batches again under the profiler. Only the shares inside the graph are the profiler's,
the totals are not. The faster half of the rounds counts.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from core.observation import Event, Stage
from inference.measuring.machine import FLOAT32_PEAK, INT8_PEAK, MachineLimits, faster_half
from inference.measuring.model_profile import ModelProfile
from inference.measuring.node_times import operator_times, read_trace
from inference.measuring.operators import Group
from inference.preparing.forms import onnxruntime_form
from inference.runtime import Array, Runtime
from inference.runtimes.loading import loading
from inference.runtimes.onnx import add_weights, session_options

LEAST_ROUNDS = 6
_MOST_EVENTS = 300_000  # the profiler keeps a million and drops what comes after


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a runtime: arrays by name, and the names of the outputs asked for."""

    arrays: Mapping[str, Array]
    outputs: Sequence[str]


@dataclass(slots=True)
class WatchedRuntime:
    """The Runtime port over another runtime, which keeps each call and its time."""

    runtime: Runtime
    calls: list[Call] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def kind(self) -> str:
        """The kind of the runtime below."""
        return self.runtime.kind

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs of the runtime below."""
        return self.runtime.inputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs of the runtime below."""
        return self.runtime.outputs

    def run(self, arrays: Mapping[str, Array], outputs: Sequence[str]) -> list[Array]:
        """Return the answer of the runtime below; raises what that raises."""
        self.calls.append(Call(arrays, outputs))
        started = perf_counter()
        found = self.runtime.run(arrays, outputs)
        self.seconds += perf_counter() - started
        return found

    def close(self) -> None:
        """Close the runtime."""
        self.runtime.close()

    def reset(self) -> None:
        """Forget all calls."""
        self.calls.clear()
        self.seconds = 0.0


@dataclass(slots=True)
class TokeniseClock:
    """The ModelWatch that adds up the tokenizer's seconds. It is its own maker of watches."""

    seconds: float = 0.0

    def of(self, model: str, task: str) -> "TokeniseClock":
        """Return the clock itself, for any model."""
        return self

    def timed(self, stage: Stage, began: float, ended: float) -> None:
        """Add a tokenizer's time; the runtime keeps the graph's."""
        if stage is Stage.TOKENISE:
            self.seconds += ended - began

    def counted(self, event: Event, amount: int) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is profiled. `graph` is an ONNX file's content, `weights` are the files beside it, by
    name. `call` puts `texts` texts of `tokens` tokens to the model's public class, which runs on
    `runtime` and reports to `clock`.
    """

    name: str
    graph: bytes
    weights: Mapping[str, bytes]
    optimized: bool
    texts: int
    tokens: int
    call: Callable[[], object]
    runtime: WatchedRuntime
    clock: TokeniseClock


@dataclass(slots=True)
class _Rounds:
    """Seconds of each part, one entry a round."""

    whole: list[float] = field(default_factory=list)
    tokenise: list[float] = field(default_factory=list)
    graph: list[float] = field(default_factory=list)
    watched: list[float] = field(default_factory=list)

    def best(self) -> tuple[float, float, float, float]:
        """Return the mean of each part, in the order above, over the faster half of the rounds. All
        parts have the same half, so that they add up.
        """
        kept = np.argsort(self.whole)[: (len(self.whole) + 1) // 2]
        parts = (np.array(part)[kept] for part in (self.whole, self.tokenise, self.graph))
        whole, tokenise, graph = (float(part.mean()) for part in parts)
        return whole, tokenise, graph, faster_half(self.watched)


def profile_model(
    subject: Subject, measure: Callable[[], MachineLimits], seconds: float
) -> ModelProfile:
    """Profile `subject` for about `seconds` on one thread, at least 6 rounds. The machine's limits
    are taken from `measure` before and after, since its speed may change in between.

    Raises ModelError for a graph that can't be loaded or run.
    """
    limits = measure()
    subject.call()
    subject.runtime.reset()
    subject.call()
    calls = list(subject.runtime.calls)
    with tempfile.TemporaryDirectory() as place:
        session = _profiled_session(subject, Path(place))
        _replay(session, calls)
        found = _Rounds()
        limit = max(LEAST_ROUNDS, _MOST_EVENTS // (1000 * len(calls)))
        until = perf_counter() + seconds
        while len(found.whole) < LEAST_ROUNDS or (
            perf_counter() < until and len(found.whole) < limit
        ):
            _answer(subject, found)
            started = perf_counter()
            _replay(session, calls)
            found.watched.append(perf_counter() - started)
        trace = read_trace(Path(session.end_profiling()).read_text(encoding="utf-8"))
    whole, tokenise, graph, watched = found.best()
    limits = limits.best(measure())
    return ModelProfile(
        subject.name,
        subject.texts,
        subject.tokens,
        len(calls),
        len(found.whole),
        whole,
        tokenise,
        graph,
        watched,
        operator_times(trace, len(calls), graph, limits),
        limits,
    )


def product_operations(subject: Subject) -> dict[str, float]:
    """Return operations of all matrix products of one call, by precision (`int8`,
    `float32`).

    Raises ModelError for a graph that can't be loaded or run.
    """
    subject.runtime.reset()
    subject.call()
    with tempfile.TemporaryDirectory() as place:
        session = _profiled_session(subject, Path(place))
        _replay(session, subject.runtime.calls)
        trace = read_trace(Path(session.end_profiling()).read_text(encoding="utf-8"))
    found = {INT8_PEAK: 0.0, FLOAT32_PEAK: 0.0}
    for node in trace.nodes:
        if node.work.group in (Group.DENSE, Group.ATTENTION):
            for precision, count in node.work.by_precision:
                found[precision] += count
    return found


def _answer(subject: Subject, found: _Rounds) -> None:
    """Make one call of the public class and keep the times of its parts."""
    subject.runtime.reset()
    subject.clock.seconds = 0.0
    started = perf_counter()
    subject.call()
    found.whole.append(perf_counter() - started)
    found.tokenise.append(subject.clock.seconds)
    found.graph.append(subject.runtime.seconds)


def _profiled_session(subject: Subject, folder: Path) -> Any:
    """Return the graph for one thread, writing its profile into `folder`."""
    import onnxruntime as ort

    options = session_options(1, optimize=not subject.optimized)
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "profile")
    with loading(subject.name):
        add_weights(options, subject.weights)
        return ort.InferenceSession(
            onnxruntime_form(subject.graph), options, providers=["CPUExecutionProvider"]
        )


def _replay(session: Any, calls: Sequence[Call]) -> None:
    """Run every call again, in the types that the graph takes."""
    taken = {value.name: value.type for value in session.get_inputs()}
    for call in calls:
        arrays = {
            name: call.arrays[name].astype(_DTYPES.get(kind, "int64"), copy=False)
            for name, kind in taken.items()
        }
        session.run(list(call.outputs), arrays)


_DTYPES = {"tensor(int32)": "int32", "tensor(int64)": "int64", "tensor(uint8)": "uint8"}
