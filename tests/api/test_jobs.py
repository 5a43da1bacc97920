"""Jobs over HTTP: named by whoever orders them, ordered once, and read by the published client."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from dateline_client import AnswerError, AsyncClient, Client, Job

from api.access.keys import KeyRing
from api.access.services import ApiSettings, Services
from api.app import create_app
from core.callers import Caller
from core.work import OPERATE, READ, AssetState, FoundAsset, Order, Stage
from indexing.work.desk import JobDesk
from indexing.work.sources.stores import FileStores
from storage.databases import Database
from storage.work.jobs import StoredJobs
from storage.work.orders import StoredOrders
from tests.api.newsroom import Newsroom
from tests.app_server import on_a_port

ADMIN, READER = "admin-key-1234", "reader-key-5678"


@dataclass(frozen=True)
class Office:
    """A service that takes orders, its folder of sources, and its database."""

    url: str
    sources: Path
    jobs: StoredJobs
    orders: StoredOrders

    def client(self, key: str = ADMIN) -> Client:
        return Client(self.url, key)

    def put(self, name: str, **options: Any) -> Any:
        with self.client() as client:
            return client.order_job(name, options.pop("kind"), options)

    def leased(self) -> tuple[Order, ...]:
        return self.orders.lease("one", {READ: 9, OPERATE: 9, str(Stage.DECODE): 9})


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Iterator[Office]:
    absent, jobs = Newsroom(), StoredJobs(database)
    (tmp_path / "sources" / "set").mkdir(parents=True)
    callers = {
        ADMIN: Caller("scheduler", frozenset(), may_administer=True),
        READER: Caller("reader", frozenset({"wire"})),
    }
    services = Services(
        search=absent,
        library=absent,
        writer=absent,
        ingest=absent,
        status=absent,
        keys=KeyRing.of(callers),
        settings=ApiSettings(job_sources=(str(tmp_path / "sources"), "s3://wire/photos")),
        jobs=lambda: JobDesk(jobs, FileStores()),
    )
    with on_a_port(create_app(services)) as url:
        yield Office(url, tmp_path / "sources", jobs, StoredOrders(database, lease_s=600.0))


def test_an_order_that_is_sent_twice_is_one_job(office: Office) -> None:
    job = {"kind": "evaluate", "sets": [str(office.sources / "set")]}
    assert office.put("nightly-1", **job) == office.put("nightly-1", **job)
    (order,) = office.leased()
    assert (order.job, order.queue) == ("nightly-1", OPERATE)
    office.orders.complete_operation(order, {"gate": {"passed": True}})
    done = office.put("nightly-1", **job)
    assert (done.state, done.result) == ("finished", {"gate": {"passed": True}})
    assert len(done.digest) == 64
    assert office.leased() == ()  # nothing is computed again


def test_another_request_under_a_name_is_refused(office: Office) -> None:
    place = str(office.sources / "set")
    office.put("a", kind="evaluate", sets=[place])
    for other in ({"kind": "sweep", "set": place}, {"kind": "evaluate", "sets": [place, place]}):
        with pytest.raises(AnswerError) as refused:
            office.put("a", **other)
        assert refused.value.status == 409


def test_an_operation_that_failed_is_tried_again(office: Office) -> None:
    office.put("m", kind="migrate", step="start")
    (order,) = office.leased()
    office.orders.complete_operation(order, {}, "the cluster is away")
    with office.client() as client:
        failed = client.job("m")
    assert (failed.state, failed.trouble, failed.digest) == ("failed", "the cluster is away", "")
    assert office.put("m", kind="migrate", step="start").state == "running"
    assert len(office.leased()) == 1


def test_an_ingest_tells_how_far_it_is_and_what_it_read(office: Office) -> None:
    found = office.put("photos", kind="ingest", paths=[str(office.sources)], products=["wire"])
    assert (found.state, found.progress["sources_read"], found.result) == ("running", False, {})
    (order,) = office.leased()
    assert order.queue == READ
    office.orders.complete_reading(order)
    with office.client() as client:
        done = client.job("photos")
    assert done.state == "finished"
    assert {name: done.result[name] for name in ("found", "failed")} == {"found": 0, "failed": 0}


def test_the_digest_of_an_ingest_is_of_its_files(office: Office) -> None:
    digests = []
    for name, files in (("a", "xy"), ("b", "yx"), ("c", "xz")):
        office.put(name, kind="ingest", paths=[str(office.sources)])
        (order,) = office.leased()
        office.jobs.add(name, [FoundAsset(f"/{file}.jpg", "", 1) for file in files])
        assets = office.jobs.of_chunk(name, 0)
        done = [
            replace(each, stage=Stage.DONE, state=AssetState.DONE, digest=file * 64)
            for each, file in zip(assets, files, strict=True)
        ]
        office.jobs.update(done)
        office.orders.complete_reading(order)
        for left in office.leased():
            office.orders.complete(left, done)
        with office.client() as client:
            digests.append(client.job(name).result["content"])
    assert digests[0] == digests[1] != digests[2]


def test_a_job_that_is_cancelled_stays_so(office: Office) -> None:
    office.put("s", kind="sweep", set=str(office.sources / "set"))
    (order,) = office.leased()
    with office.client() as client:
        assert client.cancel_job("s").state == "canceled"
        office.orders.complete_operation(order, {"met": True})
        assert (client.job("s").state, client.job("s").result) == ("canceled", {})


@pytest.mark.parametrize(
    ("job", "field"),
    [
        ({"kind": "shell"}, "kind"),
        ({"kind": "evaluate", "sets": []}, "sets"),
        ({"kind": "evaluate", "sets": ["x"], "command": "ls"}, "command"),
        ({"kind": "migrate", "step": "rollback"}, "step"),
        ({"kind": "ingest"}, "paths"),
    ],
)
def test_bad_options_are_named(office: Office, job: dict[str, Any], field: str) -> None:
    with pytest.raises(AnswerError) as refused:
        office.put("a", **job)
    assert (refused.value.status, refused.value.code) == (400, "bad_parameter")
    assert field in str(refused.value)


@pytest.mark.parametrize(
    "asked",
    [
        "/etc",
        "sources",
        "{sources}/../..",
        "{sources}/out",
        "s3://wire",
        "s3://wire/photos/../../other",
        "s3://wire/photos-of-others/x",
        "irds:msmarco",
        "file:///etc",
    ],
)
def test_a_job_reads_in_the_folders_of_the_setting_only(office: Office, asked: str) -> None:
    (office.sources / "out").symlink_to("/etc")
    where = asked.format(sources=office.sources)
    for job in (
        {"kind": "evaluate", "sets": [where]},
        {"kind": "evaluate", "sets": [f"{where}:test"]},
        {"kind": "ingest", "paths": [where]},
    ):
        with pytest.raises(AnswerError) as refused:
            office.put("a", **job)
        assert refused.value.status == 400
        assert "job_sources" in refused.value.mend


def test_a_url_of_the_setting_may_be_read(office: Office) -> None:
    assert office.put("a", kind="ingest", paths=["s3://wire/photos/2026"]).state == "running"


def test_only_a_key_that_administers_orders_jobs(office: Office) -> None:
    with office.client(READER) as client:
        for ask in (client.job, client.cancel_job):
            with pytest.raises(AnswerError) as refused:
                ask("a")
            assert refused.value.status == 403
        with pytest.raises(AnswerError) as refused:
            client.order_job("a", "migrate", {"step": "flip"})
        assert refused.value.status == 403


def test_the_client_for_asyncio_reads_the_same(office: Office) -> None:
    async def read(name: str) -> Job:
        async with AsyncClient(office.url, ADMIN) as client:
            return await client.job(name)

    ordered = office.put("m", kind="migrate", step="catch-up")
    assert asyncio.run(read("m")) == ordered
    with pytest.raises(AnswerError) as missing:
        asyncio.run(read("n"))
    assert missing.value.status == 404
