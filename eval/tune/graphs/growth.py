"""Fits how one HNSW cell grows with the number of vectors, and extrapolates.

    build time        a n ln n            each node is a search among those before it
    time of a query   a + b ln n          at a fixed recall, hops grow with the logarithm
    memory            a + b n             vectors and links

The first is Malkov and Yashunin's (2018) account of the method. The fits are least squares on
relative errors, so that small sizes count as much as large ones. Residuals are shown with every
fit: its errors are larger far beyond the measured sizes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import InputError

Floats64 = npt.NDArray[np.float64]
_MOST_SHARDS = 4096
_FAR = 10.0  # times the largest measured size; beyond it a prediction is a guess


@dataclass(frozen=True, slots=True)
class Grown:
    """One size: rows, how many of them are real (not copies with noise), seconds of the build,
    bytes in memory and on disk, and at the wanted recall: the width, queries a second on one thread
    and p95 in milliseconds. The last three are NaN if no width reached the recall.
    """

    rows: int
    real: int
    build_seconds: float
    memory: float
    disk: float
    ef: float
    qps: float
    p95: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A law with its coefficients; `residuals` are, per size, the fitted over the measured value,
    less 1.
    """

    law: str
    a: float
    b: float
    residuals: tuple[float, ...]

    def at(self, rows: float) -> float:
        """Return the prediction for this number of rows."""
        return float(_terms(self.law, np.array([rows], np.float64))[0] @ (self.a, self.b))

    @property
    def worst(self) -> float:
        """The largest absolute residual."""
        return max((abs(each) for each in self.residuals), default=0.0)


@dataclass(frozen=True, slots=True)
class Growth:
    """The measured sizes and the fits. `query` is in milliseconds (1,000 over queries a second), as
    is `p95`; both are None if fewer than two sizes reached the recall.
    """

    cell: str
    recall: float
    k: int
    sizes: tuple[Grown, ...]
    build: Fit
    memory: Fit
    query: Fit | None
    p95: Fit | None


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction for one size: seconds of one build, bytes, queries a second and p95 in ms in a
    single graph.

    `shards` is how many shards meet the target (None: no number up to 4,096), with the bytes and
    p95 of each shard. `far` says that the size is more than ten times beyond what was measured.
    """

    rows: int
    build_seconds: float
    memory: float
    qps: float
    p95: float
    shards: int | None
    shard_memory: float
    shard_p95: float
    far: bool


def fitted(cell: str, recall: float, k: int, sizes: Sequence[Grown]) -> Growth:
    """Return the laws fitted to two or more sizes. Raises InputError for fewer."""
    if len({each.rows for each in sizes}) < 2:
        raise InputError("growth needs two sizes at least", mend="--sizes 10000,30000,100000")
    reached = [each for each in sizes if math.isfinite(each.qps)]
    enough = len(reached) >= 2
    rows, seen = [each.rows for each in sizes], [each.rows for each in reached]
    return Growth(
        cell=cell,
        recall=recall,
        k=k,
        sizes=tuple(sizes),
        build=fit("a n ln n", rows, [each.build_seconds for each in sizes]),
        memory=fit("a + b n", rows, [each.memory for each in sizes]),
        query=fit("a + b ln n", seen, [1000 / s.qps for s in reached]) if enough else None,
        p95=fit("a + b ln n", seen, [each.p95 for each in reached]) if enough else None,
    )


def fit(law: str, sizes: Sequence[float], values: Sequence[float]) -> Fit:
    """Return least squares on relative errors of `values` above 0; `law` is one of the three in
    this module's docstring. Nothing shrinks as vectors are added: if noise says so, `b` is 0.
    """
    rows = np.array(sizes, np.float64)
    seen = np.array(values, np.float64)
    terms = _terms(law, rows)
    both = _solved(terms, seen, np.array([True, bool(terms[:, 1].any())]))
    if both[1] < 0:
        both = _solved(terms, seen, np.array([True, False]))
    residuals = (terms @ both) / seen - 1
    return Fit(law, float(both[0]), float(both[1]), tuple(float(each) for each in residuals))


def _solved(terms: Floats64, seen: Floats64, used: npt.NDArray[np.bool_]) -> Floats64:
    both = np.zeros(2)
    found, *_ = np.linalg.lstsq(terms[:, used] / seen[:, None], np.ones(len(seen)), rcond=None)
    both[used] = found
    return both


def predict(
    growth: Growth, rows: int, p95: float | None = None, memory: float | None = None
) -> Prediction:
    """Return the prediction for one graph of `rows`, and how many equal shards keep each under
    `p95` (ms) and `memory` (bytes). It leaves out merging the shards' answers and waiting for the
    slowest.
    """
    shards = next(
        (n for n in range(1, _MOST_SHARDS + 1) if _meets(growth, rows / n, p95, memory)), None
    )
    part = rows / (shards or 1)
    return Prediction(
        rows=rows,
        build_seconds=growth.build.at(rows),
        memory=growth.memory.at(rows),
        qps=1000 / growth.query.at(rows) if growth.query else math.nan,
        p95=_p95(growth, rows),
        shards=shards,
        shard_memory=growth.memory.at(part),
        shard_p95=_p95(growth, part),
        far=rows > _FAR * max(each.rows for each in growth.sizes),
    )


def _meets(growth: Growth, rows: float, p95: float | None, memory: float | None) -> bool:
    small = memory is None or growth.memory.at(rows) <= memory
    quick = p95 is None or _p95(growth, rows) <= p95
    return small and quick


def _p95(growth: Growth, rows: float) -> float:
    return growth.p95.at(rows) if growth.p95 else math.nan


def _terms(law: str, rows: Floats64) -> Floats64:
    """Return float64 [n, 2]: the factors of `a` and `b`."""
    match law:
        case "a n ln n":
            return np.stack([rows * np.log(rows), np.zeros_like(rows)], axis=1)
        case "a + b ln n":
            return np.stack([np.ones_like(rows), np.log(rows)], axis=1)
        case "a + b n":
            return np.stack([np.ones_like(rows), rows], axis=1)
    raise InputError(f"there is no law {law!r}")
