"""What each kind of operation does. They are ordered over HTTP (`api/job_routes.py`, where their
options are checked), and `dateline worker` carries them out.

Each may be begun twice: an evaluation finds its indexes, a sweep its measurements, a migration its
state on the cluster.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InputError
from core.work import Job
from dateline.archive_folder import archive_folder
from dateline.settings import Settings

if TYPE_CHECKING:  # they load much that a worker may never need
    from dateline.build.migration import Moving
    from eval.runs.results import RunResult

FOLDER = "operations"
Options = Mapping[str, Any]
Result = Mapping[str, Any]


def carried_out(settings: Settings, job: Job) -> Result:
    """Carry out the operation of a job; return what came of it, as values for JSON. Raises
    DatelineError.
    """
    operation = _OPERATIONS.get(job.kind)
    if operation is None:
        raise InputError(
            f"this version knows no operation {job.kind!r}", mend="let a newer worker take it"
        )
    folder = archive_folder(settings) / FOLDER / job.id
    try:
        return operation(settings, job.request, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _evaluate(settings: Settings, options: Options, folder: Path) -> Result:
    """Run judged sets through the pipeline that serves, and hold them against a baseline if one is
    named.
    """
    from dateline.measuring.evaluate import RunPlan
    from dateline.measuring.run_sets import Unwatched, measures_of, read_sets, run_here
    from eval.runs.runner import DEPTH

    profile = options["profile"] or settings.profile
    plan = RunPlan(profile=profile, measures=measures_of("", DEPTH), name=profile)
    results = run_here(settings, read_sets(options["sets"]), plan, folder, Unwatched())
    return {
        "system": asdict(results[0].system),
        "sets": [_told(result) for result in results],
        "gate": _judged(options, results) if options["baseline"] else None,
    }


def _told(result: RunResult) -> Result:
    means = {name: round(float(result.values(name).mean()), 6) for name in result.measures}
    return {**asdict(result.collection), "measures": means, "notes": list(result.notes)}


def _judged(options: Options, results: list[RunResult]) -> Result:
    from dateline.measuring.gate_rule import read_rule
    from eval.compare.gate import Rule, judge
    from eval.compare.gate_baseline import read_baseline

    rule = read_rule(Path(options["rule"])) if options["rule"] else Rule()
    verdict = judge(read_baseline(Path(options["baseline"])), results, rule)
    return {
        "passed": verdict.passed,
        "reasons": list(verdict.reasons),
        "warnings": list(verdict.warnings),
    }


def _sweep(settings: Settings, options: Options, folder: Path) -> Result:
    """Measure vector graphs over the passages of a judged set, and recommend one."""
    from dateline.measuring.sweep_subjects import vectors_of
    from dateline.measuring.tune_hnsw import Plan, kinds_of, tune_hnsw
    from eval.tune.graphs.sweep_grid import Grid
    from eval.tune.graphs.sweep_target import parse_target

    target = parse_target(options["target"])
    kinds, rescored, left_out = kinds_of(settings, ["faiss"], options["precision"])
    grid = Grid(
        kinds=kinds,
        m=tuple(options["m"]),
        ef_construction=tuple(options["ef_construction"]),
        ef=tuple(options["ef"]),
        ks=tuple(options["k"]),
        rescored=rescored,
    )
    target.depth(grid.ks)
    # Not in the job's own folder: what a worker measured before it was killed counts.
    output = archive_folder(settings) / "hnsw-sweeps" / "ordered"
    plan = Plan(grid, target, settings.threads, output, kinds=(), notes=left_out)
    vectors = vectors_of(settings, options["set"], None, count=0, queries=options["queries"])
    tree = tune_hnsw(settings, vectors, plan).as_dict()
    return {name: tree[name] for name in ("about", "recommendation", "pipeline", "notes")}


def _migrate(settings: Settings, options: Options, folder: Path) -> Result:
    """Carry out one step of a migration."""
    from dateline.build.migration import opened_migration

    with opened_migration(settings) as moving:
        return _STEPS[options["step"]](moving, options)


def _start(moving: Moving, options: Options) -> Result:
    found = moving.start(again=options["again"])
    encoders = {name: space.encoder for name, space in found.spaces.items()}
    return {"source": found.source, "target": found.target, "encoders": encoders}


def _catch_up(moving: Moving, options: Options) -> Result:
    target, covered = moving.catch_up(lambda embedded: None, lambda done, total: None)
    return {"target": target, "items": covered.wanted, "covered": covered.share}


def _compare(moving: Moving, options: Options) -> Result:
    from dateline.measuring.migration_evaluation import evaluate_migration

    return evaluate_migration(moving, options["sets"]).as_dict()


def _flip(moving: Moving, options: Options) -> Result:
    found = moving.flip()
    return {"source": found.source, "target": found.target, "served": moving.mover.served()}


def _abandon(moving: Moving, options: Options) -> Result:
    migration = moving.mover.find()
    if migration is not None:
        moving.mover.clean(migration, abandon=True)
    return {"served": moving.mover.served()}


_OPERATIONS: Mapping[str, Callable[[Settings, Options, Path], Result]] = {
    "evaluate": _evaluate,
    "sweep": _sweep,
    "migrate": _migrate,
}
_STEPS: Mapping[str, Callable[[Moving, Options], Result]] = {
    "start": _start,
    "catch-up": _catch_up,
    "evaluate": _compare,
    "flip": _flip,
    "abandon": _abandon,
}
