"""The graphs of a sweep on disk: built once, opened again later, and removed at the end.

    FOLDER/<cell>-<rows>/    what the graph's own `save` wrote

A folder is used only if the log has the digests of its files, because opening a damaged graph may
end the process.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from core.errors import StorageError
from core.items import FloatMatrix
from core.ports.graphs import GraphBuilder, VectorGraph
from eval.tune.graphs.sweep_grid import BuildCell
from eval.tune.graphs.sweep_log import SweepLog

Builders = Callable[[BuildCell], GraphBuilder]


@dataclass(frozen=True, slots=True)
class Built:
    """The costs of a graph: bytes in memory once it is saved, bytes on disk, seconds on
    `threads`.
    """

    seconds: float
    threads: int
    memory: int
    disk: int


class GraphStore:
    """Builds graphs, or opens those of an earlier run of the sweep."""

    def __init__(self, folder: Path, builders: Builders, log: SweepLog, threads: int) -> None:
        self._folder = folder
        self._builders = builders
        self._log = log
        self._threads = threads

    def known(self, cell: BuildCell, rows: int) -> Built | None:
        """Return the log's entry for a graph over the first `rows` of the vectors."""
        value = self._log.get(**_key(cell, rows))
        return None if value is None else _built(value)

    def open(self, cell: BuildCell, vectors: FloatMatrix) -> tuple[VectorGraph, Built]:
        """Return the graph over `vectors` [n, d], and its costs. Raises StorageError if it can't be
        written.
        """
        value = self._log.get(**_key(cell, len(vectors)))
        builder = self._builders(cell)
        folder = self._place(cell, len(vectors))
        if value is not None and _digests(folder, builder.files) == value["digests"]:
            return builder.load(folder), _built(value)
        return self._build(builder, folder, cell, vectors)

    def builder(self, cell: BuildCell) -> GraphBuilder:
        """Return the builder of graphs of this kind."""
        return self._builders(cell)

    def forget(self) -> None:
        """Remove the files; the log keeps the measurements."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _build(
        self, builder: GraphBuilder, folder: Path, cell: BuildCell, vectors: FloatMatrix
    ) -> tuple[VectorGraph, Built]:
        started = perf_counter()
        graph = builder.build(vectors, self._threads)
        seconds = perf_counter() - started
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(parents=True)
            graph.save(folder)
        except OSError as error:
            raise StorageError(f"can't be written: {error}", where=str(folder)) from error
        disk = sum((folder / name).stat().st_size for name in builder.files)
        known = self.known(cell, len(vectors))  # a graph built again keeps its first timing
        built = known or Built(seconds, self._threads, graph.bytes, disk)
        value = {
            "seconds": built.seconds,
            "threads": built.threads,
            "memory": built.memory,
            "disk": built.disk,
            "digests": _digests(folder, builder.files),
        }
        self._log.put(value, **_key(cell, len(vectors)))
        return graph, built

    def _place(self, cell: BuildCell, rows: int) -> Path:
        name = f"{cell.implementation}-{cell.precision}-{cell.m}-{cell.ef_construction}-{rows}"
        return self._folder / name


def cell_key(cell: BuildCell, rows: int) -> dict[str, Any]:
    """Return a cell's part of a log's key."""
    return {
        "implementation": cell.implementation,
        "precision": cell.precision,
        "m": cell.m,
        "ef_construction": cell.ef_construction,
        "rows": rows,
    }


def _key(cell: BuildCell, rows: int) -> dict[str, Any]:
    return {"what": "build", **cell_key(cell, rows)}


def _built(value: Mapping[str, Any]) -> Built:
    return Built(
        float(value["seconds"]), int(value["threads"]), int(value["memory"]), int(value["disk"])
    )


def _digests(folder: Path, files: tuple[str, ...]) -> list[str]:
    """Return sha256 of each file, "" for a missing one."""
    return [_sha256(folder / name) if (folder / name).is_file() else "" for name in files]


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
