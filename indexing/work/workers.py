"""Names for processes that carry out orders, and what becomes of the orders of those that died.

A name is the host's, the archive folder's and a number; the number's lock in that folder is held as
long as the process lives, so the next process of the folder after a kill has the same name and goes
on with its orders. What processes of other folders and hosts left behind is given out again when
they have been silent for a minute. Several folders of one host may share a database of orders, and
so may containers of one host name: a folder's part of the name is a random one that is kept in it,
and its place on the disk, since a copy of a folder is another one.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, Protocol

from core.errors import BusyError, StorageError
from core.work_ports import Beats

log = logging.getLogger(__name__)

SILENT_S = 60.0
_SWEEP_S = 3.0
_MOST = 256  # processes of a folder
_MARK = "folder.mark"


class OrdersLeft(Protocol):
    """Orders by the process that began them."""

    def left_by(self, process: str) -> list[str]:
        """The names of the orders that a process began and did not end."""
        ...

    def give_again(self, names: Collection[str]) -> None:
        """Puts orders back that nobody works on any more."""
        ...


class ProcessName:
    """A name that no other living process has, until `release` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._host = f"{socket.gethostname()[:100]}-{_mark_of(folder)}"
        for number in range(_MOST):
            lock = _try_lock(folder / f"{number}.lock")
            if lock is not None:
                self.name, self._lock = f"{self._host}-{number}", lock
                return
        raise BusyError(f"{_MOST} workers run on this folder", where=str(folder))

    def dead_here(self) -> Iterator[str]:
        """Names of this folder that were used and that nobody bears now."""
        for path in self._folder.glob("*.lock"):
            name = f"{self._host}-{path.stem}"
            if name == self.name:
                continue
            lock = _try_lock(path)
            if lock is not None:
                try:
                    yield name
                finally:
                    lock.close()

    def release(self) -> None:
        """Gives the name back."""
        self._lock.close()


class Sweeper:
    """Looks for orders that nobody works on, in a thread of its own until `close`.

    `working` says which orders this process works on. `heal` gives out orders that assets wait for
    (`indexing.work.desk.JobDesk.heal_all`). It is called after the first look and whenever orders
    were given again: what such an order had gone on to may be for a queue of another worker's.
    """

    def __init__(
        self,
        name: ProcessName,
        orders: OrdersLeft,
        beats: Beats,
        working: Callable[[], Collection[str]],
        heal: Callable[[], None],
    ) -> None:
        self._name = name
        self._orders = orders
        self._beats = beats
        self._working = working
        self._heal = heal
        self._unhealed = True
        self._doubtful: frozenset[str] = frozenset()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orders left", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and says that the process is gone. Where it leaves orders behind, it just
        falls silent: its folder may not come back, and others look for the orders of the silent.
        """
        self._ended.set()
        self._thread.join(timeout=10)
        name = self._name.name
        try:
            if self._orders.left_by(name):
                self._beats.beat(name)  # it may not have been swept once
            else:
                self._beats.forget(name)
        except StorageError as error:
            log.warning("%s", error)

    def sweep(self) -> None:
        """Gives out again what nobody works on. Raises StorageError."""
        self._beats.beat(self._name.name)
        for name in self._name.dead_here():
            self._give_again(self._orders.left_by(name))
        for name in self._beats.silent(SILENT_S):
            self._give_again(self._orders.left_by(name))
            self._beats.forget(name)
        self._sweep_own()
        if self._unhealed:
            self._heal()
            self._unhealed = False

    def _sweep_own(self) -> None:
        """An order whose end could not be written (a full disk) looks begun for ever. One that was
        just handed out looks the same, but not twice.
        """
        left = frozenset(self._orders.left_by(self._name.name)) - set(self._working())
        self._give_again(sorted(left & self._doubtful))
        self._doubtful = left

    def _give_again(self, names: Collection[str]) -> None:
        if names:
            self._unhealed = True
            self._orders.give_again(names)

    def _run(self) -> None:
        while not self._ended.wait(_SWEEP_S):
            try:
                self.sweep()
            except Exception as error:  # noqa: BLE001 - it is tried again, whatever it was
                log.warning("orders that were left can't be looked for: %s", error)


def _mark_of(folder: Path) -> str:
    """What no other folder has, as 8 hex digits; the same at every start."""
    with (folder / _MARK).open("a+", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # of two that begin, one writes it
        stream.seek(0)
        mark = stream.read()
        if not mark:
            mark = os.urandom(16).hex()
            stream.write(mark)
            stream.flush()
            os.fsync(stream.fileno())
    found = folder.stat()
    parts = f"{mark}:{found.st_dev}:{found.st_ino}"
    return hashlib.sha256(parts.encode()).hexdigest()[:8]


def _try_lock(path: Path) -> IO[str] | None:
    stream = path.open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.close()
        return None
    return stream
