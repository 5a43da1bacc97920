"""Every query's value under every setting: weighs and scores gathered features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from eval.runs.measures import Measure, per_query
from eval.runs.runner import DEPTH
from eval.sets.datasets import JudgedSet
from eval.tune.cross_validation import Questions, Values, groups_by_document
from eval.tune.fusion.features import QueryFeatures, SetFeatures, documents_of, served_orders
from eval.tune.fusion.settings import FusionSetting
from search.profiles import Profile

_LARGEST_GROUP = 0.2  # share of a set


def measured(
    features: Sequence[SetFeatures],
    judged: Sequence[JudgedSet],
    profile: Profile,
    settings: Sequence[FusionSetting],
    measure: Measure,
    said: Callable[[int, int], None] = lambda done, total: None,
) -> Values:
    """Return float64 [queries, settings]; the queries go set by set."""
    values = np.zeros((sum(len(one.queries) for one in features), len(settings)))
    depth = DEPTH if measure.condensed else measure.cutoff or DEPTH
    fusing: dict[FusionSetting, list[int]] = {}
    for column, setting in enumerate(settings):
        fusing.setdefault(setting.without_rerank(), []).append(column)
    for number, (setting, columns) in enumerate(fusing.items()):
        said(number, len(fusing))
        applied = setting.applied(profile)
        chosen = [settings[column] for column in columns]
        start = 0
        for one, source in zip(features, judged, strict=True):
            rows = slice(start, start + len(one.queries))
            orders = [served_orders(query, applied, chosen) for query in one.queries]
            for place, column in enumerate(columns):
                run = {
                    query.query_id: documents_of(query, one.names, order[place], depth)
                    for query, order in zip(one.queries, orders, strict=True)
                }
                values[rows, column] = _values(one.queries, source, run, measure)
            start = rows.stop
    said(len(fusing), len(fusing))
    return values


def questions_of(judged: Sequence[JudgedSet]) -> Questions:
    """Return the sets and groups of the queries, in the order of `measured`. Splits of one
    collection share documents, so their groups are made together.
    """
    together: dict[str, dict[tuple[int, str], Mapping[str, int]]] = {}
    for number, one in enumerate(judged):
        mine = together.setdefault(one.name, {})
        mine |= {(number, query): one.qrels[query] for query in one.queries}
    numbers: dict[tuple[int, str], int] = {}
    for qrels in together.values():
        first = len(set(numbers.values()))
        numbers |= {query: first + group for query, group in groups_by_document(qrels).items()}
    asked = [(number, query) for number, one in enumerate(judged) for query in one.queries]
    sets = np.array([number for number, _ in asked], np.int64)
    return Questions(sets, np.array([numbers[query] for query in asked], np.int64))


def _values(
    queries: Sequence[QueryFeatures],
    source: JudgedSet,
    run: Mapping[str, tuple[str, ...]],
    measure: Measure,
) -> Values:
    qrels = {query.query_id: source.qrels[query.query_id] for query in queries}
    rows = per_query([measure], qrels, run)
    return np.array([rows[query.query_id][str(measure)] for query in queries], np.float64)


def uneven_sets(questions: Questions, labels: Sequence[str]) -> list[str]:
    """Return sentences on sets with a group so large that the folds are uneven."""
    said = []
    for number, label in enumerate(labels):
        _, sizes = np.unique(questions.groups[questions.sets == number], return_counts=True)
        if len(sizes) and sizes.max() > _LARGEST_GROUP * sizes.sum():
            said.append(
                f"{label}: {sizes.max()} of {sizes.sum()} queries hang together by documents that "
                "several of them have, and stay in one fold"
            )
    return said
