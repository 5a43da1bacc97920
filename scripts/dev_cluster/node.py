"""One node of a development cluster: its configuration, its process, and its end.

A process is known by its number and by the node's own folder in its command line, so that a number
that the system has given to another process is left alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from core.errors import StorageError
from scripts.dev_cluster.machine import VECTORS, Account

HOST = "127.0.0.1"
PATIENCE_S = 60.0
_LOGGING = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] [%node_name]%marker %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
"""
# What the distribution's own jvm.options say, where it matters: G1, no JMX of the logging's own.
_OPTIONS = (
    "-XX:+UseG1GC",
    "-XX:G1ReservePercent=25",
    "-XX:InitiatingHeapOccupancyPercent=30",
    "-XX:+AlwaysPreTouch",
    "-Xss1m",
    "-Djava.awt.headless=true",
    "-Dfile.encoding=UTF-8",
    "-Djna.nosys=true",
    "-XX:-OmitStackTraceInFastThrow",
    "-Dio.netty.noUnsafe=true",
    "-Dio.netty.noKeySetOptimization=true",
    "-Dio.netty.recycler.maxCapacityPerThread=0",
    "-Dio.netty.allocator.numDirectArenas=0",
    "-Dlog4j.shutdownHookEnabled=false",
    "-Dlog4j2.disable.jmx=true",
    "-Djava.locale.providers=SPI,COMPAT",
    "-Djava.security.manager=allow",
)
# Parents collect how their children ended; a command that ends first leaves that to the system.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class Node:
    """A node's number (from 1), folder and ports, and its process, 0 for none."""

    number: int
    folder: Path
    http: int
    transport: int
    pid: int = 0

    @property
    def name(self) -> str:
        """The name of the node in the cluster."""
        return f"node-{self.number}"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.http}"

    @property
    def log(self) -> Path:
        """What its process says."""
        return self.folder / "node.log"

    @property
    def mark(self) -> str:
        """The argument of its process that no other one has."""
        return f"-Dopensearch.path.conf={self.folder / 'conf'}"

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self.pid > 0 and self.mark in _command(self.pid)


@dataclass(frozen=True, slots=True)
class Launch:
    """How nodes are started: programs, Java, whom they run as, heap, settings beside ours, and
    whether Java has the module `VECTORS`.
    """

    home: Path
    java: Path
    account: Account | None
    heap_mb: int
    settings: Mapping[str, object] = field(default_factory=dict)
    vectors: bool = False


def write_configuration(node: Node, peers: list[Node], launch: Launch) -> None:
    """Make the node's folders and files, owned by whom it runs as."""
    for name in ("conf", "data", "tmp"):
        (node.folder / name).mkdir(parents=True, exist_ok=True)
    rows: dict[str, object] = {
        "cluster.name": "dateline-dev",
        "cluster.initial_cluster_manager_nodes": [peer.name for peer in peers],
        "discovery.seed_hosts": [f"{HOST}:{peer.transport}" for peer in peers],
        "node.name": node.name,
        "network.host": HOST,
        "http.port": node.http,
        "transport.port": node.transport,
        "path.data": str(node.folder / "data"),
        "path.logs": str(node.folder / "tmp"),
        "action.auto_create_index": False,  # a mistyped name must not become an index
        # In bytes: a developer's disk is mostly full by percentage.
        "cluster.routing.allocation.disk.watermark.low": "2gb",
        "cluster.routing.allocation.disk.watermark.high": "1gb",
        "cluster.routing.allocation.disk.watermark.flood_stage": "500mb",
        **launch.settings,
    }
    text = "".join(f"{key}: {orjson.dumps(value).decode()}\n" for key, value in rows.items())
    _write_anew(node.folder / "conf" / "opensearch.yml", text)
    _write_anew(node.folder / "conf" / "log4j2.properties", _LOGGING)
    if launch.account is not None:
        for path in (node.folder, *node.folder.rglob("*")):
            os.chown(path, launch.account.user, launch.account.group, follow_symlinks=False)


