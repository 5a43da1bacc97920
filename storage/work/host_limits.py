"""What each key took lately, in a small file that all processes of an archive on one host share.

`core.limits.Limiter` over a memory-mapped table of moments, in the kernel's time since the start of
the machine: it is the same in every process and no setting of the clock moves it. The table
outlives every process, kill -9 included; what it held before a restart of the machine is forgotten.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import struct
import time
from hashlib import blake2b
from pathlib import Path
from threading import Lock

from core.limits import Allowed, Limit, Limiter, MemoryLimiter, Refused, charged

log = logging.getLogger(__name__)

FILE = "limits"
SLOTS = 4096
_HEADER = 64
_SLOT = struct.Struct("<16sq")  # whose, and when it is paid back
_SIZE = _HEADER + SLOTS * _SLOT.size
_PROBED = 16  # slots in which a key may be
_PATIENCE_S = 0.05  # for another process, which holds the lock for some microseconds
_PAUSE_S = 20e-6
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def open_limits(folder: Path) -> Limiter:
    """The limiter of an archive's folder. Where the file can't be had, this process counts alone:
    a limit is not worth a service that does not start.
    """
    try:
        return HostLimits(folder / FILE)
    except OSError as error:
        log.warning("limits are of this process alone: %s (%s)", error.strerror, folder)
        return MemoryLimiter()


class HostLimits:
    """A limiter for every process that opens the same file. Raises OSError where it can't be made.

    A key has one of _PROBED slots by its hash. A slot that is paid back is free. Where none is, the
    newcomer takes over the one that is free soonest, with what is still owed there.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Every page has its place on the disk: writing to one that had none would be a SIGBUS.
            os.posix_fallocate(self._file, 0, _SIZE)
            self._table = mmap.mmap(self._file, _SIZE)
        except OSError:
            os.close(self._file)
            raise
        self._threads = Lock()
        self._patience_s = _PATIENCE_S
        self._begin()

    def take(self, limit: Limit, key: str, cost: int = 1) -> Allowed | Refused:
        """See `core.limits.Limiter`."""
        owner = blake2b(f"{limit.name}\0{key}".encode(), digest_size=16).digest()
        with self._threads:
            locked = self._lock()
            try:
                now = _now()
                place, paid_back = self._slot(owner, now)
                moment, answer = charged(paid_back, now, limit, cost)
                if isinstance(answer, Allowed):
                    _SLOT.pack_into(self._table, place, owner, moment)
                return answer
            finally:
                if locked:
                    fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Closes the file; a second time does nothing."""
        with self._threads:
            if not self._table.closed:
                self._table.close()
                os.close(self._file)

    def _begin(self) -> None:
        """Empties the table where it is new, or from before the machine's last start."""
        mark = _mark()
        locked = self._lock()
        if self._table[: len(mark)] != mark:
            self._table[:] = mark + bytes(_SIZE - len(mark))
        if locked:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _lock(self) -> bool:
        """Whether this process has the file alone now. A process that was stopped with the lock in
        its hands must not stop the others: after a while they go on without, when two that take at
        the same time may be counted as one.
        """
        deadline = 0.0
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                now = time.monotonic()
                deadline = deadline or now + self._patience_s
                if now >= deadline:
                    self._patience_s = 0.0  # until it can be had again
                    return False
                time.sleep(_PAUSE_S)
            else:
                self._patience_s = _PATIENCE_S
                return True

    def _slot(self, owner: bytes, now: int) -> tuple[int, int]:
        """Where the owner's moment is to be kept, and which it is now, 0 for none."""
        first = int.from_bytes(owner[:8], "little") % SLOTS
        best, soonest = 0, -1
        for step in range(_PROBED):
            place = _HEADER + (first + step) % SLOTS * _SLOT.size
            whose, paid_back = _SLOT.unpack_from(self._table, place)
            if whose == owner:
                return place, paid_back
            if soonest < 0 or paid_back < soonest:
                best, soonest = place, paid_back
        return best, soonest if soonest > now else 0


def _now() -> int:
    """Nanoseconds since the machine's start, the time in which it slept among them."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _mark() -> bytes:
    """What the table begins with: its form, and which start of the machine its times count from."""
    try:
        boot = _BOOT.read_bytes()
    except OSError:
        boot = b""
    return b"DLIMITS1" + blake2b(boot, digest_size=16).digest()
