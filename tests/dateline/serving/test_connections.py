"""A server before hostile clients, over real sockets: they keep nobody out, and fill neither log,
memory nor file handles.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from dateline.serving.demo import DEMO_READ_KEY
from dateline.serving.http_server import HEAD_BYTES, HEADERS, TOGETHER, HttpServer
from dateline.serving.listener import Limits, Listener, peer_of
from tests.api.conftest import INGEST, READ, app_over
from tests.api.conftest import filled as newsroom
from tests.api.newsroom import Newsroom
from tests.dateline.serving.test_serve import ROOT, START, served
from tests.free_ports import free_port

pytestmark = [pytest.mark.service, pytest.mark.timed]

LIMITS = Limits(
    connections=40, per_address=20, head_seconds=1.2, body_seconds=2.0, unread_seconds=0.6
)
FOR_GOOD_S = 60.0  # longer than any limit, however busy the machine
HEAD = b"GET /content/search?q=ferry HTTP/1.1\r\nhost: 127.0.0.1\r\n"
WHOLE = HEAD + b"x-api-key: " + READ.encode() + b"\r\n\r\n"
BODY = b"POST /content HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
BODY += b"content-length: 1000\r\nx-api-key: " + INGEST.encode() + b"\r\n\r\n["
GUEST = "127.0.0.9"  # an address of its own


@dataclass(frozen=True)
class Running:
    """A server within `LIMITS`, and what it has behind it where that is in this process."""

    port: int
    room: Newsroom | None = None

    def connect(self, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        place = ("127.0.0.1", self.port)
        made = socket.create_connection(place, timeout=120, source_address=(source, 0))
        made.sendall(sent)
        return made

    def answers(self, source: str = GUEST) -> bool:
        """Whether a well-behaved client gets its answer."""
        with httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            transport=httpx.HTTPTransport(local_address=source),
            headers={"x-api-key": READ},
            timeout=120,
        ) as client:
            return client.get("/content/search", params={"q": "ferry"}).status_code == 200

    def answers_now(self) -> bool:
        """The same, where a connection may be turned away."""
        try:
            return self.answers()
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    bound = socket.create_server(("127.0.0.1", 0), backlog=256)
    port = bound.getsockname()[1]
    room = newsroom()
    server = HttpServer(app_over(room), Listener(bound, LIMITS), None)
    thread = threading.Thread(target=server.serve_until_told)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Running(port, room)
    server.should_exit = True
    thread.join()


def ended_after(connection: socket.socket) -> float:
    """Seconds until the server ends it, reading what it may send before."""
    started = time.monotonic()
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - started


def dripping(connection: socket.socket, drop: bytes) -> float:
    """Seconds for which the server takes one drop after the other."""
    started = time.monotonic()
    try:
        while time.monotonic() < started + FOR_GOOD_S:
            connection.sendall(drop)
            time.sleep(0.05)
    except ConnectionError:
        pass
    return time.monotonic() - started


@pytest.mark.parametrize("sent", [b"", b"\r\n", HEAD + b"x-a: "], ids=["none", "line", "half"])
def test_a_head_that_does_not_come_is_waited_for_within_limits(
    running: Running, sent: bytes
) -> None:
    with running.connect(sent) as silent:
        assert ended_after(silent) < FOR_GOOD_S
    with running.connect(sent) as slow:
        assert dripping(slow, sent[-2:] or b"G") < FOR_GOOD_S


@pytest.mark.parametrize("drop", [b"\r\n", b"x"], ids=["line", "head"])
def test_between_two_requests_the_same_holds(running: Running, drop: bytes) -> None:
    with running.connect(WHOLE) as kept:
        assert kept.recv(65536).startswith(b"HTTP/1.1 200")
        assert dripping(kept, drop) < FOR_GOOD_S


def test_a_body_that_nobody_reads_ends_with_its_connection(running: Running) -> None:
    head = b"POST /content HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100000\r\n\r\n"
    with running.connect(head) as refused:  # it has no key
        assert refused.recv(65536).startswith(b"HTTP/1.1 401")
        assert dripping(refused, b" ") < FOR_GOOD_S


def test_a_body_that_drips_has_a_deadline(running: Running) -> None:
    with running.connect(BODY) as slow:
        assert dripping(slow, b" ") < FOR_GOOD_S


def test_an_answer_that_nobody_takes_is_given_up(running: Running) -> None:
    asked = b"GET /page/shared/newsreader-latin.woff2 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(FOR_GOOD_S)
        deaf.connect(("127.0.0.1", running.port))
        assert dripping(deaf, asked) < FOR_GOOD_S


@pytest.mark.parametrize("sent", [HEAD, BODY], ids=["heads", "bodies"])
def test_half_sent_requests_keep_nobody_out(running: Running, sent: bytes) -> None:
    with ExitStack() as held:
        for _ in range(60):
            held.enter_context(running.connect(sent, "127.0.0.1"))
            held.enter_context(running.connect(sent, "127.0.0.2"))
        assert running.answers()
        assert running.answers("127.0.0.1"), "nor others behind the same address"


def test_a_client_that_goes_within_its_body_is_counted_and_is_no_failure(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    assert running.room is not None
    running.connect(BODY).close()
    line = 'dateline_http_requests_total{method="POST",route="/content",status="499"} '
    with httpx.Client(base_url=f"http://127.0.0.1:{running.port}", timeout=120) as client:
        while line not in client.get("/metrics", headers={"x-api-key": INGEST}).text:
            time.sleep(0.01)
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_one_address_has_its_share_and_the_one_that_waited_longest_goes_first(
    running: Running,
) -> None:
    with ExitStack() as held:
        first = held.enter_context(running.connect(HEAD, "127.0.0.3"))
        guest = held.enter_context(running.connect(HEAD, GUEST))
        last = [
            held.enter_context(running.connect(HEAD, "127.0.0.3"))
            for _ in range(LIMITS.per_address)
        ][-1]
        assert ended_after(first) < LIMITS.head_seconds / 2
        for each in (guest, last):
            each.sendall(b"x-api-key: " + READ.encode() + b"\r\n\r\n")
            assert each.recv(65536).startswith(b"HTTP/1.1 200")


def test_requests_that_are_answered_do_not_count_against_their_address(running: Running) -> None:
    assert running.room is not None
    running.room.hold = threading.Event()
    try:
        with ExitStack() as held:
            for _ in range(LIMITS.per_address + 5):
                held.enter_context(running.connect(WHOLE, "127.0.0.4"))
            with running.connect(b"GET /healthz HTTP/1.1\r\n\r\n", "127.0.0.4") as further:
                assert further.recv(65536).startswith(b"HTTP/1.1 200")
            running.room.hold.set()
    finally:
        running.room.hold = None


@pytest.mark.parametrize(
    "sent",
    [
        HEAD + b"x-a: " + b"a" * (5 * HEAD_BYTES),
        b"GET /" + b"a" * (5 * HEAD_BYTES),
        HEAD + b"a: b\r\n" * (HEADERS + 1) + b"\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n" * (TOGETHER + 4),
        b"POST /content HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
        + b"a: b\r\n" * (HEADERS + 1)
        + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
    ids=["header", "url", "headers", "together", "trailers", "tls"],
)
def test_more_than_a_head_is_refused(running: Running, sent: bytes) -> None:
    with running.connect() as much:
        try:
            much.sendall(sent)
            found = b"".join(iter(lambda: much.recv(65536), b""))
        except ConnectionError:
            return  # it was ended while more came
        assert b"HTTP/1.1 400" in found
    assert running.answers()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.12", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (peer_of(one) == peer_of(other)) is same


NO_HANDLES = """
import logging, resource, socket, sys
import dateline
from dateline.serving.http_server import HttpServer
from dateline.serving.listener import Limits, Listener, places
from dateline.serving.log_lines import write_log
from tests.api.conftest import app_over, filled
write_log(logging.INFO)
app = app_over(filled())
bound = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=512)
few = socket.socket().fileno() + 24
resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))
HttpServer(app, Listener(bound, Limits(10_000, 10_000)), None).serve_until_told()
"""


def test_where_no_file_handle_is_left_connections_are_turned_away_and_the_log_stays_small() -> None:
    port = free_port()
    command = [sys.executable, "-P", "-c", NO_HANDLES, str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=8), timeout=120) as client:
                assert client.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
            running = Running(port)
            with ExitStack() as held:
                for _ in range(300):
                    with suppress(ConnectionError):
                        held.enter_context(running.connect(HEAD))
                until = time.monotonic() + 240
                while not running.answers_now():
                    assert time.monotonic() < until
                spent = processor_seconds(process.pid)
                assert running.answers()
                time.sleep(1)
                assert processor_seconds(process.pid) - spent < 0.7, "the loop does not spin"
        finally:
            process.terminate()
            log = process.communicate(timeout=240)[1]
    assert "no file handle is left" in log
    assert len(log.splitlines()) < 50


def processor_seconds(pid: int) -> float:
    """What a process has used of processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