def _write_anew(path: Path, text: str) -> None:
    """Write a file of a folder that another account owns, so that nothing is written through a link
    that it has put there.
    """
    path.unlink(missing_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)


def launch_node(node: Node, launch: Launch) -> int:
    """Start the node's process, which outlives ours, and return its number at once."""
    heap, temporary = f"{launch.heap_mb}m", node.folder / "tmp"
    command: list[str | Path] = [launch.java, f"-Xms{heap}", f"-Xmx{heap}", *_OPTIONS]
    if launch.vectors:
        command.append(f"--add-modules={VECTORS}")
    command += [f"-Djava.io.tmpdir={temporary}", f"-Djna.tmpdir={temporary}"]
    command += [f"-Dopensearch.path.home={launch.home}"]
    command += [node.mark]
    command += ["-cp", f"{launch.home}/lib/*", "org.opensearch.bootstrap.OpenSearch"]
    account = launch.account
    try:
        node.log.unlink(missing_ok=True)  # as in `_write_anew`
        with node.log.open("xb") as log:
            process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=node.folder,
                start_new_session=True,  # an interrupt at the terminal is not for the nodes
                user=None if account is None else account.user,
                group=None if account is None else account.group,
                extra_groups=None if account is None else [],
            )
    except OSError as error:
        what = f"{node.name} can't be started: {error}"
        raise StorageError(what, where=str(launch.java), mend="see `java -version`") from error
    _children[process.pid] = process
    return process.pid


def with_processes(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Return the nodes with the processes that run now. Where the noted process does not run, the
    one with the node's mark is taken: a killed command may have started it and not noted it.
    """
    known = tuple(nodes)
    if all(node.runs for node in known):
        return known
    pids = {mark: pid for pid in _processes() for mark in _command(pid)}
    return tuple(
        node if node.runs else replace(node, pid=pids.get(node.mark, node.pid)) for node in known
    )


def end_nodes(nodes: Iterable[Node], how: signal.Signals = signal.SIGTERM) -> int:
    """End the processes of the running nodes and wait for them; a process that takes too long gets
    SIGKILL. Returns how many ran.
    """
    running = [node for node in nodes if node.runs]
    for node in running:
        os.kill(node.pid, how)
    deadline = time.monotonic() + PATIENCE_S
    while (left := [node for node in running if node.runs]) and time.monotonic() < deadline:
        for node in left:
            collect(node.pid)
        time.sleep(0.05)
    for node in left:
        os.kill(node.pid, signal.SIGKILL)
    for node in running:
        collect(node.pid, PATIENCE_S)
    return len(running)


def has_ended(node: Node) -> bool:
    """Return whether the node's process is gone. A process that is being started has no command
    line yet: the system is asked about those that this process started.
    """
    child = _children.get(node.pid)
    return not node.runs if child is None else child.poll() is not None


def collect(pid: int, patience_s: float = 0.0) -> None:
    """Take note of the end of a process that this one started, waiting up to `patience_s`."""
    child = _children.get(pid)
    if child is None:
        return
    with suppress(subprocess.TimeoutExpired):
        child.wait(patience_s) if patience_s else child.poll()
    if child.returncode is not None:
        del _children[pid]


def last_words(node: Node) -> str:
    """Return the reason for the node's end in its log: the last lines that are not a stack
    trace.
    """
    try:
        lines = node.log.read_text("utf-8", "replace").splitlines()[-200:]
    except OSError:
        return "it left no log"
    told = [line.strip() for line in lines if not line.lstrip().startswith(("at ", "... "))]
    causes = [
        line for line in told if line.startswith(("Caused by:", "Likely root cause:", "Error"))
    ]
    return (causes or told or ["its log is empty"])[-1][:500]


def _processes() -> list[int]:
    """Return every process that this account may see."""
    if Path("/proc/self").exists():
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    command = ["ps", "-ax", "-o", "pid="]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return [int(pid) for pid in done.stdout.split()]


def _command(pid: int) -> list[str]:
    """Return the command line of a process; nothing for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text("utf-8", "replace").split("\0")
    except OSError:
        if Path("/proc/self").exists():
            return []
    command = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.split()
