"""Clicks of made readers, who look less at lower ranks: what they looked at and liked is found."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from core.customers.use import Action, Event, LoggedQuery
from eval.judging.clicks import Shown, fit, impressions

LOOK = np.array([1.0, 0.7, 0.5, 0.35, 0.25, 0.2])
NOW = datetime(2026, 3, 18, tzinfo=UTC)


def clicked(times: int, seed: int = 7) -> tuple[list[Shown], dict[tuple[str, str], float]]:
    """What 40 queries showed: the better of six documents stand higher mostly, as in a real list,
    and each query is asked `times` times.
    """
    rng = np.random.default_rng(seed)
    counts: dict[tuple[tuple[str, str], int], list[int]] = {}
    true: dict[tuple[str, str], float] = {}
    for query in range(40):
        like = rng.uniform(0.02, 0.9, len(LOOK))
        true |= {(f"q{query}", f"d{number}"): like[number] for number in range(len(LOOK))}
        for _ in range(times):
            order = np.argsort(-(like + rng.normal(0, 0.3, len(LOOK))))
            clicks = rng.random(len(LOOK)) < LOOK * like[order]
            for rank, (number, click) in enumerate(zip(order, clicks, strict=True), start=1):
                count = counts.setdefault(((f"q{query}", f"d{number}"), rank), [0, 0])
                count[0] += 1
                count[1] += int(click)
    return [Shown(pair, rank, n, c) for (pair, rank), (n, c) in counts.items()], true


def test_the_bias_of_positions_is_recovered() -> None:
    shown, true = clicked(300)
    model = fit(shown)
    assert np.abs(model.look - LOOK).max() < 0.05
    found = np.array([model.like[pair] for pair in true])
    wanted = np.array([*true.values()])
    rates = {pair: [0, 0] for pair in true}
    for row in shown:
        rates[row.pair][0] += row.clicked
        rates[row.pair][1] += row.shown
    plain = np.array([c / n for c, n in rates.values()])
    assert np.abs(found - wanted).mean() < 0.05
    assert np.abs(plain - wanted).mean() > 0.15  # what clicks alone say
    assert model.moved > 0.9


def test_few_looks_give_no_grade_and_no_click_gives_0() -> None:
    rows = [Shown(("q", "seen"), 1, 50, 30), Shown(("q", "bad"), 2, 50, 0)]
    rows += [Shown(("q", "seen"), 2, 50, 20), Shown(("q", "rare"), 1, 2, 2)]
    grades = fit(rows).grades()
    assert grades == {"q": {"seen": 2, "bad": 0}}
    assert fit([]).grades() == {}


def test_what_is_kept_without_words_counts_for_nothing() -> None:
    made = LoggedQuery("1", NOW, 1, "c", "q", "hybrid", ("u1", "u2"), 2, 1.0, words="ferry")
    hidden = LoggedQuery("2", NOW, 1, "c", "q", "hybrid", ("u1", "u2"), 2, 1.0)
    click = Event("1", "u2", Action.CLICK, NOW, 2)
    found = impressions([made, hidden, LoggedQuery(*_values(made), events=(click,))])
    assert sorted((row.pair[1], row.rank, row.shown, row.clicked) for row in found) == [
        ("u1", 1, 2, 0),
        ("u2", 2, 2, 1),
    ]


def _values(query: LoggedQuery) -> list[object]:
    return [getattr(query, name) for name in LoggedQuery.__slots__ if name != "events"]
