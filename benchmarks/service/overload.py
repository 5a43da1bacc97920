"""What a service does with ten times the searches that it can answer, over HTTP on loopback.

    python -m benchmarks.service.overload [--seconds N] [--times N] [--stories N] [--json]

`dateline serve` runs with its own settings on an archive of stories made from the demo corpus. A
process beside it sends searches by words that nobody has asked for before, with eight keys in turn,
over connections that are kept alive:

- `peak`: clients that each ask again when they have their answer, as many as get the most answers;
- `overload`: ten times the peak's rate, whatever is answered, as a Poisson process. A search's time
  runs from the moment at which it was due, so that a late client does not improve the figures;
- `after`: the clients of the peak again, at once. `recovered_s` is the first time at which a second
  was as good as the peak's (nine tenths of its answers, and no refusal).

In each phase one more client kills a story each half second. `memory` is the most resident memory
of the service, in the peak and in the second half of the overload: it falls by a fifth whenever the
service gives freed memory back, once a minute, and is as before after some writes. The load has a
lower priority than the service, because it runs on the same machine.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx
import orjson
import psutil

from benchmarks.machine import arguments, percentile, show, this_machine
from core.writes import Written
from dateline.build.service import build_service
from dateline.default_folders import demo_folder
from dateline.measuring.made_stories import made_stories, parents_of
from dateline.measuring.served import started
from dateline.settings import Settings

PRODUCTS = ("demo",)
CLIENTS = (4, 8, 16, 32)
STORIES = 3000
_NAMES = [f"newsroom-{number}" for number in range(8)]
_DESK = "desk"
_DESKS_PRODUCTS = (*PRODUCTS, "demo-sport")  # of all made stories, so that it may kill each
_BATCH = 500
_MOST = 400
_PATIENCE_S = 30.0
_AS_GOOD = 0.9  # share of the peak's answers
SETTINGS = {
    "DATELINE_KEYS": orjson.dumps(
        [
            *({"name": name, "key": f"key-of-{name}", "products": PRODUCTS} for name in _NAMES),
            {"name": _DESK, "key": f"key-of-{_DESK}", "products": _DESKS_PRODUCTS, "write": True},
        ]
    ).decode()
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The status of a search (0: none), when it was due by the monotonic clock, and how many
    seconds later it was sent and answered.
    """

    status: int
    due: float
    late: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Heard:
    """The answers that the load got in `seconds`, the processor seconds that the load and the
    service's processes took meanwhile, and how long each kill took.
    """

    seconds: float
    answers: Sequence[Answer]
    load_s: float
    service_s: float
    kills: Sequence[float]  # seconds of each

    @property
    def good(self) -> list[Answer]:
        """The searches that were answered with 200."""
        return [answer for answer in self.answers if answer.status == 200]

    @property
    def goodput(self) -> float:
        """The good answers a second."""
        return len(self.good) / self.seconds

    @property
    def loads_share(self) -> float:
        """The share of all processors that the load took."""
        return self.load_s / self.seconds / (os.cpu_count() or 1)

    @property
    def per_processor_s(self) -> float:
        """The good answers for each processor second of the service."""
        return len(self.good) / self.service_s

    @property
    def p99(self) -> float:
        """Milliseconds of the good answers."""
        return percentile([answer.seconds for answer in self.good], 99)

    def recovered(self, goodput: float) -> float:
        """Return the seconds until one second was as good as `goodput`; infinite if none was."""
        began = min(answer.due for answer in self.answers)
        good, bad = Counter[int](), Counter[int]()
        for answer in self.answers:
            second = int(answer.due + answer.seconds - began)
            (good if answer.status == 200 else bad)[second] += 1
        seconds = range(int(self.seconds))
        as_good = (n for n in seconds if good[n] >= _AS_GOOD * goodput and not bad[n])
        return float(next(as_good, float("inf")))


