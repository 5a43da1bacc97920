"""`dateline serve --workers`: real processes, ended and replaced while they work."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from operator import sub
from pathlib import Path
from threading import Event

import httpx
import orjson
import pytest

from core.errors import SettingsError
from dateline.serving.demo import DEMO_INGEST_KEY, DEMO_READ_KEY
from dateline.serving.searchers import in_processes
from dateline.settings import Settings
from tests.dateline.conftest import Cli
from tests.dateline.serving.test_searchers import Service, soon
from tests.dateline.serving.test_serve import ROOT, START
from tests.free_ports import free_port

pytestmark = pytest.mark.service

DESK = {
    "name": "desk",
    "key": DEMO_INGEST_KEY,
    "products": ["demo"],
    "write": True,
    "inspect": True,
}
READER = {"name": "reader", "key": DEMO_READ_KEY, "products": ["demo"]}
RARE = {"name": "rare", "key": "key-of-rare", "products": ["demo"], "rate": 0.0001}
LATER = {"name": "later", "key": "key-of-later", "products": ["demo"]}
SETTINGS = """
search_in = "processes"
tagger = ""
second_encoder = ""
"""


def write_settings(folder: Path, *keys: Mapping[str, object], more: str = "") -> None:
    lines = "".join(
        "[[keys]]\n" + "".join(f"{name} = {orjson.dumps(key[name]).decode()}\n" for name in key)
        for key in keys
    )
    (folder / "dateline.toml").write_text(f"{SETTINGS}{more}\n{lines}")


def children_of(pid: int) -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            found.append(int(process.name))
    return sorted(found)


def runs(pid: int) -> bool:
    try:
        return "Z" not in (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return False


class Workers(Service):
    """A service with two workers, which are ready."""

    def wait_until_ready(self) -> None:
        soon(self._is_ready, bool, 240)

    def _is_ready(self) -> bool:
        try:
            return self.figure("dateline_search_processes") == 2
        except httpx.TransportError:  # a kept connection of a process that was killed
            return False

    @property
    def loader(self) -> int:
        """The process that has forked the others."""
        return children_of(self.pid)[-1]

    @property
    def workers(self) -> list[int]:
        """The processes that search: they have a lower priority."""
        return [pid for pid in children_of(self.loader) if _is_lower(pid)]

    @property
    def front(self) -> int:
        """The process that reads requests."""
        (found,) = {*children_of(self.loader)} - {*self.workers}
        return found

    def status(self, key: str, query: str = "ferry") -> int:
        return self.client.get(
            "/content/search", params={"q": query}, headers={"x-api-key": key}, timeout=240
        ).status_code


def _is_lower(pid: int) -> bool:
    try:
        return os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)
    except ProcessLookupError:  # it has ended since it was listed
        return False


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Workers]]:
    """A service in `folder`, which has its settings. Its log goes to a file, for a pipe that nobody
    reads would stop it.
    """
    port = free_port()
    command = [sys.executable, "-P", "-c", START, "serve", "--workers", "2", "--data", "archive"]
    variables = {name: is_set for name, is_set in os.environ.items() if "DATELINE_" not in name}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={**variables, "PYTHONPATH": str(ROOT)},
        )
    transport = httpx.HTTPTransport(retries=8)
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", transport=transport, timeout=240
        ) as client:
            client.headers["x-api-key"] = DEMO_READ_KEY
            yield process, Workers(process.pid, client)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=240)


@pytest.fixture(scope="module")
def home(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workers")
    shutil.copytree(filled, folder / "archive")
    write_settings(folder, DESK, READER, RARE)
    return folder


@pytest.fixture(scope="module")
def service(home: Path) -> Iterator[Workers]:
    with serving(home) as (_, made):
        yield made


class Asked:
    """What clients that search without end were answered."""

    def __init__(self, clients: int) -> None:
        self.statuses = Counter[int]()
        self.answers = [0] * clients

    def wait_for_more(self) -> None:
        """Wait until each client has two more answers: the first may belong to an older request."""
        before = tuple(self.answers)
        soon(lambda: min(map(sub, self.answers, before)), lambda more: more >= 2, 240)


@contextmanager
def asked_without_end(service: Workers) -> Iterator[Asked]:
    """Three clients search while the block runs. An answer that does not come raises at the end."""
    asked, enough = Asked(3), Event()

    def ask(client_number: int) -> None:
        with httpx.Client(base_url=service.client.base_url, timeout=240) as client:
            while not enough.is_set():
                answer = client.get(
                    "/content/search", params={"q": "ferry"}, headers={"x-api-key": DEMO_READ_KEY}
                )
                asked.statuses[answer.status_code] += 1
                asked.answers[client_number] += 1

    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, number) for number in range(3)]
        try:
            yield asked
        finally:
            enough.set()
        for each in asking:
            each.result()


def test_a_kill_holds_in_each_worker_at_once_whoever_took_it(service: Workers, home: Path) -> None:
    for number, kill in enumerate((service.kill, killed_by_a_command(home))):
        uri, word = f"urn:worker:{number}", f"{'ab'[number]}ndromeda"
        service.write(uri, word)
        assert service.found(word) == [{uri}, {uri}]
        kill(uri)
        assert service.found(word) == [set(), set()]
        assert service.client.get(f"/content/{uri}").status_code == 404


def killed_by_a_command(home: Path) -> Callable[[str], object]:
    """Another process of the archive takes the kill."""
    return lambda uri: Cli(home / "archive")("set-status", uri, "canceled")


def test_a_rate_is_of_all_workers_together(service: Workers) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = Counter(pool.map(lambda _: service.status("key-of-rare"), range(8)))
    assert statuses == {200: 1, 429: 7}


def test_the_figures_of_all_workers_are_added_up(service: Workers) -> None:
    before = service.searched()
    with ThreadPoolExecutor(4) as pool:
        assert {*pool.map(lambda _: service.status(DEMO_READ_KEY), range(20))} == {200}
    assert service.searched() == before + 20


def test_no_read_is_lost_with_a_worker_that_is_killed(service: Workers) -> None:
    with asked_without_end(service) as asked:
        for worker in service.workers:
            asked.wait_for_more()  # a read is given to another process once
            os.kill(worker, signal.SIGKILL)
            soon(partial(runs, worker), lambda still: not still, 240)
            soon(lambda: len(service.workers), lambda running: running == 2, 240)
            service.wait_until_ready()
        asked.wait_for_more()
    assert {*asked.statuses} == {200}


def test_the_process_that_reads_requests_is_replaced(service: Workers) -> None:
    before = service.front
    os.kill(before, signal.SIGKILL)
    soon(lambda: runs(before), lambda still: not still, 240)
    service.wait_until_ready()
    assert service.status(DEMO_READ_KEY) == 200
    assert service.front != before


def test_settings_are_read_again_and_no_request_fails(service: Workers, home: Path) -> None:
    before = service.loader
    assert service.status("key-of-later") == 401
    with asked_without_end(service) as asked:
        write_settings(home, DESK, READER, LATER)
        os.kill(service.pid, signal.SIGHUP)
        soon(lambda: service.status("key-of-later"), lambda status: status == 200, 240)
        soon(lambda: children_of(service.pid), lambda left: before not in left, 240)
        asked.wait_for_more()
        loader = service.loader
        write_settings(home, DESK, more='profile = "no-such"')
        os.kill(service.pid, signal.SIGHUP)
        soon(lambda: b"former ones stay" in (home / "log").read_bytes(), bool, 240)
        soon(lambda: children_of(service.pid), lambda left: left == [loader], 240)
    assert {*asked.statuses} == {200}
    assert service.status("key-of-later") == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_all_processes_end_with_the_first(home: Path, how: signal.Signals) -> None:
    write_settings(home, DESK, READER)
    with serving(home) as (process, service):
        others = [service.loader, *children_of(service.loader)]
        assert len(others) == 4
        process.send_signal(how)
        assert process.wait(timeout=240) == {signal.SIGTERM: 0, signal.SIGINT: 130}.get(how, -how)
        soon(lambda: [pid for pid in others if runs(pid)], lambda left: not left, 240)
    assert b"Traceback" not in (home / "log").read_bytes()


def test_an_error_of_the_start_is_told(home: Path, cli: Cli) -> None:
    write_settings(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        cli("serve", "--workers", "2", "--port", "0", code=3)


def test_models_alone_have_no_workers(cli: Cli) -> None:
    cli("serve", "--workers", "2", "--models-only", "--demo", code=3)


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        (Settings(workers=2, search_in="threads"), "search_in"),
        (Settings(workers=2, cursors="memory"), "cursors"),
    ],
)
def test_workers_are_processes_that_share_cursors(settings: Settings, where: str) -> None:
    with pytest.raises(SettingsError) as refused:
        in_processes(settings)
    assert refused.value.where == where
    assert in_processes(Settings(workers=2, demo=True))
