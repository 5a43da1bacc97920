"""The processes in which a service searches: real ones, ended while they work."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeVar

import httpx
import pytest

from core.errors import SettingsError
from dateline.serving.demo import DEMO_INGEST_KEY, DEMO_READ_KEY
from dateline.serving.searchers import in_processes
from dateline.settings import Settings
from tests.dateline.serving.test_serve import served

pytestmark = pytest.mark.service

READ, WRITE = {"x-api-key": DEMO_READ_KEY}, {"x-api-key": DEMO_INGEST_KEY}
Seen = TypeVar("Seen")


def searchers_of(pid: int) -> list[int]:
    """The processes that search for the service `pid`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            command = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid and b"dateline.serving.searchers" in command:
            found.append(int(process.name))
    return found


def soon(look: Callable[[], Seen], is_well: Callable[[Seen], bool], within_s: float = 60) -> Seen:
    """What is seen once it is well."""
    until = time.monotonic() + within_s
    while not is_well(seen := look()):
        assert time.monotonic() < until, seen
        time.sleep(0.05)
    return seen


class Service:
    """A service that searches in two processes, which are ready."""

    def __init__(self, pid: int, client: httpx.Client) -> None:
        self.pid = pid
        self.client = client
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        soon(lambda: self.figure("dateline_search_processes"), lambda count: count == 2)

    def search(self, query: str, **params: str) -> httpx.Response:
        return self.client.get(
            "/content/search", params={"q": query, **params}, headers=READ, timeout=240
        )

    def found(self, query: str) -> list[set[str]]:
        """The uris that words find, twice at the same time: in both processes."""
        with ThreadPoolExecutor(2) as pool:
            answers = [*pool.map(lambda _: self.search(query, profile="lexical"), range(2))]
        assert [answer.status_code for answer in answers] == [200, 200]
        return [{hit["item"]["uri"] for hit in one.json()["data"]["items"]} for one in answers]

    def write(self, uri: str, word: str) -> None:
        document = {"uri": uri, "headline": f"The {word} in spring", "products": ["demo"]}
        assert self.client.post("/content", json=document, headers=WRITE).status_code == 201

    def kill(self, uri: str) -> float:
        """Seconds that it took."""
        began = time.monotonic()
        answer = self.client.patch(
            f"/content/{uri}/status", json={"pubstatus": "canceled"}, headers=WRITE
        )
        assert answer.status_code == 200, answer.text
        return time.monotonic() - began

    def figure(self, name: str) -> float:
        page = self.client.get("/metrics", headers=WRITE).text
        return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(name))

    def searched(self) -> float:
        return self.figure('dateline_search_stage_seconds_count{stage="total"}')


