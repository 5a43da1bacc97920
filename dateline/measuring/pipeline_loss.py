"""What a graph costs the served pipeline: a judged set by exact search and by the graph.

The record of truth is copied for each cell and its projections are built with the cell's settings,
so nothing is embedded again. Every segment is walked there, even a small one: the service would
scan it, and a scan loses nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from dateline.build.models.served import Models
from dateline.build.record import backup_archive, restore_archive
from dateline.build.service import build_service
from dateline.measuring.evaluate import RunPlan, cached_index, run_set
from dateline.settings import Settings
from eval.sets.datasets import JudgedSet
from eval.tune.graphs.sweep_report import Loss
from eval.tune.graphs.sweep_target import Cell

MEASURES = ("nDCG@10", "R@100")
_EVERYTHING = 10**9  # rows: every segment is scanned


def pipeline_losses(
    settings: Settings,
    judged: JudgedSet,
    models: Models,
    rows: int,
    cells: Sequence[Cell],
    folder: Path,
) -> Iterator[Loss]:
    """Yield a loss for each cell, profile (the settings' own, and vectors alone, which lose most)
    and measure. The set's index, of `rows` passages, must be complete. Works in `folder`, which is
    removed. Raises what runs raise.
    """
    profiles = tuple(dict.fromkeys((settings.profile, "vector")))
    exact = settings.model_copy(update={"hnsw_exact_rows": _EVERYTHING})
    means = {name: _means(exact, judged, models, name) for name in profiles}
    scanned = rows <= settings.hnsw_exact_rows
    for cell in cells:
        changed = settings.model_copy(
            update={**settings_of(cell), "hnsw_exact_rows": 0, "data": folder}
        )
        try:
            _copy_index(settings, changed, judged, models)
            for name in profiles:
                found = _means(changed, judged, models, name)
                for measure in MEASURES:
                    exactly, walked = means[name][measure], found[measure]
                    count = len(judged.queries)
                    yield Loss(cell, name, measure, exactly, walked, count, scanned)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def settings_of(cell: Cell) -> dict[str, str | int]:
    """Return the settings that make the service build and search as this cell."""
    return {
        "hnsw_m": cell.build.m,
        "hnsw_ef_construction": cell.build.ef_construction,
        "hnsw_ef_search": cell.ef,
        "hnsw_implementation": cell.build.implementation,
        "hnsw_precision": cell.build.precision,
    }


def _means(settings: Settings, judged: JudgedSet, models: Models, profile: str) -> dict[str, float]:
    plan = RunPlan(profile, measures=MEASURES)
    found = run_set(settings, judged, plan, models=models)
    return {measure: found.mean(measure) for measure in MEASURES}


def _copy_index(settings: Settings, changed: Settings, judged: JudgedSet, models: Models) -> None:
    """Make the set's index as `changed` would have built it, from the vectors in its record."""
    source = cached_index(settings, judged, models)
    target = cached_index(changed, judged, models)
    target.folder.mkdir(parents=True)
    backup = target.folder / "record.backup"
    inner = changed.with_archive_in(target.folder)
    backup_archive(settings.with_archive_in(source.folder), backup)
    restore_archive(backup, inner, force=True)
    backup.unlink()
    service = build_service(inner, models=models, background=False)
    try:
        service.engine.catch_up()
        service.engine.compact()
    finally:
        service.close()
    target.complete(source.report() or {})
