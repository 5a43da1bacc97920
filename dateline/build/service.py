"""Composition of the service: only the `build` modules name concrete classes. Serving, evaluation
and the command line get their parts here, so evaluation measures what is served.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from core.audit import AuditEntry, AuditHead
from core.callers import NOBODY
from core.customers.experiments import VersionBook
from core.errors import ModelError, SettingsError, StorageError
from core.ports.engine import Clock
from core.ports.models import Embedder, TextEncoder, TextMeter
from customers.audited import AuditedWriter, AuditTrail
from customers.profile_versions import VersionedProfiles
from dateline.build.engine import (
    LOOKS_FIELD,
    SECOND_FIELD,
    VECTOR_FIELD,
    ServedEngine,
    build_engine,
    following_fields,
    query_encoders,
    vector_fields,
)
from dateline.build.looks import Sight, looker_of, looks_embedders
from dateline.build.models.runtimes import LOOKING_SERVICE, model_store
from dateline.build.models.served import Models, in_force, load_models, manifest_of
from dateline.build.record import SharedLists, open_lists
from dateline.measuring.profile_changes import changed_profile
from dateline.settings import Settings
from indexing.embedding import SeveralEmbedders, Told, embed_lacking
from indexing.ingest import Ingest
from indexing.passages import PassageEmbedder, PassageSplitter
from indexing.supplied_vectors import Space, Spaces
from search.floor import read_floors, shipped_floors
from search.kept_candidates import CandidateStore, SharedCandidateStore
from search.pipeline import Parts, SearchPipeline
from search.profiles import Profile, no_such_profile, standard_profiles
from search.understanding.editorial import EditorsFile, no_rules
from search.understanding.encoder_languages import MANY
from search.understanding.spelling import Doubt
from search.understanding.understand import Understanding
from storage.embedded.record import copies
from storage.record.steady_clock import SteadyClock
from storage.words.text_analysis import Analysis
from storage.words.told_languages import language_of_query

if TYPE_CHECKING:
    from storage.customers.experiments import StoredExperiments
    from storage.databases import Database


class LateDatabase:
    """The customers' database, opened when it is first asked for: a command that only searches an
    archive without customers loads no SQLAlchemy. Thread-safe.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opening = Lock()
        self._database: Database | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is one, open or not."""
        files = self._settings.data / copies.CUSTOMERS
        remote = bool(self._settings.record.get_secret_value())
        return remote or self._database is not None or files.exists()

    def opened(self) -> Database:
        """Return the database, open. Raises StorageError."""
        from dateline.build.customers.accounts import open_customers

        with self._opening:  # the first searches come together
            if self._database is None:
                self._database = open_customers(self._settings)
            return self._database

    def close(self) -> None:
        """Close the database."""
        if self._database is not None:
            self._database.close()


class LateAudit:
    """The audit log, in a database that is opened for the first entry: an archive without customers
    has none until something is hidden.
    """

    def __init__(self, database: LateDatabase) -> None:
        self._database = database

    def append(self, entries: Sequence[AuditEntry]) -> AuditHead:
        """Add entries, durable when it returns. Raises StorageError."""
        from storage.customers.audit import StoredAudit

        return StoredAudit(self._database.opened()).append(entries)


class LateVersions:
    """The versions of profiles, whose database is opened once there is one."""

    def __init__(self, database: LateDatabase) -> None:
        self._database = database
        self._stored: StoredExperiments | None = None

    def book(self) -> VersionBook:
        """Return the versions now. Raises StorageError."""
        if not self._database.is_there:
            return VersionBook()
        from storage.customers.experiments import StoredExperiments

        stored = self._stored or StoredExperiments(self._database.opened())
        self._stored = stored  # two threads may have made one each, which does no harm
        return stored.book()


_PASSAGE_TOKENS = 256  # the most that encoders get of a passage and its headline that they share
_OWN_TOKENS = 400  # the desired size of a passage that one encoder alone reads
_PREFIX_TOKENS = 8  # for the words that a model's makers put before a passage
_NO_CHANGES: Mapping[str, str] = {}


def archive_clock(settings: Settings) -> SteadyClock:
    """Return the clock of the settings' archive; one clock for all callers in this process."""
    return _clock_in(settings.data.absolute())


