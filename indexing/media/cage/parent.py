"""The parent's side of the child processes that read untrusted media.

A child is started once and reads many files, one after the other. It gets open files, never names,
and answers over a socket. If it crashes, hangs, lies or uses too much memory, only its present file
and the child itself are lost, never the process that asked.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from core.errors import BusyError, LimitError, MediaError, SettingsError
from indexing.media.cage.answers import Answer, Ready, Refused, at_most, understand
from indexing.media.cage.limits import CageLimits, CageProtection
from indexing.media.cage.wire import HungUpError, Message, SilenceError, WireError, receive, send

Mode = Literal["file", "network"]
_ROOT = Path(__file__).resolve().parents[3]
_START_S = 60.0
_BOOT = (
    "import sys, json; told = json.loads(sys.argv[1]); sys.path[:0] = told['path']; "
    "from indexing.media.cage.child import main; main(told)"
)
# No variable of ours: no key, no proxy, no home. Arenas and BLAS threads would use up the address
# space; returning pictures' buffers to the kernel each time costs a fifth of a photo's time.
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20),
    "OPENBLAS_NUM_THREADS": "1",
}


class UnreadError(Exception):
    """A file was not read: `what` says why; `limit`, whether it would take too much.

    `ended`: the child has ended too. `again`: the failure may come from earlier files of the child,
    so a fresh child should be asked.
    """

    def __init__(self, what: str, *, limit: bool = False, ended: bool, again: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.limit = limit
        self.ended = ended
        self.again = again

    def error(self, where: str) -> MediaError:
        """Return the error for the file."""
        if self.limit:
            return LimitError(self.what, where=where, mend="see the limits of the media settings")
        return MediaError(self.what, where=where, mend="see whether other programs can open it")


class CagedChild:
    """One child process, for one thread at a time.

    `files` counts its requests. After an UnreadError with `ended` it is dead.
    """

    def __init__(self, limits: CageLimits, mode: Mode = "file") -> None:
        self._limits = limits
        self.files = 0
        self.handle: int | None = None
        self._budget: int | None = None  # seconds of computing in all, for a source with an end
        self._on_budget = False
        self._line, theirs = socket.socketpair()
        with theirs:
            self._process = _start(theirs, limits, mode)
        self.protection, self.handle = self._greet()  # raises SettingsError where too little holds

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def ask(
        self, head: Mapping[str, Any], handle: int | None = None, *, endless: bool = False
    ) -> None:
        """Send a request, with an open file. Raises UnreadError. An `endless` source, such as a
        live one, has no limit of computing in all, only that between two answers.
        """
        self.files += 1
        self._budget = None if endless else self._used_s() + self._limits.file_cpu_s
        if endless:
            self._give_time()  # until its first answer it has the time that the last file left
        self.tell(head, handle)

    def tell(self, head: Mapping[str, Any], handle: int | None = None) -> None:
        """Send one more message of the same request. Raises UnreadError."""
        try:
            send(self._line, Message(head, handle=handle), self._limits.stall_s)
        except (HungUpError, SilenceError) as error:
            raise self._lost(error) from None

    def hear(self) -> tuple[Answer, bytes]:
        """Return the next answer and its body. Raises UnreadError if that is a refusal or none
        comes.
        """
        self._give_time()
        try:
            message = receive(self._line, self._limits.stall_s)
            answer = understand(message)
        except (WireError, HungUpError, SilenceError) as error:
            raise self._lost(error) from None
        if isinstance(answer, Refused):
            what, over = at_most(answer.what), answer.over
            raise UnreadError(what, limit=answer.limit, ended=over, again=over)
        return answer, message.body

    def is_heard(self, within_s: float) -> bool:
        """Return whether the child begins to answer, or hangs up, within that time."""
        return bool(select.select([self._line], [], [], within_s)[0])

    def hand_over(self) -> int:
        """Return the listener of a child with its own network; from now on the caller owns it."""
        handle, self.handle = self.handle, None
        if handle is None:
            raise UnreadError("this child has no door", ended=False)
        return handle

    def disbelieve(self, error: WireError) -> UnreadError:
        """End a child whose answer can't be right; return the error."""
        return self._lost(error)

    def kill(self) -> None:
        """End it at once; a second call is allowed."""
        self._line.close()
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()

    def _greet(self) -> tuple[CageProtection, int | None]:
        """Wait until the walls stand."""
        try:
            message = receive(self._line, _START_S, handles=1)
            answer = understand(message)
        except (WireError, HungUpError, SilenceError) as error:
            raise _unstarted(self._lost(error).what) from None
        if isinstance(answer, Ready):
            protection = answer.protection()
            if protection.is_enough or self._limits.unsealed:
                return protection, message.handle
            self.kill()
            raise _unsealed(protection)
        self.kill()
        raise _unstarted(answer.what if isinstance(answer, Refused) else "it said something else")

    def _give_time(self) -> None:
        """Allow a little more computing time than it has used: beyond that the kernel kills it."""
        used = self._used_s()
        allowed = used + self._limits.cpu_s
        self._on_budget = self._budget is not None and self._budget < allowed
        if self._budget is not None:
            allowed = min(allowed, self._budget)
        allowed += 1
        if sys.platform == "linux":
            with suppress(OSError, ValueError):
                _, hard = resource.prlimit(self.pid, resource.RLIMIT_CPU)
                soft = allowed if hard == resource.RLIM_INFINITY else min(allowed, hard)
                resource.prlimit(self.pid, resource.RLIMIT_CPU, (soft, hard))

    def _used_s(self) -> int:
        """Return seconds of computing so far (proc(5): fields 14 and 15 of stat)."""
        try:
            after_name = Path(f"/proc/{self.pid}/stat").read_text("ascii", "replace")
            fields = after_name.rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) // os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return 0

    def _lost(self, error: Exception) -> UnreadError:
        """Kill it; return the error with the cause."""
        if isinstance(error, HungUpError):
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1.0)
        ended = self._process.poll()
        self.kill()
        if isinstance(error, WireError):
            return UnreadError(f"the decoder's answer can't be believed: {error}", ended=True)
        if isinstance(error, SilenceError):
            what = f"decoding stood still for {self._limits.stall_s:.0f} s"
            return UnreadError(what, limit=True, ended=True)
        if ended == -signal.SIGXCPU:
            what = f"decoding took more than {self._limits.cpu_s} s of computing at a time"
            if self._on_budget:
                what = f"decoding took more than {self._limits.file_cpu_s} s of computing in all"
            return UnreadError(what, limit=True, ended=True)
        return UnreadError(f"the decoder ended ({_how(ended)})", ended=True, again=True)


