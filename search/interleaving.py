"""Two profiles fill one list in turns, so that clicks say which one is preferred.

Team draft (F. Radlinski, M. Kurup, T. Joachims, How does clickthrough data reflect retrieval
quality?, 2008): in each round a coin says who begins, and each in turn puts its best story that is
not in the list yet. What both have in the same order from the top on is put by neither: a click
there says nothing, and would only add noise.

Both profiles rank the same candidates, so the mixed list has the same total, facets and cursor as
either alone. That is why a rival may differ only in what happens after retrieval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np

from core.errors import InputError
from core.retrieval import Ids
from search.profiles import Profile
from search.ranking import Weighed
from search.retrieval import Evidence

BOTH, BASE, RIVAL = 0, 1, 2  # who put a story
LETTERS = "=ab"
DRAFTED = 100  # stories below the common top; the rest keeps the base's order
AFTER_RETRIEVAL = frozenset(
    {
        *("name", "lexical_weight", "vector_weights", "vector_starts", "fusion", "entity_boost"),
        *("rerank_depth", "rerank_weight", "rerank_tokens", "deadline_ms"),
        *("recency_half_life_days", "recency_floor"),
    }
)


def check_rivals(base: Profile, rival: Profile) -> None:
    """Raise InputError if the two would not retrieve the same candidates."""
    changed = {f.name for f in fields(Profile) if getattr(base, f.name) != getattr(rival, f.name)}
    before = sorted(changed - AFTER_RETRIEVAL)
    if not before and _asked(base) != _asked(rival):
        before = ["which retrievers have a weight of 0"]
    if before:
        what = f"one list can't be mixed: the versions differ in {', '.join(before)}"
        mend = "compare them by callers (--ab), or change only what ranks"
        raise InputError(what, mend=mend)


def _asked(profile: Profile) -> tuple[bool, frozenset[str], bool]:
    """Return what decides who is asked: words, vector fields, names."""
    named = frozenset(name for name, weight in profile.vector_weights.items() if weight > 0)
    return profile.lexical_weight > 0, named, profile.entity_boost > 0


def ranked_by(evidence: Evidence, rival: Profile) -> Evidence:
    """Return the same candidates, to be weighed by another profile."""
    found = evidence.found
    weights = rival.vector_weights
    vectors = tuple(replace(p, weight=weights.get(p.field, 0.0)) for p in found.vectors)
    question = replace(evidence.question, profile=rival)
    return replace(evidence, question=question, found=replace(found, vectors=vectors))


def mixed(base: Weighed, rival: Weighed, stories: Ids, seed: int) -> Weighed:
    """Return the base's candidates in a drafted order, with who put each of them. `stories` int64
    [m] has a number for each candidate's story; both have the same candidates.
    """
    first, second = (_tops(one.ranking.order, stories) for one in (base, rival))
    drafted, teams = team_draft([*first], [*second], np.random.default_rng(seed))
    tops = (second if team == RIVAL else first for team in teams)
    places: Ids = np.array([top[s] for top, s in zip(tops, drafted, strict=True)], np.int64)
    rest = base.ranking.order[~np.isin(base.ranking.order, places)]
    marks: Ids = np.zeros(len(stories), np.int64)
    marks[places] = teams
    order: Ids = np.concatenate([places, rest])
    return replace(base, ranking=replace(base.ranking, order=order), teams=marks)


def _tops(order: Ids, stories: Ids) -> dict[int, int]:
    """Return the best place of each story, by its number, the best first."""
    found: dict[int, int] = {}
    for place, story in zip(order.tolist(), stories[order].tolist(), strict=True):
        found.setdefault(story, place)
    return found


def team_draft(
    first: Sequence[int], second: Sequence[int], rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Return the top of a mixed list, and who put each of its stories. Both rankings have the same
    stories.
    """
    common = 0
    while common < len(first) and first[common] == second[common]:
        common += 1
    mixed, teams = list(first[:common]), [BOTH] * common
    taken, at, picks = set(mixed), [common, common], [0, 0]
    coins = rng.integers(0, 2, DRAFTED).tolist()
    while len(mixed) < min(len(first), common + DRAFTED):
        even = picks[0] == picks[1]
        turn = coins[len(mixed) - common] if even else int(picks[1] < picks[0])
        ranking = (first, second)[turn]
        while ranking[at[turn]] in taken:
            at[turn] += 1
        story = ranking[at[turn]]
        taken.add(story)
        mixed.append(story)
        teams.append(RIVAL if turn else BASE)
        picks[turn] += 1
    return mixed, teams
