"""How far judges agree who graded the same documents: Krippendorff's alpha for ordinal grades.

K. Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011
(https://repository.upenn.edu/asc_papers/43). It takes any number of judges and gaps: a judge need
not have seen every pair. 1 is full agreement, 0 what chance gives.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Floats64 = npt.NDArray[np.float64]


def ordinal_alpha(units: Iterable[Sequence[int]]) -> float | None:
    """Alpha over units (query and document), each the grades that its judges gave.

    Units with one grade say nothing about agreement and are left out. None where no unit has two,
    or where all grades are the same, for which alpha is not defined.
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
    """float64 [grades, grades]: how often each two grades met in a unit, both ways, each unit
    weighing as much as it has judges.
    """
    place = {grade: index for index, grade in enumerate(grades)}
    found = np.zeros((len(grades), len(grades)))
    for unit in units:
        counts = np.bincount([place[grade] for grade in unit], minlength=len(grades))
        found += (np.outer(counts, counts) - np.diag(counts)) / (len(unit) - 1)
    return found


def _distances(totals: Floats64) -> Floats64:
    """float64 [grades, grades]: the square of how many grades were given between two ranks, their
    own by half.
    """
    middle = np.cumsum(totals) - totals / 2
    return np.square(middle[:, None] - middle[None, :])
