"""The engines that the property tests of the query path run against.

A module whose tests are to run on each imports `every_engine`, which takes the place of the fixture
`tried`. On a node everything takes longer, so fewer examples are drawn there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.ports.engine import Clock
from core.ports.models import TextEncoder
from dateline.build.record import SharedLists
from storage.embedded.record.candidate_lists import CandidateLists
from storage.opensearch.index.body import VectorSpace
from storage.opensearch.query.retrieval import SearchSettings
from storage.postgres.candidate_lists import PostgresCandidateLists
from storage.postgres.record import PostgresRecord
from storage.record.port import RecordOfTruth
from tests.postgres_server import Server
from tests.search.room import OpenEngine, embedded
from tests.storage.opensearch_world import lending, open_opensearch
from tests.storage.postgres_world import address_of

_ENOUGH = 5


def lists_in(folder: Path, record: RecordOfTruth) -> SharedLists:
    """The lists behind cursors in the archive's folder."""
    return CandidateLists(folder / "projections", record)


@dataclass(frozen=True)
class Tried:
    """How an engine is opened, where the lists behind cursors lie, and for how many of the embedded
    engine's examples one is drawn for it, where that leaves enough.
    """

    open: OpenEngine = embedded
    lists: Callable[[Path, RecordOfTruth], SharedLists] = lists_in
    of: int = 1

    def examples(self, count: int) -> int:
        """How many, where the embedded engine has `count`."""
        return min(count, max(_ENOUGH, count // self.of))


EMBEDDED = Tried()
OPENSEARCH = pytest.param("opensearch", marks=pytest.mark.cluster)
HOSTS = pytest.param("hosts", marks=pytest.mark.cluster)
ENGINES = ["embedded", OPENSEARCH]


class TwoHosts:
    """Two engines over one record and one index, as on two hosts: whatever one of them has written
    last is read from the other.
    """

    def __init__(self, one: Any, other: Any) -> None:
        self._writer, self._reader = one, other

    def put(self, *write: Any) -> Any:
        self._writer, self._reader = self._reader, self._writer
        return self._writer.put(*write)

    def set_status(self, *change: Any) -> Any:
        self._writer, self._reader = self._reader, self._writer
        return self._writer.set_status(*change)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def close(self) -> None:
        self._writer.close()
        self._reader.close()


def on_opensearch(folder: Path, encoder: TextEncoder, clock: Clock) -> Any:
    """The cluster engine; its record is where the slots that lend indexes say. A busy machine makes
    it slow here, never incomplete.
    """
    spaces = {"text": VectorSpace(encoder.digest, encoder.dimension)}
    search = SearchSettings(timeout_s=60)
    return open_opensearch(folder, clock, spaces=spaces, search=search, patience_s=60)


def on_two_hosts(folder: Path, encoder: TextEncoder, clock: Clock) -> Any:
    """The cluster engine twice."""
    return TwoHosts(*(on_opensearch(folder, encoder, clock) for _ in range(2)))


@pytest.fixture(scope="module", params=ENGINES, name="tried")
def every_engine(request: pytest.FixtureRequest) -> Iterator[Tried]:
    """Each engine; with the parameter HOSTS also two of them over a record on Postgres."""
    if request.param == "embedded":
        yield EMBEDDED
        return
    with lending(request.getfixturevalue("opensearch")) as slots:
        if request.param == "opensearch":
            yield Tried(on_opensearch, of=3)
            return
        server: Server = request.getfixturevalue("postgres")
        slots.make_record = lambda at, spaces, now: PostgresRecord(
            address_of(server, at), spaces, now
        )
        yield Tried(
            on_two_hosts, lambda at, _: PostgresCandidateLists(address_of(server, at)), of=3
        )