class Cage:
    """The children that wait for a file; for many threads."""

    def __init__(self, limits: CageLimits) -> None:
        self._limits = limits
        self._idle: list[CagedChild] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def child(self, *, fresh: bool = False) -> Iterator[CagedChild]:
        """Yield a child for one file. If the work is broken off, the child ends too."""
        child = self._take() if not fresh else CagedChild(self._limits)
        try:
            yield child
        except BaseException as error:
            if isinstance(error, UnreadError) and not error.ended:
                self._put_back(child)
            else:
                child.kill()
            raise
        self._put_back(child)

    def close(self) -> None:
        """End the waiting children, and those at work when they are done."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for child in idle:
            child.kill()

    def _take(self) -> CagedChild:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return CagedChild(self._limits)

    def _put_back(self, child: CagedChild) -> None:
        with self._lock:
            keep = (
                not self._closed
                and child.files < self._limits.files_per_child
                and len(self._idle) < self._limits.idle_children
            )
            if keep:
                self._idle.append(child)
        if not keep:
            child.kill()


def _start(theirs: socket.socket, limits: CageLimits, mode: Mode) -> subprocess.Popen[bytes]:
    folders = [str(_ROOT), *(str(Path(name).resolve()) for name in sys.path if name)]
    told = {
        "handle": theirs.fileno(),
        "limits": asdict(limits),
        "mode": mode,
        "path": list(dict.fromkeys(folders)),
    }
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter with our own words
            [sys.executable, "-I", "-S", "-B", "-c", _BOOT, json.dumps(told)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
            cwd="/",
            pass_fds=[theirs.fileno()],
        )
    except OSError as error:
        raise _unstarted(str(error)) from error


def _how(ended: int | None) -> str:
    if ended is None or ended >= 0:
        return "by itself"
    return signal.Signals(-ended).name


def _unsealed(protection: CageProtection) -> SettingsError:
    return SettingsError(
        "photos and videos are not read here, because too little protects from a hostile file: "
        f"{protection}",
        where="media_unsealed",
        mend="run it where a process may install a seccomp filter, or set media_unsealed to true "
        "if all files are your own",
    )


def _unstarted(what: str) -> BusyError:
    return BusyError(
        f"the process that decodes media did not start: {at_most(what)}",
        mend="try again; if it stays so, give the media settings' limits more memory",
    )
