"""Too little memory: a program that can't work with it says so and touches nothing, and one that
gets no more while it writes loses nothing that was acknowledged.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import orjson
import pytest

from dateline.default_folders import demo_folder
from dateline.serving.memory_limit import needed_bytes
from tests.faults.test_kill import Expected, account, check_all, opened

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

LIMITED = """
import resource, sys
most = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_AS, (most, most))
from dateline.cli import main
main()
"""
WITHOUT_MODELS = {
    "DATELINE_SECOND_ENCODER": "",
    "DATELINE_TAGGER": "",
    "DATELINE_RERANKER": "",
}
ROOT = Path(__file__).resolve().parents[2]


def ingest(folder: Path, most: int) -> subprocess.CompletedProcess[str]:
    """`dateline ingest` of the demo in so many bytes of address space."""
    stories = str(demo_folder() / "stories.jsonl")
    return subprocess.run(
        [sys.executable, "-P", "-c", LIMITED, str(most), "ingest", stories],
        env={**os.environ, **WITHOUT_MODELS, "DATELINE_DATA": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("most", [100 << 20, 1 << 30, needed_bytes() - 1])
def test_a_limit_that_is_too_low_is_refused(tmp_path: Path, most: int) -> None:
    done = ingest(tmp_path / "archive", most)
    assert done.returncode == 3
    assert f"{needed_bytes() >> 20} MiB are needed" in done.stderr
    assert not (tmp_path / "archive").exists()


def test_the_lowest_limit_is_enough(tmp_path: Path) -> None:
    done = ingest(tmp_path / "archive", needed_bytes())
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("more", [0, 4 << 20])
def test_a_writer_that_gets_no_more_memory_loses_nothing(tmp_path: Path, more: int) -> None:
    """However that ends it."""
    script = Path(__file__).with_name("writer.py")
    with subprocess.Popen(
        [sys.executable, "-P", str(script), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(b"0 7\n")
        program.stdin.flush()
        said: list[list[object]] = []
        while not said or said[-1][0] != "ended":
            said.append(orjson.loads(program.stdout.readline()))
            if len(said) == 40:
                starve(said[0][1], more)
            elif len(said) == 250:  # it can do without
                with suppress(ProcessLookupError):
                    os.kill(int(str(said[0][1])), signal.SIGKILL)
        program.stdin.close()
    expected = Expected()
    with opened(tmp_path) as engine:
        account(engine, expected, said[1:-1])
        engine.compact()
        engine.catch_up()
        check_all(engine, expected)


def starve(pid: object, more: int) -> None:
    """Lets a process have so many bytes more than it has."""
    assert isinstance(pid, int)
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + more
    resource.prlimit(pid, resource.RLIMIT_AS, (most, most))
