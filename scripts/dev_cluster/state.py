"""What is remembered of a development cluster between commands: its nodes and their processes."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import BusyError, CorruptError
from scripts.dev_cluster.node import Node, with_processes

_FILE = "cluster.json"
_LOCK = "lock"


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int = Field(ge=1, le=99)
    http: int = Field(ge=1, le=65535)
    transport: int = Field(ge=1, le=65535)
    pid: int = Field(ge=0)


class _State(BaseModel):
    model_config = ConfigDict(extra="forbid")

    nodes: list[_Kept]
    heap_mb: int


@dataclass(frozen=True, slots=True)
class ClusterState:
    """The nodes of a cluster in `folder`, whether they run or not, and their heap."""

    folder: Path
    nodes: tuple[Node, ...] = ()
    heap_mb: int = 0

    @classmethod
    def load(cls, folder: Path) -> ClusterState:
        """Return the cluster as it was kept, with its running processes; no nodes if none were
        kept. Raises CorruptError for a file that can't be read.
        """
        path = folder / _FILE
        if not path.is_file():
            return cls(folder)
        try:
            kept = _State.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise CorruptError(
                "what is remembered of the cluster can't be read",
                where=str(path),
                mend=f"end the processes of {folder} and remove the folder",
            ) from error
        nodes = tuple(
            Node(each.number, folder / f"node-{each.number}", each.http, each.transport, each.pid)
            for each in kept.nodes
        )
        return cls(folder, with_processes(nodes), kept.heap_mb)

    def save(self) -> None:
        """Write it, whole or not at all."""
        names = ("number", "http", "transport", "pid")
        rows = [{name: getattr(node, name) for name in names} for node in self.nodes]
        fresh = self.folder / f"{_FILE}.new"
        fresh.write_bytes(orjson.dumps({"nodes": rows, "heap_mb": self.heap_mb}))
        fresh.replace(self.folder / _FILE)

    def forget(self) -> None:
        """Remove it."""
        (self.folder / _FILE).unlink(missing_ok=True)

    @property
    def running(self) -> tuple[Node, ...]:
        """Those whose process is there."""
        return tuple(node for node in self.nodes if node.runs)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep other commands off the cluster in `folder` while the body runs. Raises BusyError."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BusyError(
                "another command is at work on this cluster", where=str(folder), mend="wait for it"
            ) from error
        yield
