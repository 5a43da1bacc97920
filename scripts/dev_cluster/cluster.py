"""A real OpenSearch cluster on this machine, for development and tests: start, stop, status.

It listens on the loopback interface only, has no passwords, and keeps its data between a `down` and
the next `up`. Do not serve with it: for that see OpenSearch's own packages.
"""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core.errors import InputError, NotFoundError, StorageError
from scripts.dev_cluster.home import check_reach, prepared_home
from scripts.dev_cluster.machine import (
    Account,
    check_memory,
    check_ports,
    find_java,
    has_vectors,
    ordinary_account,
)
from scripts.dev_cluster.node import (
    Launch,
    Node,
    end_nodes,
    has_ended,
    last_words,
    launch_node,
    write_configuration,
)
from scripts.dev_cluster.state import ClusterState, held
from scripts.dev_cluster.status import cluster_health, cluster_status

MOST_NODES = 9
_TRANSPORT_ABOVE = 100  # distance of a node's transport port from its http port


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How many nodes, the port of the first (the next ones follow) and the heap of each. `settings`
    go into each opensearch.yml; `wait_s` is the longest wait for the nodes.
    """

    nodes: int = 1
    port: int = 9200
    heap_mb: int = 512
    wait_s: float = 120.0
    settings: Mapping[str, object] = field(default_factory=dict)


def _launch(home: Path, java: Path, account: Account | None, shape: Shape) -> Launch:
    return Launch(home, java, account, shape.heap_mb, shape.settings, has_vectors(java))


class DevCluster:
    """The cluster in `folder`, with its programs below `cache`; `say` gets the progress."""

    def __init__(self, cache: Path, folder: Path, say: Callable[[str], None] = _silent) -> None:
        self._cache = cache.absolute()
        self._folder = folder.absolute()
        self._say = say

    def up(self, shape: Shape) -> tuple[Node, ...]:
        """Start the nodes and wait until all have joined and every shard has a copy.

        Raises SettingsError (no Java, no Maven, …), BusyError (a port is taken, or this cluster
        runs), StorageError (too little memory, a node that ended or took too long: then all are
        ended again) and CorruptError (a file's checksum does not match).
        """
        with held(self._folder):
            nodes = self._planned(shape)
            java, account = find_java(), ordinary_account()
            check_memory(shape.nodes, shape.heap_mb)
            check_ports(port for node in nodes for port in (node.http, node.transport))
            home = prepared_home(self._cache, self._say)
            if account is not None:
                check_reach(home, account.name)
                check_reach(self._folder, account.name)
            launch = _launch(home, java, account, shape)
            try:
                for node in nodes:
                    write_configuration(node, nodes, launch)
                    self._start(node, launch, nodes)
                self._await(shape)
            except BaseException:
                self._end_all()
                raise
            return ClusterState.load(self._folder).nodes

    def start_node(self, number: int, shape: Shape) -> Node:
        """Start a node again that ended; return at once, `wait` waits. Raises NotFoundError."""
        with held(self._folder):
            state = ClusterState.load(self._folder)
            node = self._node(number)
            account = ordinary_account()
            home = prepared_home(self._cache, self._say)
            launch = _launch(home, find_java(), account, shape)
            write_configuration(node, list(state.nodes), launch)
            self._start(node, launch, list(state.nodes))
            return self._node(number)

    def end_node(self, number: int, how: signal.Signals = signal.SIGTERM) -> None:
        """End one node's process, such as by SIGKILL; the cluster remembers it."""
        end_nodes([self._node(number)], how)

    def wait(self, shape: Shape) -> None:
        """Wait until all nodes have joined; see `up`."""
        self._await(shape)

    def down(self, *, purge: bool = False) -> int:
        """End the nodes that `up` started, and return how many ran; `purge` removes their data."""
        with held(self._folder):
            ended = self._end_all()
            state = ClusterState.load(self._folder)
            if purge:
                for node in state.nodes:
                    shutil.rmtree(node.folder, ignore_errors=True)
                state.forget()
            return ended

    def status(self) -> dict[str, Any]:
        """Return how the cluster and each node stand; see `cluster_status`."""
        return cluster_status(ClusterState.load(self._folder))

    def _planned(self, shape: Shape) -> list[Node]:
        if not 1 <= shape.nodes <= MOST_NODES:
            raise InputError(f"a cluster here has 1 to {MOST_NODES} nodes", where="--nodes")
        state = ClusterState.load(self._folder)
        if state.running:
            raise InputError(
                "this cluster runs already: " + ", ".join(node.url for node in state.running),
                where=str(self._folder),
                mend="`make dev-cluster DO=down` ends them",
            )
        if state.nodes and len(state.nodes) != shape.nodes:
            raise InputError(
                f"its data are of {len(state.nodes)} nodes, and {shape.nodes} are wanted",
                where=str(self._folder),
                mend='`make dev-cluster DO="down --purge"` removes them',
            )
        return [
            Node(
                number,
                self._folder / f"node-{number}",
                shape.port + number - 1,
                shape.port + _TRANSPORT_ABOVE + number - 1,
            )
            for number in range(1, shape.nodes + 1)
        ]

    def _start(self, node: Node, launch: Launch, nodes: list[Node]) -> None:
        """Start a node and note it beside the others. It is noted before it runs, so that its mark
        finds it when this process is killed. It is started in a thread, so that an interrupt waits
        until its process is noted.
        """

        def start() -> None:
            self._remember(node, launch, nodes, 0)
            self._remember(node, launch, nodes, launch_node(node, launch))

        with ThreadPoolExecutor(1) as thread:
            thread.submit(start).result()

    def _remember(self, node: Node, launch: Launch, nodes: list[Node], pid: int) -> None:
        known = {each.number: each for each in ClusterState.load(self._folder).nodes}
        kept = [
            replace(each, pid=known[each.number].pid if each.number in known else 0)
            for each in nodes
        ]
        kept = [replace(each, pid=pid) if each.number == node.number else each for each in kept]
        ClusterState(self._folder, tuple(kept), launch.heap_mb).save()

    def _await(self, shape: Shape) -> None:
        began, told = time.monotonic(), -1
        while True:
            nodes = ClusterState.load(self._folder).nodes
            health = next((h for node in nodes if (h := cluster_health(node))), {})
            joined = int(health.get("number_of_nodes", 0))
            took = time.monotonic() - began
            if joined != told:
                told = joined
                self._say(f"{joined} of {len(nodes)} nodes are there after {took:.0f} s")
            if joined == len(nodes) and health["status"] in ("green", "yellow"):
                return
            for node in nodes:
                if has_ended(node):
                    what = f"{node.name} ended: {last_words(node)}"
                    raise StorageError(what, where=str(node.log), mend="see its log")
            if took > shape.wait_s:
                state = f"{joined} of {len(nodes)} nodes, {health.get('status', 'no answer')}"
                what = f"the cluster was not there within {shape.wait_s:.0f} s: {state}"
                raise StorageError(what, where=str(self._folder), mend="give it longer (--wait)")
            time.sleep(0.2)

    def _end_all(self) -> int:
        nodes = ClusterState.load(self._folder).running
        for node in nodes:
            self._say(f"ending {node.name} (process {node.pid})")
        return end_nodes(nodes)

    def _node(self, number: int) -> Node:
        for node in ClusterState.load(self._folder).nodes:
            if node.number == number:
                return node
        raise NotFoundError(f"there is no node {number}", where=str(self._folder))
