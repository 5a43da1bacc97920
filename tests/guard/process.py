"""Processes of `dateline` that start at once, by the clock of a test.

`python -m tests.guard.process FD` loads all modules and models and then takes orders from a socket:
for each it forks a process, which has everything that it was loaded with. It has one thread itself,
so nothing of it is in use at that moment.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from pkgutil import resolve_name
from types import TracebackType
from typing import IO, Any, Self

import dateline

_TIME = struct.Struct("d")
_MOST_BYTES = 1 << 17  # of an order
_ROOT = Path(dateline.__file__).parent.parent


class SharedClock:
    """A clock in a file: one process sets it, the others read it."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(_TIME.pack(0))
        with path.open("r+b") as file:
            self._file = mmap.mmap(file.fileno(), _TIME.size)

    held_s = 0.0  # its steps are what a history is about

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(_TIME.unpack(self._file)[0], UTC)

    def turn(self, now: datetime) -> None:
        self._file[:] = _TIME.pack(now.timestamp())


class Starter:
    """Starts and ends processes of `dateline`. Those that are left end with it."""

    def __init__(self, program: str = "tests.guard.process") -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            fd = theirs.fileno()
            command = [sys.executable, "-P", "-m", program, str(fd)]
            environment = {**_plain(), "PYTHONPATH": str(_ROOT)}
            self._process = subprocess.Popen(
                command, env=environment, pass_fds=[fd], stdin=subprocess.DEVNULL
            )

    def start(
        self, arguments: Sequence[str], settings: Mapping[str, str], folder: Path, output: IO[Any]
    ) -> int:
        """Starts a command in `folder`, which has the file of the clock; gives the process's id."""
        named = {f"DATELINE_{name.upper()}": value for name, value in settings.items()}
        order = {"arguments": [*arguments], "environment": {**_plain(), **named}}
        sent = json.dumps(order | {"folder": str(folder)}).encode()
        socket.send_fds(self._socket, [sent], [output.fileno()])
        return self._answer()

    def wait(self, pid: int) -> int:
        """Waits for the end of a process; its exit code."""
        self._socket.send(json.dumps({"wait": pid}).encode())
        return self._answer()

    def kill(self, pid: int) -> None:
        """Ends a process as kill -9 does."""
        self._socket.send(json.dumps({"kill": pid}).encode())
        self._answer()

    def _answer(self) -> int:
        answer = self._socket.recv(100)
        assert answer, "the starter of processes ended"
        return int(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()
        self._process.wait()


def _plain() -> dict[str, str]:
    """The environment without any setting."""
    return {name: value for name, value in os.environ.items() if not name.startswith("DATELINE_")}


def main(prepare: Callable[[], object] = lambda: None) -> None:
    """Forks a process for each order and runs its command there, until the socket closes.
    `prepare` is called when everything is loaded.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    clock: list[SharedClock] = []
    import api.customers.stream_routes as stream
    import dateline.build.service as build

    build.archive_clock = lambda settings: clock[0]  # before the modules that name it are loaded
    stream._ALIVE_S = 0.05  # a comment comes at once where there is nothing more to tell
    from dateline.build.models.served import load_models
    from dateline.cli import COMMANDS
    from dateline.cli import main as command_line
    from dateline.settings import configure
    from tests.loaded_once import loading_once

    with loading_once(), socket.socket(fileno=int(sys.argv[1])) as orders:
        load_models(configure({"threads": 1}).settings)
        for entry in COMMANDS.values():
            resolve_name(entry.place)  # here once, not in each process that is forked
        prepare()
        gc.freeze()
        folder = _forked(orders)
        if folder is not None:
            orders.close()
            clock.append(SharedClock(folder / "clock"))
            _fork_searchers()
            command_line()


class Searcher:
    """A process that was forked for a service: what the service uses of `subprocess.Popen`."""

    returncode = -signal.SIGKILL  # whoever forked it knows better

    def __init__(self, pid: int) -> None:
        self._handle = os.pidfd_open(pid)

    def poll(self) -> int | None:
        return self.wait(0)

    def wait(self, timeout: float | None = None) -> int | None:
        ended, _, _ = select.select([self._handle], [], [], timeout)
        return self.returncode if ended else None

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)


def _fork_searchers() -> None:
    """Has the processes in which this service will search forked by one that has a single thread
    now, as this one has: it takes their sockets and tells their ids.
    """
    import dateline.serving.searchers as searchers

    orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        theirs.close()

        def start(sockets: Sequence[int]) -> Searcher:
            socket.send_fds(orders, [b"2"], [*sockets])
            return Searcher(int(orders.recv(100)))

        searchers.start = start  # type: ignore[assignment]
        return
    orders.close()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    while (order := socket.recv_fds(theirs, 1, 2))[0]:
        if pid := os.fork():
            theirs.send(str(pid).encode())
            for descriptor in order[1]:
                os.close(descriptor)
            continue
        theirs.close()
        sys.argv = ["searchers", *map(str, order[1])]
        searchers.main()
        break
    os._exit(0)


def _forked(orders: socket.socket) -> Path | None:
    """Carries out orders. Returns the folder to work in, in a process that was forked for one;
    None in this one, when there are no more orders.
    """
    running: set[int] = set()
    while True:
        message, fds, _, _ = socket.recv_fds(orders, _MOST_BYTES, 1)
        if not message:
            break
        order = json.loads(message)
        if fds:
            assert len([*Path("/proc/self/task").iterdir()]) == 1
            pid = os.fork()
            if not pid:
                return _prepared(order, fds[0])
            os.close(fds[0])
            running.add(pid)
            answer = pid
        else:
            answer = _ended(order)
            running -= {*order.values()}
        orders.send(str(answer).encode())
    for pid in running:
        _ended({"kill": pid})
    return None


def _ended(order: Mapping[str, int]) -> int:
    ((name, pid),) = order.items()
    if name == "kill":
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _prepared(order: Mapping[str, Any], output: int) -> Path:
    """Makes this process one of the order; the folder that it works in."""
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    sys.argv = ["dateline", *order["arguments"]]
    return Path(order["folder"])


if __name__ == "__main__":
    main()
