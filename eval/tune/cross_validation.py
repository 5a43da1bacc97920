"""Chooses among settings on judged queries, and gives an unbiased figure for the choice.

- Queries that are answered by the same document are one **group** and lie in one fold: if a known
  item is asked for twice, neither query may choose the setting that the other one judges.
- **Nested**: for each outer fold, the setting is chosen on the other folds only, and its value on
  the outer fold's queries is reported. A setting has no part that is fitted to queries, so
  validation over inner folds equals its mean over the queries of all of them. What the winner
  reaches on the queries that chose it (`inner`) is too high, the more so the more settings compete
  (Cawley and Talbot, 2010).
- **One standard error**: among the settings that can't be told from the best, the one nearest to
  the setting in force is taken (after Breiman and others, 1984; here the error is that of the
  paired difference from the best, which is the smaller of the two).
- **Every set counts alike**: a mean is the mean over sets of each set's mean over its queries.

Rows of a matrix are queries, columns are settings. The same seed gives the same folds.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from core.errors import InputError

Values = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Query = TypeVar("Query", bound=Hashable)
DRAWS = 10_000
_PICKS_AT_ONCE = 200_000


@dataclass(frozen=True, slots=True)
class Questions:
    """The set and the group of each query: int64 [queries] each. Splits of one collection are
    separate sets and may share groups.
    """

    sets: Numbers
    groups: Numbers

    def only(self, rows: npt.NDArray[np.bool_]) -> Questions:
        """Return the questions of `rows`, bool [queries]."""
        return Questions(self.sets[rows], self.groups[rows])


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice of columns: `best` has the highest mean, `chosen` follows the rule. `best_mean` and
    `mean` are their means over the queries that chose.
    """

    best: int
    chosen: int
    best_mean: float
    mean: float


@dataclass(frozen=True, slots=True)
class Nested:
    """`outer` float64 [queries] is each query's value under the setting that was chosen without it,
    `folds` int64 [queries] its fold; `choices` has one choice per fold.
    """

    outer: Values
    folds: Numbers
    choices: tuple[Choice, ...]

    @property
    def inner_best(self) -> float:
        """The mean over folds of the best setting's value on the queries that chose it."""
        return float(np.mean([choice.best_mean for choice in self.choices]))


def groups_by_document(qrels: Mapping[Query, Mapping[str, int]]) -> dict[Query, int]:
    """Return a group number for each query, from 0 on. Queries that share a relevant document,
    directly or through other queries, have the same number.
    """
    above: dict[Hashable, Hashable] = {}

    def top(name: Hashable) -> Hashable:
        while above.setdefault(name, name) != name:
            above[name] = above[above[name]]
            name = above[name]
        return name

    for query, grades in qrels.items():
        for document, grade in grades.items():
            if grade > 0:
                above[top(("query", query))] = top(("document", document))
    tops = {query: top(("query", query)) for query in qrels}
    numbers = {name: number for number, name in enumerate(dict.fromkeys(tops.values()))}
    return {query: numbers[name] for query, name in tops.items()}


def folds_of(questions: Questions, count: int, seed: int) -> Numbers:
    """Return int64 [queries]: the fold of each query, 0 to `count` - 1. Groups stay together, and
    each set is spread as evenly as its groups allow. Raises InputError if there are fewer groups
    than folds.
    """
    groups, rows = np.unique(questions.groups, return_inverse=True)
    if not 2 <= count <= len(groups):
        raise InputError(
            f"{len(groups)} groups of queries can't be cut into {count} folds",
            mend="ask for 2 folds or more, and not more than there are groups",
        )
    sizes = np.bincount(rows)
    set_of = np.zeros(len(groups), np.int64)
    set_of[rows] = questions.sets
    chance = np.random.default_rng(seed)
    fold_of, filled = np.zeros(len(groups), np.int64), np.zeros(count, np.int64)
    for number in np.unique(set_of):
        own, mine = np.zeros(count, np.int64), np.flatnonzero(set_of == number)
        mine = chance.permutation(mine)
        for group in mine[np.argsort(-sizes[mine], kind="stable")]:
            fold = int(np.lexsort((filled, own))[0])
            fold_of[group] = fold
            own[fold] += sizes[group]
            filled[fold] += sizes[group]
    folds: Numbers = fold_of[rows]
    return folds


