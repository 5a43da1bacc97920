"""Rate limits in a small file that all processes of an archive on one host share.

This is `core.limits.Limiter` over a memory-mapped table of moments. They are in the kernel's time
since the start of the machine, which is the same in every process and which no change of the clock
moves. The table outlives every process, even after kill -9; a restart of the machine empties it.
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
SLOTS = 65_536  # some for each account: its methods have a minute and a day each
_HEADER = 64
_SLOT = struct.Struct("<16sq")  # the owner, and when all is paid back
_SIZE = _HEADER + SLOTS * _SLOT.size
_PROBED = 16  # slots in which a key may be
_PATIENCE_S = 0.05  # for another process, which holds the lock for some microseconds
_PAUSE_S = 20e-6
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def open_limits(folder: Path) -> Limiter:
    """Return the limiter of an archive's folder. If the file can't be opened, this process counts
    alone, because a service should start even without shared limits.
    """
    try:
        return HostLimits(folder / FILE)
    except OSError as error:
        log.warning("limits are of this process alone: %s (%s)", error.strerror, folder)
        return MemoryLimiter()


class HostLimits:
    """A limiter for every process that opens the same file. Raises OSError if it can't be made.

    A key has one of _PROBED slots by its hash. A slot that is paid back is free. If none is free, a
    new key takes the slot that is free soonest, with what is still owed there.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # All pages get disk space now; a later write without space would raise SIGBUS.
            os.posix_fallocate(self._file, 0, _SIZE)
            self._table = mmap.mmap(self._file, _SIZE)
        except OSError:
            os.close(self._file)
            raise
        self._threads = Lock()
        self._patience_s = _PATIENCE_S
        self._begin()

    def take(self, limit: Limit, key: str, cost: int = 1) -> Allowed | Refused:
        """Take `cost` of a key's limit, or refuse."""
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
        """Close the file; a second call does nothing."""
        with self._threads:
            if not self._table.closed:
                self._table.close()
                os.close(self._file)

    def _begin(self) -> None:
        """Empty the table if it is new, or older than the machine's last start."""
        mark = _mark()
        locked = self._lock()
        if self._table[: len(mark)] != mark:
            self._table[:] = mark + bytes(_SIZE - len(mark))
        if locked:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _lock(self) -> bool:
        """Lock the file; return whether that succeeded. A process that was stopped while it held
        the lock must not stop the others. After a while they go on without the lock; then two takes
        at the same time may count as one.
        """
        deadline = 0.0
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                now = time.monotonic()
                deadline = deadline or now + self._patience_s
                if now >= deadline:
                    self._patience_s = 0.0  # until a lock succeeds again
                    return False
                time.sleep(_PAUSE_S)
            else:
                self._patience_s = _PATIENCE_S
                return True

    def _slot(self, owner: bytes, now: int) -> tuple[int, int]:
        """Return the place of the owner's moment, and the moment now, 0 for none."""
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
    """Return the nanoseconds since the machine's start, the time that it slept included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _mark() -> bytes:
    """Return the head of the table: its format, and the start that its times count from."""
    try:
        boot = _BOOT.read_bytes()
    except OSError:
        boot = b""
    return b"DLIMITS2" + blake2b(boot, digest_size=16).digest()
