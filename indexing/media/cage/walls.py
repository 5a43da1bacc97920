"""The walls that a child builds around itself before it sees a byte of a file.

First, while it has one thread, it makes a user and a network namespace of its own. Then, once all
libraries are loaded, it sets limits, no new privileges and the filter of seccomp.py. It reports
what the machine does not offer.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import socket
import struct
import sys

from indexing.media.cage import seccomp as cage_seccomp
from indexing.media.cage.limits import CageProtection

_NEW_USER, _NEW_NETWORK, _NEW_IPC = 0x10000000, 0x40000000, 0x08000000
_SET_NO_NEW_PRIVILEGES, _SET_DUMPABLE = 38, 4
_GET_INTERFACE_FLAGS, _SET_INTERFACE_FLAGS, _UP = 0x8913, 0x8914, 0x1
_HANDLES, _PROCESSES = 32, 64


def leave_the_network() -> str:
    """Move this process, which must have one thread, into its own namespaces; return the problem,
    or "".
    """
    if sys.platform != "linux":
        return f"no namespaces on {sys.platform}"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_USER | _NEW_NETWORK | _NEW_IPC):
        return f"no namespaces of its own (errno {ctypes.get_errno()})"
    return ""


def raise_loopback() -> None:
    """Turn on 127.0.0.1 in a network of our own. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        asked = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(line, _GET_INTERFACE_FLAGS, asked))[1]
        fcntl.ioctl(line, _SET_INTERFACE_FLAGS, struct.pack("16sH14x", b"lo", flags | _UP))


def build_walls(memory_bytes: int, left: str, *, network: bool) -> CageProtection:
    """Limit this process for good. `left` is the result of `leave_the_network`; `network` allows
    sockets in the filter.
    """
    notes = [left] if left else []
    memory = _limit(resource.RLIMIT_AS, memory_bytes, notes)
    _limit(resource.RLIMIT_FSIZE, 0, notes)
    _limit(resource.RLIMIT_CORE, 0, notes)
    _limit(resource.RLIMIT_NOFILE, _HANDLES, notes)
    if not left:  # threads count as processes; elsewhere the user's other programs count too
        _limit(resource.RLIMIT_NPROC, _PROCESSES, notes)
    alone = _give_up_privileges(notes)
    refused = cage_seccomp.install(network=network) if alone else "no seccomp filter"
    if refused:
        notes.append(refused)
    return CageProtection(
        no_open=not refused,
        no_network=not left or not (refused or network),
        own_network=not left,
        no_new_privileges=alone,
        memory=memory,
        notes=tuple(notes),
    )


def _limit(what: int, most: int, notes: list[str]) -> bool:
    try:
        resource.setrlimit(what, (most, most))
    except (OSError, ValueError) as error:
        notes.append(f"limit {what} refused: {error}")
        return False
    return True


def _give_up_privileges(notes: list[str]) -> bool:
    if sys.platform != "linux":
        notes.append(f"no prctl on {sys.platform}")
        return False
    os.umask(0o777)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        notes.append(f"no_new_privs refused (errno {ctypes.get_errno()})")
        return False
    return True
