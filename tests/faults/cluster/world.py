"""What the tests with faults of a cluster share: an engine on it, load, and looks at its nodes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import BusyError, StorageError
from core.query_tree import EVERYTHING, Word
from core.retrieval import Retrieval, Retrieved
from core.writes import Outcome, PutItem
from scripts.dev_cluster.cluster import DevCluster, Shape
from storage.embedded.record.archive import Record
from storage.opensearch.engine import OpenSearchEngine, OpenSearchSettings
from storage.opensearch.index.body import IndexSettings, VectorSpace
from storage.opensearch.nodes.connection import ClusterSettings
from storage.opensearch.nodes.nodes import NodeSettings
from storage.record.port import RecordOfTruth
from tests.opensearch_node import new_name
from tests.storage.world import (
    ALL,
    ENCODER,
    FIELD,
    WIDTH,
    WIRE,
    SetClock,
    by_vector,
    make_item,
    vector_of,
    vectors,
)

SPACES = {FIELD: VectorSpace(ENCODER, WIDTH)}
RECORD_SPACES = {FIELD: ENCODER}
PATIENCE_S = 240.0
EVERYWHERE = Word("everywhere")
_BATCH = 5


@dataclass(frozen=True, slots=True)
class Member:
    """A node of the cluster: its number, and the process that it has now."""

    number: int
    pid: int


@dataclass(frozen=True, slots=True)
class ThreeNodes:
    """A cluster of three, and how it was started."""

    cluster: DevCluster
    shape: Shape

    @property
    def urls(self) -> tuple[str, ...]:
        """Where its nodes answer."""
        return tuple(f"http://127.0.0.1:{self.shape.port + n}" for n in range(self.shape.nodes))

    @property
    def running(self) -> set[int]:
        """The numbers of those that run, as the command tells it."""
        rows = self.cluster.status()["nodes"]
        return {number for number, row in enumerate(rows, 1) if row["runs"]}

    def node(self, name: str) -> Member:
        """The one that the cluster calls so."""
        rows = self.cluster.status()["nodes"]
        ((number, row),) = ((n, row) for n, row in enumerate(rows, 1) if row["name"] == name)
        return Member(number, row["pid"])


@contextmanager
def opened(
    nodes: ThreeNodes,
    folder: Path,
    *,
    record: RecordOfTruth | None = None,
    name: str = "",
    index: IndexSettings | None = None,
    waits: NodeSettings | None = None,
) -> Iterator[OpenSearchEngine]:
    """An engine on the cluster with an index of its own, which is removed afterwards."""
    clock = SetClock()
    settings = OpenSearchSettings(
        SPACES,
        name or new_name(),
        ClusterSettings(nodes.urls, nodes=waits or NodeSettings()),
        index or IndexSettings(replicas=1),
    )
    record = record or Record(folder, RECORD_SPACES, clock)
    engine = OpenSearchEngine(settings, clock, record)
    try:
        yield engine
    finally:
        for index_name in (engine.family.concrete, engine.family.meta):
            with suppress(StorageError):
                engine.cluster.ask("DELETE", f"/{index_name}", timeout_s=30)
        engine.close()


def put(engine: OpenSearchEngine, *uris: str) -> None:
    """Writes items with a word that all have and a vector of their own; all are acknowledged."""
    items = [make_item(uri, headline="Everywhere", body=f"The story of {uri}") for uri in uris]
    written = engine.put([PutItem(item, (vectors(vector_of(f"{item.uri}/1")),)) for item in items])
    assert [each.outcome for each in written] == [Outcome.CREATED] * len(uris)


def search(engine: OpenSearchEngine, uri: str = "urn:0", depth: int = ALL) -> Retrieved:
    """Words and vectors together."""
    vector = by_vector(vector_of(f"{uri}/1"))
    return engine.retrieve(Retrieval(EVERYWHERE, WIRE, EVERYTHING, (vector,), depth, 50))


def uris_of(engine: OpenSearchEngine, found: Retrieved) -> set[str]:
    """The candidates' uris, of those that the record shows."""
    return {item.uri for item in engine.items(found.ids, WIRE) if item is not None}


