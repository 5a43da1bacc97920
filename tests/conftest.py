"""What all tests share. Importing `dateline` before numpy sets how many threads its BLAS may use,
and `inference` before ONNX Runtime that it sends no telemetry: both read that when they are loaded.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import dateline  # noqa: F401 - before numpy
import inference  # noqa: F401 - before ONNX Runtime
from tests.databases import database, place  # noqa: F401 - fixtures
from tests.demo_service import demo_archive, service  # noqa: F401 - fixtures
from tests.ending import pytest_sessionfinish, pytest_unconfigure  # noqa: F401 - hooks
from tests.loaded_once import loaded_once  # noqa: F401 - a fixture
from tests.opensearch_node import opensearch  # noqa: F401 - a fixture
from tests.postgres_server import postgres  # noqa: F401 - a fixture
from tests.timed import pytest_runtest_protocol, pytest_terminal_summary  # noqa: F401 - hooks

# A run with a mutant names its own, which goes with it.
MEMORY = Path(os.environ.get("TEST_MEMORY", "/dev/shm"))
LONG_FILES = Path(__file__).with_name("long_files.tsv")  # a file and its seconds on two cores
SUITES = {
    "service": r"mark\.service",
    "faults": r"mark\.faults",
    "cluster": r"mark\.cluster|opensearch|every_engine",
    "torch": r"mark\.torch",
}  # as in the Makefile

# For properties that say nothing else. Other jobs may have the processor, so time is no failure.
settings.register_profile(
    "dateline",
    max_examples=int(os.environ.get("EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("dateline")

# A shell that starts tests in the background makes them, and all that they start, deaf to Ctrl-C,
# which some of them send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and (
    threading.current_thread() is threading.main_thread()
):
    signal.signal(signal.SIGINT, signal.default_int_handler)


_UMASK = os.umask(0o022)
os.umask(_UMASK)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Each test begins with the umask of the run: an archive that one opened has set another."""
    os.umask(_UMASK)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first, as `tests/long_files.tsv` has them: one that began last
    would keep all others waiting. Whatever needs a node of OpenSearch is the cluster's suite. The
    Makefile gives a suite the files whose text has its words: a test in another file would never
    run, and is refused.
    """
    seconds = dict(line.split("\t") for line in LONG_FILES.read_text("utf-8").splitlines())
    items.sort(key=lambda item: -float(seconds.get(item.nodeid.partition("::")[0], 0)))
    for item in items:
        if "opensearch" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)
    for mark, words in SUITES.items():
        paths = {item.path for item in items if item.get_closest_marker(mark)}
        for path in paths:
            if not re.search(words, path.read_text("utf-8")):
                raise pytest.UsageError(f"{path} has tests of {mark}, and none of: {words}")


def new_folder() -> Path:
    """A fresh folder, in memory where there is a file system for it: a commit there costs a tenth
    of what it costs on a disk.
    """
    return Path(tempfile.mkdtemp(prefix="dateline-", dir=MEMORY if MEMORY.is_dir() else None))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A fresh folder that is removed afterwards."""
    path = new_folder()
    yield path
    shutil.rmtree(path)
