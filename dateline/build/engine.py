"""Composition of the storage engine that the settings name: the embedded one, or one on OpenSearch.
The rest of the program is the same for both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from core.errors import SettingsError
from core.extras import need_extra
from core.ports.engine import Clock
from core.ports.graphs import GraphBuilder
from core.ports.models import TextEncoder
from core.retrieval import Retrieval
from dateline.archive_folder import archive_folder
from dateline.build.models.served import Models
from dateline.build.record import drop_projections, open_record
from dateline.settings import Settings
from search.encoders import HoldsSpaces, ServedEncoders
from search.profiles import LOOKS
from storage.embedded.engine import EmbeddedEngine, EmbeddedSettings
from storage.embedded.live_recall import FieldRecall, Observe, RecallChecks
from storage.embedded.record.archive import Record
from storage.embedded.vectors.merge_plan import ProjectionSettings
from storage.graphs.builders import builder_of
from storage.graphs.settings import HnswSettings
from storage.record.port import RecordOfTruth
from storage.words.topics import MEDIA_TOPICS, Topics, read_topics

if TYPE_CHECKING:  # it needs an extra
    from storage.opensearch.engine import OpenSearchEngine, OpenSearchSettings
    from storage.opensearch.index.body import VectorSpace

ServedEngine: TypeAlias = "EmbeddedEngine | OpenSearchEngine"
"""The engine that is served, with its record, its life and its state beside the ports."""

VECTOR_FIELD = "text"
SECOND_FIELD = "second"  # the same passages by the second encoder
LOOKS_FIELD = LOOKS  # pictures and the stills of shots
_PACKAGES = ("opensearchpy",)


def import_libraries() -> None:
    """Import what an embedded engine imports at its first use, for processes that are forked."""
    import_module("storage.graphs.faiss_hnsw")


def vector_fields(models: Models) -> dict[str, TextEncoder]:
    """Return every vector field of an archive with its encoder, the first one first."""
    return dict(zip((VECTOR_FIELD, SECOND_FIELD), models.encoders, strict=False))


class SpaceOwner(Protocol):
    """A model that makes the vectors of a field."""

    @property
    def digest(self) -> str:
        """It names the space of the vectors."""
        ...

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        ...


def every_field(models: Models) -> dict[str, SpaceOwner]:
    """Return every vector field of an archive with the model of its vectors: those of texts, and
    that of pictures if a model looks at them.
    """
    pictures = {} if models.pictures is None else {LOOKS_FIELD: models.pictures}
    return {**vector_fields(models), **pictures}


def text_encoders(models: Models) -> dict[str, TextEncoder]:
    """Return the encoder of texts by vector field. The field of pictures has one if its model has
    texts and pictures in one space.
    """
    texts = getattr(models.pictures, "texts", None)
    return vector_fields(models) | ({} if texts is None else {LOOKS_FIELD: texts})


def following_fields(models: Models) -> dict[str, TextEncoder]:
    """Return the fields whose encoder is being replaced, each with the next encoder."""
    return {} if models.following is None else {VECTOR_FIELD: models.following}


def query_encoders(engine: ServedEngine, models: Models) -> Mapping[str, TextEncoder]:
    """Return the encoder of queries by vector field; during a migration that of the index."""
    fields, following = text_encoders(models), following_fields(models)
    return ServedEncoders(fields, following, engine) if isinstance(engine, HoldsSpaces) else fields


def build_engine(
    settings: Settings,
    models: Models,
    clock: Clock,
    *,
    background: bool,
    index: str = "",
    follows: bool = False,
) -> ServedEngine:
    """Return the engine with its record in `settings.data`, or in the place that the settings name;
    on OpenSearch over the one index `index` if it is named. An engine that `follows` never writes
    the indexes in the folder. Raises SettingsError if its extra is missing, StorageError if it
    can't be opened.
    """
    if settings.engine == "opensearch":
        return _on_opensearch(settings, models, clock, background=background, index=index)
    spaces = {name: each.digest for name, each in every_field(models).items()}
    return EmbeddedEngine(
        EmbeddedSettings(
            folder=archive_folder(settings),
            spaces=spaces,
            hnsw=_hnsw(settings),
            projections=ProjectionSettings(build_threads=settings.threads, follows=follows),
            background=background,
            topics=topic_tree(settings),
        ),
        clock,
        open_record(settings, spaces, clock),
    )


def check_recall(engine: ServedEngine, settings: Settings, observe: Observe) -> None:
    """Let a served engine compare a share of its searches with the exact scan, if the settings say
    so, and tell `observe` the outcome. OpenSearch has its own graphs; they are not checked.
    """
    if settings.recall_checks and isinstance(engine, EmbeddedEngine):
        engine.check_recall(RecallChecks(settings.recall_checks, observe))


def checked_search(engine: ServedEngine, request: Retrieval) -> tuple[FieldRecall, ...]:
    """Search, and return the recall in each vector field; nothing on OpenSearch."""
    return engine.recall(request) if isinstance(engine, EmbeddedEngine) else ()


def _on_opensearch(
    settings: Settings, models: Models, clock: Clock, *, background: bool, index: str
) -> ServedEngine:
    wanted = opensearch_settings(settings, every_field(models), background=background)
    from storage.opensearch.engine import OpenSearchEngine

    beside = vector_spaces(following_fields(models))
    record = record_beside(settings, models, clock)
    return OpenSearchEngine(replace(wanted, beside=beside, concrete=index), clock, record)


def record_beside(settings: Settings, models: Models, clock: Clock) -> RecordOfTruth:
    """Return the record, with room for the vectors of the next encoder."""
    spaces = {name: each.digest for name, each in every_field(models).items()}
    beside = {name: each.digest for name, each in following_fields(models).items()}
    record = open_record(settings, spaces, clock, beside)
    return record or Record(archive_folder(settings), spaces, clock, beside)


def vector_spaces(encoders: Mapping[str, SpaceOwner]) -> dict[str, VectorSpace]:
    """Return the vector spaces of an index on OpenSearch, by vector field."""
    from storage.opensearch.index.body import VectorSpace

    return {name: VectorSpace(each.digest, each.dimension) for name, each in encoders.items()}


def opensearch_settings(
    settings: Settings, encoders: Mapping[str, SpaceOwner], *, background: bool = False
) -> OpenSearchSettings:
    """Return the settings of the engine on OpenSearch. Raises SettingsError if the extra is missing
    or a library does not have the precision.
    """
    need_opensearch()
    from storage.opensearch.engine import OpenSearchSettings
    from storage.opensearch.index.body import ENCODERS, IndexSettings
    from storage.opensearch.nodes.connection import ClusterSettings
    from storage.opensearch.nodes.nodes import NodeSettings
    from storage.opensearch.query.retrieval import SearchSettings

    library, precision = settings.opensearch_library, settings.opensearch_precision
    if (library, precision) not in ENCODERS:
        known = ", ".join(kind for name, kind in ENCODERS if name == library)
        what = f"{library} has no precision {precision}"
        raise SettingsError(what, where="opensearch_precision", mend=f"it has {known}")
    return OpenSearchSettings(
        spaces=vector_spaces(encoders),
        name=settings.opensearch_index,
        cluster=ClusterSettings(
            urls=tuple(url.strip() for url in settings.opensearch_url.split(",") if url.strip()),
            user=settings.opensearch_user,
            password=settings.opensearch_password.get_secret_value(),
            ca_file=settings.opensearch_ca,
            nodes=NodeSettings(
                connect_s=settings.opensearch_connect_s,
                timeout_s=settings.opensearch_timeout_s,
                retries=settings.opensearch_retries,
                passed_over_s=settings.opensearch_passed_over_s,
                pool=settings.opensearch_pool,
                failures=settings.opensearch_failures,
                pause_s=settings.opensearch_pause_s,
            ),
            bulk_timeout_s=settings.opensearch_bulk_timeout_s,
        ),
        index=IndexSettings(
            shards=settings.opensearch_shards,
            replicas=settings.opensearch_replicas,
            library=library,
            precision=precision,
            m=settings.hnsw_m,
            ef_construction=settings.hnsw_ef_construction,
            refresh_s=settings.opensearch_refresh_s,
        ),
        search=SearchSettings(
            timeout_s=settings.opensearch_search_timeout_s,
            ef_search=settings.opensearch_ef_search,
            rescored=1 if precision == "fp32" else 2,
            exact_rows=settings.hnsw_exact_rows,
        ),
        patience_s=settings.opensearch_patience_s,
        vector_bytes=settings.opensearch_vector_mb * 2**20,
        guard_bytes=settings.opensearch_guard_mb * 2**20,
        background=background,
        topics=topic_tree(settings),
    )


def drop_indexes(settings: Settings) -> None:
    """Delete the engine's projections. Raises ConflictError if another process uses the archive's
    folder, or during a migration.
    """
    if settings.engine == "embedded":
        drop_projections(archive_folder(settings))
        return
    wanted = opensearch_settings(settings, {})
    from storage.opensearch.index.removal import remove_index
    from storage.opensearch.nodes.connection import Cluster

    cluster = Cluster(wanted.cluster)
    try:
        remove_index(cluster, wanted.name)
    finally:
        cluster.close()


def need_opensearch() -> None:
    """Raise SettingsError if the extra is missing."""
    need_extra(
        "opensearch",
        "the engine on OpenSearch",
        _PACKAGES,
        error=SettingsError,
        where="engine",
        otherwise=", or set it to embedded",
    )


def topic_tree(settings: Settings) -> Topics:
    """Return the tree of subjects: IPTC's Media Topics if no file is named."""
    if settings.topics == Path():
        return Topics()
    return read_topics(settings.topics or MEDIA_TOPICS)


def build_graphs(settings: Settings) -> GraphBuilder:
    """Return the builder of vector graphs. Raises SettingsError if the implementation is not
    installed or does not have the precision.
    """
    return builder_of(_hnsw(settings))


def candidates_per_row(settings: Settings) -> int:
    """Return how many candidates a graph of this precision searches for each row asked of it."""
    return _hnsw(settings).rescored


def _hnsw(settings: Settings) -> HnswSettings:
    return HnswSettings(
        m=settings.hnsw_m,
        ef_construction=settings.hnsw_ef_construction,
        ef_search=settings.hnsw_ef_search,
        exact_whole=settings.hnsw_exact_rows,
        implementation=settings.hnsw_implementation,
        precision=settings.hnsw_precision,
    )
