"""Composition for the commands on an index on OpenSearch: its settings, state and check."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from core.observation import UNWATCHED
from core.ports.models import TextEncoder
from dateline.archive_folder import archive_folder
from dateline.build.engine import (
    SECOND_FIELD,
    VECTOR_FIELD,
    opensearch_settings,
    vector_spaces,
)
from dateline.build.models.served import encoder_of
from dateline.build.record import open_record
from dateline.build.service import archive_clock
from dateline.settings import Settings
from storage.embedded.record.archive import Record
from storage.record.port import RecordOfTruth

if TYPE_CHECKING:  # they need an extra
    from storage.opensearch.engine import OpenSearchSettings
    from storage.opensearch.index.check import IndexCheck
    from storage.opensearch.index.family import IndexFamily
    from storage.opensearch.nodes.connection import Cluster


def wanted_index(settings: Settings) -> OpenSearchSettings:
    """Return the index that the settings ask for, whatever engine is in use; during a migration the
    index may also be of the next encoder. Raises SettingsError if the extra is missing, ModelError
    for an encoder.
    """
    names = {VECTOR_FIELD: settings.encoder, SECOND_FIELD: settings.second_encoder}
    encoders: dict[str, TextEncoder] = {
        field: encoder_of(settings, UNWATCHED, name) for field, name in names.items() if name
    }
    wanted = opensearch_settings(settings, encoders)
    if not settings.next_encoder:
        return wanted
    following = encoder_of(settings, UNWATCHED, settings.next_encoder)
    return replace(wanted, beside=vector_spaces({VECTOR_FIELD: following}))


@contextmanager
def connected(wanted: OpenSearchSettings) -> Iterator[Cluster]:
    """Yield a connection to the cluster, and close it at the end."""
    from storage.opensearch.nodes.connection import Cluster

    cluster = Cluster(wanted.cluster)
    try:
        yield cluster
    finally:
        cluster.close()


def family_of(wanted: OpenSearchSettings, cluster: Cluster) -> IndexFamily:
    """Return the archive's indexes; `open` finds the one in use, or makes it."""
    from storage.opensearch.index.family import IndexFamily

    return IndexFamily(cluster, wanted.name, wanted.index, wanted.spaces, wanted.beside)


def record_of(settings: Settings, wanted: OpenSearchSettings) -> RecordOfTruth:
    """Return the archive's record, for the vectors of `wanted`. Raises StorageError."""
    spaces = {name: space.encoder for name, space in wanted.spaces.items()}
    clock = archive_clock(settings)
    return open_record(settings, spaces, clock) or Record(archive_folder(settings), spaces, clock)


@contextmanager
def opened_check(settings: Settings, wanted: OpenSearchSettings) -> Iterator[IndexCheck]:
    """Yield the check of the index, which is first brought up to the record. Raises
    StorageError.
    """
    from storage.opensearch.engine import OpenSearchEngine
    from storage.opensearch.index.bulk import BulkWriter
    from storage.opensearch.index.check import IndexCheck

    clock = archive_clock(settings)
    engine = OpenSearchEngine(wanted, clock, record_of(settings, wanted))
    try:
        engine.catch_up()
        writer = BulkWriter(engine.cluster, engine.family.writes_to, wanted.bulk)
        yield IndexCheck(engine.record, engine.family, writer, clock)
    finally:
        engine.close()