@cache
def _clock_in(folder: Path) -> SteadyClock:
    return SteadyClock(folder)


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that runs in one process; `close` ends it."""

    settings: Settings
    models: Models
    engine: ServedEngine
    pipeline: SearchPipeline
    writer: AuditedWriter
    ingest: Ingest
    trail: AuditTrail
    rules: EditorsFile | None = None
    lists: SharedLists | None = None
    profiles: VersionedProfiles | None = None

    def close(self) -> None:
        """End background work and close every file."""
        if self.lists is not None:
            self.lists.close()
        self.trail.close()
        self.engine.close()

    def status(self) -> Mapping[str, Any]:
        """Return counts, lags and models, as values for JSON."""
        engine = self.engine.status()
        lag = engine["last_change"] - engine["applied_change"]
        vectors = engine["vectors"]
        return {
            "items": engine["versions"],
            "visible": engine["visible"],
            "passages": max(sum(v["segments"]) + v["tail"] for v in vectors.values()),
            "projections": {
                "columns": {"lag": lag},
                "lexical": {"lag": lag + engine["lexical"]["pending"], **engine["lexical"]},
                "vectors": {"lag": lag, **vectors},
            },
            "models": self._models(),
            "clock": {"held_seconds": archive_clock(self.settings).held_s},
            "engine": engine,
            "editorial": None if self.rules is None else self.rules.status(),
            "cursors": self._cursors(),
        }

    def _cursors(self) -> Mapping[str, Any]:
        if self.lists is None:
            return {"kept": "memory", "failure": ""}
        return {"kept": "shared", "failure": self.lists.failure}

    def _models(self) -> Mapping[str, Any]:
        second = self.models.second
        named = {} if second is None else {"second_encoder": second.name}
        missing = list(self.models.missing)
        return {"encoder": self.models.encoder.name, **named, "missing": missing}

    def lacking(self) -> Mapping[str, int]:
        """Return the vector fields that do not cover every visible item yet, with how many lack."""
        found = {name: part["lacking"] for name, part in self.engine.status()["vectors"].items()}
        return {name: count for name, count in found.items() if count}

    def vector_spaces(self) -> Spaces:
        """Return the vector fields whose vectors may come with documents."""
        fields = vector_fields(self.models).items()
        return {name: Space(encoder.digest, encoder.dimension) for name, encoder in fields}

    def embed_lacking(self, told: Told) -> Mapping[str, int]:
        """Embed the recorded items that lack vectors of an encoder in use, together with other
        processes that do so; `told` gets the progress. Return how many items each field got.
        """
        from dateline.build.customers.accounts import open_customers  # nothing else here needs it
        from storage.work.parts import StoredParts

        embedders: dict[str, Embedder] = {
            name: PassageEmbedder(
                passage_splitter(self.models, name), [(name, encoder)], _meters(self.models)
            )
            for name, encoder in vector_fields(self.models).items()
        }
        looker = looker_of(self.settings, self.models)
        embedders |= dict(zip((LOOKS_FIELD,), looks_embedders(self.settings, looker), strict=False))
        parts = StoredParts(open_customers(self.settings, synced=False))
        try:
            return embed_lacking(self.engine, embedders, told, parts=parts)
        finally:
            parts.close()

    def ready(self) -> tuple[bool, str]:
        """Return whether searches can be answered and everything killed is hidden everywhere."""
        try:
            self.engine.record.last_change()  # each search asks the record
        except StorageError as error:
            return False, f"the record of truth does not answer: {error}"
        here = self.engine.record.unsettled.here
        if here:
            return False, f"{here} changes of state are in force in this process only"
        pending = self.engine.pending
        if pending > 1000:
            return False, f"the lexical index is {pending} documents behind"
        return True, ""


def own_passages(models: Models) -> tuple[str, ...]:
    """Return the vector fields that have their own passages: the field of a second encoder for many
    languages. The first encoder's tokenizer knows English, and cuts words of other languages into
    so many tokens that its passages are half as long.
    """
    second = models.second
    many = second is not None and MANY in manifest_of(second).languages
    return (SECOND_FIELD,) if many else ()


def passage_splitter(models: Models, field: str = VECTOR_FIELD) -> PassageSplitter:
    """Return the splitter of a field's passages. Those that fields share are read whole by every
    encoder; those of one field are as long as its encoder reads.
    """
    if models.second is not None and field in own_passages(models):
        longest = manifest_of(models.second).max_tokens - _PREFIX_TOKENS
        path = models.second.tokenizer_path
        return PassageSplitter(path, capacity=_OWN_TOKENS, max_tokens=longest)
    longest = min(_PASSAGE_TOKENS, models.longest_text)
    return PassageSplitter(models.encoder.tokenizer_path, max_tokens=longest)


def passage_embedder(
    models: Models, around: Callable[[TextEncoder], TextEncoder] | None = None
) -> Embedder:
    """Return an embedder for every vector field; `around` wraps each encoder."""
    fields = [(n, e if around is None else around(e)) for n, e in vector_fields(models).items()]
    own = own_passages(models)
    shared = [each for each in fields if each[0] not in own]
    first = PassageEmbedder(passage_splitter(models), shared, _meters(models))
    apart = [PassageEmbedder(passage_splitter(models, n), [(n, e)]) for n, e in fields if n in own]
    return SeveralEmbedders((first, *apart)) if apart else first


def every_embedder(models: Models, looks: Sequence[Embedder] = ()) -> Embedder:
    """Return `passage_embedder`, together with those of `looks`; during a migration, together with
    the next encoder's.
    """
    others = (*looks, *following_embedders(models))
    first = passage_embedder(models)
    return SeveralEmbedders((first, *others)) if others else first


def following_embedders(models: Models) -> list[PassageEmbedder]:
    """Return embedders for the encoder that the archive moves to, with its own passages."""
    following = models.following
    if following is None:
        return []
    longest = min(_PASSAGE_TOKENS, manifest_of(following).max_tokens)
    splitter = PassageSplitter(following.tokenizer_path, max_tokens=longest)
    return [PassageEmbedder(splitter, list(following_fields(models).items()))]


def _meters(models: Models) -> dict[str, TextMeter]:
    meters = zip(vector_fields(models), models.own_meters, strict=True)
    own = own_passages(models)
    return {name: meter for name, meter in meters if meter is not None and name not in own}


def build_service(
    settings: Settings,
    *,
    models: Models | None = None,
    clock: Clock | None = None,
    background: bool = True,
    changes: Mapping[str, str] = _NO_CHANGES,
    share_cursors: bool = False,
    index: str = "",
    follows: bool = False,
) -> Service:
    """Return the whole service in this process; `changes` are fields of the settings' profile.
    Cursors are shared with other processes of the archive if `share_cursors` and the settings allow
    it. `index` names one index on OpenSearch to ask instead of the served one. A service that
    `follows` leaves the archive's indexes to another process of this machine.
    """
    rules = EditorsFile(settings.editorial) if settings.editorial not in (None, Path()) else None
    models = models or load_models(settings)
    settings = in_force(settings, models)
    clock = clock or archive_clock(settings)
    engine = build_engine(
        settings, models, clock, background=background, index=index, follows=follows
    )
    if models.tagger is not None:
        engine.known((), NOBODY)  # reads the archive's names before the first query asks
    shared = share_cursors and settings.cursors == "shared"
    lists = open_lists(settings, engine.record) if shared else None
    analysis = Analysis()
    customers = LateDatabase(settings)
    versions = LateVersions(customers)
    plain = profiles(settings, changes)
    read = VersionBook if changes else versions.book  # who tries changes tries no others
    ranked = VersionedProfiles(plain, read, changed_profile)
    parts = Parts(
        engine=engine,
        encoders=query_encoders(engine, models),
        understanding=Understanding(
            models.tagger,
            engine,
            clock=clock,
            languages=models.languages,
            tagger_missing=models.not_loaded("tagger"),
            told_by=language_of_query,
        ),
        analysis=analysis,
        languages=dict(zip(vector_fields(models), models.every_language, strict=True)),
        profiles=ranked,
        default_profile=settings.profile,
        reranker=models.reranker,
        reranker_missing=models.not_loaded("reranker"),
        clock=clock,
        editorial=rules or no_rules,
        doubt=Doubt(settings.spelling_few) if settings.spelling_few >= 0 else None,
        floors=shipped_floors() if settings.floor is None else read_floors(settings.floor),
        asks_cluster=settings.engine == "opensearch",
        sees=None if models.pictures is None else Sight(settings, models.pictures),
        candidates=CandidateStore() if lists is None else SharedCandidateStore(lists),
    )
    freeze_loaded()
    trail = AuditTrail(LateAudit(customers), clock, customers.close)
    writer = AuditedWriter(engine, trail)
    embedder = every_embedder(models, looks_embedders(settings, looker_of(settings, models)))
    ingest = Ingest(writer, embedder, clock, settings.default_products)
    pipeline = SearchPipeline(parts)
    return Service(settings, models, engine, pipeline, writer, ingest, trail, rules, lists, ranked)


def freeze_loaded() -> None:
    """Tell the garbage collector that everything loaded now stays, so that it does not check it
    again and again.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # else the collector compares new objects with all of these, and hardly ever runs


