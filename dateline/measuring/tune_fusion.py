"""Tunes the served fusion over judged sets; each is gathered once."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import orjson

from core.errors import InputError, ModelError
from dateline.archive_folder import archive_folder
from dateline.build.models.served import Models, in_force, load_models
from dateline.build.service import profiles
from dateline.measuring.evaluate import cached_index, check_sets, open_indexed, reader_of
from dateline.settings import Settings
from eval.runs.measures import parse_measure
from eval.sets.datasets import JudgedSet, read_judged_set
from eval.sets.training_sets import TRAINING, measures_only
from eval.tune.cross_validation import folds_of
from eval.tune.fusion.features import SetFeatures, every_top, gather, with_names
from eval.tune.fusion.files import FeatureFile
from eval.tune.fusion.settings import (
    PARAMETERS,
    SECOND,
    FusionSetting,
    Value,
    grid,
    read_parameters,
)
from eval.tune.fusion.tuning import Tuning, tuned
from eval.tune.fusion.values import measured, questions_of
from indexing.ingest import Observer
from search.profiles import Profile

CACHE = "fusion-cache"
APPLIED = {
    "lexical_weight": "lexical_weight",
    "entity_boost": "entity_boost",
    "rerank_depth": "rerank_candidates",
    "rerank_weight": "rerank_weight",
}
Said = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to tune: judged sets, the measure, parameters as `NAME` or `NAME=VALUE,VALUE` (none for
    the default ones), with or without reranking, at most `sample` queries of a set (0 for all).
    """

    sets: tuple[str, ...]
    measure: str = "nDCG@10"
    parameters: tuple[str, ...] = ()
    rerank: bool = False
    folds: int = 5
    seed: int = 1
    sample: int = 0

    def profile(self, settings: Settings) -> str:
        """Return the ranking profile that is tuned: what these settings serve, or the reranking
        one.
        """
        return "hybrid-rerank" if self.rerank else settings.profile


def tune_fusion(
    settings: Settings,
    plan: Plan,
    said: Said = lambda what, done, total: None,
    observer: Observer | None = None,
) -> Tuning:
    """Choose the weights by `plan`; `said` gets the present step and its progress. Raises
    InputError, DocumentError, ModelError, StorageError and QueryError.
    """
    measure = parse_measure(plan.measure)
    values = read_parameters(plan.parameters, rerank=plan.rerank)
    judged = [_sampled(read_judged_set(name), plan) for name in plan.sets]
    check_sets(judged)
    questions = questions_of(judged)
    folds_of(questions, plan.folds, plan.seed)  # fails before any work if there are too few
    models = load_models(settings)
    settings = in_force(settings, models)
    profile = profiles(settings)[plan.profile(settings)]
    shipped = FusionSetting.of(profile)
    values = _of_fields(values, plan, profile)
    if plan.rerank and models.reranker is None:
        why = "; ".join(models.missing) or "no setting names one"
        raise ModelError("there is no reranker", where=why, mend="see `dateline doctor`")
    gathering = _Gathering(settings, profile.name, profile, models, grid(shipped, values))
    features = [gathering.features(one, said, observer) for one in judged]
    values, notes = _without_names(values, features)
    candidates = grid(shipped, values)
    table = measured(
        features, judged, profile, candidates, measure, lambda n, of: said("settings", n, of)
    )
    return tuned(
        table,
        questions,
        [one.label for one in features],
        candidates,
        measure=str(measure),
        names=tuple(values),
        folds=plan.folds,
        seed=plan.seed,
        notes=(*doubts(judged), *notes, *_rerank_doubts(plan)),
    )


def doubts(judged: Sequence[JudgedSet]) -> list[str]:
    """Return the reasons against choosing on these sets, as sentences."""
    labels = [f"{one.name}:{one.split}" for one in judged if measures_only(one)]
    said = (
        f"only there to measure: {', '.join(labels)}. What is chosen on a set must not ship where "
        "figures of that set are published, for no set would be left that did not choose. Weights "
        f"that ship are chosen on {', '.join(TRAINING)}"
    )
    return [said] if labels else []


def settings_to_apply(found: Tuning) -> tuple[dict[str, float | int], list[str]]:
    """Return the changed settings of the recommendation by name, and the changed parameters that
    are not settings.
    """
    changed = [
        name
        for name in PARAMETERS
        if getattr(found.recommended, name) != getattr(found.shipped, name)
    ]
    values = {APPLIED[n]: getattr(found.recommended, n) for n in changed if n in APPLIED}
    return values, [name for name in changed if name not in APPLIED]


