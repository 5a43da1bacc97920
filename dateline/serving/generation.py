"""The processes of `dateline serve --workers`: one loads the models, and forks those that serve.

    python -m dateline.serving.generation FD FD FD [apart]

It never starts a thread, so it can fork at any time: one process that reads requests
(`front.py`), and the processes that search, which that one orders (`searchers.py`). The models are
in memory once, and a process that ends is replaced without loading anything. Models that start
threads, or that keep connections to a remote service, can't be forked: then, as it says in the log,
each process loads its own (`apart`).
"""

from __future__ import annotations

import ctypes
import logging
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Any, NoReturn

from core.errors import DatelineError
from dateline.build.engine import import_libraries
from dateline.build.models.served import Models, load_models
from dateline.build.service import freeze_loaded
from dateline.commands.options import exit_code, show_error
from dateline.serving.front import check, serve_with
from dateline.serving.log_lines import write_log
from dateline.serving.searchers import answer_until_closed
from dateline.settings import Settings
from storage.embedded.background import give_back

log = logging.getLogger(__name__)
READY = b"ready"
_FORK = b"fork"
_ENDS_S = 5.0  # a process that searches ends by itself when the one that asks it has ended
_FRONT_ENDS_S = 30.0  # more than the answers under way may take
_LOOK_S = 0.02
_TOLD = (signal.SIGTERM, signal.SIGHUP)
_OURS = (*_TOLD, signal.SIGCHLD, signal.SIGINT)
_DIES_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


