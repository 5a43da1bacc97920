"""The output of `dateline models list`: every model that is here or can be pulled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import ModelError
from dateline.build.models.runtimes import model_store, runtime_of
from dateline.settings import Settings
from inference.models.catalogue import Catalogue
from inference.models.manifest import ModelManifest

ROLES = (
    "encoder",
    "second_encoder",
    "tagger",
    "reranker",
    "shots",
    "looks",
    "text_finder",
    "text_reader",
)


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model. `size` is in bytes, None if it is not here; `source` is `bundled`, `pulled` or
    `catalogue`; `roles` are the settings that name it; `problem` is "" if its manifest is well;
    `runtime` is its runtime here and `runtime_by` the reason (`setting`, `measured here`,
    `default`).
    """

    name: str
    task: str
    precision: str
    size: int | None
    licence: str
    research_only: bool
    source: str
    roles: tuple[str, ...]
    problem: str
    runtime: str = ""
    runtime_by: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as values for JSON."""
        return {
            "name": self.name,
            "task": self.task,
            "precision": self.precision,
            "size_bytes": self.size,
            "licence": self.licence,
            "research_only": self.research_only,
            "source": self.source,
            "roles": list(self.roles),
            "problem": self.problem,
            "runtime": self.runtime,
            "runtime_by": self.runtime_by,
        }


def listed_models(settings: Settings) -> list[ListedModel]:
    """Return the models that are here, by name, then the catalogue's others. No file is hashed."""
    store = model_store(settings)
    here = [_installed(settings, name) for name in store.names()]
    others = [name for name in Catalogue().names() if name not in store.names()]
    return here + [_available(settings, name) for name in others]


def roles_of(settings: Settings, name: str) -> tuple[str, ...]:
    """Return the settings that name the model."""
    return tuple(role for role in ROLES if getattr(settings, role) == name)


def _installed(settings: Settings, name: str) -> ListedModel:
    store = model_store(settings)
    place = store.place(name)
    source = "bundled" if place is not None and place.parent == store.root else "pulled"
    roles = roles_of(settings, name)
    try:
        folder = store.describe(name)
    except ModelError as error:
        return ListedModel(name, "", "", None, "", False, source, roles, str(error))
    chosen = runtime_of(settings, folder)
    row = _row(folder.manifest, folder.size, source, roles)
    return replace(row, runtime=str(chosen.choice), runtime_by=chosen.why)


def _available(settings: Settings, name: str) -> ListedModel:
    return _row(Catalogue().find(name), None, "catalogue", roles_of(settings, name))


def _row(
    manifest: ModelManifest, size: int | None, source: str, roles: Sequence[str]
) -> ListedModel:
    return ListedModel(
        name=manifest.name,
        task=manifest.task,
        precision=manifest.precision,
        size=size,
        licence=manifest.licence,
        research_only=manifest.research_only,
        source=source,
        roles=tuple(roles),
        problem="",
    )