def profiles(settings: Settings, changes: Mapping[str, str] = _NO_CHANGES) -> dict[str, Profile]:
    """Return the profiles by name, with the settings' changes; `changes` are fields of the
    settings' own profile, which an evaluation tries. Raises SettingsError.
    """
    second = (SECOND_FIELD,) if settings.second_encoder else ()
    many = second if _reads_many(settings) else ()
    pictures = _pictures_read_texts(settings)
    found = standard_profiles((VECTOR_FIELD, *second), many, pictures=pictures)
    if settings.profile not in found:
        what, mend = no_such_profile(settings.profile, found)
        raise SettingsError(what, where="profile", mend=mend)
    adjusted = {name: _adjusted(profile, settings) for name, profile in found.items()}
    adjusted[settings.profile] = changed_profile(adjusted[settings.profile], changes)
    return adjusted


def _pictures_read_texts(settings: Settings) -> bool:
    """Return whether the model for pictures is here and has texts in the same space."""
    try:
        name = settings.looks
        if name == LOOKING_SERVICE:
            return True
        return bool(name and model_store(settings).describe(name).manifest.text_graph)
    except ModelError:
        return False


def _reads_many(settings: Settings) -> bool:
    """Return whether the second encoder reads many languages."""
    try:
        return MANY in model_store(settings).describe(settings.second_encoder).manifest.languages
    except ModelError:  # the error is reported when the model is loaded
        return False


def _adjusted(profile: Profile, settings: Settings) -> Profile:
    changed = replace(profile, entity_boost=settings.entity_boost)
    if profile.is_hybrid:
        changed = changed.with_lexical_weight(settings.lexical_weight)
    if not profile.rerank_depth:
        return changed
    return replace(
        changed,
        rerank_depth=settings.rerank_candidates,
        rerank_weight=settings.rerank_weight,
        rerank_tokens=settings.rerank_tokens,
        deadline_ms=settings.rerank_deadline_ms,
    )
