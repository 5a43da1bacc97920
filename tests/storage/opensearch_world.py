"""Engines whose index is on an OpenSearch node. Making an index takes longer than most tests, so a
few are made and emptied for the next folder that needs one.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from core.ports.engine import Clock
from storage.embedded.record.archive import Record
from storage.opensearch.engine import OpenSearchEngine, OpenSearchSettings
from storage.opensearch.index.body import IndexSettings, VectorSpace
from storage.opensearch.index.bulk import Operation
from storage.opensearch.nodes.connection import Cluster, ClusterSettings, MissingError, ndjson
from storage.record.port import RecordOfTruth
from tests.opensearch_node import new_name
from tests.storage.world import ENCODER, FIELD, WIDTH, MakeRecord

SPACES = {FIELD: VectorSpace(ENCODER, WIDTH)}
_LENT = 3  # at the same time: more than a test has open
_ALL = 10
_PATIENCE_S = 240.0
_BULK: Mapping[str, Any] = {"require_alias": "true", "refresh": "true"}


class Slots:
    """A few indexes on the node at `url`, lent to folders; the longest lent is emptied first."""

    def __init__(self, url: str, index: IndexSettings) -> None:
        self.url = url
        self.index = index
        self.make_record: MakeRecord = Record
        self._prefix = new_name()
        self._cluster = Cluster(ClusterSettings((url,)))
        self._lent: OrderedDict[Path, str] = OrderedDict()
        self._emptied: deque[Future[str]] = deque()
        self._pool = ThreadPoolExecutor(_ALL)
        self._made = 0

    def name_for(self, folder: Path) -> str:
        """The name of an index that is empty when the folder first asks for it."""
        if folder not in self._lent:
            self._lent[folder] = self._free()
            if len(self._lent) > _LENT:
                _, name = self._lent.popitem(last=False)
                self._emptied.append(self._pool.submit(self._empty, name))
        return self._lent[folder]

    def _free(self) -> str:
        if self._emptied and (self._emptied[0].done() or self._made == _ALL):
            return self._emptied.popleft().result()
        self._made += 1
        return f"{self._prefix}-{self._made}"

    def _empty(self, name: str) -> str:
        """Takes everything out, and waits until the node has forgotten the deletions: the changes
        of another record begin with number 1, which would be older than all of them.
        """
        self._cluster.ask("PUT", f"/{name}/_settings", {"index": {"gc_deletes": "0ms"}})
        self._write(name, Operation(0, 10**9, b"{}"))
        every: dict[str, Any] = {"query": {"match_all": {}}}
        self._cluster.ask("POST", f"/{name}/_delete_by_query", every, refresh="true")
        deadline = time.monotonic() + _PATIENCE_S
        while self._write(name, Operation(0, 1, b"{}")) == 409:
            assert time.monotonic() < deadline, "the node remembers what was deleted"
            time.sleep(0.1)
        self._write(name, Operation(0, 1))
        with suppress(MissingError):
            self._cluster.ask("DELETE", f"/{name}-meta/_doc/{name}-000001")
        return name

    def _write(self, name: str, operation: Operation) -> int:
        """The status of one operation."""
        lines = ndjson([operation.lines()])
        reply = self._cluster.ask("POST", f"/{name}/_bulk", lines, **_BULK)
        (result,) = reply["items"][0].values()
        return int(result["status"])

    def close(self) -> None:
        """Removes the indexes."""
        self._pool.shutdown()
        for number in range(1, self._made + 1):
            for index in ("000001", "meta"):
                with suppress(MissingError):
                    self._cluster.ask("DELETE", f"/{self._prefix}-{number}-{index}")
        self._cluster.close()


_slots: list[Slots] = []


@contextmanager
def lending(url: str, **index: Any) -> Iterator[Slots]:
    """Engines that `open_opensearch` opens inside have their index on the node at `url`."""
    slots = Slots(url, IndexSettings(**index))
    _slots.append(slots)
    try:
        yield slots
    finally:
        _slots.pop()
        slots.close()


def open_opensearch(
    folder: Path,
    clock: Clock,
    *,
    background: bool = False,
    spaces: Mapping[str, VectorSpace] = SPACES,
    **more: Any,
) -> OpenSearchEngine:
    """The cluster engine with its record in `folder`."""
    slots = _slots[-1]
    encoders = {name: space.encoder for name, space in spaces.items()}
    record: RecordOfTruth | None = slots.make_record(folder, encoders, clock)
    assert record is not None
    settings = OpenSearchSettings(
        spaces,
        slots.name_for(folder),
        ClusterSettings((slots.url,)),
        slots.index,
        background=background,
        **more,
    )
    return OpenSearchEngine(settings, clock, record)


def remove_index(url: str, name: str) -> None:
    """Removes the index of an archive that was named so, and what lies beside it."""
    cluster = Cluster(ClusterSettings((url,)))
    for index in (f"{name}-000001", f"{name}-meta"):
        with suppress(MissingError):
            cluster.ask("DELETE", f"/{index}")
    cluster.close()
