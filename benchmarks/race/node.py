"""A node of OpenSearch that runs for one race."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import DatelineError
from dateline.measuring.served import free_port
from scripts.dev_cluster.cluster import DevCluster, Shape
from scripts.dev_cluster.folders import cache_folder

_HEAP_MB = 1024


@contextmanager
def node_for_a_race() -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the address and the process of a node with a heap of 1 GiB, and "": or nothing, and why
    none could be started. It is ended, and its data removed.
    """
    folder = Path(tempfile.mkdtemp(prefix="race-node-"))
    folder.chmod(0o755)  # as root, the node runs as somebody else
    cluster = DevCluster(cache_folder(), folder, _say)
    try:
        yield _started(cluster)
    finally:
        cluster.down()
        shutil.rmtree(folder, ignore_errors=True)


def _started(cluster: DevCluster) -> tuple[tuple[str, ...], str]:
    try:
        (node,) = cluster.up(Shape(port=free_port(), heap_mb=_HEAP_MB, wait_s=240.0))
    except DatelineError as error:
        return (), f"no node of OpenSearch could be started: {error}"
    return (node.url, str(node.pid)), ""


def _say(what: str) -> None:
    print(what, file=sys.stderr)
