"""What encoding, tagging and reranking take, against the least that the machine needs for them.

    python -m benchmarks.models.costs [--seconds S] [--threads N]
                                [--work TASK:TEXTSxTOKENS[:FLOOR_MS] ...]

All rows take turns in one run, so that a slow minute is slow for every row. A batch has one thread,
and `--threads` batches of a call run side by side, by default as many as in the service:

- `ours`: the public class, from texts to results: tokenizer, batching, graph, and processing of its
  output; without a cache
- `bare`: the runtime's own call (`session.run` of ONNX Runtime) of the same graph on the same
  prepared batches, as many at once: the difference is our cost
- `bound`: the matrix products alone at this machine's speed for them, which as many products of
  256 x 1024 x 1024 at once measure in the same turns; no program on these threads is faster
- `floor`: the target figure, stated for two virtual cores of an EPYC that share one core; `x` is
  our time over it, and at most 1.5 is wanted

Milliseconds are of a call; for encode's 64 x 128 they are of a text. A reranker that is an encoder
scores by late interaction, with each text read alone; its floor is that of pairs read together.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from benchmarks.machine import arguments, percentile, show, show_table, this_machine
from dateline.build.models.subject import open_subject
from dateline.settings import Settings, configure
from inference.measuring.machine import FLOAT32_PEAK, INT8_PEAK, WORK, product_call
from inference.measuring.profiling import Subject, product_operations
from inference.runtime import Array
from inference.runtimes.onnx import OnnxRuntime

# Texts x tokens and the stated floor in milliseconds; rerank's are of a call with all its pairs.
WORKS = (
    "encode:1x16:0.5",
    "encode:64x128:4.2",
    "tag:1x16:0.5",
    "score:20x48:30",
    "score:20x128:83",
    "tag:1x12",
    "tag:64x12",
)
RERANK_MS = 30.0  # the stated floor of 20 x 48 tokens
HEAD = ("", "ours p50", "p90", "bare", "bound", "floor", "x floor", "x bare", "x bound")
REACH = 1.5
QUERY_MS, QUERIES_PER_S = 1.5, 1000  # tagging a query of 12 tokens; in batches
_WORK = re.compile(r"(encode|tag|score):(\d+)x(\d+)(?::([\d.]+))?")
_LEAST_TURNS = 5
_REPEATED = 5  # products that a thread makes in a turn
_TURN_S = 0.02  # a short call is repeated for this time in a turn
Peak = tuple[str, int]  # a precision, and how many products of it run at once


@dataclass(slots=True)
class Work:
    """One row: a model at a shape, and the seconds of its calls."""

    name: str
    subject: Subject
    floor_ms: float
    each: int  # texts that a figure is divided by
    at_once: int  # batches of a call that run side by side
    bare_call: Callable[[], None]
    operations: dict[str, float]
    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    def turn(self, number: int) -> None:
        """Call both sides; each goes first in every other turn."""
        sides = ((self.subject.call, self.ours), (self.bare_call, self.bare))
        until = perf_counter() + _TURN_S
        while True:
            for call, times in sides if number % 2 else sides[::-1]:
                self.subject.runtime.reset()
                started = perf_counter()
                call()
                times.append((perf_counter() - started) / self.each)
            if perf_counter() >= until:
                return

    def figures(self, peaks: Mapping[Peak, float]) -> dict[str, float]:
        """Return milliseconds and their ratios; 0 for a floor that is not stated."""
        needed = self.operations.items()
        bound = sum(count / peaks[kind, self.at_once] for kind, count in needed) / self.each
        p50 = percentile(self.ours, 50)
        return {
            "ours p50_ms": p50,
            "ours p90_ms": percentile(self.ours, 90),
            "bare p50_ms": percentile(self.bare, 50),
            "bound_ms": bound * 1000,
            "floor_ms": self.floor_ms,
            "ours / bare": p50 / percentile(self.bare, 50),
            "ours / bound": p50 / (bound * 1000),
            "ours / floor": p50 / self.floor_ms if self.floor_ms else 0.0,
            "texts_per_s": self.subject.texts / self.each / p50 * 1000,
        }


def main() -> None:
    """Run the benchmark."""
    chosen = _arguments()
    machine = this_machine()
    settings = settings_of(chosen)
    threads = chosen.threads or settings.threads
    with ThreadPoolExecutor(threads) as pool:
        asked = chosen.work or default_works(settings)
        works = [_opened(settings, text, pool, threads) for text in asked]
        peaks = measure(works, chosen.seconds, pool, threads)
    figures: dict[str, Any] = {work.name: work.figures(peaks) for work in works}
    models = {
        work.name.split()[0]: f"{work.subject.name} in {work.subject.runtime.kind}"
        for work in works
    }
    speeds = {
        f"{kind} GFLOP/s, {at_once} at once": peaks[kind, at_once] / 1e9 for kind, at_once in peaks
    }
    if chosen.json:
        tree = {"rows": figures, "models": models, "threads": threads, **speeds}
        show("models", tree, machine, as_json=True)
        return
    print(f"threads: {threads}")
    show_table(HEAD, _rows(figures))
    for line in (*_verdicts(figures), *(f"{kind}: {name}" for kind, name in models.items())):
        print(line)
    print(", ".join(f"{name} {value:,.0f}" for name, value in speeds.items()))
    print(machine)


def default_works(settings: Settings) -> tuple[str, ...]:
    """Return WORKS, plus the reranker's shape from the settings if they limit the tokens; its floor
    is that of 20 x 48, scaled by the number of tokens.
    """
    pairs, tokens = settings.rerank_candidates, settings.rerank_tokens
    floor = RERANK_MS * pairs * tokens / (20 * 48)
    shipped = f"score:{pairs}x{tokens}:{floor:.4g}"
    known = any(work.startswith(f"score:{pairs}x{tokens}:") for work in WORKS)
    return WORKS if known or not tokens else (*WORKS, shipped)


def measure(
    works: Sequence[Work], seconds: float, pool: Executor, threads: int
) -> dict[Peak, float]:
    """Fill the works' times. Returns the operations a second of one product, and of `threads`
    products at once, at each precision.
    """
    products = {kind: product_call(kind) for kind in (INT8_PEAK, FLOAT32_PEAK)}
    times: dict[Peak, list[float]] = {
        (kind, at_once): [] for kind in products for at_once in sorted({1, threads})
    }
    until = perf_counter() + seconds
    turns = 0
    while turns <= _LEAST_TURNS or perf_counter() < until:
        for (kind, at_once), found in times.items():
            found.append(_seconds_each(products[kind], pool, at_once))
        for work in works:
            work.turn(turns)
        if not turns:  # the first turn warms up
            for kept in (*times.values(), *(t for work in works for t in (work.ours, work.bare))):
                kept.clear()
        turns += 1
    return {peak: WORK * 1000 / percentile(found, 50) for peak, found in times.items()}


def _seconds_each(call: Callable[[], Any], pool: Executor, at_once: int) -> float:
    """Return seconds of a call while `at_once` of them run; each thread makes several, so that
    starting the threads matters little.
    """
    started = perf_counter()
    if at_once == 1:
        call()
        return perf_counter() - started
    calls = [pool.submit(_repeated, call) for _ in range(at_once)]
    for one in calls:
        one.result()
    return (perf_counter() - started) / (at_once * _REPEATED)


def _repeated(call: Callable[[], Any]) -> None:
    for _ in range(_REPEATED):
        call()


def add_options(parser: argparse.ArgumentParser, works: Sequence[str]) -> None:
    """Add the options of the models' benchmarks; `works` are the default ones."""
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to measure")
    parser.add_argument("--work", action="append", help=f"in place of {', '.join(works)}")
    parser.add_argument("--models", help="folder of the models")
    parser.add_argument("--encoder")
    parser.add_argument("--tagger")
    parser.add_argument("--reranker", help="a scorer of pairs, or an encoder for late interaction")