@dataclass(frozen=True, slots=True)
class Measured:
    """The three phases, and the resident MB in the first two, in order of reading."""

    clients: int
    peak: Heard
    overload: Heard
    after: Heard
    peak_memory: Sequence[float]
    overload_memory: Sequence[float]

    def figures(self) -> dict[str, Any]:
        """Return the figures by name, with the unit in the name."""
        statuses = Counter(answer.status for answer in self.overload.answers)
        return {
            "peak, clients": self.clients,
            "peak, answers_per_s": self.peak.goodput,
            "peak, p99_ms": self.peak.p99,
            "peak, load's share of processors": self.peak.loads_share,
            "overload, load's share of processors": self.overload.loads_share,
            "overload, asked_per_s": len(self.overload.answers) / self.overload.seconds,
            "overload, answers_per_s": self.overload.goodput,
            "overload, p99_ms": self.overload.p99,
            "overload, sent late p99_ms": percentile(
                [answer.late for answer in self.overload.answers], 99
            ),
            **{f"overload, status {code}": count for code, count in sorted(statuses.items())},
            "peak, kill max_ms": max(self.peak.kills) * 1000,
            "overload, kill p50_ms": percentile(list(self.overload.kills), 50),
            "overload, kill max_ms": max(self.overload.kills) * 1000,
            "memory before_mb": max(self.peak_memory),
            "memory after_mb": max(self.overload_memory[len(self.overload_memory) // 2 :]),
            "after, kill max_ms": max(self.after.kills) * 1000,
            "after, answers_per_s": self.after.goodput,
            "after, recovered_s": self.after.recovered(self.peak.goodput),
            "goodput, of the peak's": self.overload.goodput / self.peak.goodput,
            "goodput for each processor second of the service, of the peak's": (
                self.overload.per_processor_s / self.peak.per_processor_s
            ),
            "p99, of the peak's": self.overload.p99 / self.peak.p99,
        }


def main() -> None:
    """Run the benchmark, or (`--load`) the clients of one phase."""
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of overload")
    parser.add_argument("--times", type=float, default=10.0, help="the peak's rate")
    parser.add_argument("--stories", type=int, default=STORIES)
    parser.add_argument("--load", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.load:
        _load(*chosen.load)
        return
    machine = this_machine()
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), chosen.stories)
        measured = measure(Path(folder), chosen.seconds, times=chosen.times)
    show("overload", measured.figures(), machine, as_json=chosen.json)


def fill(folder: Path, stories: int) -> None:
    """Fill an archive in `folder` with the demo's stories and with others made from them."""
    service = build_service(Settings(data=folder), background=False)
    try:
        documents = (demo_folder() / "stories.jsonl").read_bytes().splitlines()
        written = service.ingest.put_documents(documents)
        assert all(isinstance(one, Written) for one in written)
        parents = parents_of(service)
        for first in range(0, stories, _BATCH):
            service.engine.put(tuple(made_stories(parents, first, min(_BATCH, stories - first))))
        service.engine.catch_up()
        service.engine.compact()
    finally:
        service.close()


def measure(
    folder: Path,
    seconds: float,
    *,
    times: float = 10.0,
    peak_s: float = 10.0,
    clients: Sequence[int] = CLIENTS,
) -> Measured:
    """Run a service on the archive in `folder`: its peak, of `peak_s`, and `seconds` of
    overload.
    """
    with started(folder, PRODUCTS, SETTINGS) as (pid, reached):
        url, numbers = str(reached.base_url), itertools.count()
        uris = (f"urn:made:{number}" for number in itertools.count())

        def heard(how: str, amount: float, length: float) -> Heard:
            with _killing(url, uris) as kills:
                return answers_of(url, pid, f"{how}:{next(numbers)}", amount, length, kills)

        heard("clients", 4, peak_s / 2)  # a warm-up
        most = max(clients, key=lambda count: heard("clients", count, peak_s / 2).goodput)
        with _watched(pid) as peak_memory:
            peak = heard("clients", most, peak_s)
        with _watched(pid) as overload_memory:
            overload = heard("rate", times * peak.goodput, seconds)
        after = heard("clients", most, peak_s)
    return Measured(most, peak, overload, after, peak_memory, overload_memory)


@contextmanager
def _watched(pid: int) -> Iterator[list[float]]:
    """The resident MB of a process, each half second."""
    seen: list[float] = []

    def look() -> None:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        seen.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)

    with _repeated(look):
        yield seen


