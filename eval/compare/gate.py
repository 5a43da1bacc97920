"""Did it get worse? Judges new results against a committed baseline, for CI.

The gate fails for any of these reasons, and the verdict names them:

1. **It can't be compared**: a collection of the baseline is missing, or its documents, judgements,
   depth or queries differ.
2. **It did not answer**: an answer is degraded, or a query is refused that the baseline answered.
3. **It lost**: over all queries of all collections, each alike, the mean of a measure fell and
   - chance does not explain it: two-sided paired randomization, p < `alpha` after Holm's correction
     over the measures, and
   - the loss may be as large as `least_effect`: the 1 - `alpha` bootstrap interval of the mean
     difference reaches that far. A real loss that is surely smaller passes and is named.
4. **A slice is under its floor**: the slice's mean of the first measure lies below the floor by
   more than half the width of its bootstrap interval, at level 1 - `alpha` / number of floors.
5. With `each_collection`, a collection lost as in 3, with Holm's correction over all collections
   and measures. Otherwise such a loss is a warning: what helps as a whole may cost somewhere.

If nothing changed, the probability of 3 is at most `alpha` / 2, and far less if there are enough
queries to make the interval much narrower than `least_effect`. Which true losses are found depends
on the number of queries and their spread. `Outcome.least_effect` is given for all queries and each
slice, and a gate that can't detect `least_effect` says so (`eval.compare.power`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from core.errors import InputError
from eval.compare.gate_baseline import Baseline, rounded
from eval.compare.outcomes import (
    COLLECTION,
    DRAWS,
    SLICE,
    WHOLE,
    Outcome,
    corrected,
    outcome_of,
    outcomes_of,
    p_text,
    slices,
)
from eval.compare.pairing import Pair, aligned, by_collection, checked_values, rows_by_query
from eval.compare.significance import Values, bootstrap_interval
from eval.runs.results import Collection, RunResult, System, same_questions

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule of a gate; the module explains it. `floors` are by `facet=value` or
    `collection=name:split`.
    """

    measures: tuple[str, ...] = ()
    least_effect: float = 0.02
    alpha: float = 0.05
    floors: Mapping[str, float] = field(default_factory=dict)
    each_collection: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise InputError(f"alpha is {self.alpha}", mend="between 0 and 0.5, such as 0.05")
        if not 0 < self.least_effect < 1:
            raise InputError(
                f"the least effect is {self.least_effect}", mend="between 0 and 1: 0.02 is 2 points"
            )
        for group, floor in self.floors.items():
            if not 0 <= floor <= 1:
                raise InputError(f"the floor of {group} is {floor}", mend="between 0 and 1")


@dataclass(frozen=True, slots=True)
class Floor:
    """One slice against its floor; `allowance` is half the width of its interval."""

    group: str
    measure: str
    floor: float
    queries: int
    mean: float
    allowance: float

    @property
    def passed(self) -> bool:
        """Whether the slice passes."""
        return self.mean >= self.floor - self.allowance


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's verdict: `reasons` to fail, as sentences, empty if it passed; `warnings` are what
    a reader should know of a pass. `outcomes` are of all queries, each collection and each slice,
    as far as they could be compared.
    """

    rule: Rule
    baseline: System
    baseline_made_at: str
    system: System
    collections: tuple[Collection, ...]
    outcomes: tuple[Outcome, ...]
    floors: tuple[Floor, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the new results pass."""
        return not self.reasons

    def of(self, *kinds: str) -> tuple[Outcome, ...]:
        """Return the outcomes of these kinds, in order."""
        return tuple(outcome for outcome in self.outcomes if outcome.kind in kinds)

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict, ready for JSON; an unknown value is NaN, which becomes null."""
        tree = {"passed": self.passed, **asdict(self)}
        for floor, row in zip(self.floors, tree["floors"], strict=True):
            row["passed"] = floor.passed
        return tree


def judge(baseline: Baseline, results: Sequence[RunResult], rule: Rule) -> Verdict:
    """Return the verdict on one system's `results`, one per collection, by the module's rules.

    Raises InputError for a wrong request: a measure or a floor's slice that is not in the results,
    values that are not numbers, a collection or a query twice.
    """
    measures = rule.measures or baseline.measures
    unknown = [measure for measure in measures if measure not in baseline.measures]
    if unknown:
        known = ", ".join(baseline.measures)
        raise InputError(f"the baseline has no {unknown[0]}", mend=f"it has {known}")
    if not results:
        raise InputError("there are no results to judge")
    theirs = {label: rounded(each) for label, each in by_collection(results).items()}
    pairs, strange = _comparable(baseline, theirs)
    outcomes = tuple(_outcomes(pairs, measures, results[0].system.name, rule))
    floors = tuple(_floors(list(theirs.values()), measures[0], rule))
    reasons = (*strange, *_unanswered(baseline, theirs), *_lost(outcomes, rule), *_sunk(floors))
    return Verdict(
        rule=rule,
        baseline=baseline.system,
        baseline_made_at=baseline.made_at,
        system=results[0].system,
        collections=tuple(each.collection for each in theirs.values()),
        outcomes=outcomes,
        floors=floors,
        reasons=reasons,
        warnings=tuple(_warnings(baseline, theirs, outcomes, floors, rule)),
    )


def got_worse(differences: Values, rule: Rule, draws: int = DRAWS) -> bool:
    """Return whether rule 3 fails the differences [n] of one measure."""
    outcome = outcome_of(
        (WHOLE, WHOLE, "", ""), np.zeros(len(differences)), differences, draws, 1 - rule.alpha
    )
    return _is_loss(outcome, rule)


def _comparable(
    baseline: Baseline, theirs: Mapping[str, RunResult]
) -> tuple[list[Pair], tuple[str, ...]]:
    """Return the collections that can be compared, and sentences on why the others can't."""
    pairs: list[Pair] = []
    strange: list[str] = []
    for result in baseline.results:
        label = result.collection.label
        if label not in theirs:
            strange.append(f"{label} is in the baseline and was not run")
        elif differs := same_questions(result, theirs[label]):
            strange.append(f"{label} can't be compared with the baseline: {'; '.join(differs)}")
        else:
            pairs.append(aligned(result, theirs[label]))
    return pairs, tuple(strange)


