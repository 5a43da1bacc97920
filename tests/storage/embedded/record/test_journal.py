"""The journal of changes of state: durable entries in a file of fixed size, for many processes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core.errors import CorruptError, StorageFullError
from storage.embedded.record.journal import FILE, SIZE, Journal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path)
    yield made
    made.close()


def test_entries_are_there_for_every_process_and_after_a_restart(
    journal: Journal, tmp_path: Path
) -> None:
    other = Journal(tmp_path)
    before = other.sequence
    journal.append([b"one", b"two"])
    assert other.sequence != before
    other.append([b"three"])
    other.close()
    again = Journal(tmp_path)
    for each in (journal, again):
        assert each.read().data == (b"one", b"two", b"three")
    again.close()


def test_the_file_keeps_its_size(journal: Journal, tmp_path: Path) -> None:
    for number in range(100):
        journal.append([f"urn:{number}".encode()])
    file = (tmp_path / FILE).stat()
    assert file.st_size == SIZE
    assert file.st_blocks * 512 >= SIZE  # no hole: what is written later takes no new block


def test_what_is_taken_is_gone_and_its_room_is_free(journal: Journal) -> None:
    large = b"x" * (SIZE // 3)
    for _ in range(4):
        journal.append([large, large])
        with pytest.raises(StorageFullError):
            journal.append([large])
        assert len(journal.read().data) == 2
        journal.take(journal.read())
        assert journal.read().data == ()


def test_only_what_was_read_is_taken(journal: Journal) -> None:
    journal.append([b"one"])
    read = journal.read()
    journal.append([b"two"])
    journal.take(read)
    assert journal.read().data == (b"two",)
    journal.take(read)  # late, as from another process
    assert journal.read().data == (b"two",)
    journal.take(journal.read())
    journal.append([b"three"])
    journal.take(read)
    assert journal.read().data == (b"three",)


@pytest.mark.parametrize("cut", [1, 8, 15, 16, 18])
def test_a_torn_entry_is_none_and_the_next_takes_its_place(
    journal: Journal, tmp_path: Path, cut: int
) -> None:
    """As after a power failure in the middle of an append."""
    journal.append([b"whole"])
    journal.append([b"torn"])
    data = bytearray((tmp_path / FILE).read_bytes())
    place = data.index(b"torn") - 16
    data[place + cut : place + 20] = bytes(20 - cut)
    (tmp_path / FILE).write_bytes(data)
    again = Journal(tmp_path)
    assert again.read().data == (b"whole",)
    again.append([b"next"])
    assert again.read().data == (b"whole", b"next")
    again.close()


def opened(path: Path) -> int:
    """How many descriptors of this process are of a file."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # closed by now
            found += link.samefile(path)
    return found


def test_a_closed_journal_lets_go_of_its_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert opened(journal.path)
    journal.close()
    assert not opened(journal.path)
    journal.close()


@pytest.mark.parametrize("kept", [14, SIZE])
def test_another_file_is_not_written_to(tmp_path: Path, kept: int) -> None:
    other = b"something else".ljust(kept, b".")
    (tmp_path / FILE).write_bytes(other)
    with pytest.raises(CorruptError):
        Journal(tmp_path)
    assert (tmp_path / FILE).read_bytes() == other


def test_a_journal_that_was_cut_is_not_written_to(journal: Journal, tmp_path: Path) -> None:
    journal.append([b"one"])
    os.truncate(journal.path, SIZE - 1)
    with pytest.raises(CorruptError):
        Journal(tmp_path)


def test_entries_that_the_disk_takes_in_parts_are_whole(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, place: write(file, data[:7], place))
    monkeypatch.setattr(journal, "_put_header", lambda *_: None)
    journal.append([b"an entry of several parts", b"another"])
    monkeypatch.undo()
    assert journal.read().data == (b"an entry of several parts", b"another")


def test_an_entry_that_is_not_durable_is_refused_and_never_appears(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: int) -> None:
        raise OSError(errno.EIO, "no disk")

    journal.append([b"one"])
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fails)
        with pytest.raises(OSError, match="no disk"):
            journal.append([b"lost"])
    assert journal.read().data == (b"one",)
    journal.append([b"two"])
    assert journal.read().data == (b"one", b"two")


_APPENDS = """
import sys
from pathlib import Path
from storage.embedded.record.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(100):
    journal.append([f"{sys.argv[2]}:{number}".encode()])
"""


def test_many_processes_append_at_once(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-P", "-c", _APPENDS, str(tmp_path), name])
        for name in "abc"
    ]
    assert [writer.wait(240) for writer in writers] == [0, 0, 0]
    journal = Journal(tmp_path)
    found = [entry.decode() for entry in journal.read().data]
    journal.close()
    for name in "abc":
        own = [entry for entry in found if entry.startswith(name)]
        assert own == [f"{name}:{number}" for number in range(100)]