@contextmanager
def _killing(url: str, uris: Iterator[str]) -> Iterator[list[float]]:
    """Kill the next of the stories each half second; yield the seconds of each kill."""
    taken: list[float] = []
    headers = {"x-api-key": f"key-of-{_DESK}"}
    with httpx.Client(base_url=url, headers=headers, timeout=_PATIENCE_S) as client:

        def kill() -> None:
            uri, began = next(uris), time.monotonic()
            answer = client.patch(f"/content/{uri}/status", json={"pubstatus": "canceled"})
            taken.append(time.monotonic() - began)
            assert answer.status_code == 200, answer.text

        with _repeated(kill):
            yield taken


@contextmanager
def _repeated(work: Callable[[], None]) -> Iterator[None]:
    """Do `work` at once and each half second while the body runs; its error is raised at the
    end.
    """
    ended, failed = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            work()
            while not ended.wait(0.5):
                work()
        except BaseException as error:  # noqa: BLE001  raised at the end
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if failed:
        raise failed[0]


def answers_of(
    url: str, pid: int, how: str, amount: float, seconds: float, kills: Sequence[float]
) -> Heard:
    """Return the answers that a separate process gets: with `clients` that ask one after the other,
    or at a `rate`. `how` includes a number, which makes its queries new; `pid` is the service's.
    """
    words = [sys.executable, "-P", "-m", "benchmarks.service.overload", "--load"]
    root = Path(__file__).resolve().parents[2]
    load_s, service_s = _processor_s(os.getpid(), children=True), _processor_s(pid)
    done = subprocess.run(
        [*words, url, how, str(amount), str(seconds)],
        stdout=subprocess.PIPE,
        check=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        timeout=seconds + 2 * _PATIENCE_S,
    )
    load_s = _processor_s(os.getpid(), children=True) - load_s
    answers = [Answer(**each) for each in orjson.loads(done.stdout)]
    return Heard(seconds, answers, load_s, _processor_s(pid) - service_s, kills)


