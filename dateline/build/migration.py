"""Composition of a migration: the record, the next index, its embedders, and the service that
answers from the next index before it is served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from core.errors import InputError, SettingsError
from core.items import Item, PassageVectors
from core.ports.models import Embedder
from dateline.build.engine import (
    LOOKS_FIELD,
    every_field,
    following_fields,
    opensearch_settings,
    record_beside,
    vector_fields,
    vector_spaces,
)
from dateline.build.looks import looker_of, looks_embedders
from dateline.build.models.served import Models, load_models
from dateline.build.service import (
    Service,
    archive_clock,
    build_service,
    following_embedders,
    passage_splitter,
)
from dateline.settings import Settings
from indexing.embedding import Told, embed_lacking
from indexing.passages import PassageEmbedder
from storage.record.port import RecordOfTruth

if TYPE_CHECKING:  # they need an extra
    from storage.opensearch.engine import OpenSearchSettings
    from storage.opensearch.following.migration import Mover
    from storage.opensearch.following.migration_state import Migration
    from storage.opensearch.index.body import VectorSpace
    from storage.opensearch.index.coverage import Coverage


@dataclass(frozen=True, slots=True)
class Moving:
    """The parts of a migration by the settings in force."""

    settings: Settings
    models: Models
    record: RecordOfTruth
    wanted: OpenSearchSettings
    mover: Mover

    @property
    def target_spaces(self) -> dict[str, VectorSpace]:
        """The vector fields that the settings ask the next index to have."""
        return {**self.wanted.spaces, **vector_spaces(following_fields(self.models))}

    def start(self, *, again: bool) -> Migration:
        """Begin the migration that the settings ask for. Raises InputError if the index is already
        as they ask, unless it has to be made `again`.
        """
        from storage.opensearch.index.live_settings import differences

        spaces, family = self.target_spaces, self.wanted
        if self.mover.find() is None and self.mover.served() and not again:
            found = differences(self.mover.cluster, family.name, family.index, spaces)
            if all(each.in_place for each in found):
                raise InputError(
                    "the index is as the settings ask for: there is nothing to move to",
                    where=family.name,
                    mend="name another model in `next_encoder`, or give --again",
                )
        return self.mover.start(spaces)

    def flip(self, *, unevaluated: bool = False) -> Migration:
        """Let searches go to the next index. Raises InputError unless an evaluation passed, and as
        `Mover.flip`.
        """
        migration = self.mover.state()
        if not migration.verdict.get("passed") and not unevaluated:
            what = "did not pass" if migration.verdict else "is missing"
            raise InputError(
                f"the evaluation {what}",
                mend="`dateline migration evaluate` with judged sets, or give --unevaluated",
            )
        return self.mover.flip(migration, self.settings.migration_coverage)

    def catch_up(self, told: Told, projected: Callable[[int, int], None]) -> tuple[str, Coverage]:
        """Embed what lacks the next model's vectors, and bring the next index up to the record.
        Return its name and coverage. It may be run again at any time, and goes on from there.
        """
        migration = self.mover.state()
        index = self.mover.opened(migration)
        self.embed(migration.spaces, told)
        self.mover.project(index, projected)
        return index.concrete, self.mover.coverage(index)

    def embed(self, spaces: Mapping[str, VectorSpace], told: Told) -> Mapping[str, int]:
        """Embed what the record lacks in `spaces`; return how many items, by field. Raises
        SettingsError if the settings lack a model for it.
        """
        digests = {name: space.encoder for name, space in spaces.items()}
        lacking = {
            name: self._embedder(name, digest)
            for name, digest in digests.items()
            if self.record.reads.count_lacking(name, digest)
        }
        return embed_lacking(_Keeper(self.record, digests), lacking, told)

    def _embedder(self, field: str, digest: str) -> Embedder:
        pictures = self.models.pictures
        if field == LOOKS_FIELD and pictures is not None and pictures.digest == digest:
            (embedder,) = looks_embedders(self.settings, looker_of(self.settings, self.models))
            return embedder
        served = vector_fields(self.models).get(field)
        if served is not None and served.digest == digest:
            return PassageEmbedder(passage_splitter(self.models, field), [(field, served)])
        following = following_fields(self.models).get(field)
        if following is not None and following.digest == digest:
            return following_embedders(self.models)[0]
        raise SettingsError(
            f"items lack vectors of field {field} by an encoder that the settings do not name",
            where="encoder, next_encoder",
            mend="name both models of the migration: the one served in `encoder`",
        )

    def _unserved(self, migration: Migration) -> str:
        if self.settings.engine != "opensearch" or migration.target != self.mover.served():
            return migration.target
        if not migration.source:
            raise InputError(
                f"{migration.target} is served, and no other index is there to compare it with",
                mend="`dateline migration clean` ends the migration",
            )
        return migration.source

    @contextmanager
    def served(self) -> Iterator[Service]:
        """Yield the service as it serves."""
        service = build_service(self.settings, models=self.models, background=False)
        try:
            yield service
        finally:
            service.close()

    @contextmanager
    def shadow(self, migration: Migration) -> Iterator[Service]:
        """Yield the service as it would answer from the other index: the next one, or after the
        flip the former one. Raises InputError if there is only the served index.
        """
        settings, models = self.settings, self.models
        index = self.mover.opened(migration, self._unserved(migration))
        changes: dict[str, object] = {"engine": "opensearch"}
        following = {name: each.digest for name, each in following_fields(models).items()}
        held = {name: space.encoder for name, space in index.spaces.items()}
        if models.following is not None and following.items() <= held.items():
            changes |= {"encoder": settings.next_encoder, "next_encoder": settings.encoder}
            models = replace(models, encoder=models.following, following=models.encoder)
        service = build_service(
            settings.model_copy(update=changes),
            models=models,
            background=False,
            index=index.concrete,
        )
        try:
            service.engine.catch_up()  # items that it lacks would count against it
            yield service
        finally:
            service.close()


@contextmanager
def opened_migration(settings: Settings) -> Iterator[Moving]:
    """Yield everything that a step needs. Raises SettingsError, ModelError and StorageError."""
    models = load_models(settings)
    wanted = opensearch_settings(settings, every_field(models))
    from storage.opensearch.following.migration import Family, Mover
    from storage.opensearch.nodes.connection import Cluster

    clock = archive_clock(settings)
    record = record_beside(settings, models, clock)
    cluster = Cluster(wanted.cluster)
    try:
        family = Family(cluster, wanted.name, wanted.index, wanted.bulk)
        yield Moving(settings, models, record, wanted, Mover(record, family, clock))
    finally:
        cluster.close()
        record.close()


@dataclass(frozen=True, slots=True)
class _Keeper:
    """`core.ports.engine.VectorKeeper` for the encoders of one index, whichever is served."""

    record: RecordOfTruth
    encoders: Mapping[str, str]

    def count_lacking(self, field: str) -> int:
        """Return how many versions lack vectors of the next encoder."""
        return self.record.reads.count_lacking(field, self.encoders[field])

    def lacking(self, field: str, after: int, limit: int) -> Mapping[int, Item]:
        """Return versions that lack vectors of the next encoder, by id."""
        return self.record.reads.items_lacking(field, self.encoders[field], after, limit)

    def add_vectors(self, vectors: Mapping[int, PassageVectors]) -> int:
        """Record vectors of the next encoder; the projection brings them into the index."""
        return self.record.add_vectors(vectors)
