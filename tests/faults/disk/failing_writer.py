"""A process whose disk fails as `disk_shim.c` is told to, and that checks what it sees of that.

`python failing_writer.py FOLDER SHIM named` goes through the ways in which a file fails, one after
another; `... random SEED ROUNDS` lets any file fail at any call. It says what it expects of the
archive in the end, as JSON: the version and the state of each item.
"""

from __future__ import annotations

import ctypes
import errno
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from core.errors import DiskError, HiddenHereError, StorageError, StorageFullError
from core.items import PubStatus
from core.writes import REFUSED, SetStatus
from storage.embedded.engine import EmbeddedEngine
from storage.embedded.record import archive as record
from storage.embedded.record import journal
from tests.faults.disk.test_full_disk import wait_until
from tests.faults.test_kill import Expected, applied, check_item
from tests.faults.world import READER, open_archive, put_of

WRITES, SYNCS = 1, 2  # as in disk_shim.c
SHORT = 0
ALWAYS = -1
WAL = f"{record.FILE}-wal"
FILES = (WAL, record.FILE, journal.FILE, "lexical", "vectors", "archive")


class Archive:
    """An engine on a disk that fails when it is told to, and what is expected of it."""

    def __init__(self, folder: Path, shim: str) -> None:
        self.disk = ctypes.CDLL(shim)
        self.engine: EmbeddedEngine = open_archive(folder, background=True)
        self.expected = Expected()
        self.doubtful: list[object] = []  # the last attempt that failed

    @contextmanager
    def failing(self, part: str, calls: int, after: int, times: int, error: int) -> Iterator[None]:
        """Files whose path has `part` fail meanwhile."""
        self.disk.disk_fail(part.encode(), calls, after, times, error)
        try:
            yield
        finally:
            self.disk.disk_fail(b"", 0, 0, 0, 0)

    def put(self, *names: str) -> type[StorageError] | None:
        """Puts new versions; how that failed, if it did."""
        batch = [(uri, self.expected.versions.get(uri, 0) + 1) for uri in names]
        return self._try(["put", batch])

    def set_status(self, uri: str, status: PubStatus) -> type[StorageError] | None:
        return self._try(["status", uri, status])

    def _try(self, what: list[object]) -> type[StorageError] | None:
        try:
            self._do(what)
        except StorageError as error:
            self.doubtful = what
            return type(error)
        self.expected.apply(what)
        return None

    def _do(self, what: list[object]) -> None:
        if what[0] == "put":
            done = self.engine.put([put_of(*each) for each in what[1]])  # type: ignore[attr-defined]
            assert not [entry for entry in done if entry.outcome in REFUSED]
        else:
            self.engine.set_status([SetStatus(str(what[1]), PubStatus(str(what[2])))])

    def learn(self) -> None:
        """Once the disk works: what was recorded of an attempt that failed."""
        if made := applied(self.engine, self.doubtful):
            self.expected.apply(made)

    def check(self) -> None:
        """Everything is found that should be, and nothing that should not."""
        wait_until(
            lambda: not self.engine.record.unsettled.changes, "what was set aside is recorded"
        )
        wait_until(self._is_indexed, "the index has caught up")
        for uri, version in self.expected.versions.items():
            check_item(self.engine, uri, version, self.expected.statuses[uri])

    def _is_indexed(self) -> bool:
        self.engine.cover()
        return not self.engine.status()["lexical"]["pending"]


def fail_by_name(archive: Archive) -> None:
    """Each way, and the error that tells of it."""
    ways = (
        (WRITES, errno.ENOSPC, StorageFullError),
        (WRITES, errno.EIO, DiskError),
        (SYNCS, errno.EIO, DiskError),
        (WRITES, SHORT, None),
    )
    for number, (calls, error, told) in enumerate(ways):
        uri, late = f"urn:1:{number}", f"urn:2:{number}"
        assert archive.put(uri) is None
        with archive.failing(WAL, calls, 0, ALWAYS, error):
            assert archive.put(late) is told
            assert archive.set_status(uri, PubStatus.CANCELED) is None
            assert archive.engine.item(uri, READER) is None
        if told:
            archive.learn()
            assert archive.put(late) is None
        archive.check()
        with archive.failing("archive", calls, 0, ALWAYS, error):
            failed = archive.set_status(late, PubStatus.CANCELED)
            assert failed is (HiddenHereError if told else None)
            assert archive.engine.item(late, READER) is None
        if told:  # in force here; it is tried again until it is recorded
            archive.expected.apply(["status", late, PubStatus.CANCELED])
        archive.check()


def fail_at_random(archive: Archive, rng: random.Random, rounds: int) -> None:
    """Any file, at any call, in any way; afterwards a write goes through at once."""
    for number in range(rounds):
        known = list(archive.expected.versions)
        error = rng.choice([errno.EIO, errno.ENOSPC, SHORT])
        calls = rng.choice([WRITES, SYNCS, WRITES | SYNCS]) if error else WRITES
        with archive.failing(
            rng.choice(FILES), calls, rng.randrange(12), rng.choice([1, 2, ALWAYS]), error
        ):
            failed = _some_writes(archive, rng, number, known)
        if failed is HiddenHereError:
            archive.expected.apply(archive.doubtful)
        elif failed:
            assert failed in (StorageFullError, DiskError), failed
            archive.learn()
        assert archive.put(f"urn:4:{number}") is None
        if number % 8 == 7:
            archive.check()
    archive.check()


def _some_writes(
    archive: Archive, rng: random.Random, number: int, known: list[str]
) -> type[StorageError] | None:
    """Until one fails; how it did."""
    for turn in range(6):
        if known and rng.random() < 0.4:
            status = rng.choice([PubStatus.CANCELED, PubStatus.WITHHELD, PubStatus.USABLE])
            failed = archive.set_status(rng.choice(known), status)
        else:
            older = rng.sample(known, min(1, len(known)))
            failed = archive.put(f"urn:3:{number}:{turn}:0", f"urn:3:{number}:{turn}:1", *older)
        if failed:
            return failed
    return None


def main(folder: Path, shim: str, *how: str) -> None:
    """The one or the other."""
    archive = Archive(folder, shim)
    if how[0] == "named":
        fail_by_name(archive)
    else:
        fail_at_random(archive, random.Random(int(how[1])), int(how[2]))
    archive.engine.close()
    expected = archive.expected
    print(orjson.dumps([expected.versions, expected.statuses]).decode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
