"""Files of tests that run beside each other: each test has the result that it would have alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    "test_ends.py": """
import os
def test_before(): pass
def test_ends(): os._exit(7)
def test_after(): pass
""",
    "test_fails.py": """
import pytest
def test_fails(): assert 1 == 2
@pytest.mark.skip
def test_skipped(): pass
""",
    "test_shares.py": """
import os, pytest
@pytest.fixture(scope="module")
def process(tmp_path_factory):
    print("said")
    yield os.getpid(), tmp_path_factory.mktemp("one")
    os._exit(9)
def test_one(process): assert process[0] == os.getpid()
def test_other(process): assert process[0] == os.getpid() and process[1].is_dir()
""",
}
RESULTS = {
    "test_before": set(),
    "test_ends": {"failure"},
    "test_after": set(),
    "test_fails": {"failure"},
    "test_skipped": {"skipped"},
    "test_one": set(),
    "test_other": {"failure"},  # its process ended while it took down what it had
}


@pytest.mark.parametrize("forks", [1, 5])
def test_each_test_is_told_of_whatever_ends_a_process(tmp_path: Path, forks: int) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib")
    told = tmp_path / "told.xml"
    command = [sys.executable, "-m", "pytest", "--disable-plugin-autoload", "-q", "--rootdir", "."]
    command += ["-p", "tests.side_by_side", "--forks", str(forks), f"--junitxml={told}", "."]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    cases = ET.parse(told).iter("testcase")
    found = {case.attrib["name"]: {inner.tag for inner in case} - {"system-out"} for case in cases}
    assert (done.returncode, found) == (1, RESULTS), done.stdout
    assert len([*tmp_path.glob("pytest-of-*/pytest-[0-9]*")]) == 1  # one folder for all processes