@pytest.fixture
def signals() -> Iterator[Callable[[int, signal.Signals], None]]:
    """Sends signals to processes; who was stopped goes on at the end."""
    stopped: list[int] = []

    def send(pid: int, what: signal.Signals) -> None:
        stopped.append(pid)
        os.kill(pid, what)

    yield send
    for pid in stopped:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def searching(archive: Path) -> Iterator[tuple[subprocess.Popen[str], Service]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATELINE_SEARCH_IN", "processes")
        patch.setenv("DATELINE_SEARCHES", "2")
        patch.setenv("DATELINE_TAGGER", "")
        patch.setenv("DATELINE_SECOND_ENCODER", "")
        with served(archive) as (process, client):
            yield process, Service(process.pid, client)


@pytest.fixture(scope="module")
def service(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    archive = tmp_path_factory.mktemp("searchers") / "archive"
    shutil.copytree(filled, archive)
    with searching(archive) as (_, made):
        yield made


def test_what_is_written_is_found_at_once_and_what_is_killed_is_not(service: Service) -> None:
    for number in range(5):
        uri, word = f"urn:at-once:{number}", f"{'abcde'[number]}ndromeda"
        service.write(uri, word)
        assert service.found(word) == [{uri}, {uri}]
        service.kill(uri)
        assert service.found(word) == [set(), set()]
        assert service.client.get(f"/content/{uri}", headers=READ).status_code == 404


def test_a_cursor_of_one_process_is_known_to_the_other(service: Service) -> None:
    first = service.search("ferry", page_size="1").json()["data"]
    with ThreadPoolExecutor(2) as pool:
        rest = [*pool.map(lambda _: service.search("", cursor=first["cursor"]), range(2))]
    assert [answer.status_code for answer in rest] == [200, 200]
    assert rest[0].json()["data"]["items"] == rest[1].json()["data"]["items"] != []


@pytest.mark.timed
def test_a_kill_waits_for_no_search(
    service: Service, signals: Callable[[int, signal.Signals], None]
) -> None:
    service.write("urn:stuck", "stucco")
    for pid in searchers_of(service.pid):
        signals(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(3) as pool:
        searches = [pool.submit(service.search, "ferry") for _ in range(3)]
        assert min(service.kill("urn:stuck") for _ in range(3)) < 0.25
        assert not any(search.done() for search in searches)
        for pid in searchers_of(service.pid):
            signals(pid, signal.SIGCONT)
        assert {search.result().status_code for search in searches} == {200}
    assert service.found("stucco") == [set(), set()]


def test_a_process_that_ends_costs_no_search_and_is_replaced(
    service: Service, signals: Callable[[int, signal.Signals], None]
) -> None:
    assert service.search("ferry").status_code == 200
    counted, before = service.searched(), searchers_of(service.pid)
    for pid in before:
        signals(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(2) as pool:
        searches = [pool.submit(service.search, "ferry") for _ in range(2)]
        soon(lambda: service.figure("dateline_http_in_flight"), lambda count: count == 3)
        for pid in before:
            signals(pid, signal.SIGKILL)
        assert {search.result().status_code for search in searches} == {200}
    service.wait_until_ready()
    assert not {*before} & {*searchers_of(service.pid)}
    assert service.search("ferry").status_code == 200
    assert service.searched() > counted, "what the first ones counted is not lost"


def test_the_service_answers_before_its_processes_are_ready_and_while_they_are_gone(
    filled: Path, folder: Path
) -> None:
    shutil.copytree(filled, folder / "archive")
    with searching(folder / "archive") as (process, service):
        for pid in searchers_of(process.pid):
            os.kill(pid, signal.SIGKILL)
        soon(lambda: service.figure("dateline_search_processes"), lambda count: count == 0)
        assert service.search("ferry").status_code == 200
        process.send_signal(signal.SIGTERM)  # while they start
        _, errors = process.communicate(timeout=240)
    assert "Traceback" not in errors
    soon(lambda: searchers_of(process.pid), lambda left: not left)


def test_the_processes_end_with_a_service_that_is_killed(filled: Path, folder: Path) -> None:
    shutil.copytree(filled, folder / "archive")
    with searching(folder / "archive") as (process, _):
        before = searchers_of(process.pid)
        process.kill()
        process.wait(timeout=480)
        soon(
            lambda: [pid for pid in before if Path(f"/proc/{pid}").exists()], lambda left: not left
        )


@pytest.mark.parametrize(
    ("wanted", "demo", "cursors", "processes"),
    [
        ("", False, "shared", True),
        ("", True, "shared", False),
        ("", False, "memory", False),
        ("processes", True, "shared", True),
        ("threads", False, "shared", False),
    ],
)
def test_where_searches_run(
    wanted: Literal["", "processes", "threads"],
    demo: bool,
    cursors: Literal["shared", "memory"],
    processes: bool,
) -> None:
    settings = Settings(search_in=wanted, demo=demo, cursors=cursors)
    assert in_processes(settings) is processes


def test_cursors_in_memory_and_processes_are_refused() -> None:
    with pytest.raises(SettingsError) as refused:
        in_processes(Settings(search_in="processes", cursors="memory"))
    assert refused.value.where == "cursors"