@dataclass(frozen=True, slots=True)
class Asked:
    """A search: when it began (monotonic), how long it took in s, its flags or its error."""

    began: float
    took: float
    flags: tuple[str, ...] = ()
    error: Exception | None = None

    @property
    def is_whole(self) -> bool:
        """Answered, and from everything that is recorded."""
        return self.error is None and not self.flags


@dataclass(slots=True)
class Load:
    """Searches and writes of several threads until the end; what came of them, in order of ends."""

    engine: OpenSearchEngine
    asked: list[Asked] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    put_took: list[float] = field(default_factory=list)
    broken: list[Exception] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def search_on(self) -> None:
        """Asks again and again; anything but a BusyError ends it and is kept."""
        try:
            while not self.over.wait(0.01):
                self.asked.append(asked(self.engine, depth=100))
        except Exception as error:  # noqa: BLE001 - judged by the test
            self.broken.append(error)

    def write_on(self) -> None:
        """Writes batch after batch; those that were acknowledged are kept."""
        try:
            while not self.over.wait(0.1):
                first = len(self.written)
                batch = [f"urn:{first + n}" for n in range(_BATCH)]
                began = time.monotonic()
                put(self.engine, *batch)
                self.put_took.append(time.monotonic() - began)
                self.written.extend(batch)
        except Exception as error:  # noqa: BLE001 - judged by the test
            self.broken.append(error)

    def since(self, moment: float) -> list[Asked]:
        """The searches that began after `moment`."""
        return [each for each in self.asked if each.began >= moment]


def asked(engine: OpenSearchEngine, depth: int = ALL) -> Asked:
    """One search and how it went. Raises whatever is neither an answer nor a BusyError."""
    began = time.monotonic()
    try:
        found = search(engine, depth=depth)
    except BusyError as error:
        return Asked(began, time.monotonic() - began, (), error)
    return Asked(began, time.monotonic() - began, found.degraded)


@contextmanager
def loaded(engine: OpenSearchEngine, searchers: int = 2, writers: int = 1) -> Iterator[Load]:
    """Load while the body runs."""
    load = Load(engine)
    works = [load.search_on] * searchers + [load.write_on] * writers
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert not any(thread.is_alive() for thread in threads), "a request does not end"
    assert not load.broken, load.broken


def until(holds: Callable[[], bool], what: str, patience_s: float = PATIENCE_S) -> float:
    """Waits until it holds; how long that took in s."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < patience_s, f"in vain after {patience_s} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began


def is_green(engine: OpenSearchEngine) -> bool:
    """Whether each part of the archive's indexes has all its copies."""
    with suppress(BusyError):
        found: dict[str, Any] = engine.cluster.ask("GET", f"/_cluster/health/{engine.family.name}*")
        return bool(found["status"] == "green")
    return False


def is_whole(engine: OpenSearchEngine) -> bool:
    """Whether a search is answered from everything that is recorded."""
    return asked(engine).is_whole


def primary_of(engine: OpenSearchEngine) -> str:
    """The name of the node with the first part's primary."""
    path = f"/_cat/shards/{engine.family.concrete}"
    rows: Any = engine.cluster.ask("GET", path, format="json")
    (name,) = (row["node"] for row in rows if row["prirep"] == "p" and row["shard"] == "0")
    return str(name)


def snapshot_holder(engine: OpenSearchEngine) -> str:
    """The name of the node that searches go to by now: the one that holds their point in time."""
    path = "/_nodes/stats/indices/search"
    nodes = engine.cluster.ask("GET", path)["nodes"].values()
    return str(max(nodes, key=lambda node: node["indices"]["search"]["open_contexts"])["name"])
