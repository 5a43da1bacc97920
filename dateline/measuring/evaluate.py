"""Evaluation of the served pipeline over judged sets; each set is indexed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from core.callers import Caller, folded
from core.errors import InputError, StorageError
from core.items import Item
from dateline.archive_folder import archive_folder
from dateline.build.models.served import Models, in_force, load_models
from dateline.build.service import Service, build_service, own_passages, profiles
from dateline.measuring.provenance import system_of
from dateline.settings import Settings
from eval.runs.answering import PipelineAnswers
from eval.runs.candidates import known_items, write_candidates
from eval.runs.measures import DEFAULT_MEASURES, VIEWS
from eval.runs.results import RunResult
from eval.runs.runner import DEPTH, evaluate_answers
from eval.sets.cache import CachedIndex, CacheKey, documents_to_index
from eval.sets.datasets import Conventions, JudgedSet, read_judged_set
from indexing.ingest import IngestOptions, Observer
from search.answers import DateUse, EntityUse

CACHE = "eval-cache"
LOOKED_AT, _TOLD = 1000, 5  # documents whose products are counted, and products that are told
_SHAPING = ("hnsw_m", "hnsw_ef_construction")  # settings that shape an index
# These are part of the key only if they are not the default, so that older indexes stay valid.
_SHAPING_IF_SET = ("hnsw_implementation", "hnsw_precision")


@dataclass(frozen=True, slots=True)
class RunPlan:
    """How to run: a profile and its changed fields (see `profile_changes`), how many documents a
    query, which measures, the system's name ("": by its profile), how many queries at once, and the
    use of dates (None: as each set says) and names in queries.
    """

    profile: str
    changes: Mapping[str, str] = field(default_factory=dict)
    depth: int = DEPTH
    measures: Sequence[str] = (*DEFAULT_MEASURES, *VIEWS)
    name: str = ""
    clients: int = 1
    dates: DateUse | None = None
    entities: EntityUse = EntityUse.BOOST

    def asking(self, judged: JudgedSet) -> JudgedSet:
        """Return the set with the plan's use of dates in queries."""
        if self.dates is None:
            return judged
        dated = self.dates is DateUse.FILTER
        return replace(judged, conventions=replace(judged.conventions, dated=dated))

    @property
    def requests(self) -> Mapping[str, str]:
        """What each request says beside its query if the plan changes it; for the record."""
        told = {"request.dates": self.dates.value} if self.dates is not None else {}
        if self.entities is not EntityUse.BOOST:
            told["request.entities"] = self.entities.value
        return told


def evaluate_folder(
    settings: Settings,
    folder_and_split: str,
    profile: str,
    observer: Observer | None = None,
    *,
    conventions: Conventions | None = None,
    depth: int = DEPTH,
    measures: Sequence[str] = DEFAULT_MEASURES,
) -> RunResult:
    """Return the scores of `profile` on a judged set; `observer` gets the progress of the ingest,
    which only the first run over a set needs. Raises InputError, DocumentError, ModelError,
    SettingsError, StorageError and QueryError.
    """
    judged = read_judged_set(folder_and_split, conventions)
    plan = RunPlan(profile, depth=depth, measures=measures)
    return run_set(settings, judged, plan, observer)


def run_set(
    settings: Settings,
    judged: JudgedSet,
    plan: RunPlan,
    observer: Observer | None = None,
    *,
    models: Models | None = None,
    said: Callable[[int, int], None] = lambda done, total: None,
) -> RunResult:
    """Return the scores of every judged query through the served pipeline; `said` gets the number
    of finished queries. Raises as `evaluate_folder` does.
    """
    models = models or load_models(settings)
    settings = in_force(settings, models).model_copy(update={"profile": plan.profile})
    profile = profiles(settings, plan.changes)[plan.profile]
    with open_indexed(settings, judged, observer, models, plan.changes) as service:
        cached = cached_index(settings, judged, service.models)
        name = plan.name or plan.profile
        system = system_of(settings, profile, service.models, name=name, index=cached.key.digest)
        system = replace(system, settings={**system.settings, **plan.requests})
        answering = PipelineAnswers(
            service.pipeline, plan.profile, reader_of(judged), plan.entities
        )
        found = evaluate_answers(
            answering,
            plan.asking(judged),
            system,
            plan.depth,
            plan.measures,
            clients=plan.clients,
            said=said,
        )
        notes = _notes(judged, cached.report() or {}, service.models)
        if not any(row.documents for row in found.rows):
            notes += hidden_from(islice(service.engine.all_items(), LOOKED_AT), reader_of(judged))
    return replace(found, notes=(*found.notes, *notes))


