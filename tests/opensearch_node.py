"""A real OpenSearch node for tests, by the code of `make dev-cluster`: one for all tests of a
run, in a temporary folder, ended and removed afterwards. Clusters of more nodes are made as needed.

`TEST_OPENSEARCH=http://127.0.0.1:9200` uses a node that runs already in place of a new one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.errors import CorruptError, DatelineError
from scripts.dev_cluster.cluster import DevCluster, Shape
from scripts.dev_cluster.folders import cache_folder
from scripts.dev_cluster.home import prepared_home
from scripts.dev_cluster.machine import find_java
from tests.free_ports import ports_in_a_row

_MEMORY = Path("/dev/shm")
_FAST = _MEMORY if _MEMORY.is_dir() else None
_URL = os.environ.get("TEST_OPENSEARCH", "")
PATIENCE_S = 240.0
# A node lives for minutes here: to compile its code twice costs more than slower code does.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


@contextmanager
def running_cluster(
    shape: Shape | None = None, beside: Path | None = _FAST
) -> Iterator[tuple[DevCluster, Shape]]:
    """A cluster that runs, its folder in `beside`; removed afterwards, and its nodes ended. Raises
    what `DevCluster.up` does.
    """
    given = shape or Shape()
    wanted = Shape(given.nodes, free_port(given.nodes), given.heap_mb, PATIENCE_S, given.settings)
    folder = Path(tempfile.mkdtemp(prefix="opensearch-", dir=beside))
    folder.chmod(0o755)  # the nodes run as somebody else where the tests run as root
    cluster = DevCluster(cache_folder(), folder)
    try:
        cluster.up(wanted)
        yield cluster, wanted
    finally:
        cluster.down()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def opensearch() -> Iterator[str]:
    """The URL of a node that many tests share: each makes indices with names of its own (see
    `new_name`) and removes them. Skips, with the reason, where no node can be had. It comes from
    `tests/conftest.py`: a module that imported it would have a node of its own until the end.
    """
    if _URL:
        yield _URL
        return
    need_opensearch()
    with running_cluster() as (_, shape):
        yield f"http://127.0.0.1:{shape.port}"


def need_opensearch() -> None:
    """Skips, with the reason, where no node can be had: no Java, no Maven, or nowhere to fetch it
    from. What was fetched and does not match its checksum is a failure, not a reason. In CI there
    is no reason: a suite that skips there is green and has tested nothing.
    """
    try:
        find_java()
        prepared_home(cache_folder(), print)
    except CorruptError:
        raise
    except DatelineError as error:
        refused = pytest.fail if os.environ.get("CI") else pytest.skip
        refused(f"no OpenSearch can be had: {error}")


def new_name() -> str:
    """A name for an index that no other test has."""
    return f"test-{uuid.uuid4().hex[:12]}"


def free_port(nodes: int = 1) -> int:
    """The first of as many free ports in a row, each with the free one of its transport."""
    return ports_in_a_row(nodes, beside=100)[0]
