"""A filter that lets a process only read, write, compute and end (seccomp, BPF).

No allowed call opens a file by name, makes a socket, starts a program or a process (threads are
allowed, as decoders use them), or maps executable memory. A refused call fails with EPERM, so that
a library that only tries it can continue. Kernel: Documentation/userspace-api/seccomp_filter.rst;
numbers: asm/unistd_64.h and asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

# name: number on x86_64 (None if it has no such call), on aarch64
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "lseek": (8, 62),
    "close": (3, 57),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "dup": (32, 23),
    "fcntl": (72, 25),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "brk": (12, 214),
    "futex": (202, 98),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "gettid": (186, 178),
    "getpid": (39, 172),
    "getcpu": (309, 168),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "times": (100, 153),
    "sysinfo": (99, 179),
    "getrandom": (318, 278),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "shutdown": (48, 210),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_NETWORK: dict[str, tuple[int, int]] = {
    "connect": (42, 203),
    "setsockopt": (54, 208),
    "getsockopt": (55, 209),
    "getsockname": (51, 204),
    "getpeername": (52, 205),
}
_MMAP, _MPROTECT, _CLONE, _CLONE3, _SOCKET = (9, 222), (10, 226), (56, 220), (435, 435), (41, 198)
_TGKILL = (234, 131)
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_LOAD, _EQUAL, _ANY_BIT, _AT_LEAST, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER_AT, _MACHINE_AT, _ARGUMENT_AT = 0, 4, 16
_THREAD, _EXECUTE = 0x00010000, 0x4
_INET, _INET6 = 2, 10
_SET_SECCOMP, _FILTER = 22, 2


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("count", ctypes.c_ushort), ("code", ctypes.c_char_p))


def is_known(machine: str = "") -> bool:
    """Return whether this processor's call numbers are known here."""
    return (machine or platform.machine()) in _MACHINES


def program(machine: str, *, network: bool, own: int) -> bytes:
    """Return the filter in BPF, 8 bytes an instruction. `network` allows TCP and UDP sockets;
    signals may go to the process `own` only.
    """
    column, tag = _MACHINES[machine]
    calls = [numbers[column] for numbers in _CALLS.values()]
    if network:
        calls += [numbers[column] for numbers in _NETWORK.values()]
    refuse, allow = _say(_REFUSE | errno.EPERM), _say(_ALLOW)
    code = [_do(_LOAD, _MACHINE_AT), _do(_EQUAL, tag, 1, 0), _say(_KILL), _do(_LOAD, _NUMBER_AT)]
    if machine == "x86_64":  # the x32 calls have numbers of their own
        code += [_do(_AT_LEAST, 0x40000000, 0, 1), refuse]
    for number in calls:
        if number is not None:
            code += [_do(_EQUAL, number, 0, 1), allow]
    # The C library falls back to clone, whose flags can be checked.
    code += [_do(_EQUAL, _CLONE3[column], 0, 1), _say(_REFUSE | errno.ENOSYS)]
    code += _where(_CLONE[column], 0, [_do(_ANY_BIT, _THREAD, 0, 1), allow, refuse])
    code += _where(_TGKILL[column], 0, [_do(_EQUAL, own, 0, 1), allow, refuse])
    for number in (_MMAP[column], _MPROTECT[column]):
        code += _where(number, 2, [_do(_ANY_BIT, _EXECUTE, 1, 0), allow, refuse])
    if network:
        families = [_do(_EQUAL, _INET, 1, 0), _do(_EQUAL, _INET6, 0, 1), allow, refuse]
        code += _where(_SOCKET[column], 0, families)
    return b"".join([*code, refuse])


def install(*, network: bool) -> str:
    """Put the filter on this process and its future threads; return the problem, or ""."""
    machine = platform.machine()
    if not is_known(machine):
        return f"no seccomp filter for {machine}"
    code = program(machine, network=network, own=os.getpid())
    libc = ctypes.CDLL(None, use_errno=True)
    filled = _Program(len(code) // 8, code)
    if libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(filled), 0, 0):
        return f"seccomp refused (errno {ctypes.get_errno()})"
    return ""


def _do(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _say(verdict: int) -> bytes:
    return _do(_RETURN, verdict)


def _where(number: int, argument: int, then: list[bytes]) -> list[bytes]:
    """Return `then`, on the low half of an argument, if the call is `number`; else the next
    test.
    """
    load = _do(_LOAD, _ARGUMENT_AT + 8 * argument)
    return [_do(_EQUAL, number, 0, len(then) + 1), load, *then]
