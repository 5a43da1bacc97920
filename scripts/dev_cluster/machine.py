"""Whether this machine can run a development cluster: Java, memory, ports, and an ordinary user."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.errors import BusyError, SettingsError, StorageError

JAVA_OLDEST = 17
JAVA_WITH_VECTORS = 20  # from here on Lucene compares several numbers of a vector at a time
VECTORS = "jdk.incubator.vector"
JAVA_NEWEST = 23  # from 24 on Java has no security manager, which this OpenSearch insists on
BESIDE_HEAP_MB = 256  # of a node: code, threads, buffers
_MEBI = 2**20
_VERSION = re.compile(r'version "(\d+)')


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the nodes run as: OpenSearch refuses root."""

    name: str
    user: int
    group: int


def ordinary_account() -> Account | None:
    """Return the user nobody where we are root, and None if the nodes can run as we do.

    Raises SettingsError for a root without one.
    """
    if os.getuid() != 0:
        return None
    try:
        found = pwd.getpwnam("nobody")
    except KeyError as error:
        raise SettingsError(
            "OpenSearch does not run as root, and there is no user nobody",
            mend="run this as an ordinary user",
        ) from error
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def find_java() -> Path:
    """Return java's program: JAVA_HOME's, else the path's. Raises SettingsError for none or one
    that does not fit.
    """
    home = os.environ.get("JAVA_HOME", "")
    named = Path(home) / "bin" / "java"
    found = str(named) if home and named.is_file() else shutil.which("java")
    fitting = f"install Java {JAVA_OLDEST}, such as by `apt-get install openjdk-17-jre-headless`"
    if found is None:
        raise SettingsError(
            "Java is not installed, which OpenSearch runs on",
            where="JAVA_HOME, PATH",
            mend=fitting,
        )
    version = java_version(Path(found))
    if not JAVA_OLDEST <= version <= JAVA_NEWEST:
        raise SettingsError(
            f"Java {version} can't run it: it takes {JAVA_OLDEST} to {JAVA_NEWEST}",
            where=found,
            mend=f"{fitting}, or set JAVA_HOME",
        )
    return Path(found)


def has_vectors(program: Path) -> bool:
    """Return whether Lucene can use this Java's module of vectors, as OpenSearch's own Java has it:
    graphs are then built and read several times as fast.
    """
    newer = java_version(program) >= JAVA_WITH_VECTORS
    return newer and VECTORS in _said(program, "--list-modules")


def java_version(program: Path) -> int:
    """Return the main number of a Java program's version. Raises SettingsError if it prints
    none.
    """
    said = _said(program, "-version")
    match = _VERSION.search(said)
    if match is None:
        raise SettingsError(
            f"Java tells no version: {said.strip()[:200]}", where=str(program), mend="set JAVA_HOME"
        )
    return int(match[1])


def _said(program: Path, option: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            [program, option], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stderr + done.stdout


def check_memory(nodes: int, heap_mb: int) -> None:
    """Raise StorageError if this many nodes do not fit into the free space."""
    needed = nodes * (heap_mb + BESIDE_HEAP_MB)
    free = free_memory_mb()
    if free is not None and free < needed:
        raise StorageError(
            f"{nodes} nodes of {heap_mb} MB heap need some {needed:,} MB, and {free:,} MB are free",
            where="memory",
            mend="start fewer nodes (--nodes), or with less heap (--heap)",
        )


def free_memory_mb() -> int | None:
    """Return memory that programs can still have, or None if the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 // _MEBI if found else None


def check_ports(ports: Iterable[int]) -> None:
    """Raise BusyError if somebody listens on one of them already."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise BusyError(
                    f"port {port} is taken: {error.strerror}",
                    where=f"127.0.0.1:{port}",
                    mend="choose another first port (--port)",
                ) from error
