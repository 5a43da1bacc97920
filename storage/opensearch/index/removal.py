"""Removes an archive's index, before it is made again from the record of truth."""

from __future__ import annotations

from contextlib import suppress

from core.errors import ConflictError
from storage.opensearch.index.family import served_index
from storage.opensearch.nodes.connection import Cluster, MissingError


def remove_index(cluster: Cluster, name: str) -> str:
    """Remove the index behind the alias `name` and its note; return the index's own name, "" if
    there is none. Raises ConflictError while a migration is under way, which has two indexes.
    """
    with suppress(MissingError):
        cluster.ask("GET", f"/{name}-meta/_doc/migration")
        raise ConflictError(
            "a migration is under way",
            where=name,
            mend="finish it or `dateline migration clean --abandon` first",
        )
    concrete = served_index(cluster, name)
    if concrete:
        cluster.ask("DELETE", f"/{concrete}", timeout_s=60)
        with suppress(MissingError):
            cluster.ask("DELETE", f"/{name}-meta/_doc/{concrete}")
    return concrete