def _processor_s(pid: int, *, children: bool = False) -> float:
    """Return the processor seconds of a process and of those it started that still run; with
    `children` those of its ended ones alone. Raises NoSuchProcess.
    """
    process = psutil.Process(pid)
    own = process.cpu_times()
    if children:
        return float(own.children_user + own.children_system)
    times = [own, *(child.cpu_times() for child in process.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def _load(url: str, how: str, amount: str, seconds: str) -> None:
    """Send searches, and print the answers as JSON."""
    os.nice(15)
    kind, _, number = how.partition(":")
    load = Load(url, int(number))
    if kind == "rate":
        load.ask_at(float(amount), float(seconds))
    else:
        load.ask_in_turn(round(float(amount)), float(seconds))
    sys.stdout.buffer.write(orjson.dumps([asdict(answer) for answer in load.answers]))


@dataclass(slots=True, eq=False)
class _Client:
    """A connection, and the search in progress on it."""

    connection: socket.socket
    due: float = 0.0
    sent: float = 0.0
    heard: bytearray = field(default_factory=bytearray)

    def answer(self) -> Answer | None:
        """Return the received answer, once it is complete."""
        head, end, body = self.heard.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if not end or length is None or len(body) < int(length[1]):
            return None
        now = time.monotonic()
        return Answer(int(head[9:12]), self.due, self.sent - self.due, now - self.due)


class Load:
    """Clients of the service at `url`, in one thread. Another `seed` gives other queries, unless
    there are `requests` to send.
    """

    def __init__(self, url: str, seed: int, requests: Iterator[bytes] | None = None) -> None:
        parts = urlsplit(url)
        self._place = (parts.hostname or "", parts.port or 80)
        self._requests = requests or _requests(seed)
        self._random = random.Random(seed)
        self._selector = selectors.DefaultSelector()
        self._idle: list[_Client] = []
        self._count = 0  # connections
        self.answers: list[Answer] = []

    def ask_in_turn(self, clients: int, seconds: float) -> None:
        """Run `clients` clients, each of which asks again when it has its answer."""
        end = time.monotonic() + seconds
        for _ in range(clients):
            self._ask(time.monotonic())
        while time.monotonic() < end:
            for _ in range(self._listen(end - time.monotonic())):
                self._ask(time.monotonic())
        self._hear_the_rest()

    def ask_at(self, rate: float, seconds: float) -> None:
        """Send `rate` searches a second, whether others were answered or not."""
        due = time.monotonic()
        end = due + seconds
        while due < end:
            while due <= time.monotonic():
                self._ask(due)
                due += self._random.expovariate(rate)
            self._listen(due - time.monotonic())
        self._hear_the_rest()

    def _ask(self, due: float) -> None:
        """Send the next search, over an idle connection or a new one."""
        if not self._idle and self._count == _MOST:
            self.answers.append(Answer(0, due, 0.0, 0.0))
            return
        client = self._idle.pop() if self._idle else self._connected()
        client.due, client.sent = due, time.monotonic()
        client.heard.clear()
        try:
            client.connection.sendall(next(self._requests))
        except OSError:
            self._lose(client)

    def _connected(self) -> _Client:
        client = _Client(socket.create_connection(self._place))
        self._selector.register(client.connection, selectors.EVENT_READ, client)
        self._count += 1
        return client

    def _listen(self, seconds: float) -> int:
        """Receive for at most `seconds`; return how many searches were answered."""
        before = len(self.answers)
        for key, _ in self._selector.select(max(0.0, seconds)):
            self._hear(key.data)
        return len(self.answers) - before

    def _hear(self, client: _Client) -> None:
        try:
            data = client.connection.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            self._lose(client)
            return
        client.heard += data
        answer = client.answer()
        if answer is not None:
            self.answers.append(answer)
            self._idle.append(client)

    def _lose(self, client: _Client) -> None:
        """Handle a connection that the service closed: between two searches, as it may, or during
        one.
        """
        self._selector.unregister(client.connection)
        client.connection.close()
        self._count -= 1
        if client in self._idle:
            self._idle.remove(client)
        else:
            self.answers.append(Answer(0, client.due, client.sent - client.due, 0.0))

    def _hear_the_rest(self) -> None:
        until = time.monotonic() + _PATIENCE_S
        while self._count > len(self._idle) and time.monotonic() < until:
            self._listen(until - time.monotonic())
        unheard = self._count - len(self._idle)
        self.answers += [Answer(0, until, 0.0, _PATIENCE_S)] * unheard


def _requests(seed: int) -> Iterator[bytes]:
    """Search by three words of the demo's stories, almost always different."""
    lines = (demo_folder() / "stories.jsonl").read_bytes().splitlines()
    texts = (part["value"] for line in lines for part in orjson.loads(line).get("bodies", ()))
    words = sorted({word for text in texts for word in re.findall(r"\b[a-z]{4,}\b", text)})
    chosen = random.Random(seed)
    for number in itertools.count():
        query = " ".join(chosen.sample(words, 3))
        name = _NAMES[number % len(_NAMES)]
        yield (
            f"GET /content/search?page_size=10&q={quote_plus(query)} HTTP/1.1\r\n"
            f"host: 127.0.0.1\r\nx-api-key: key-of-{name}\r\n\r\n"
        ).encode()


if __name__ == "__main__":
    main()
