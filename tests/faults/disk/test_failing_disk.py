"""A disk that refuses writes, writes half or can't synchronise: nothing acknowledged is lost, the
error says what it is, and the next write after it goes through.

`make deep` has 400 rounds of any file failing at any call; FAILING_ROUNDS says how many.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.faults.disk.recorded_disk import environment, shim
from tests.faults.test_kill import Expected, check_all, opened

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
ROUNDS = os.environ.get("FAILING_ROUNDS", "16")
SEED = str(random.SystemRandom().randrange(2**32))


@pytest.mark.parametrize("how", [["named"], ["random", SEED, ROUNDS]], ids=["named", "random"])
def test_what_is_acknowledged_is_there(tmp_path: Path, how: list[str]) -> None:
    print(how)
    disk, script = tmp_path / "disk", Path(__file__).with_name("failing_writer.py")
    disk.mkdir()
    done = subprocess.run(
        [sys.executable, "-P", str(script), str(disk / "archive"), str(shim()), *how],
        env=environment(disk, Path(os.devnull)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    versions, statuses = orjson.loads(done.stdout)
    with opened(disk / "archive") as engine:
        engine.catch_up()
        check_all(engine, Expected(versions, statuses))