def _outcomes(
    pairs: Sequence[Pair], measures: Sequence[str], system: str, rule: Rule
) -> Iterator[Outcome]:
    if not pairs:
        return
    rows = [
        outcome
        for measure in measures
        for outcome in outcomes_of(
            system, measure, pairs, by_slice=measure == measures[0], level=1 - rule.alpha
        )
    ]
    yield from corrected(rows)


def _unanswered(baseline: Baseline, theirs: Mapping[str, RunResult]) -> Iterator[str]:
    for before in baseline.results:
        label = before.collection.label
        after = theirs.get(label)
        if after is None:
            continue
        degraded = sum(bool(row.degraded) for row in after.rows)
        if degraded:
            yield f"{label}: {degraded} answers are degraded: a stage was skipped or cut short"
        known = {row.query_id for row in before.rows if row.refused}
        refused = [query for query, row in rows_by_query(after).items() if row.refused]
        new = [query for query in refused if query not in known]
        if new:
            yield f"{label}: {len(new)} queries are refused that were answered, such as {new[0]!r}"


def _lost(outcomes: Sequence[Outcome], rule: Rule) -> Iterator[str]:
    kinds = (WHOLE, COLLECTION) if rule.each_collection else (WHOLE,)
    for outcome in outcomes:
        if outcome.kind in kinds and _is_loss(outcome, rule):
            yield f"{outcome.group}: {outcome.measure} fell: {_told(outcome)}"


def _is_loss(outcome: Outcome, rule: Rule) -> bool:
    reaches = outcome.low <= -rule.least_effect + _ROUNDING
    return _is_supported(outcome, rule) and reaches


def _is_supported(outcome: Outcome, rule: Rule) -> bool:
    return outcome.difference < 0 and outcome.p_holm < rule.alpha


def _floors(results: Sequence[RunResult], measure: str, rule: Rule) -> Iterator[Floor]:
    groups = _groups(results, measure) if rule.floors else {}
    level = 1 - rule.alpha / max(1, len(rule.floors))
    for group, floor in rule.floors.items():
        if group not in groups:
            known = ", ".join(sorted(groups))
            raise InputError(f"no query is of {group!r}, which has a floor", mend=f"one of {known}")
        values = groups[group]
        low, high = bootstrap_interval([values], level)
        yield Floor(group, measure, floor, len(values), float(values.mean()), (high - low) / 2)


def _groups(results: Sequence[RunResult], measure: str) -> dict[str, Values]:
    """Return the values [n] of each slice and of each collection, by the name that floors use."""
    values = [checked_values(result, measure) for result in results]
    whole = np.concatenate(values)
    found = {name: whole[places] for name, places in slices(results).items()}
    for result, own in zip(results, values, strict=True):
        found[f"{COLLECTION}={result.collection.label}"] = own
    return found


def _sunk(floors: Sequence[Floor]) -> Iterator[str]:
    for floor in floors:
        if not floor.passed:
            yield (
                f"{floor.group} is under its floor: {floor.measure} {floor.mean:.4f} over "
                f"{floor.queries} queries, floor {floor.floor:.4f}, allowance {floor.allowance:.4f}"
            )


def _warnings(
    baseline: Baseline,
    theirs: Mapping[str, RunResult],
    outcomes: Sequence[Outcome],
    floors: Sequence[Floor],
    rule: Rule,
) -> Iterator[str]:
    known = {result.collection.label for result in baseline.results}
    for label in theirs.keys() - known:
        yield f"{label} is not in the baseline: only floors hold it"
    refused = sum(bool(row.refused) for result in baseline.results for row in result.rows)
    if refused:
        yield f"{refused} queries are refused in the baseline already"
    for outcome in outcomes:
        yield from _doubts(outcome, rule)
    for floor in floors:
        if floor.passed and floor.mean < floor.floor:
            yield f"{floor.group} is under its floor, within the allowance"


def _doubts(outcome: Outcome, rule: Rule) -> Iterator[str]:
    """Yield sentences on what a pass does not show."""
    if outcome.kind == WHOLE and outcome.too_few:
        yield f"no loss of only {outcome.queries} queries can be told from chance"
    if outcome.kind == WHOLE and outcome.least_effect > rule.least_effect:
        yield (
            f"{outcome.queries} queries show a true loss of {outcome.least_effect:.4f} of "
            f"{outcome.measure} or more; a loss of {rule.least_effect} may pass unseen"
        )
    if outcome.kind == WHOLE and _is_supported(outcome, rule) and not _is_loss(outcome, rule):
        yield f"{outcome.measure} fell by less than {rule.least_effect}: {_told(outcome)}"
    if outcome.kind in (COLLECTION, SLICE) and _is_supported(outcome, rule):
        yield f"{outcome.group}: {outcome.measure} fell: {_told(outcome)}"


def _told(outcome: Outcome) -> str:
    return (
        f"{outcome.baseline:.4f} to {outcome.mean:.4f} over {outcome.queries} queries, difference "
        f"{outcome.difference:+.4f} ({outcome.low:+.4f} to {outcome.high:+.4f}), "
        f"p {p_text(outcome.p_holm)}, {outcome.wins} better, {outcome.losses} worse"
    )
