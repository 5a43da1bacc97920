"""The search processes of a service, started by the process that reads requests.

Each opens the same archive and models. It gets requests as bytes over a socket and answers one
after another (`api/search/elsewhere.py` has the form); over a second socket it reports its counts.
When the service ends, however it ends, the sockets close and the process ends too. If a process
ends by itself, for example by a query that takes all memory, that query fails and the process is
replaced.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import Empty, LifoQueue
from threading import Event, Lock, Thread
from typing import Any, Protocol, TypeAlias

import orjson

from api.metrics import Figures, Metrics
from api.search.elsewhere import answered
from core.errors import BusyError, SettingsError
from dateline.build.app import build_inner_app, searches_of
from dateline.build.models.served import Models
from dateline.build.service import Service, build_service
from dateline.serving.collector import BetweenSearches
from dateline.serving.log_lines import write_log
from dateline.serving.telemetry import telemetry
from dateline.settings import Settings

log = logging.getLogger(__name__)
_PATIENCE_S = 60.0  # for an answer; no search takes a tenth of it
_COUNTED_S = 1.0  # for the counts of a process, which it reports while it searches
_ENDS_S = 5.0
_PAUSES_S: tuple[float, ...] = (
    0.0,
    1.0,
    5.0,
    30.0,
)  # before a start: the first one, then after each failure
_BEHIND = 5  # of nice: the process that reads requests and hides killed items goes first
_READY = b"ready"
_ENDED = BusyError("The process that searched ended; yours was not answered.", mend="Try again.")


class Process(Protocol):
    """A process that was started, as the service sees it."""

    @property
    def returncode(self) -> Any:
        """How it ended, as in `subprocess`; None if that is not known."""
        ...

    def poll(self) -> int | None:
        """Return None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises TimeoutExpired."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


# Starts a process that has these sockets.
Start: TypeAlias = Callable[[Sequence[int]], Process]


