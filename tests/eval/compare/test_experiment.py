"""What an experiment found, from made queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from core.customers.experiments import Experiment, Way
from core.customers.use import Action, Event, LoggedQuery
from eval.compare.drift import weeks
from eval.compare.experiment import FIRST_QUERIES, MOST_VOTES, find, length_said

START = datetime(2026, 3, 16, tzinfo=UTC)  # a Monday
NOW = START + timedelta(days=20)
MIXED = Experiment("weights", Way.INTERLEAVE, "hybrid", 0, 1, START)
GROUPS = Experiment("weights", Way.AB, "hybrid", 0, 1, START)
HITS = ("u1", "u2", "u3")


def asked(number: int, place: int = 0, **more: object) -> LoggedQuery:
    """A query that had a click on the hit at `place`, of another caller each time."""
    at = START + timedelta(minutes=20 * number)
    values = {"teams": "=ab", "experiment": "weights", "caller": f"c{number}", **more}
    clicks = (Event(f"q{number}", "u", Action.CLICK, at + timedelta(minutes=1), place),)
    return LoggedQuery(
        id=f"q{number}",
        at=at,
        period=1,
        query=str(values.pop("query", number)),
        profile="hybrid",
        hits=HITS,
        total=3,
        milliseconds=float(number),
        events=clicks if place else (),
        **values,  # type: ignore[arg-type]
    )


def test_a_vote_is_the_first_click_on_what_one_of_them_put() -> None:
    queries = [asked(1, 3), asked(2, 3), asked(3, 2), asked(4, 1), asked(5), asked(6, 9)]
    queries.append(asked(7, 3, experiment="other"))
    found = find(MIXED, queries, NOW)
    assert (found.wins, found.losses, found.queries) == (2, 1, 6)
    assert found.verdict == "open"
    assert found.days_left is not None


def test_the_same_again_on_a_day_is_one_vote_and_nobody_decides_alone() -> None:
    again = [asked(n, 3, caller="ada", query="ferry") for n in range(5)]
    assert find(MIXED, again, NOW).wins == 1
    busy = [asked(n, 3, caller="ada") for n in range(MOST_VOTES + 7)]
    assert find(MIXED, busy, NOW).wins == MOST_VOTES


def test_many_votes_for_one_side_decide() -> None:
    found = find(MIXED, [asked(n, 3 if n % 5 else 2) for n in range(100)], NOW)
    assert (found.verdict, found.wins) == ("candidate", 80)
    assert 0.6 < found.interval[0] < 0.8 < found.interval[1] < 0.95
    assert [units for _, units, _ in found.daily] == [72, 100]
    assert find(MIXED, [asked(n, 2) for n in range(40)], NOW).verdict == "base"


def test_without_traffic_it_says_how_long_it_would_need() -> None:
    nothing = find(MIXED, [], NOW)
    assert nothing.days_left is None
    assert "127 days at 10" in length_said(nothing, 0)
    assert "13 days" in length_said(nothing, 100)
    assert "a day" in length_said(find(GROUPS, [], NOW), 100)
    some = find(MIXED, [asked(n, 3 if n % 2 else 2) for n in range(60)], NOW)
    assert f"{some.days_left:,} days more" in length_said(some, 0)


def caller(name: int, share: float, *, candidate: bool) -> list[LoggedQuery]:
    """Ten queries of a caller in a group, of which the first so many were clicked."""
    arm = GROUPS.candidate_name if candidate else GROUPS.base_name
    more = {"unit": f"u{name}", "arm": arm, "teams": ""}
    clicked = share * FIRST_QUERIES
    return [asked(10 * name + n, int(n < clicked), **more) for n in range(FIRST_QUERIES)]


def test_a_caller_is_one_value_whatever_it_clicks() -> None:
    rng = np.random.default_rng(1)
    queries: list[LoggedQuery] = []
    for name in range(120):
        candidate = bool(rng.integers(0, 2))
        queries += caller(name, 0.8 if candidate else 0.3, candidate=candidate)
    queries += caller(999, 1.0, candidate=True)[:-1]  # not enough of it yet
    found = find(GROUPS, queries, NOW)
    assert found.units == 120
    assert found.means == pytest.approx((0.8, 0.3))
    assert found.verdict == "candidate"
    late = [query for query in queries if query.unit == "u0"]
    assert find(GROUPS, late, late[-1].at + timedelta(minutes=30)).units == 0  # may be clicked yet


def test_weeks_have_their_own_figures() -> None:
    queries = [asked(n, 1 if n % 2 else 2, unknown=n % 4 == 0) for n in range(700)]
    found = weeks(queries)
    assert [f"{week.start:%Y-%m-%d}" for week in found] == ["2026-03-16", "2026-03-23"]
    assert [week.queries for week in found] == [504, 196]
    assert found[0].clicks_at_1 == 0.5
    assert found[0].unknown_names == 0.25
    assert found[0].zero_results == 0
    assert (found[0].p50_ms, found[1].p50_ms) == (251.5, 601.5)
