"""Which runtime is fastest here? All take turns on the same arrays, in one process.

They take turns because a machine's speed changes from minute to minute. Each round calls every
runtime once, in an order that rotates, so that a slow minute is slow for all. A runtime that fails
or is not installed has a row that says why.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.errors import ModelError
from core.items import FloatMatrix
from inference.runtime import Array, Runtime
from inference.runtimes.parity import Parity, answer_of, answers, compare
from inference.runtimes.sample import narrowed

Arrays = Mapping[str, Array]
Report = Callable[[str], None]
LEAST_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Shape:
    """Texts x tokens of one call."""

    texts: int
    tokens: int

    def __str__(self) -> str:
        return f"{self.texts}x{self.tokens}"


@dataclass(frozen=True, slots=True)
class Contender:
    """A runtime to be measured: how to open it, or why it can't be opened (`absent`).

    `low` says that it computes in less than float32, so that its answers differ a little.
    """

    name: str
    open: Callable[[], Runtime]
    absent: str = ""
    low: bool = False


@dataclass(frozen=True, slots=True)
class Speed:
    """Milliseconds of a call, the milliseconds of each text, and p50 over the best one's."""

    p50: float
    p99: float
    per_text: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Row:
    """What was found about one runtime: speeds by shape, or `problem`."""

    name: str
    speeds: Mapping[str, Speed] = field(default_factory=dict)
    parity: Parity | None = None
    problem: str = ""

    @property
    def score(self) -> float:
        """Geometric mean over the shapes of p50 over the best: 1 is the fastest everywhere."""
        ratios = [speed.ratio for speed in self.speeds.values()]
        return float(np.exp(np.mean(np.log(ratios)))) if ratios else float("inf")


def measure(
    contenders: Sequence[Contender],
    shapes: Mapping[Shape, Arrays],
    real: Sequence[Arrays],
    *,
    seconds: float,
    report: Report = lambda _: None,
) -> list[Row]:
    """Return a row for each of `contenders`, the first of which is the reference for parity.

    `shapes` has the arrays to time, `real` batches of ordinary text to compare answers on;
    `seconds` is spent on each shape. `report` gets the progress.
    """
    rows: dict[str, Row] = {}
    running: dict[str, Runtime] = {}
    expected: list[FloatMatrix] | None = None
    for one in contenders:
        report(f"loading {one.name}")
        try:
            running[one.name], found = _start(one, shapes, real)
            expected = found if expected is None else expected
            parity = compare(found, expected, low=one.low)
            rows[one.name] = Row(one.name, parity=parity)
        except ModelError as error:
            _fail(one.name, error, rows, running)
    for shape, arrays in shapes.items():
        report(f"{shape}: {', '.join(running) or 'nothing'} in turn")
        spans, failures = _in_turn(running, arrays, seconds)
        for name, failure in failures.items():
            _fail(name, failure, rows, running)
        _add(rows, shape, spans)
    for runtime in running.values():
        runtime.close()
    return [rows[one.name] for one in contenders]


def fastest(rows: Sequence[Row]) -> Row | None:
    """Return the fastest whose answers agree with the reference's; None if there is none."""
    fit = [row for row in rows if row.speeds and row.parity is not None and row.parity.agree]
    return min(fit, key=lambda row: row.score, default=None)


def _start(
    one: Contender, shapes: Mapping[Shape, Arrays], real: Sequence[Arrays]
) -> tuple[Runtime, list[FloatMatrix]]:
    """Return the opened runtime, warm for every shape, and its answers to ordinary text."""
    if one.absent:
        raise ModelError(one.absent)
    runtime = one.open()
    try:
        for arrays in shapes.values():
            for _ in range(2):
                runtime.run(narrowed(arrays, runtime), (answer_of(runtime),))
        return runtime, answers(runtime, real)
    except ModelError:
        runtime.close()
        raise


def _fail(name: str, error: ModelError, rows: dict[str, Row], running: dict[str, Runtime]) -> None:
    """Take a runtime out of the comparison; its row says why and has no speeds."""
    rows[name] = Row(name, problem=error.what)
    if (runtime := running.pop(name, None)) is not None:
        runtime.close()


def _in_turn(
    runtimes: Mapping[str, Runtime], arrays: Arrays, seconds: float
) -> tuple[dict[str, list[float]], dict[str, ModelError]]:
    """Return seconds of each call of each runtime, equally many of each, and why some failed."""
    spans: dict[str, list[float]] = {name: [] for name in runtimes}
    feeds = {name: narrowed(arrays, runtime) for name, runtime in runtimes.items()}
    wanted = {name: (answer_of(runtime),) for name, runtime in runtimes.items()}
    failures: dict[str, ModelError] = {}
    order = list(runtimes)
    until = time.perf_counter() + seconds
    while order and (len(spans[order[0]]) < LEAST_ROUNDS or time.perf_counter() < until):
        for name in order:
            begin = time.perf_counter()
            try:
                runtimes[name].run(feeds[name], wanted[name])
            except ModelError as error:
                failures[name] = error
                del spans[name]
                continue
            spans[name].append(time.perf_counter() - begin)
        left = [name for name in order if name not in failures]
        order = [*left[1:], *left[:1]]
    return spans, failures


def _add(rows: dict[str, Row], shape: Shape, spans: Mapping[str, list[float]]) -> None:
    """Put the speeds at `shape` into the rows; `spans` are the seconds of each call by runtime."""
    middles = {name: _milliseconds(found, 50) for name, found in spans.items()}
    best = min(middles.values(), default=1.0)
    for name, middle in middles.items():
        tail = _milliseconds(spans[name], 99)
        speed = Speed(middle, tail, middle / shape.texts, middle / best)
        row = rows[name]
        speeds = {**row.speeds, str(shape): speed}
        rows[name] = Row(row.name, speeds, row.parity, row.problem)


def _milliseconds(spans: Sequence[float], at: float) -> float:
    return float(np.percentile(spans, at)) * 1000.0
