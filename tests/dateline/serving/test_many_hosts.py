"""Many API processes: what one host keeps or acknowledges holds on the other, whichever engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.items import Item, ItemType
from core.writes import PutItem
from storage.postgres.record import PostgresRecord
from tests.dateline.serving.service_hosts import (
    change,
    environment,
    one_port,
    search,
    start,
    two_hosts,
    uris,
    write,
)
from tests.opensearch_node import new_name
from tests.postgres_server import Server
from tests.storage.opensearch_world import remove_index
from tests.storage.postgres_world import address_of

pytestmark = pytest.mark.service

ENGINES = ["embedded", pytest.param("opensearch", marks=pytest.mark.cluster)]
# On a busy machine a node answers late in a test; its answers stay complete.
PATIENT = {"replicas": 0, "patience_s": 60, "timeout_s": 120, "search_timeout_s": 60}


@pytest.fixture(params=ENGINES)
def record(
    request: pytest.FixtureRequest,
    postgres: Server,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[PostgresRecord]:
    """The record that the hosts' settings name, and settings for each engine."""
    address, name = address_of(postgres, folder), new_name()
    url = request.getfixturevalue("opensearch") if request.param == "opensearch" else ""
    more: dict[str, object] = {"engine": request.param, "media_store": f"file://{folder}/stills"}
    if url:
        more |= {f"opensearch_{key}": value for key, value in PATIENT.items()}
        more |= {"opensearch_url": url, "opensearch_index": name}
    for variable, value in environment(address, **more).items():
        monkeypatch.setenv(variable, value)
    opened = PostgresRecord(address, {}, lambda: datetime.now(UTC))
    yield opened
    opened.close()
    if url:
        remove_index(url, name)


def story(number: int, version: int = 1, **members: Any) -> Item:
    now = datetime.now(UTC)
    plain: dict[str, Any] = {
        "headline": f"ferry {'quay ' * (number % 9)}",
        "body": f"number{number}",
        "products": ("wire",),
    }
    uri = f"urn:{number:04}"
    return Item(uri, version, ItemType.TEXT, now, now, uri, **{**plain, **members})


# --- paging


class Ingest:
    """Writes by the port that all hosts share, until the walk ends. What is under way while a host
    is killed may be recorded or not.
    """

    def __init__(self, client: httpx.Client) -> None:
        self.killed: set[str] = set()  # acknowledged
        self.touched: set[str] = set()  # perhaps killed or corrected
        self.written = 0
        self.failures: list[BaseException] = []
        self._client = client
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=self._until_over, args=(work,))
            for work in (self._write, self._kill, self._correct)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def least(self) -> int:
        """How many writes and kills were acknowledged at least."""
        return min(self.written, len(self.killed))

    def wait_for(self, count: int) -> None:
        """Until so many were: pages may be quicker than writes."""
        deadline = time.monotonic() + 240
        while self.least() < count and not self.failures and time.monotonic() < deadline:
            time.sleep(0.01)

    def _until_over(self, work: Callable[[int], None]) -> None:
        number = 0
        while not self._over.is_set():
            try:
                with suppress(httpx.TransportError):  # of a killed host
                    work(number)
            except BaseException as error:  # noqa: BLE001 - the test looks at it
                self.failures.append(error)
                return
            number += 1

    def _write(self, number: int) -> None:
        fresh = {"uri": f"new:{number}", "headline": "ferry ferry quay", "products": ["wire"]}
        write(self._client, fresh)
        self.written += 1

    def _kill(self, number: int) -> None:
        uri = f"urn:{(number * 37) % 1000:04}"
        self.touched.add(uri)
        change(self._client, uri, pubstatus="canceled")
        self.killed.add(uri)

    def _correct(self, number: int) -> None:
        uri = f"urn:{(number * 53 + 7) % 1000:04}"
        self.touched.add(uri)
        corrected = {"uri": uri, "version": str(number // 1000 + 2), "headline": "ferry corrected"}
        write(self._client, {**corrected, "products": ["wire"]})


@pytest.mark.faults
def test_1000_results_are_walked_by_turns_through_ingest_and_a_kill_9(
    record: PostgresRecord, folder: Path
) -> None:
    """Each once: pages come from both hosts, then from one alone, then from one that is new."""
    record.put([PutItem(story(number)) for number in range(1000)])
    asked: dict[str, Any] = {"q": "ferry quay", "profile": "lexical", "page_size": 25}
    with two_hosts(folder) as (one, other), one_port(one, other) as (balancer, client):
        data, ingest = search(client, **asked), Ingest(client)
        assert (data["total_items"], data["total_relation"]) == (1000, "exact")
        seen, pages = uris(data), 1
        with ingest.running():
            while cursor := data.get("cursor"):
                ingest.wait_for(pages // 4)
                gone = set(ingest.killed)
                data = search(client, cursor=cursor, **asked)
                assert gone.isdisjoint(uris(data))
                seen, pages = seen + uris(data), pages + 1
                if pages == 12:
                    assert min(balancer.taken.values()) > 3
                    one.kill()
                if pages == 24:
                    break
        assert not ingest.failures
        other.kill()
    last = start(folder / "last")
    try:
        while cursor := data.get("cursor"):
            data = search(last.client, cursor=cursor, **asked)
            seen += uris(data)
    finally:
        last.kill()
    assert len(seen) == len(set(seen))
    assert not [uri for uri in seen if uri.startswith("new:")]
    assert {story(number).uri for number in range(1000)} - ingest.touched <= set(seen)
    assert ingest.least() > 3


# --- keys


@pytest.mark.faults
def test_a_key_that_is_taken_away_takes_its_cursors_with_it(
    record: PostgresRecord, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys are settings. A host that has the new ones refuses what the old rights began."""
    record.put([PutItem(story(number, products=("wire", "photos"))) for number in range(5)])
    with two_hosts(folder) as (one, other):
        cursor = search(one.client, q="ferry", page_size=2)["cursor"]
        other.kill()
        keys = '[{"name": "desk", "key": "desk", "products": ["photos"], "write": true}]'
        monkeypatch.setenv("DATELINE_KEYS", keys)
        fresh = start(folder / "other")
        try:
            asked, headers = {"q": "ferry", "cursor": cursor}, {"x-api-key": "desk"}
            answer = fresh.client.get("/content/search", params=asked, headers=headers)
            assert answer.status_code == 410
            answer = fresh.client.get("/content/search", headers={"x-api-key": "photos"})
            assert answer.status_code == 401
        finally:
            fresh.kill()
        assert len(uris(search(one.client, q="ferry", page_size=9, cursor=cursor))) == 3