FEW_HANDLES = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64));" + START


def memory_of(pid: int) -> int:
    """Bytes that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("start", [START, FEW_HANDLES], ids=["many-handles", "64-handles"])
def test_a_service_under_attack_answers_and_neither_its_log_nor_its_memory_grows(
    filled: Path, folder: Path, start: str
) -> None:
    shutil.copytree(filled, folder / "archive")
    key = {"x-api-key": DEMO_READ_KEY}
    with ExitStack() as held, served(folder / "archive", start=start) as (process, client):
        running = Running(client.base_url.port or 0)
        asked = {"params": {"q": "ferry"}, "headers": key}
        assert client.get("/content/search", **asked).status_code == 200
        client.close()  # it would have waited for longest, and be ended while it asks again
        before = memory_of(process.pid)
        for _ in range(300):
            held.enter_context(running.connect(HEAD + b"x-a: " + b"a" * 30_000))
        with httpx.Client(base_url=client.base_url, timeout=120) as later:
            for _ in range(300):
                with suppress(ConnectionError), running.connect(b"\x16\x03\x01\r\n\r\n") as bad:
                    bad.recv(1024)
                assert later.get("/nothing").status_code == 404
        url = f"http://127.0.0.1:{running.port}/content/search"
        for _ in range(10):
            assert httpx.get(url, timeout=120, **asked).status_code == 200
        assert memory_of(process.pid) - before < 100 * 2**20
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=240)
    assert "Traceback" not in log
    assert DEMO_READ_KEY not in log
    assert len(log.splitlines()) < 100
    assert sum("nothing" in line for line in log.splitlines()) < 60