@dataclass(frozen=True, slots=True)
class _Gathering:
    """The source of features: kept files, else the pipeline over the set's index."""

    settings: Settings
    name: str
    profile: Profile
    models: Models
    candidates: Sequence[FusionSetting]

    def features(self, judged: JudgedSet, said: Said, observer: Observer | None) -> SetFeatures:
        """Return the features of one set."""
        file = FeatureFile(archive_folder(self.settings) / CACHE, self._key(judged))
        kept = file.read()
        if kept is not None:
            return kept
        with open_indexed(self.settings, judged, observer, self.models) as service:
            found = gather(
                service.pipeline,
                service.engine,
                judged,
                reader_of(judged),
                self.name,
                to_rerank=every_top(self.profile, self.candidates),
                said=lambda n, of: said(f"{judged.name}:{judged.split}", n, of),
            )
        file.write(found)
        return found

    def _key(self, judged: JudgedSet) -> dict[str, Any]:
        """Return everything that the features depend on."""
        reranked = [c for c in self.candidates if c.rerank_weight > 0]
        return {
            "index": cached_index(self.settings, judged, self.models).key.as_dict(),
            "split": judged.split,
            "queries": _digest(list(judged.queries.items())),
            "products": list(judged.conventions.products),
            "tagger": _model(self.models.tagger),
            "depths": [self.profile.lexical_depth, self.profile.vector_depth],
            "fields": list(self.profile.vector_weights),
            "lexical": asdict(self.profile.lexical),
            "names": self.profile.entity_boost > 0,
            "foreign": self.profile.foreign_share < 1,
            "hnsw": {
                name: getattr(self.settings, name)
                for name in type(self.settings).model_fields
                if name.startswith("hnsw_")
            },
            "reranker": _model(self.models.scorer) if reranked else "",
            "rerank_tokens": self.profile.rerank_tokens if reranked else 0,
            "reranked": _digest([c.as_dict() for c in reranked]) if reranked else "",
        }


def _sampled(judged: JudgedSet, plan: Plan) -> JudgedSet:
    """Return the set with at most `plan.sample` of its queries, chosen by the seed."""
    if not 0 < plan.sample < len(judged.queries):
        return judged
    chance = random.Random(plan.seed)  # noqa: S311 - a sample, not a secret
    kept = set(chance.sample(sorted(judged.queries), plan.sample))
    queries = {query: text for query, text in judged.queries.items() if query in kept}
    return replace(judged, queries=queries, qrels={query: judged.qrels[query] for query in queries})


def _of_fields(
    values: Mapping[str, tuple[Value, ...]], plan: Plan, profile: Profile
) -> dict[str, tuple[Value, ...]]:
    """Return the values without those of the second field, if the profile has one field. Raises
    InputError if one of them was asked for.
    """
    of_second = [name for name in values if name in SECOND]
    if len(profile.vector_weights) > 1 or not of_second:
        return dict(values)
    if plan.parameters:
        what = f"profile {profile.name} has one vector field, so there is no {of_second[0]}"
        raise InputError(what, mend="name a second_encoder, or leave the parameter out")
    return {name: tried for name, tried in values.items() if name not in SECOND}


def _without_names(
    values: Mapping[str, tuple[Value, ...]], features: Sequence[SetFeatures]
) -> tuple[dict[str, tuple[Value, ...]], list[str]]:
    """Return the values without those of the name boost, if no candidate has a known name."""
    if "entity_boost" not in values or len(values) == 1 or any(with_names(features).values()):
        return dict(values), []
    note = (
        "entity_boost was not tuned: no candidate of any query has one of its known names, because "
        "the documents of these sets have no fields for persons, organisations and places"
    )
    return {name: tried for name, tried in values.items() if name != "entity_boost"}, [note]


def _rerank_doubts(plan: Plan) -> list[str]:
    if not plan.rerank:
        return []
    said = (
        "a reranker does better on queries that it learned from than on others; where these sets "
        "are among them (see its model card), the weight that is best here is too high elsewhere"
    )
    return [said]


def _model(model: object) -> str:
    """Return a model's digest, or its class if it has none; "" for no model."""
    return "" if model is None else str(getattr(model, "digest", type(model).__name__))


def _digest(tree: object) -> str:
    return hashlib.sha256(orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)).hexdigest()