def mean_of_sets(values: Values, sets: Numbers) -> Values:
    """Return float64 [settings]: the mean over sets of the means of `values` [queries,
    settings].
    """
    means = [values[sets == number].mean(axis=0) for number in np.unique(sets)]
    mean: Values = np.mean(means, axis=0)
    return mean


def error_of_mean(differences: Values, questions: Questions) -> Values:
    """Return float64 [settings]: the standard error of `mean_of_sets` of `differences` [queries,
    settings], from the differences of groups, not of queries; infinite for a set of one group.
    """
    variance = np.zeros(differences.shape[1])
    numbers = np.unique(questions.sets)
    for number in numbers:
        rows = questions.sets == number
        inner, count = differences[rows], int(rows.sum())
        sums = _group_sums(inner - inner.mean(axis=0), questions.groups[rows])
        if len(sums) < 2:
            return np.full(differences.shape[1], np.inf)
        variance += (sums**2).sum(axis=0) * len(sums) / (len(sums) - 1) / count**2
    return np.sqrt(variance) / len(numbers)


def choose(values: Values, questions: Questions, distances: Values) -> Choice:
    """Return the choice by `values` [queries, settings]. `distances` [settings] say how far each
    setting is from the one in force; among equal distances the better is taken, then the first.
    """
    means = mean_of_sets(values, questions.sets)
    best = int(np.lexsort((distances, -means))[0])
    errors = error_of_mean(values - values[:, [best]], questions)
    near = np.flatnonzero(means >= means[best] - errors - 1e-12)
    chosen = int(near[np.lexsort((-means[near], distances[near]))[0]])
    return Choice(best, chosen, float(means[best]), float(means[chosen]))


def nested(
    values: Values, questions: Questions, distances: Values, count: int, seed: int
) -> Nested:
    """Return nested cross-validation over `count` folds. Raises InputError as `folds_of` does."""
    folds = folds_of(questions, count, seed)
    outer = np.zeros(len(values))
    choices = []
    for fold in range(count):
        test = folds == fold
        choice = choose(values[~test], questions.only(~test), distances)
        outer[test] = values[test, choice.chosen]
        choices.append(choice)
    return Nested(outer, folds, tuple(choices))


def interval(
    differences: Values, questions: Questions, seed: int, draws: int = DRAWS
) -> tuple[float, float]:
    """Return the 95 % interval of `mean_of_sets` of `differences` [queries]: percentiles over
    groups drawn with replacement, within each set (Efron, 1979). For one group it means nothing.
    """
    chance = np.random.default_rng(seed)
    total = np.zeros(draws)
    numbers = np.unique(questions.sets)
    for number in numbers:
        rows = questions.sets == number
        pairs = np.stack((differences[rows], np.ones(int(rows.sum()))), axis=1)
        sums = _group_sums(pairs, questions.groups[rows])
        total += np.concatenate(
            [_drawn_means(sums, size, chance) for size in _blocks(draws, len(sums))]
        )
    low, high = np.quantile(total / len(numbers), [0.025, 0.975])
    return float(low), float(high)


def times_chosen(columns: Sequence[int], names: Sequence[str]) -> dict[str, int]:
    """Return how often each name was chosen, most often first; `names` [settings] has the name of
    each column.
    """
    found = [names[column] for column in columns]
    return {name: found.count(name) for name in sorted(set(found), key=found.count, reverse=True)}


def _drawn_means(sums: Values, draws: int, chance: np.random.Generator) -> Values:
    """Return float64 [draws]: means over queries of groups drawn with replacement; `sums` [groups,
    2] has each group's sum of values and number of queries.
    """
    picked = chance.integers(0, len(sums), (draws, len(sums)))
    means: Values = sums[:, 0][picked].sum(axis=1) / sums[:, 1][picked].sum(axis=1)
    return means


def _blocks(draws: int, width: int) -> list[int]:
    """Return block sizes that add up to `draws`, so that no array of draws gets large."""
    size = max(1, _PICKS_AT_ONCE // width)
    return [min(size, draws - start) for start in range(0, draws, size)]


def _group_sums(values: Values, groups: Numbers) -> Values:
    """Return float64 [groups, columns]: sums of the rows of each group."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    sums: Values = np.add.reduceat(values[order], starts, axis=0)
    return sums
