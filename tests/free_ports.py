"""Ports of the loopback interface for servers that tests start."""

from __future__ import annotations

import secrets
import socket

# Below those that the system gives to whoever connects: any connection could take one of them
# before its server has it.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port that nobody has."""
    return ports_in_a_row(1)[0]


def ports_in_a_row(count: int, beside: int = 0) -> range:
    """As many free ports in a row; where `beside` is given, each with the free one so far above."""
    for _ in range(100):
        first = secrets.choice(_PORTS)
        wanted = range(first, first + count)
        if all(map(_is_free, {*wanted, *(port + beside for port in wanted)})):
            return wanted
    raise AssertionError("no free ports in a row")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
