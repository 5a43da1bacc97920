"""The worker of a process: it leases orders, carries each out in a thread, and keeps its leases.

    leasing thread ──> a thread for each order ──> complete, which may order the next stage
    one look for all queues   chunks, reading      and wakes the leasing thread

Another thread renews the leases, so that a long piece of work keeps its order. A worker that is
killed renews nothing: its orders go to the next one.

There is a queue for reading, one for each stage, and one for operations. The name of a worker's
process has three parts: the host's name, the archive folder's and a number. The number's lock in
that folder is held as long as the process lives. So after a kill the next process of the folder has
the same name, and can take the orders that are leased to that name at once. Several folders of one
host may share a database of orders, and so may containers of one host name. So the folder's part
comes from a random text that is kept in it, and from its place on the disk, because a copy of a
folder is another folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.errors import BusyError, InputError, StorageError
from core.ports.work import Orders
from core.tracing import Trace, Value
from core.work import MODEL_STAGES, OPERATE, READ, STAGES, Order
from indexing.work.stages.stage import Stop

QUEUES = (READ, *(str(stage) for stage in STAGES))
EVERY_QUEUE = (*QUEUES, OPERATE)  # an ingest that works on its own files takes no operation
MODELS = "models"  # means the queues whose work needs a model


def queues_named(text: str) -> tuple[str, ...]:
    """Return the queues in a list with commas. Raises InputError."""
    named = [name.strip() for name in text.split(",") if name.strip()]
    models = [str(stage) for stage in MODEL_STAGES]
    found = [one for name in named for one in (models if name == MODELS else [name])]
    unknown = next((name for name in found if name not in EVERY_QUEUE), "" if found else text)
    if unknown or not found:
        mend = f"one of {', '.join(EVERY_QUEUE)}, or {MODELS} for {', '.join(models)}"
        raise InputError(f"there is no queue {unknown!r}", mend=mend)
    return tuple(dict.fromkeys(found))


_MOST = 256  # processes of a folder
_MARK = "folder.mark"


class ProcessName:
    """A name that no other living process has, until `release` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        host = f"{socket.gethostname()[:100]}-{_mark_of(folder)}"
        for number in range(_MOST):
            lock = _try_lock(folder / f"{number}.lock")
            if lock is not None:
                self.name, self._lock = f"{host}-{number}", lock
                return
        raise BusyError(f"{_MOST} workers run on this folder", where=str(folder))

    def release(self) -> None:
        """Give the name back."""
        self._lock.close()


def _mark_of(folder: Path) -> str:
    """Return a mark that no other folder has, as 8 hex digits; the same at every start."""
    with (folder / _MARK).open("a+", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)  # if two processes begin, one of them writes it
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


log = logging.getLogger(__name__)

RENEW_S = 5.0  # well below the length of a lease
_AFTER_FAILURE_S = 2.0

