"""A power failure loses nothing that was acknowledged, and shows nothing that was hidden.

What a writer does to its files is recorded once. Then the power fails at random moments of the
record: each time the archive is opened with what the disk may hold then, and everything that was
acknowledged up to that moment must be there. `make deep` looks at 500 states; POWER_STATES says at
how many.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from storage.databases import open_database
from storage.work.ledger import StoredLedger
from tests.faults.disk.recorded_disk import Did, Entry, RecordedDisk, environment, read_record, shim
from tests.faults.test_kill import Expected, account, check_item
from tests.faults.world import open_archive

pytestmark = [pytest.mark.faults, pytest.mark.timeout(3600)]
STATES = int(os.environ.get("POWER_STATES", "40"))
LOOKED_AT = 25  # items of each state, beside the last ones


STORE_PICTURES = """
import sys
from pathlib import Path
from storage.media.files import FolderMediaStore
store = FolderMediaStore(Path(sys.argv[1]))
for number in range(30):
    print(store.put(str(number).encode() * 300, ".jpg"), flush=True)
"""
KEEP_RESULTS = """
import sys
from pathlib import Path
from storage.databases import open_database
from storage.work.ledger import StoredLedger
path = Path(sys.argv[1])
ledgers = [StoredLedger(open_database(path, synced=synced)) for synced in (False, True)]
for number in range(int(sys.argv[2])):
    synced = number % 7 == 6
    ledgers[synced].put({str(number): b"%05d" % number * 8000})
    print(f"{number} {synced}\\n", end="", flush=True)
"""
RESULTS = 150  # some of them before, some after their log is carried over into the file


def recorded(place: Path, *command: str) -> list[Entry]:
    """What a Python program does to files in `place`/disk."""
    (place / "disk").mkdir()
    subprocess.run(
        [sys.executable, "-P", *command],
        env=environment(place / "disk", place / "record"),
        stdout=subprocess.PIPE,
        check=True,
    )
    return read_record(place / "record")


def moments(entries: list[Entry], rng: random.Random) -> list[int]:
    """How many entries are done when the power fails: half of them right after an answer."""
    answered = [n for n, entry in enumerate(entries, 1) if entry.data == b'["ok"]\n']
    first = answered[0]
    anywhere = [rng.randrange(first, len(entries)) for _ in range(STATES // 2)]
    return sorted([*anywhere, *rng.choices(answered, k=STATES - len(anywhere))])


def check_state(archive: Path, said: bytes, rng: random.Random) -> int:
    """Opens an archive after a power failure; how many indexes had to be made anew."""
    lines = [orjson.loads(line) for line in said.splitlines()]
    expected = Expected()
    engine = open_archive(archive, background=False)
    try:
        account(engine, expected, lines)
        engine.catch_up()
        uris = list(expected.versions)
        for uri in {*uris[-5:], *rng.sample(uris, min(LOOKED_AT, len(uris)))}:
            check_item(engine, uri, expected.versions[uri], expected.statuses[uri])
        newest = {item.uri: item.version for item in engine.all_items()}  # by version, ascending
        assert newest == expected.versions
        return len(engine.projections.repairs)
    finally:
        engine.close()


def test_nothing_acknowledged_is_lost_with_the_power(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    script = Path(__file__).with_name("power_writer.py")
    entries = recorded(
        tmp_path, str(script), str(tmp_path / "disk/archive"), str(seed), str(shim())
    )
    assert any(entry.kind is Did.SYNC and "journal" in entry.path for entry in entries)
    disk, done, repaired = RecordedDisk(str(tmp_path / "disk")), 0, 0
    for number, moment in enumerate(moments(entries, rng)):
        for entry in entries[done:moment]:
            disk.take(entry)
        done = moment
        state = tmp_path / f"state{number}"
        disk.fail(state, rng)
        repaired += check_state(state / "archive", disk.said, rng)
        shutil.rmtree(state)
    print(f"{STATES} states, {repaired} indexes made anew")


def test_a_picture_that_is_kept_outlives_the_power(tmp_path: Path) -> None:
    """Nobody has made the folders before."""
    rng = random.Random(20261128)
    entries = recorded(tmp_path, "-c", STORE_PICTURES, str(tmp_path / "disk/media"))
    disk = RecordedDisk(str(tmp_path / "disk"))
    for number, entry in enumerate(entries):
        disk.take(entry)
        if entry.kind is Did.SAID:
            state = tmp_path / f"state{number}"
            disk.fail(state, rng)
            for name in disk.said.decode().split():
                data = (state / "media" / name[:2] / name).read_bytes()
                assert hashlib.sha256(data).hexdigest() == name.partition(".")[0]


def test_what_is_kept_beside_the_record_is_undone_in_order_and_not_beyond_a_synced_commit(
    tmp_path: Path,
) -> None:
    """As `storage/databases.py` says of jobs and of the ledger."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    place = tmp_path / "disk/ledger.sqlite"
    entries = recorded(tmp_path, "-c", KEEP_RESULTS, str(place), str(RESULTS))
    first = next(n for n, entry in enumerate(entries) if entry.data.endswith(b"True\n"))
    moments = {rng.randrange(first, len(entries)) for _ in range(STATES // 2)}
    disk, undone = RecordedDisk(str(tmp_path / "disk")), 0
    for number, entry in enumerate(entries):
        disk.take(entry)
        if number in moments:
            state = tmp_path / f"state{number}"
            disk.fail(state, rng)
            kept = results_in(state / "ledger.sqlite")
            said = [line.split() for line in disk.said.decode().splitlines()]
            assert kept > max(int(result) for result, synced in said if synced == "True")
            undone += max(0, len(said) - kept)
            shutil.rmtree(state)
    print(f"{len(moments)} states, {undone} results to be made anew")


def results_in(path: Path) -> int:
    """How many results a ledger has: whole ones, the first so many of all."""
    database = open_database(path)
    found = StoredLedger(database).get([str(number) for number in range(RESULTS)])
    database.close()
    kept = [value for value in found if value is not None]
    assert kept == [b"%05d" % number * 8000 for number in range(len(kept))]
    assert list(found[: len(kept)]) == kept, "one is missing in between"
    return len(kept)