def check_sets(judged: Sequence[JudgedSet]) -> None:
    """Raise InputError for a set that is named twice."""
    labels = [f"{one.name}:{one.split}" for one in judged]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(f"{label} is named twice", mend="name each set once")


def candidates_of(
    settings: Settings,
    folder_and_split: str,
    output: Path,
    *,
    profile: str,
    depth: int,
    titles: int = 0,
    observer: Observer | None = None,
    said: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Write what a reranker would get for each query (see `eval.runs.candidates`), or for `titles`
    of the collection's own titles; return how many lists. Raises as `evaluate_folder` does.
    """
    judged = read_judged_set(folder_and_split)
    if titles:
        judged = known_items(judged, titles, seed=1)
    with open_indexed(settings, judged, observer) as service:
        return write_candidates(
            service.pipeline,
            judged,
            reader_of(judged),
            output,
            profile=profile,
            depth=depth,
            said=said,
        )


@contextmanager
def open_indexed(
    settings: Settings,
    judged: JudgedSet,
    observer: Observer | None = None,
    models: Models | None = None,
    changes: Mapping[str, str] | None = None,
) -> Iterator[Service]:
    """Yield the service over the collection's own index, which is made or completed if needed; its
    projections are compacted, as an idle service's are. `changes` are fields of the settings'
    profile.
    """
    models = models or load_models(settings)
    cached = cached_index(settings, judged, models)
    cached.folder.mkdir(parents=True, exist_ok=True)
    inner = settings.with_archive_in(cached.folder)
    service = build_service(inner, models=models, background=False, changes=changes or {})
    try:
        if cached.report() is None:
            cached.complete(_index(service, judged, cached, observer))
        service.engine.catch_up()
        yield service
    finally:
        service.close()


def cached_index(settings: Settings, judged: JudgedSet, models: Models) -> CachedIndex:
    """Return the place of the collection's index."""
    shaping = {name: getattr(settings, name) for name in _SHAPING}
    for name in _SHAPING_IF_SET:
        known = Settings.model_fields.get(name)
        if known is not None and getattr(settings, name) != known.default:
            shaping[name] = getattr(settings, name)
    if models.second is not None:
        shaping["second_encoder"] = models.second.digest
        shaping |= dict.fromkeys(own_passages(models), "passages of its own")
    key = CacheKey.of(judged, models.encoder.digest, shaping)
    return CachedIndex(archive_folder(settings) / CACHE, key)


def reader_of(judged: JudgedSet) -> Caller:
    """Return the caller that the judgements were made for."""
    return Caller("evaluation", frozenset(judged.conventions.products))


def hidden_from(items: Iterable[Item], reader: Caller) -> list[str]:
    """Return a note on the products that hide documents from the reader of the judgements, if they
    hide all of them.
    """
    held = folded(reader.products)
    theirs = Counter(product for item in items for product in item.products or ("none",))
    if not theirs or held & folded(theirs):
        return []
    reads = ", ".join(sorted(reader.products))
    told = ", ".join(f"{name} ({count:,})" for name, count in theirs.most_common(_TOLD))
    mend = 'name the products to read in dataset.json, as {"products": [...]}'
    return [f"the caller of the run reads {reads}, and the documents are in {told}: {mend}"]


def _index(
    service: Service, judged: JudgedSet, cached: CachedIndex, observer: Observer | None
) -> Mapping[str, Any]:
    """Ingest the collection and build its projections. Raises StorageError if that ended early: a
    part of a collection must not be measured as the whole.
    """
    path = documents_to_index(judged, cached)
    products = () if not judged.uri_prefix else judged.conventions.products
    report = service.ingest.run([path], IngestOptions(products=products), observer)
    if report.stopped_by is not None:
        raise report.stopped_by
    if report.interrupted:
        raise StorageError("the index is not whole", mend="run it again; it goes on from there")
    service.engine.catch_up()
    service.engine.compact()
    return report.as_dict()


def _notes(judged: JudgedSet, report: Mapping[str, Any], models: Models) -> list[str]:
    """Return notes on what the index lacks, and on models that could not be loaded."""
    rejected = report.get("rejected", 0)
    notes = [f"{rejected} documents could not be indexed"] if rejected else []
    if judged.conventions.body_only:
        notes.append("titles are left out of the index")
    return notes + [f"not loaded: {missing}" for missing in models.missing]
