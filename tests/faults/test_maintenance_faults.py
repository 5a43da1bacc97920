"""Backup, a new encoder, the move to it and restore, ended at any moment by kill -9 or with the
power: the archive opens soon, has what was acknowledged, and shows nothing that was hidden.

One run is recorded, and its states are looked at, as in `test_power_loss.py`.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from storage.embedded import copies
from storage.embedded.engine import EmbeddedEngine
from tests.faults.maintenance_writer import opened_with_next
from tests.faults.recorded_disk import Entry, RecordedDisk, shim
from tests.faults.test_kill import REOPENED_S, Expected, account, check_item
from tests.faults.test_power_loss import recorded
from tests.faults.world import open_archive

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
STATES = int(os.environ.get("POWER_STATES", "40")) // 4
LOOKED_AT = 15


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
    began = time.monotonic()
    with reopened(place / "archive", phase) as engine:
        assert time.monotonic() - began < REOPENED_S
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
    script = Path(__file__).with_name("maintenance_writer.py")
    entries = recorded(tmp_path, str(script), str(tmp_path / "disk"), str(seed), str(shim()))
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
