"""A process that writes to an archive while `disk_shim.c` records it.

`python power_writer.py FOLDER SEED SHIM` puts, kills, withholds and releases as `writer.py` does,
and says the same lines. Now and then the record's disk is full, so that kills go into the journal.
"""

from __future__ import annotations

import ctypes
import errno
import random
import sys
import threading
from pathlib import Path

from core.errors import StorageFullError
from core.items import PubStatus
from core.writes import SetStatus
from storage.embedded.engine import EmbeddedEngine
from storage.embedded.record.archive import FILE
from tests.faults.world import open_archive
from tests.faults.writer import acknowledge, hide_one, put_some, say

TURNS = 60
WRITES = 1  # FAIL_WRITES of disk_shim.c


def kill_on_a_full_disk(
    engine: EmbeddedEngine, rng: random.Random, own: dict[str, int], disk: ctypes.CDLL
) -> None:
    """A kill that the record can't take is acknowledged all the same."""
    disk.disk_fail(FILE.encode(), WRITES, 0, -1, errno.ENOSPC)
    uri = rng.choice(list(own))
    say("try", "status", uri, PubStatus.CANCELED)
    acknowledge(engine.set_status([SetStatus(uri, PubStatus.CANCELED)]))
    try:
        engine.set_status([SetStatus(uri, PubStatus.USABLE)])
    except StorageFullError:
        disk.disk_fail(b"", 0, 0, 0, 0)
        return
    raise AssertionError("the record was not full")


def main(folder: Path, seed: int, shim: str) -> None:
    """So many turns; sealing and merging go on beside them."""
    rng, disk = random.Random(seed), ctypes.CDLL(shim)
    engine = open_archive(folder, background=True)
    own: dict[str, int] = {}
    for turn in range(TURNS):
        put_some(engine, rng, own, "urn:kill:0:")
        if rng.random() < 0.4:
            hide_one(engine, rng, own)
        if turn % 12 == 7:
            kill_on_a_full_disk(engine, rng, own, disk)
        if turn % 15 == 14:
            threading.Thread(target=engine.compact).start()
    engine.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