def settings_of(chosen: argparse.Namespace) -> Settings:
    """Return the settings with the models named on the command line."""
    names = ("models", "encoder", "tagger", "reranker")
    return configure({name: getattr(chosen, name) for name in names}).settings


def _arguments() -> argparse.Namespace:
    parser = arguments(__doc__)
    add_options(parser, WORKS)
    parser.add_argument("--threads", type=int, help="batches at once; the setting `threads`")
    return parser.parse_args()


def _opened(settings: Settings, text: str, pool: Executor, threads: int) -> Work:
    task, texts, tokens, floor_ms = read_work(text)
    name = model_of(settings, task)
    subject = open_subject(settings, name, texts, tokens, task=task, lanes=threads, as_served=True)
    operations = product_operations(subject)
    each = texts if task == "encode" else 1
    title = "rerank" if task == "score" else task
    batches = len(subject.runtime.calls)
    at_once = threads if batches > 1 else 1
    bare = bare_call(subject, pool if at_once > 1 else None)
    return Work(f"{title} {texts} x {tokens}", subject, floor_ms, each, at_once, bare, operations)


def read_work(text: str) -> tuple[str, int, int, float]:
    """Return task, texts, tokens and the stated floor (0: none) of `encode:64x128:4.2`."""
    found = _WORK.fullmatch(text)
    if found is None:
        raise SystemExit(f"{text!r} is not TASK:TEXTSxTOKENS[:FLOOR_MS], such as {WORKS[0]}")
    return found[1], int(found[2]), int(found[3]), float(found[4] or 0)