def start(sockets: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start a process that has these sockets. It ignores Ctrl-C in a terminal."""
    # What is imported stays; to look through it meanwhile takes a second of the start.
    module = "import gc; gc.disable(); from dateline.serving.searchers import main; main()"
    command = [sys.executable, "-P", "-c", module, *map(str, sockets)]
    nothing = subprocess.DEVNULL
    return subprocess.Popen(  # noqa: S603  our own interpreter and module
        command, pass_fds=sockets, stdin=nothing, process_group=0
    )


def started_anew(sockets: Sequence[int]) -> Process:
    """Start a process that loads the models itself."""
    return start(sockets)  # a test replaces it


@dataclass(slots=True, eq=False)
class _Searcher:
    """One process, as the service sees it, and its last reported counts."""

    process: Process
    requests: Connection
    figures: Connection
    counted: Figures = ()

    def ask(self, request: bytes) -> bytes:
        """Return the answer. Raises OSError or EOFError if the process ends first, TimeoutError if
        it does not answer in time; then it is killed.
        """
        self.requests.send_bytes(request)
        if not self.requests.poll(_PATIENCE_S):
            self.process.kill()
            raise TimeoutError
        return self.requests.recv_bytes()

    def count(self) -> None:
        """Ask for the counts of the process. If it is late, the former counts stay, and the next
        call reads its late answers too.
        """
        self.figures.send_bytes(b"")
        patience = _COUNTED_S
        while self.figures.poll(patience):
            self.counted = orjson.loads(self.figures.recv_bytes())
            patience = 0.0

    def close(self) -> None:
        """End the process after its present work, or during it if that takes long."""
        self.requests.close()
        self.figures.close()
        try:
            self.process.wait(_ENDS_S)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Searchers:
    """Runs `count` processes that search with `settings`, which `start` starts, and replaces each
    one that ends. While `alone()` is true, this process has changes that they can't know, and none
    is asked.
    """

    def __init__(
        self, settings: Settings, count: int, alone: Callable[[], bool], start: Start
    ) -> None:
        self._order = settings.as_bytes()
        self._count = count
        self._start = start
        self._alone = alone
        self._all_ready = Event()
        self._lock = Lock()
        self._running: list[_Searcher] = []  # those that are ready
        self._idle: LifoQueue[_Searcher] = LifoQueue()
        self._ended: Counter[tuple[str, str, bytes]] = Counter()
        self._closed = Event()
        self._keepers = [Thread(target=self._keep, daemon=True) for _ in range(count)]
        for keeper in self._keepers:
            keeper.start()

    @property
    def running(self) -> int:
        """Return how many processes can be asked now; 0 means that this one searches."""
        return 0 if self._alone() else len(self._running)

    def ask(self, request: bytes) -> bytes:
        """Return the answer of an idle process. If it ends, another one is asked, once: a request
        that takes all memory must not end one process after another. Raises BusyError.
        """
        try:
            return self._asked(request)
        except TimeoutError as error:
            raise _ENDED from error
        except (OSError, EOFError):
            log.warning("a read goes to another process, for its own ended")
        try:
            return self._asked(request)
        except (OSError, EOFError) as error:
            raise _ENDED from error

    def _asked(self, request: bytes) -> bytes:
        searcher = self._next()
        answer = searcher.ask(request)
        self._idle.put(searcher)
        return answer

    def wait_until_ready(self) -> bool:
        """Wait until every process has been ready; return False after `close`."""
        self._all_ready.wait()
        return not self._closed.is_set()

    def _next(self) -> _Searcher:
        """Wait for an idle process. Raises BusyError if none gets idle in time."""
        while True:
            try:
                searcher = self._idle.get(timeout=_PATIENCE_S)
            except Empty:
                raise _ENDED from None
            if searcher.process.poll() is None:
                return searcher

    def figures(self) -> Sequence[Figures]:
        """Return what each process has counted; the last entry is of the processes that ended."""
        with self._lock:
            for searcher in self._running:
                try:
                    searcher.count()
                except (OSError, EOFError):
                    continue  # it ends
            before = [
                (name, sample, orjson.loads(labels), value)
                for (name, sample, labels), value in self._ended.items()
            ]
            return [*(searcher.counted for searcher in self._running), before]

    def close(self) -> None:
        """End the processes."""
        self._closed.set()
        self._all_ready.set()
        for searcher in tuple(self._running):
            searcher.close()
        for keeper in self._keepers:
            keeper.join()

    def _keep(self) -> None:
        """Keep one process running until `close`."""
        pauses = _PAUSES_S
        while not self._closed.wait(pauses[0]):
            searcher = self._started()
            if searcher is None:
                pauses = pauses[1:] or pauses
                continue
            pauses = _PAUSES_S
            with self._lock:
                self._running.append(searcher)
                if len(self._running) == self._count:
                    self._all_ready.set()
            self._idle.put(searcher)
            searcher.process.wait()
            with self._lock:
                self._running.remove(searcher)
                self._remember(searcher.counted)
            if not self._closed.is_set():
                log.error(
                    "a process for searches ended (%s); another one starts",
                    searcher.process.returncode,
                )

    def _started(self) -> _Searcher | None:
        """Return a process that is ready to search; None if it did not start."""
        ours, theirs = zip(*(socket.socketpair() for _ in range(2)), strict=True)
        try:
            process = self._start([each.fileno() for each in theirs])
        except OSError as error:  # whoever starts processes ends
            log.error("a process for searches did not start (%s)", error)
            for each in ours:
                each.close()
            return None
        finally:
            for each in theirs:
                each.close()
        requests, figures = (Connection(each.detach()) for each in ours)
        searcher = _Searcher(process, requests, figures)
        try:
            requests.send_bytes(self._order)
            while not requests.poll(0.1):
                if self._closed.is_set():
                    raise EOFError
            requests.recv_bytes()
        except (OSError, EOFError):
            searcher.close()
            if not self._closed.is_set():
                log.error("a process for searches did not start (%s)", process.returncode)
            return None
        return searcher

    def _remember(self, counted: Figures) -> None:
        """Keep the counts of a process that ended. Its gauges end with it."""
        for name, sample, labels, value in counted:
            if sample.endswith(("_total", "_bucket", "_sum", "_count")):
                key = name, sample, orjson.dumps(labels, option=orjson.OPT_SORT_KEYS)
                self._ended[key] += value  # type: ignore[assignment]  # counts are floats


def build_searchers(service: Service, start: Start) -> Searchers | None:
    """Return the search processes of a service, which `start` starts; None if its settings search
    in threads.
    """
    settings = service.settings
    if not in_processes(settings):
        return None
    record = service.engine.record
    return Searchers(settings, searches_of(settings), lambda: bool(record.unsettled.here), start)


def in_processes(settings: Settings) -> bool:
    """Return whether processes search. Raises SettingsError if they would not share cursors, and
    for workers that are to be threads.
    """
    if settings.workers and settings.search_in == "threads":
        raise SettingsError(
            "workers are processes, but searches are to be in threads",
            where="search_in",
            mend="set search_in to processes, or leave it or the workers out",
        )
    by_default = "threads" if settings.demo and not settings.workers else "processes"
    wanted = settings.search_in or by_default
    if wanted == "processes" and settings.cursors == "memory":
        if settings.search_in or settings.workers:
            raise SettingsError(
                "cursors in memory are known to one process only",
                where="cursors",
                mend="set search_in to threads without workers, or cursors to shared",
            )
        return False
    return wanted == "processes"


def main() -> None:
    """Answer requests until the service that started this process closes the sockets, whose handles
    are its arguments.
    """
    answer_until_closed([int(descriptor) for descriptor in sys.argv[1:]])


def answer_until_closed(sockets: Sequence[int], models: Models | None = None) -> None:
    """Answer requests with these models, or with those of the settings, until the sockets close."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests, figures = (Connection(each) for each in sockets)
    settings = Settings.of_bytes(requests.recv_bytes())
    write_log(logging.INFO)
    os.nice(_BEHIND)
    with telemetry(settings):
        service = build_service(settings, models=models, share_cursors=True, follows=True)
        try:
            app = build_inner_app(service)
            Thread(target=_tell, args=(figures, service.models.metrics), daemon=True).start()
            _answer(requests, app)
        finally:
            service.close()


def _answer(requests: Connection, app: Any) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    garbage = BetweenSearches()
    try:
        requests.send_bytes(_READY)
        while True:
            if garbage.due or not requests.poll(garbage.patience_s):
                garbage.collect()
            requests.send_bytes(loop.run_until_complete(answered(app, requests.recv_bytes())))
            garbage.searched()
    except (OSError, EOFError):
        return
    finally:
        loop.close()


def _tell(figures: Connection, metrics: Metrics) -> None:
    try:
        while True:
            figures.recv_bytes()
            figures.send_bytes(orjson.dumps(metrics.figures()))
    except (OSError, EOFError):
        return
