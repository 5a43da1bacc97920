"""Runs files of tests beside each other: in `--forks N` processes, forked by the one that has
collected the tests. Each process of pytest-xdist collects them itself, for 20 s of processor.

A process asks for the next file when it begins the last test of the one before. What a process had
left when it ended too early is done by a new one, without the test that ended it, which has failed.
"""

from __future__ import annotations

import gc
import os
import signal
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO
from itertools import count, groupby
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.ending import end_process

_FORKED = pytest.StashKey[bool]()
_STARTED_AGAIN = {"jemalloc_bg_thd"}  # threads of libraries that start them again after a fork


def pytest_addoption(parser: pytest.Parser) -> None:
    about = "how many processes run files of tests beside each other; 0: this one runs all tests"
    parser.addoption("--forks", type=int, default=0, help=about)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Runs the tests where there shall be processes; pytest does so where not."""
    config = session.config
    forks = config.getoption("forks")
    if not forks or config.option.collectonly or session.testsfailed:
        return None
    _Run(session).play(forks)
    return True


def folder_of_run(config: pytest.Config, folder: Path) -> Path:
    """The temporary folder that all processes of a run share; `folder` is that of this process."""
    return folder.parent if _FORKED in config.stash else folder


@dataclass
class _Process:
    """A process, and the tests that it was given and has not done, by their places."""

    pid: int
    pipe: Connection
    left: deque[int] = field(default_factory=deque)
    done: int = 0  # the last one


class _Run:
    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self._hook = session.config.hook
        places = groupby(range(len(session.items)), lambda place: session.items[place].path)
        self._files = deque(deque(file) for _, file in places)
        self._names = count(1)
        self._processes: list[_Process] = []

    def play(self, forks: int) -> None:
        """Has all tests run, unless one more failure is one too many."""
        terminal: Any = self._session.config.pluginmanager.get_plugin("terminalreporter")
        terminal.showfspath = False  # results of several files come at the same time
        self._session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined] # of all
        gc.collect()
        gc.freeze()  # what is there now stays shared
        try:
            self._processes = [self._forked() for _ in range(min(forks, len(self._files)))]
            while self._processes:
                self._listen()
        finally:
            for process in self._processes:
                os.kill(process.pid, signal.SIGINT)  # it takes down what its tests have set up
                os.waitpid(process.pid, 0)

    def _listen(self) -> None:
        pipes = {process.pipe: process for process in self._processes}
        for pipe in wait([*pipes]):
            process = pipes[pipe]  # type: ignore[index]
            try:
                kind, told = process.pipe.recv()
            except (EOFError, ConnectionError):
                self._ended(process)
                continue
            if kind == "report":
                self._report(
                    self._hook.pytest_report_from_serializable(
                        config=self._session.config, data=told
                    )
                )
            elif kind == "done":
                process.done = process.left.popleft()
                self._hook.pytest_runtest_logfinish(nodeid=told[0], location=told[1])
            else:
                file = self._files.popleft() if self._files else deque()
                process.left += file
                process.pipe.send([*file])

    def _report(self, report: pytest.TestReport) -> None:
        self._hook.pytest_runtest_logreport(report=report)
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)

    def _ended(self, process: _Process) -> None:
        """Fails the test in which a process ended, and has those after it run elsewhere."""
        self._processes.remove(process)
        status = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
        if not status and not process.left:
            return
        item = self._session.items[process.left.popleft() if process.left else process.done]
        if process.left:
            self._files.appendleft(process.left)
        if self._files:
            self._processes.append(self._forked())
        said = f"its process ended with exit status {status}"
        self._report(pytest.TestReport(item.nodeid, item.location, {}, "failed", said, "call"))

    def _forked(self) -> _Process:
        names = [each.read_text().strip() for each in Path("/proc/self/task").glob("*/comm")]
        lost = [name for name in names if name not in _STARTED_AGAIN][1:]
        assert not lost, f"importing the tests left threads, which no fork has: {lost}"
        ours, theirs = Pipe()
        name = f"fork-{next(self._names)}"
        pid = os.fork()
        if not pid:
            ours.close()
            for other in self._processes:
                other.pipe.close()
            _run(self._session, theirs, name)
        theirs.close()
        return _Process(pid, ours)


def _run(session: pytest.Session, pipe: Connection, name: str) -> NoReturn:
    """Runs what it is given, as a process with streams and a temporary folder of its own."""
    config = session.config
    config.stash[_FORKED] = True
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    capture.stop_global_capturing()  # into a file that all processes would share
    capture.start_global_capturing()
    capture.suspend_global_capture()
    terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
    terminal._tw._file = StringIO()  # the first process tells the results
    config.pluginmanager.register(_Tells(config, pipe))
    folders: Any = config._tmp_path_factory  # type: ignore[attr-defined]
    folders._basetemp = folders.getbasetemp() / name
    folders._basetemp.mkdir(mode=0o700)
    try:
        _play(session, pipe)
    except (EOFError, ConnectionError):
        end_process(1)  # the first process is no more
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        session._setupstate.teardown_exact(None)
        end_process(1)
    except BaseException:  # noqa: BLE001 - the first process learns it by the exit status
        traceback.print_exc()
        end_process(1)
    pipe.close()
    end_process(0)


def _play(session: pytest.Session, pipe: Connection) -> None:
    given = _given(session, pipe)
    item = next(given, None)
    while item is not None:
        following = next(given, None)  # pytest keeps what a test has set up for the one after it
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        item = following


def _given(session: pytest.Session, pipe: Connection) -> Iterator[pytest.Item]:
    while True:
        pipe.send(("more", None))
        places = pipe.recv()
        if not places:
            return
        for place in places:
            yield session.items[place]


class _Tells:
    """Tells the first process what becomes of each test."""

    def __init__(self, config: pytest.Config, pipe: Connection) -> None:
        self._config, self._pipe = config, pipe

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._pipe.send(("report", data))

    def pytest_runtest_logfinish(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self._pipe.send(("done", (nodeid, location)))
