"""Which weights of fusion and reranking are best, how sure is that, and what would they gain?

`tuned` chooses by nested cross-validation (`eval.tune.cross_validation`) among settings with known
values for every query (`eval.tune.fusion.values`), and compares the choice with the setting in
force.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from math import inf, sqrt
from typing import Any

import numpy as np

from core.errors import InputError
from eval.compare.power import queries_needed
from eval.tune.cross_validation import (
    Choice,
    Nested,
    Questions,
    Values,
    choose,
    error_of_mean,
    interval,
    mean_of_sets,
    nested,
    times_chosen,
)
from eval.tune.fusion.settings import PARAMETERS, FusionSetting, Value, distance
from eval.tune.fusion.values import uneven_sets

POINT = 0.01
FEWEST = 50


class Verdict(StrEnum):
    """What to do with the shipped weights."""

    CHANGE = "change"
    TOO_LITTLE = "too little to tell"
    NO_GAIN = "no gain"


@dataclass(frozen=True, slots=True)
class SetRow:
    """One set: its mean with the setting in force (`shipped`) and over the outer folds, with the 95
    % interval of their difference, infinite for fewer than FEWEST groups.
    """

    label: str
    queries: int
    groups: int
    shipped: float
    outer: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class FoldRow:
    """One outer fold: the setting chosen without it, its mean on the queries that chose it (and
    that of the best setting there), and its mean on the fold's own queries, beside that of the
    setting in force.
    """

    setting: FusionSetting
    inner_best: float
    inner: float
    outer: float
    shipped: float


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One parameter at one value, with the others unchanged, on the very queries that the choice
    uses: for the curve, not for reports. `error` is of the difference from the setting in force.
    """

    parameter: str
    value: Value
    mean: float
    difference: float
    error: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """Everything that was found. Means count each set alike.

    `outer` is the unbiased figure of choosing in this way, `low` to `high` the 95 % interval of its
    difference from `shipped` (the setting in force; infinite for fewer than FEWEST groups), and
    `inner_best` the figure that a choice without nesting would give. `chosen` is the same choice on
    all queries, `best` the highest mean on them. `needed` is how many queries, in these
    proportions, would show one point with power .8.
    """

    measure: str
    tuned: tuple[str, ...]
    settings: int
    seed: int
    shipped: FusionSetting
    chosen: FusionSetting
    best: FusionSetting
    shipped_mean: float
    outer: float
    low: float
    high: float
    inner_best: float
    chosen_mean: float
    best_mean: float
    needed: int
    sets: tuple[SetRow, ...]
    folds: tuple[FoldRow, ...]
    stability: Mapping[str, Mapping[str, int]]
    curves: tuple[ValueRow, ...]
    inert: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def queries(self) -> int:
        """The number of queries in all sets."""
        return sum(row.queries for row in self.sets)

    @property
    def groups(self) -> int:
        """The number of groups of queries in all sets."""
        return sum(row.groups for row in self.sets)

    @property
    def difference(self) -> float:
        """`outer` less `shipped_mean`."""
        return self.outer - self.shipped_mean

    @property
    def verdict(self) -> Verdict:
        """Return CHANGE if the interval lies above 0 and the choice on all queries differs from the
        setting in force. Otherwise the setting in force stays, because there are too few data or
        there is no gain. With fewer than FEWEST groups, an interval by resampling is too narrow to
        trust, so none is given.
        """
        if self.groups < FEWEST:
            return Verdict.TOO_LITTLE
        if self.low > 0 and self.chosen != self.shipped:
            return Verdict.CHANGE
        if self.low <= 0 <= self.high and self.needed > self.queries:
            return Verdict.TOO_LITTLE
        return Verdict.NO_GAIN

    @property
    def recommended(self) -> FusionSetting:
        """The setting to run."""
        return self.chosen if self.verdict is Verdict.CHANGE else self.shipped

    def as_dict(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        derived = {
            "verdict": self.verdict.value,
            "difference": self.difference,
            "queries": self.queries,
            "recommended": asdict(self.recommended),
        }
        return {**derived, **asdict(self)}


def tuned(
    values: Values,
    questions: Questions,
    labels: Sequence[str],
    settings: Sequence[FusionSetting],
    *,
    measure: str,
    names: Sequence[str],
    folds: int = 5,
    seed: int = 1,
    notes: Sequence[str] = (),
) -> Tuning:
    """Choose among `settings`, the first of which ships, by `values` [queries, settings]. `names`
    are the parameters that differ in them. Raises InputError for too few queries.
    """
    if len(values) < 2:
        raise InputError(f"{len(values)} queries tell nothing", mend="name sets with more")
    shipped = settings[0]
    distances = np.array([distance(setting, shipped) for setting in settings])
    found = nested(values, questions, distances, folds, seed)
    final = choose(values, questions, distances)
    differences = found.outer - values[:, 0]
    low, high = _interval(differences, questions, seed)
    pair = np.stack((found.outer, values[:, 0]), axis=1)
    outer, shipped_mean = mean_of_sets(pair, questions.sets).tolist()
    return Tuning(
        measure=measure,
        tuned=tuple(names),
        settings=len(settings),
        seed=seed,
        shipped=shipped,
        chosen=settings[final.chosen],
        best=settings[final.best],
        shipped_mean=shipped_mean,
        outer=outer,
        low=low,
        high=high,
        inner_best=found.inner_best,
        chosen_mean=final.mean,
        best_mean=final.best_mean,
        needed=_needed(differences, values[:, final.best] - values[:, 0], questions),
        sets=_set_rows(values[:, 0], found.outer, questions, labels, seed),
        folds=_fold_rows(values, questions, found, settings),
        stability=_stability(found.choices, settings, names),
        curves=_curves(values, questions, settings, names),
        inert=_inert(values, settings, names),
        notes=(*notes, *uneven_sets(questions, labels)),
    )


def _interval(differences: Values, questions: Questions, seed: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean of `differences`; without ends for fewer than FEWEST
    groups.
    """
    if len(np.unique(questions.groups)) < FEWEST:
        return -inf, inf
    return interval(differences, questions, seed)


def _needed(outer: Values, best: Values, questions: Questions) -> int:
    """Return how many queries would show a point. The spread is that of the outer differences or,
    if the outer folds kept the setting in force, that of the best setting's.
    """
    differences = outer if outer.any() else best
    error = float(error_of_mean(differences[:, None], questions)[0])
    count = len(differences)
    return queries_needed(POINT, error * sqrt(count)) if np.isfinite(error) else 2 * count


def _set_rows(
    shipped: Values, outer: Values, questions: Questions, labels: Sequence[str], seed: int
) -> tuple[SetRow, ...]:
    rows = []
    for number, label in enumerate(labels):
        mine = questions.sets == number
        own = questions.only(mine)
        low, high = _interval((outer - shipped)[mine], own, seed)
        count, groups = int(mine.sum()), len(np.unique(own.groups))
        means = float(shipped[mine].mean()), float(outer[mine].mean())
        rows.append(SetRow(label, count, groups, *means, low, high))
    return tuple(rows)


def _fold_rows(
    values: Values, questions: Questions, found: Nested, settings: Sequence[FusionSetting]
) -> tuple[FoldRow, ...]:
    rows = []
    for fold, choice in enumerate(found.choices):
        mine = found.folds == fold
        pair = values[mine][:, [choice.chosen, 0]]
        outer, shipped = mean_of_sets(pair, questions.sets[mine]).tolist()
        setting = settings[choice.chosen]
        rows.append(FoldRow(setting, choice.best_mean, choice.mean, outer, shipped))
    return tuple(rows)


def _stability(
    choices: Sequence[Choice], settings: Sequence[FusionSetting], names: Sequence[str]
) -> dict[str, dict[str, int]]:
    columns = [choice.chosen for choice in choices]
    return {
        name: times_chosen(columns, [str(getattr(setting, name)) for setting in settings])
        for name in names
    }


def _curves(
    values: Values, questions: Questions, settings: Sequence[FusionSetting], names: Sequence[str]
) -> tuple[ValueRow, ...]:
    """Return settings that differ from the one in force in a single parameter, by its value."""
    means = mean_of_sets(values, questions.sets)
    errors = error_of_mean(values - values[:, [0]], questions)
    rows = []
    for name in names:
        columns = [
            0,
            *(c for c, one in enumerate(settings) if _changed(one, settings[0]) == [name]),
        ]
        for column in sorted(columns, key=lambda c: str(getattr(settings[c], name))):
            value: Value = getattr(settings[column], name)
            difference = float(means[column] - means[0])
            rows.append(
                ValueRow(name, value, float(means[column]), difference, float(errors[column]))
            )
    return tuple(rows)


def _inert(
    values: Values, settings: Sequence[FusionSetting], names: Sequence[str]
) -> tuple[str, ...]:
    """Return parameters that change no query's value, whatever the values of the others."""
    return tuple(name for name in names if not _matters(values, settings, name))


def _matters(values: Values, settings: Sequence[FusionSetting], name: str) -> bool:
    firsts: dict[tuple[Value, ...], int] = {}
    for column, setting in enumerate(settings):
        rest = tuple(getattr(setting, other) for other in PARAMETERS if other != name)
        first = firsts.setdefault(rest, column)
        if not np.array_equal(values[:, first], values[:, column]):
            return True
    return False


def _changed(setting: FusionSetting, shipped: FusionSetting) -> list[str]:
    return [name for name in PARAMETERS if getattr(setting, name) != getattr(shipped, name)]
