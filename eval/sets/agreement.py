"""How far judges of the same documents agree: Krippendorff's alpha for ordinal grades.

K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011
(https://repository.upenn.edu/asc_papers/43). It allows any number of judges, and pairs that a judge
has not seen. 1 is full agreement, 0 is what chance gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Floats64 = npt.NDArray[np.float64]


def ordinal_alpha(units: Iterable[Sequence[int]]) -> float | None:
    """Alpha over units (query and document); each unit has the grades that its judges gave.

    Units with one grade say nothing about agreement and are left out. None if no unit has two
    grades, or if all grades are equal, because alpha is not defined then.
    """
    paired = [unit for unit in units if len(unit) > 1]
    grades = sorted({grade for unit in paired for grade in unit})
    if len(grades) < 2:
        return None
    coincidences = _coincidences(paired, grades)
    totals = coincidences.sum(axis=1)
    distances = _distances(totals)
    expected = np.outer(totals, totals) / (totals.sum() - 1)
    return float(1 - (coincidences * distances).sum() / (expected * distances).sum())


def _coincidences(units: Iterable[Sequence[int]], grades: Sequence[int]) -> Floats64:
    """float64 [grades, grades]: how often each two grades met in a unit, in both orders. Each unit
    weighs as much as it has judges.
    """
    place = {grade: index for index, grade in enumerate(grades)}
    found = np.zeros((len(grades), len(grades)))
    for unit in units:
        counts = np.bincount([place[grade] for grade in unit], minlength=len(grades))
        found += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    return found


def _distances(totals: Floats64) -> Floats64:
    """float64 [grades, grades]: the squared number of grades given between two ranks, counting half
    of those at the two ranks themselves.
    """
    middle = np.cumsum(totals) - totals / 2
    return np.square(middle[:, None] - middle[None, :])
