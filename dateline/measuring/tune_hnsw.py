"""Runs an HNSW sweep, from its vectors to its recommendation, for `dateline tune hnsw`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path

import orjson

from core.errors import InputError, SettingsError
from core.ports.graphs import GraphBuilder
from dateline.build.engine import build_graphs, candidates_per_row
from dateline.measuring.pipeline_loss import pipeline_losses
from dateline.measuring.sweep_subjects import Vectors
from dateline.settings import Settings
from eval.tune.graphs.neighbours import cached_neighbours, digest_of
from eval.tune.graphs.recommend import recommend
from eval.tune.graphs.sweep_filters import Narrowed, conditions
from eval.tune.graphs.sweep_graphs import GraphStore
from eval.tune.graphs.sweep_grid import BuildCell, Grid
from eval.tune.graphs.sweep_log import SweepLog
from eval.tune.graphs.sweep_report import Loss, Sweep, shortlist
from eval.tune.graphs.sweep_target import Cell, Target
from eval.tune.graphs.vector_sweep import Bench, Subject, sweep, total_work
from inference.runtimes.choice import this_machine

_LIBRARIES = ("faiss-cpu", "faiss-gpu-cu12", "hnswlib")
SERVED_K = 100  # passages that a query takes from the vectors

Watch = Callable[[str, float, float], None]  # a step, its finished work and all its work


def unwatched(step: str, done: float, total: float) -> None:
    """Ignore the progress."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to sweep and how far. `seconds` is the least length of each timing; `kinds` of the
    longer measurements are filters and churn.
    """

    grid: Grid
    target: Target
    threads: int
    output: Path
    seconds: float = 0.3
    kinds: tuple[str, ...] = ("filters", "churn")
    pipeline: bool = True
    keep: bool = False
    notes: tuple[str, ...] = field(default=())


def kinds_of(
    settings: Settings, implementations: Sequence[str], precisions: Sequence[str]
) -> tuple[tuple[tuple[str, str], ...], dict[str, int], tuple[str, ...]]:
    """Return the possible pairs, the candidates for each row by precision, and what was left out.
    Raises SettingsError if an implementation is not installed, or none is left.
    """
    kinds, rescored, left_out = [], {}, []
    for implementation, precision in product(implementations, precisions):
        changed = _with(settings, BuildCell(implementation, precision, 16, 100))
        try:
            build_graphs(changed)
        except SettingsError as error:
            if error.where != "hnsw_precision":
                raise
            left_out.append(f"left out: {error.what}")
            continue
        kinds.append((implementation, precision))
        rescored[precision] = candidates_per_row(changed)
    if not kinds:
        raise SettingsError("; ".join(left_out), mend="name another precision")
    return tuple(kinds), rescored, tuple(left_out)


def bench_of(settings: Settings, vectors: Vectors, plan: Plan) -> Bench:
    """Return the log and the graphs in the plan's output folder. Measurements of other vectors, on
    another machine, or with other versions or threads are not used.
    """
    context: dict[str, str | int | float] = {
        "subject": digest_of(vectors.vectors, vectors.queries)[:32],
        "machine": measured_on(),
        "threads": plan.threads,
    }
    log = SweepLog(plan.output / "log.jsonl", context)

    def builders(cell: BuildCell) -> GraphBuilder:
        return build_graphs(_with(settings, cell))

    store = GraphStore(plan.output / "graphs", builders, log, plan.threads)
    return Bench(store, log, plan.threads, plan.seconds)


def tune_hnsw(settings: Settings, vectors: Vectors, plan: Plan, watch: Watch = unwatched) -> Sweep:
    """Run the sweep, or continue it, and write sweep.json into the plan's output folder. Raises
    InputError, SettingsError, StorageError, and what evaluation raises.
    """
    grid = plan.grid
    if max(grid.ks) > len(vectors.vectors):
        raise InputError(f"{max(grid.ks)} of {len(vectors.vectors)} vectors", mend="lower --k")
    bench = bench_of(settings, vectors, plan)
    watch("exact neighbours", 0, 1)
    truth = cached_neighbours(vectors.vectors, vectors.queries, max(grid.ks), plan.output)
    watch("exact neighbours", 1, 1)
    subject = Subject(vectors.vectors, vectors.queries, truth)
    builds = grid.builds()
    steps = _Steps(watch, "sweep", total_work(subject, builds, grid))
    cells = sweep(subject, builds, grid, bench, steps)
    chosen = recommend(cells, plan.target, grid)
    few = shortlist(cells, chosen, plan.target)
    found = Sweep(
        about={**vectors.facts, "threads": plan.threads, "machine": measured_on()},
        grid=grid,
        cells=cells,
        recommendation=chosen,
        conditions=tuple(_conditions(subject, few, bench, plan, watch)),
        losses=tuple(_losses(settings, vectors, few, plan, watch)),
        notes=(*vectors.notes, *plan.notes, *_doubts(chosen.cell)),
    )
    if not plan.keep:
        bench.store.forget()
    (plan.output / "sweep.json").write_bytes(
        orjson.dumps(found.as_dict(), option=orjson.OPT_INDENT_2)
    )
    return found


def measured_on() -> str:
    """Return the processor, its cores, and the versions of the graph libraries."""
    libraries = []
    for name in _LIBRARIES:
        try:
            libraries.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join((this_machine(), *libraries))


class _Steps:
    """Adds up the work of one step."""

    def __init__(self, watch: Watch, step: str, total: float) -> None:
        self._watch = watch
        self._step = step
        self._total = total
        self._done = 0.0

    def __call__(self, what: str, work: float) -> None:
        self._done += work
        self._watch(self._step, self._done, self._total)


def _conditions(
    subject: Subject, cells: Sequence[Cell], bench: Bench, plan: Plan, watch: Watch
) -> Iterator[tuple[Cell, tuple[Narrowed, ...]]]:
    if not plan.kinds:
        return
    steps = _Steps(watch, "filters and churn", len(cells) * len(plan.kinds))
    for cell in cells:
        yield cell, conditions(subject, cell, bench, plan.kinds, steps)


def _losses(
    settings: Settings, vectors: Vectors, cells: Sequence[Cell], plan: Plan, watch: Watch
) -> Iterator[Loss]:
    """Yield losses through the pipeline, if the vectors are all those of a judged set."""
    judged, models = vectors.judged, vectors.models
    if not plan.pipeline or judged is None or models is None:
        return
    folder = plan.output / "pipeline"
    shutil.rmtree(folder, ignore_errors=True)  # files that a killed run left
    watch("pipeline", 0, len(cells))
    done = set()
    for loss in pipeline_losses(settings, judged, models, vectors.real, cells, folder):
        done.add(loss.cell.build)
        watch("pipeline", len(done), len(cells))
        yield loss


def _doubts(cell: Cell) -> Iterator[str]:
    if cell.k < SERVED_K:
        yield (
            f"the service takes {SERVED_K} passages from the vectors, so that a width below that "
            f"is {SERVED_K} there: recall of {cell.k} is not what it is served with"
        )


def _with(settings: Settings, cell: BuildCell) -> Settings:
    return settings.model_copy(
        update={
            "hnsw_m": cell.m,
            "hnsw_ef_construction": cell.ef_construction,
            "hnsw_implementation": cell.implementation,
            "hnsw_precision": cell.precision,
        }
    )