class Forked:
    """A process that another one has forked, by its handle: what is used of `subprocess.Popen`."""

    returncode = None  # only whoever forked it is told

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def poll(self) -> int | None:
        """Return None while it runs."""
        ended, _, _ = select.select([self._handle], [], [], 0)
        return 0 if ended else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises TimeoutExpired."""
        ended, _, _ = select.select([self._handle], [], [], timeout)
        if not ended:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
        return 0

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def __del__(self) -> None:
        os.close(self._handle)


class Orders:
    """What the process that reads requests says to the one that forked it."""

    def __init__(self, forker: socket.socket) -> None:
        self._forker = forker
        self._lock = Lock()

    def start(self, sockets: Sequence[int]) -> Forked:
        """Have a process forked that searches and has these sockets. Raises OSError."""
        with self._lock:
            socket.send_fds(self._forker, [_FORK], [*sockets])
            _, handles, _, _ = socket.recv_fds(self._forker, 1, 1)
        if not handles:
            raise OSError("it could not be forked")
        return Forked(handles[0])

    def ready(self) -> None:
        """Tell that requests are read and all processes that search can be asked."""
        with suppress(OSError):
            self._forker.send(READY)


class Forker:
    """Forks the processes that serve. `control` is told when they are ready; when it closes, they
    end, and so they do by SIGTERM. By SIGHUP they end as soon as no client loses a request by it.
    """

    def __init__(
        self,
        settings: Settings,
        models: Models | None,
        listening: socket.socket,
        control: Connection,
    ) -> None:
        self._settings = settings
        self._models = models
        self._listening = listening
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._woken, self._wakes = socket.socketpair()
        self._woken.setblocking(False)
        self._wakes.setblocking(False)
        self._children: set[int] = set()
        self._front = 0  # its process id
        self._orders: socket.socket
        self._is_ready = False
        self._told: int | None = None  # the signal that ends it all
        self._until = inf  # then the front must have ended
        self._ended: int | None = None  # how the front ended

    def run(self) -> int:
        """Serve until told to end; return the exit code."""
        for number in _OURS:
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._wakes.fileno())
        self._selector.register(self._woken, selectors.EVENT_READ, self._reap)
        self._selector.register(self._control.fileno(), selectors.EVENT_READ, self._abandoned)
        while True:
            code = self._front_served()
            if self._told is not None or not self._is_ready:
                self._end_searches()
                return code if self._told is None else 0
            log.error("the process that reads requests ended (%d); another one starts", code)

    def _front_served(self) -> int:
        """Start the process that reads requests and obey it until it ends; return its exit code."""
        self._is_ready, self._ended = False, None
        self._start_front()
        if self._told is not None:
            self._tell(self._told)
        while (code := self._front_code()) is None:
            for key, _ in self._selector.select(1.0 if self._told else None):
                key.data()
            if monotonic() > self._until and self._front:
                os.kill(self._front, signal.SIGKILL)  # for example, nobody reads its log
        self._selector.unregister(self._orders)
        self._orders.close()
        return code

    def _front_code(self) -> int | None:
        return self._ended

    def _on_signal(self, number: int, _: object) -> None:
        if number in _TOLD:
            self._tell(number)

    def _tell(self, number: int) -> None:
        self._told = number
        self._until = monotonic() + _FRONT_ENDS_S
        if self._front:
            os.kill(self._front, number)

    def _abandoned(self) -> None:
        """End, because whoever started this process has ended."""
        self._selector.unregister(self._control.fileno())
        self._tell(signal.SIGTERM)

    def _start_front(self) -> None:
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        orders = Orders(theirs)

        def serve() -> None:
            ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, signal.SIGTERM)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C comes by way of the parent
            serve_with(self._settings, self._listening, self._models, orders.start, orders.ready)

        self._front = self._forked(serve, keeps=(theirs, self._listening))
        theirs.close()
        self._selector.register(self._orders, selectors.EVENT_READ, self._obey)

    def _obey(self) -> None:
        """Carry out an order of the process that reads requests."""
        order, sockets, _, _ = socket.recv_fds(self._orders, len(READY), 2)
        if order == READY:
            self._is_ready = True
            with suppress(OSError):
                self._control.send_bytes(READY)
        elif order == _FORK:
            pid = self._forked(lambda: answer_until_closed(sockets, self._models), keeps=())
            handle = os.pidfd_open(pid)
            for each in sockets:
                os.close(each)
            with suppress(OSError):
                socket.send_fds(self._orders, [_FORK[:1]], [handle])
            os.close(handle)
        else:  # it ends, which the signal of its end tells
            sleep(_LOOK_S)

    def _forked(self, work: Callable[[], object], keeps: Sequence[socket.socket]) -> int:
        """Return the id of a process that does this work. It keeps these sockets of ours."""
        pid = os.fork()
        if not pid:
            self._be_child(work, keeps)
        self._children.add(pid)
        return pid

    def _be_child(self, work: Callable[[], object], keeps: Sequence[socket.socket]) -> NoReturn:
        signal.set_wakeup_fd(-1)
        for number in _OURS:
            signal.signal(number, signal.SIG_DFL)
        self._selector.close()
        self._control.close()
        for each in (self._woken, self._wakes, self._orders, self._listening):
            if each not in keeps:
                each.close()
        _do_and_exit(work)

    def _reap(self) -> None:
        """Note who has ended."""
        with suppress(BlockingIOError):
            while self._woken.recv(100):
                pass
        for pid in tuple(self._children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            self._children.remove(pid)
            code = os.waitstatus_to_exitcode(status)
            if pid == self._front:
                self._front, self._ended = 0, code
            elif code:
                log.error("a process for searches ended (%d)", code)

    def _end_searches(self) -> None:
        """Wait for the processes that search; they end when nobody can ask them."""
        until = monotonic() + _ENDS_S
        while self._children:
            if monotonic() > until:
                for pid in self._children:
                    os.kill(pid, signal.SIGKILL)
            sleep(_LOOK_S)
            self._reap()


def _do_and_exit(work: Callable[[], object]) -> NoReturn:
    """Do the work of a forked process and end it, without the parent's `finally` blocks."""
    code = 1
    try:
        work()
        code = 0
    except DatelineError as error:
        show_error(error)
        code = exit_code(error)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        log.exception("a process of the service failed")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _loaded(settings: Settings, again: Sequence[str]) -> Models | None:
    """Return the models if forked processes can use them, else begin again without them."""
    if any(runtime.startswith("remote") for runtime in settings.runtimes.values()):
        return None
    models = load_models(settings)
    import_libraries()
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        log.warning("a model has started threads, so each process loads its own models")
        os.execv(sys.executable, [*again, "apart"])  # noqa: S606  our own interpreter and module
    freeze_loaded()
    give_back()  # free memory is not shared: each forked process would write its own there
    return models


def command(*descriptors: int) -> list[str]:
    """Return the command of this module: handles of the settings, the listening socket, control."""
    return [sys.executable, "-P", "-m", "dateline.serving.generation", *map(str, descriptors)]


def main() -> None:
    """Serve until the supervisor says that it ends, or ends itself."""
    file, bound, control, *apart = sys.argv[1:]
    settings = Settings.of_bytes(os.pread(int(file), os.fstat(int(file)).st_size, 0))
    write_log(logging.INFO)
    again = command(int(file), int(bound), int(control))
    try:
        check(settings)
        models = None if apart else _loaded(settings, again)
    except DatelineError as error:
        show_error(error)
        sys.exit(exit_code(error))
    listening: Any = socket.socket(fileno=int(bound))
    sys.exit(Forker(settings, models, listening, Connection(int(control))).run())


if __name__ == "__main__":
    main()
