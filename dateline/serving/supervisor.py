"""The parent of `dateline serve --workers`: it holds the port, and replaces what serves.

```
 supervisor ── binds the port; reads the settings at the start and at each SIGHUP
   └─ generation ── loads the models of these settings once, and forks (`generation.py`)
        ├─ the process that reads requests, writes and hides (`front.py`)
        └─ the processes that search, as many as `workers` (`searchers.py`)
```

At SIGHUP a new generation starts beside the old one, with the same listening socket. When it is
ready, the old one accepts no more and ends when its clients have their answers. If it does not get
ready, the old one stays.
"""

from __future__ import annotations

import logging
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from pydantic import SecretStr

from core.errors import DatelineError
from dateline.commands.options import show_error
from dateline.serving.listener import listen
from dateline.serving.log_lines import write_log
from dateline.settings import Settings

log = logging.getLogger(__name__)
_PAUSES_S = (0.0, 1.0, 5.0, 30.0)  # before a start that replaces a generation: after each failure
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_MODULE = "dateline.serving.generation"
_ENDS_S = 40.0  # more than a generation takes


@dataclass(slots=True, eq=False)
class _Generation:
    """Processes with the settings of one moment."""

    process: subprocess.Popen[bytes]
    control: Connection
    is_ready: bool = False

    def tell(self, number: signal.Signals) -> None:
        """Send a signal."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)


@contextmanager
def _told(selector: selectors.BaseSelector, obey: Callable[[bytes], object]) -> Iterator[None]:
    """Give the numbers of signals to `obey` when `selector` finds them, while the body runs."""
    woken, wakes = socket.socketpair()
    woken.setblocking(False)
    wakes.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    wakes_before = signal.set_wakeup_fd(wakes.fileno())
    selector.register(woken, selectors.EVENT_READ, lambda: obey(woken.recv(100)))
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakes_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        selector.close()
        woken.close()
        wakes.close()


def supervise(read: Callable[[], Settings]) -> int:
    """Serve with the settings that `read` returns until Ctrl-C, which raises KeyboardInterrupt, or
    SIGTERM; return the exit code. Raises SettingsError if the address can't be had.
    """
    settings = read()
    write_log(logging.INFO)
    return Supervisor(settings, read, listen(settings.host, settings.port)).run()


class Supervisor:
    """Keeps one generation serving on a listening socket."""

    def __init__(
        self, settings: Settings, read: Callable[[], Settings], listening: socket.socket
    ) -> None:
        self._settings = settings
        self._read = read
        self._listening = listening
        self._media_secret = secrets.token_urlsafe(32)  # one for all generations
        self._selector = selectors.DefaultSelector()
        self._all: set[_Generation] = set()
        self._serving: _Generation | None = None
        self._next: _Generation | None = None
        self._failures = 0
        self._ends = self._interrupted = False
        self._code = 0

    def run(self) -> int:
        """Serve until told to end; return the exit code."""
        with _told(self._selector, self._obey):
            self._start()
            while not self._ends:
                pause = None if self._all else _PAUSES_S[min(self._failures, len(_PAUSES_S)) - 1]
                events = self._selector.select(pause)
                for key, _ in events:
                    key.data()
                if not self._all and not events:
                    self._start()
            self._end()
        if self._interrupted:
            raise KeyboardInterrupt
        return self._code

    def _obey(self, signals: bytes) -> None:
        if signal.SIGTERM in signals or signal.SIGINT in signals:
            self._ends = True
            self._interrupted = signal.SIGINT in signals
        elif signal.SIGHUP in signals:
            self._reload()

    def _reload(self) -> None:
        """Start a generation with the settings as they are now; keep the old one if they are
        wrong.
        """
        try:
            self._settings = self._read()
        except DatelineError as error:
            show_error(error)
            log.error("the settings can't be read again; the former ones stay in force")
            return
        log.info("the settings are read again")
        if self._next is not None:
            self._next.tell(signal.SIGTERM)
        self._start()

    def _start(self) -> None:
        """Start a generation with the present settings."""
        settings = self._settings
        if settings.media_secret is None:
            secret = SecretStr(self._media_secret)
            settings = settings.model_copy(update={"media_secret": secret})
        ours, theirs = socket.socketpair()
        file = os.memfd_create("settings")
        os.write(file, settings.as_bytes())
        handles = (file, self._listening.fileno(), theirs.fileno())
        command = [sys.executable, "-P", "-m", _MODULE, *map(str, handles)]
        process = subprocess.Popen(  # noqa: S603  our own interpreter and module
            command, pass_fds=handles, stdin=subprocess.DEVNULL, process_group=0
        )
        os.close(file)
        theirs.close()
        made = _Generation(process, Connection(ours.detach()))
        self._all.add(made)
        self._next = made
        self._selector.register(made.control, selectors.EVENT_READ, lambda: self._hear(made))

    def _hear(self, generation: _Generation) -> None:
        """Note that a generation is ready, or has ended."""
        try:
            generation.control.recv_bytes()
        except (OSError, EOFError):
            self._forget(generation)
            return
        generation.is_ready = True
        self._failures = 0
        if generation is not self._next:  # it has another process that reads requests
            return
        before, self._serving, self._next = self._serving, generation, None
        if before is not None:
            before.tell(signal.SIGHUP)

    def _forget(self, generation: _Generation) -> None:
        self._selector.unregister(generation.control)
        generation.control.close()
        code = generation.process.wait()
        self._all.remove(generation)
        if generation is self._next:
            self._next = None
            if self._serving is not None:
                log.error("the new settings do not serve (%d); the former ones stay", code)
                return
            self._failures += 1
            if self._failures == 1:  # at the very start: the error was printed
                self._ends, self._code = True, code if code > 0 else 1
        elif generation is self._serving:
            self._serving = None
            self._failures += 1
            log.error("the processes that serve ended (%d); others start", code)
        elif generation.is_ready:
            log.info("the processes with the former settings have ended")

    def _end(self) -> None:
        """End all processes and wait for them."""
        for generation in self._all:
            generation.tell(signal.SIGTERM)
        for generation in self._all:
            try:
                generation.process.wait(_ENDS_S)
            except subprocess.TimeoutExpired:
                generation.process.kill()
            generation.control.close()
        self._listening.close()