CarryOut = Callable[[Order, Stop], None]


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How many orders of a queue a process works on at the same time, and how often it looks for
    new ones while it waits, in seconds.
    """

    chunks: Mapping[str, int]
    poll_s: float = 0.1


class QueueWorker:
    """Carries out the orders of some queues in this process, under a name that no other live
    process has. `run_order` and `run_reading` get an order, and a function that says whether the
    process must stop; they end the order. Set `stopped` to stop the process.
    """

    def __init__(
        self,
        orders: Orders,
        process: str,
        run_order: CarryOut,
        run_reading: CarryOut,
        settings: QueueSettings,
        queues: Collection[str] = QUEUES,
        *,
        stopped: threading.Event | None = None,
        renew_s: float = RENEW_S,
    ) -> None:
        self.stopped = stopped or threading.Event()
        self._orders = orders
        self._process = process
        self._run_order = run_order
        self._run_reading = run_reading
        self._room = {queue: settings.chunks.get(queue, 1) for queue in queues}
        self._poll_s = settings.poll_s
        self._renew_s = renew_s
        self._working: set[Order] = set()
        self._ended = False  # whether an order ended since the last look for new ones
        self._changed = threading.Condition()
        self._closed = threading.Event()
        orders.release_all(process)  # orders of a killed process of this name
        self._leasing = threading.Thread(target=self._lease, name="orders: leasing", daemon=True)
        renewing = threading.Thread(target=self._renew, name="orders: renewing", daemon=True)
        for thread in (self._leasing, renewing):
            thread.start()

    @property
    def stopping(self) -> bool:
        """Return whether orders must end soon."""
        return self.stopped.is_set()

    @property
    def working(self) -> frozenset[Order]:
        """Return the orders in progress."""
        with self._changed:
            return frozenset(self._working)

    def wait(self, seconds: float) -> bool:
        """Wait; return True as soon as the process must stop."""
        return self.stopped.wait(seconds)

    def stop(self) -> None:
        """Tell orders in progress to end soon; no other is begun."""
        self.stopped.set()

    def close(self, within_s: float = 20.0) -> None:
        """Stop; orders that have not ended within `within_s` go to the next process. The default
        leaves time to give them back: a container is killed 30 s after SIGTERM.
        """
        self.stop()
        deadline = time.monotonic() + within_s
        self._leasing.join(within_s)
        with self._changed:
            left = max(0.0, deadline - time.monotonic())
            self._changed.wait_for(lambda: not self._working, timeout=left)
        self._closed.set()
        try:
            self._orders.release_all(self._process)
        except StorageError as error:
            log.warning("leases end by themselves, since they can't be given back: %s", error)

    def _lease(self) -> None:
        while not self.stopped.is_set():
            try:
                leased = self._orders.lease(self._process, self._free())
                for order in leased:
                    self._begin(order)
            except Exception as error:  # noqa: BLE001 - it is tried again, whatever it was
                log.warning("no orders can be had: %s", error)
                self.stopped.wait(_AFTER_FAILURE_S)
                continue
            with self._changed:
                if not leased and not self._ended:
                    self._changed.wait(self._poll_s)
                self._ended = False  # an ended order has left room, and may have ordered the next

    def _free(self) -> dict[str, int]:
        with self._changed:
            busy = Counter(order.queue for order in self._working)
        return {queue: count - busy[queue] for queue, count in self._room.items()}

    def _begin(self, order: Order) -> None:
        name = f"order {order.job}/{order.queue}/{order.chunk}"
        thread = threading.Thread(target=self._carry_out, args=(order,), name=name, daemon=True)
        with self._changed:
            self._working.add(order)
        try:
            thread.start()
        except RuntimeError:  # no more threads: the lease runs out
            self._end(order)
            raise

    def _end(self, order: Order) -> None:
        with self._changed:
            self._working.discard(order)
            self._ended = True
            self._changed.notify_all()

    def _carry_out(self, order: Order) -> None:
        """Carry out an order. On any failure it is given back, or its lease ends."""
        run = self._run_reading if order.queue == READ else self._run_order
        try:
            with Trace(order.queue, _described(order), kind="consumer", header=order.trace):
                run(order, self.stopped.is_set)
        except Exception as error:
            what = f"{order.queue} of chunk {order.chunk} of {order.job} was not carried out"
            log.warning("%s", what, exc_info=None if isinstance(error, StorageError) else error)
            with suppress(StorageError):
                self._orders.release(order, _AFTER_FAILURE_S)
        finally:
            self._end(order)

    def _renew(self) -> None:
        while not self._closed.wait(self._renew_s):
            try:
                self._orders.renew(self.working)
            except Exception as error:  # noqa: BLE001 - it is tried again, whatever it was
                log.warning("leases can't be renewed: %s", error)


def _described(order: Order) -> dict[str, Value]:
    """Return the attributes of an order's span."""
    return {
        "messaging.system": "dateline",
        "messaging.destination.name": order.queue,
        "messaging.operation.type": "process",
        "dateline.job": order.job,
        "dateline.chunk": order.chunk,
        "dateline.taken": order.taken,
    }
