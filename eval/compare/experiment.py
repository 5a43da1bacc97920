"""What an experiment found so far, from the use log.

In a mixed list the first click is one vote, for the version that put the hit there; a click on what
both put at the same place is none. The vote never changes later, so it may be counted at once. A
caller who asks the same again on a day gets the same list, so that is one vote too. Of a caller in
one day MOST_VOTES count, so that nobody decides alone.

By callers, one caller is one value, so clicks of the same caller are never taken for independent
ones: the share of its first FIRST_QUERIES queries that had a click within an hour. It is final an
hour after the last of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil, log

import numpy as np

from core.customers.experiments import Experiment, Way
from core.customers.use import LoggedQuery
from eval.compare.sequential import (
    ALPHA,
    Evidence,
    mean_evidence,
    preference_interval,
    sign_evidence,
    votes_needed,
)

MOST_VOTES = 20  # of one caller in one day
FIRST_QUERIES = 10
PATIENCE = timedelta(hours=1)
PREFERENCE = 0.55  # the true share of votes for which a length is told
DIFFERENCE = 0.05  # and the true difference of shares of clicked queries
_SPREAD = 0.25  # of callers' shares, before any is known
_RATES = (10, 100, 1000)  # a day, for an experiment without traffic


@dataclass(frozen=True, slots=True)
class Finding:
    """`wins` and `losses` are votes for the candidate and for the base; by callers they are the
    callers of both groups, with the mean of each. `evidence` is against "no difference". `daily`
    has what there was at the end of each day: day, units so far, e-value. `needed` units are about
    enough for a difference worth finding; `rate` is units a day.
    """

    experiment: Experiment
    queries: int
    wins: int
    losses: int
    evidence: Evidence
    interval: tuple[float, float]
    means: tuple[float, float]
    needed: int
    rate: float
    daily: tuple[tuple[datetime, int, float], ...]

    @property
    def units(self) -> int:
        """The votes, or the callers."""
        return self.wins + self.losses

    @property
    def ahead(self) -> bool:
        """Whether the candidate has more votes, or the higher mean."""
        if self.experiment.way is Way.AB:
            return self.means[0] > self.means[1]
        return self.wins > self.losses

    @property
    def verdict(self) -> str:
        """The better version by name: candidate or base; open if chance explains it all."""
        if not self.evidence.reaches():
            return "open"
        return "candidate" if self.ahead else "base"

    @property
    def days_left(self) -> int | None:
        """About how many days more it needs at its rate; None without traffic."""
        if self.rate <= 0:
            return None
        return max(0, ceil((self.needed - self.units) / self.rate))


@dataclass(frozen=True, slots=True)
class _Unit:
    """A vote or a caller: when it became final, whose it is, and a caller's value."""

    at: datetime
    candidate: bool
    value: float = 0.0


def find(experiment: Experiment, queries: Iterable[LoggedQuery], now: datetime) -> Finding:
    """Return what the queries say of the experiment; those that are not in it are passed over."""
    own = [query for query in queries if query.experiment == experiment.name]
    by_callers = experiment.way is Way.AB
    units = _callers(own, experiment, now) if by_callers else _votes(own)
    evidence = _evidence(units, by_callers)
    wins = sum(unit.candidate for unit in units)
    losses = len(units) - wins
    days = max(((experiment.stopped or now) - experiment.started) / timedelta(days=1), 1e-9)
    needed = _callers_needed(units) if by_callers else votes_needed(PREFERENCE)
    return Finding(
        experiment,
        len(own),
        wins,
        losses,
        evidence,
        preference_interval(wins, losses) if not by_callers else (0.0, 1.0),
        (_mean(units, candidate=True), _mean(units, candidate=False)),
        needed,
        len(units) / max(days, 1.0),
        _daily(units, by_callers),
    )


