"""Results with values that a test chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eval.compare.significance import Values
from eval.runs.results import Collection, QueryRow, RunResult, System

MEASURE = "nDCG@10"


def made(
    values: Sequence[float] | Values,
    *,
    name: str = "new",
    collection: str = "cables",
    slices: Sequence[Mapping[str, str]] | None = None,
    documents: Sequence[Sequence[str]] | None = None,
    measure: str = MEASURE,
    **system: Any,
) -> RunResult:
    """One result; query number i is `qi` and has `values[i]`."""
    rows = tuple(
        QueryRow(
            query_id=f"q{number}",
            text=f"question {number}",
            values={measure: float(value)},
            documents=tuple(documents[number]) if documents else (f"d{number}", "d999"),
            milliseconds=10.0 + number,
            slices=slices[number] if slices else {"kind": ("photo", "text")[number % 2]},
        )
        for number, value in enumerate(values)
    )
    about = Collection(collection, "test", 1000, len(values), "c" * 64, f"{len(values):064d}")
    return RunResult(about, System(name, "hybrid", **system), rows, 100, "2026-05-01T12:00:00Z")


def with_row(result: RunResult, number: int, **changes: Any) -> RunResult:
    """The same with one row changed."""
    rows = list(result.rows)
    rows[number] = replace(rows[number], **changes)
    return replace(result, rows=tuple(rows))


def realistic(count: int, seed: int = 5) -> Values:
    """float64 [count]: values like nDCG's, many of them 0 or 1."""
    chance = np.random.default_rng(seed)
    values = chance.beta(1.5, 0.8, count)
    return np.where(values > 0.9, 1.0, np.where(values < 0.1, 0.0, values))


def jitter(count: int, seed: int = 6, share: float = 0.4) -> Values:
    """float64 [count]: differences with mean near 0; most queries don't move, a few move far."""
    chance = np.random.default_rng(seed)
    moved = chance.random(count) < share
    return np.where(moved, chance.standard_t(4, count) * 0.15, 0.0)