def model_of(settings: Settings, task: str) -> str:
    """Return the settings' model for a task."""
    return {"encode": settings.encoder, "tag": settings.tagger, "score": settings.reranker}[task]


def bare_call(subject: Subject, pool: Executor | None = None) -> Callable[[], None]:
    """Repeat the runs of the subject's call on the same arrays: one after the other, or as many at
    once as the pool has threads.
    """
    run = own_call(subject.runtime.runtime)
    calls = [(list(call.outputs), dict(call.arrays)) for call in subject.runtime.calls]

    def bare() -> None:
        if pool is not None:
            list(pool.map(lambda call: run(*call), calls))
            return
        for outputs, arrays in calls:
            run(outputs, arrays)

    return bare


def own_call(port: Any) -> Callable[[list[str], dict[str, Array]], object]:
    """Return the call below the port that runs a graph: ONNX Runtime's own `run`. OpenVINO's call
    needs a request for each thread, which the port keeps with a lock and a copy of the answer, so
    there it is the port.
    """
    if isinstance(port, OnnxRuntime):
        run: Callable[[list[str], dict[str, Array]], object] = port.session.run
        return run

    def through(outputs: list[str], arrays: dict[str, Array]) -> object:
        return port.run(arrays, outputs)

    return through


def _rows(figures: dict[str, dict[str, float]]) -> Iterator[list[str]]:
    """Yield the table's rows, with the columns of HEAD."""
    for name, row in figures.items():
        floor = f"{row['floor_ms']:.2f}" if row["floor_ms"] else ""
        times = f"{row['ours / floor']:.2f}" if row["floor_ms"] else ""
        plain = ("ours p50_ms", "ours p90_ms", "bare p50_ms", "bound_ms")
        ratios = [f"{row[key]:.2f}" for key in ("ours / bare", "ours / bound")]
        yield [name, *(f"{row[key]:.3f}" for key in plain), floor, times, *ratios]


def _verdicts(figures: dict[str, dict[str, float]]) -> Iterator[str]:
    """Yield the targets, and whether they are reached."""
    for name, row in figures.items():
        if row["floor_ms"]:
            met = "reached" if row["ours / floor"] <= REACH else "MISSED"
            yield f"{name}: {REACH} x {row['floor_ms']:g} ms {met}, {row['ours p50_ms']:.3f}"
        elif name == "tag 1 x 12":
            met = "reached" if row["ours p50_ms"] <= QUERY_MS else "MISSED"
            yield f"{name}: p50 of {QUERY_MS} ms {met}, {row['ours p50_ms']:.3f}"
        elif name.startswith("tag"):
            met = "reached" if row["texts_per_s"] >= QUERIES_PER_S else "MISSED"
            yield f"{name}: {QUERIES_PER_S:,} queries/s {met}, {row['texts_per_s']:,.0f}"


if __name__ == "__main__":
    main()