def _votes(queries: Sequence[LoggedQuery]) -> list[_Unit]:
    """Return the votes in the order of their clicks."""
    clicked = [(click.at, query, click) for query in queries if (click := query.first_click)]
    counted: Counter[tuple[str, date]] = Counter()
    seen: set[tuple[str, date, str]] = set()
    votes = []
    for at, query, click in sorted(clicked, key=lambda one: (one[0], one[1].id)):
        team = query.teams[click.place - 1 : click.place]
        mine = query.caller, query.at.date()
        if team not in ("a", "b") or (*mine, query.query) in seen or counted[mine] >= MOST_VOTES:
            continue
        seen.add((*mine, query.query))
        counted[mine] += 1
        votes.append(_Unit(at, team == "b"))
    return votes


def _callers(queries: Sequence[LoggedQuery], experiment: Experiment, now: datetime) -> list[_Unit]:
    """Return the callers that are final, in the order in which they became so."""
    by_unit: dict[str, list[LoggedQuery]] = {}
    for query in sorted(queries, key=lambda one: (one.at, one.id)):
        by_unit.setdefault(query.unit, []).append(query)
    found = []
    for asked in by_unit.values():
        first = asked[:FIRST_QUERIES]
        if len(first) < FIRST_QUERIES or first[-1].at + PATIENCE > now:
            continue
        clicked = sum(_clicked(query) for query in first) / FIRST_QUERIES
        candidate = first[0].arm == experiment.candidate_name
        found.append(_Unit(first[-1].at + PATIENCE, candidate, clicked))
    return sorted(found, key=lambda unit: unit.at)


def _clicked(query: LoggedQuery) -> bool:
    return query.first_click is not None and query.first_click.at <= query.at + PATIENCE


def _evidence(units: Sequence[_Unit], by_callers: bool) -> Evidence:
    if by_callers:
        return mean_evidence((unit.candidate, unit.value) for unit in units)
    return sign_evidence(unit.candidate for unit in units)


def _daily(units: Sequence[_Unit], by_callers: bool) -> tuple[tuple[datetime, int, float], ...]:
    """Return the units and the e-value at the end of each day that has some."""
    ends = {unit.at.date(): number for number, unit in enumerate(units, start=1)}
    return tuple(
        (units[number - 1].at, number, _evidence(units[:number], by_callers).now)
        for number in ends.values()
    )


def _mean(units: Sequence[_Unit], *, candidate: bool) -> float:
    values = [unit.value for unit in units if unit.candidate is candidate]
    return float(np.mean(values)) if values else 0.0


def _callers_needed(units: Sequence[_Unit]) -> int:
    """Return about how many callers find DIFFERENCE: what one adds to the logarithm of the e-value
    is half of the squared half difference, in spreads.
    """
    values = [unit.value for unit in units]
    spread = max(float(np.std(values)), 0.05) if len(values) >= 20 else _SPREAD
    gain = (DIFFERENCE / 2) ** 2 / (2 * spread**2)
    return ceil((log(1 / ALPHA) + log(8)) / gain)


def length_said(finding: Finding, clicked_a_day: float) -> str:
    """Return how long the experiment needs, in a sentence. Without traffic, `clicked_a_day` of the
    queries in the log had a click, which tells what may come.
    """
    by_callers = finding.experiment.way is Way.AB
    what = "callers with ten queries each" if by_callers else "votes"
    worth = (
        f"a difference of {DIFFERENCE:.0%} of queries with a click"
        if by_callers
        else f"a preference of {PREFERENCE:.0%}"
    )
    need = f"{worth} needs about {finding.needed:,} {what}"
    if finding.evidence.reaches():
        return f"it is decided; {need}"
    if finding.days_left is not None:
        left = (
            "more than it needs" if finding.days_left == 0 else f"{finding.days_left:,} days more"
        )
        return f"{need}; at {finding.rate:.3g} a day: {left}"
    if clicked_a_day > 0 and not by_callers:
        days = ceil(finding.needed / clicked_a_day)
        rate = f"{clicked_a_day:.3g} queries a day of the log were clicked"
        return f"{need}, and there is none yet; {rate}, so at least {days:,} days"
    days_at = ", ".join(f"{ceil(finding.needed / rate):,} days at {rate:,}" for rate in _RATES)
    return f"{need}, and there is none yet: {days_at} a day"
