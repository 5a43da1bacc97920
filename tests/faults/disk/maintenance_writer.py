"""A process that cares for an archive while `disk_shim.c` records it.

`python maintenance_writer.py FOLDER SEED SHIM` fills FOLDER/archive and says so as `writer.py`
does; backs it up, and writes on; gives it room for another encoder's vectors, embeds by that,
moves to it; and restores the backup. It says ["phase", NAME] when it begins with each.
"""

from __future__ import annotations

import ctypes
import random
import sqlite3
import sys
from pathlib import Path

from storage.embedded.engine import EmbeddedEngine
from storage.embedded.record import copies
from storage.embedded.record.archive import FILE, Record
from tests.faults.disk.power_writer import kill_on_a_full_disk
from tests.faults.world import now, open_archive, vectors_of
from tests.faults.writer import hide_one, put_some, say
from tests.storage.world import ENCODER, FIELD, open_embedded, records_by, vectors

NEXT = "space-b"


def write(engine: EmbeddedEngine, rng: random.Random, own: dict[str, int], prefix: str) -> None:
    for _ in range(12):
        put_some(engine, rng, own, prefix)
        hide_one(engine, rng, own)
    engine.catch_up()
    engine.compact()


def embed_beside(archive: Path) -> None:
    """Every version gets the next encoder's vectors: the same ones, under its name."""
    record = Record(archive, {FIELD: ENCODER}, now, {FIELD: NEXT})
    for seq, item in record.reads.items_lacking(FIELD, NEXT, 0, 10_000).items():
        rows = vectors_of(item.uri, item.version)
        assert record.add_vectors({seq: vectors(*rows, encoder=NEXT, field=FIELD)}) == 1
    record.close()


def opened_with_next(archive: Path) -> EmbeddedEngine:
    """The archive, searched by the next encoder's vectors."""
    with records_by(
        lambda folder, _, clock: Record(folder, {FIELD: NEXT}, clock, {FIELD: ENCODER})
    ):
        return open_embedded(archive, now, spaces={FIELD: NEXT})


def main(folder: Path, seed: int, shim: str) -> None:
    """One phase after another."""
    archive, rng, own = folder / "archive", random.Random(seed), dict[str, int]()
    say("phase", "fill")
    engine = open_archive(archive, background=False)
    write(engine, rng, own, "urn:kill:0:")
    say("phase", "backup")
    copies.backup(archive, folder / "copy")
    say("phase", "more")
    write(engine, rng, own, "urn:kill:1:")
    engine.close()
    say("phase", "embed")
    embed_beside(archive)
    say("phase", "flip")
    engine = opened_with_next(archive)
    engine.catch_up()
    kill_on_a_full_disk(engine, rng, own, ctypes.CDLL(shim))  # it stands in the journal only
    reader = sqlite3.connect(archive / FILE)  # without its last user the record has no log
    reader.execute("SELECT count(*) FROM items").fetchone()
    engine.close()
    say("phase", "flipped")
    say("phase", "restore")
    copies.restore(folder / "copy", archive, force=True)
    say("phase", "restored")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
