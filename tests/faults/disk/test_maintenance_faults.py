"""Backup, a new encoder, the move to it and restore, ended at any moment by kill -9 or with the
power: the archive opens soon, has what was acknowledged, and shows nothing that was hidden.

One run is recorded, and its states are looked at, as in `test_power_loss.py`; others are ended by a
real signal. KILL_ROUNDS says by how many; `make deep` has the most.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import orjson
import pytest

from storage.embedded.engine import EmbeddedEngine
from storage.embedded.record import copies
from tests.faults.disk.maintenance_writer import opened_with_next
from tests.faults.disk.recorded_disk import Entry, RecordedDisk, environment, shim
from tests.faults.disk.test_power_loss import recorded
from tests.faults.test_kill import REOPENED_S, ROUNDS, Expected, account, check_item
from tests.faults.world import open_archive

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
STATES = int(os.environ.get("POWER_STATES", "40")) // 4
LOOKED_AT = 15
SCRIPT = Path(__file__).with_name("maintenance_writer.py")


def moments(entries: list[Entry], rng: random.Random) -> list[int]:
    """How many entries are done at the end: as many in each phase, however short it is, and half of
    all while the archive is replaced.
    """
    marks = [n for n, entry in enumerate(entries, 1) if entry.data.startswith(b'["phase"')]
    *spans, restore, restored = [*zip(marks[1:], [*marks[2:], len(entries)], strict=True)]
    others = [*spans, restored]
    return sorted(
        rng.randint(*(restore if n % 2 else others[n // 2 % len(others)])) for n in range(STATES)
    )


def look_at(engine: EmbeddedEngine, choices: list[Expected], rng: random.Random) -> None:
    """The archive is one of `choices`, wholly."""
    engine.catch_up()
    newest: dict[str, tuple[int, str]] = {}
    for item in engine.all_items():
        this = (item.version, str(item.pubstatus))
        newest[item.uri] = max(newest.get(item.uri, this), this)
    assert newest in [
        {uri: (version, each.statuses[uri]) for uri, version in each.versions.items()}
        for each in choices
    ]
    for uri in rng.sample([*newest], min(LOOKED_AT, len(newest))):
        check_item(engine, uri, *newest[uri])


def check_archive(place: Path, said: bytes, rng: random.Random) -> None:
    """The archive, and the backup where it has its name already."""
    lines = [orjson.loads(line) for line in said.splitlines()]
    phase = [line[1] for line in lines if line[0] == "phase"][-1]
    backed_up = lines[: lines.index(["phase", "backup"])]
    began = time.process_time()
    with reopened(place / "archive", phase) as engine:
        assert time.process_time() - began < REOPENED_S
        whole, copied = Expected(), Expected()
        account(engine, copied, writes(backed_up))
        if phase != "restored":
            account(engine, whole, writes(lines))
        choices = {"restore": [whole, copied], "restored": [copied]}
        look_at(engine, choices.get(phase, [whole]), rng)
    if (place / "copy").exists():
        copies.restore(place / "copy", place / "other", force=False)
        with reopened(place / "other", "restored") as engine:
            look_at(engine, [copied], rng)


def writes(lines: list[list[object]]) -> list[list[object]]:
    """What was said of writes."""
    return [line for line in lines if line[0] != "phase"]


@contextmanager
def reopened(archive: Path, phase: str) -> Iterator[EmbeddedEngine]:
    """The archive as a service of the phase opens it."""
    moved = phase == "flipped"
    engine = opened_with_next(archive) if moved else open_archive(archive, background=False)
    try:
        yield engine
    finally:
        engine.close()


@pytest.mark.parametrize("how", ["killed", "power"])
def test_care_of_an_archive_may_end_at_any_moment(tmp_path: Path, how: str) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    entries = recorded(tmp_path, str(SCRIPT), str(tmp_path / "disk"), str(seed), str(shim()))
    disk, done = RecordedDisk(str(tmp_path / "disk")), 0
    for number, moment in enumerate(moments(entries, rng)):
        for entry in entries[done:moment]:
            disk.take(entry)
        done = moment
        state = tmp_path / f"state{number}"
        disk.stop(state) if how == "killed" else disk.fail(state, rng)
        print(number, moment, disk.said.splitlines()[-1])
        check_archive(state, disk.said, rng)
        shutil.rmtree(state)


class Run:
    """A process that cares for an archive in `place`, and when it began with what."""

    def __init__(self, place: Path, seed: int) -> None:
        place.mkdir()
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(SCRIPT), str(place), str(seed), str(shim())],
            stdout=subprocess.PIPE,
            env=environment(place, Path(os.devnull)),
        )
        self.said = b""
        self.began: dict[str, float] = {}

    def go_on(self, until: str) -> None:
        """Lets it work until it has begun with the phase `until`."""
        assert self._process.stdout is not None
        while until not in self.began:
            line = self._process.stdout.readline()
            assert line, "it ended by itself"
            self.said += line
            if line.startswith(b'["phase"'):
                self.began[orjson.loads(line)[1]] = time.monotonic()

    def kill(self) -> None:
        """Ends it, and hears what it said until then."""
        self._process.send_signal(signal.SIGKILL)
        self.said += self._process.communicate()[0]


@pytest.fixture
def taken(tmp_path: Path) -> dict[str, float]:
    """How many seconds each phase takes when nothing ends it, from the first backup on."""
    run = Run(tmp_path / "whole", 1)
    run.go_on("restored")
    run.kill()
    began = [*run.began.items()][1:]
    return {name: end - start for (name, start), (_, end) in pairwise(began)}


def test_a_real_kill_of_its_care_costs_an_archive_nothing(
    tmp_path: Path, taken: dict[str, float]
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng, phases = random.Random(seed), [*taken]
    for number in range(max(len(phases), ROUNDS // 4)):
        phase = phases[number % len(phases)]
        run = Run(tmp_path / f"run{number}", rng.randrange(2**32))
        run.go_on(phase)
        time.sleep(rng.uniform(0, taken[phase]))
        run.kill()
        print(number, phase, run.said.splitlines()[-1])
        check_archive(tmp_path / f"run{number}", run.said, rng)
        shutil.rmtree(tmp_path / f"run{number}")
