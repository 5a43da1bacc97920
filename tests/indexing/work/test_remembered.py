"""What is held in memory is what the ledger says, or soon will."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from core.errors import LimitError, StorageError
from indexing.work.remembered import Remembered
from storage.work.ledger import MAX_VALUE_BYTES, StoredLedger
from tests.indexing.work.world import World


class CountingLedger:
    """`core.ports.media.Ledger` that counts what it is asked, and fails while `broken`."""

    def __init__(self, inner: StoredLedger) -> None:
        self.inner = inner
        self.gets = 0
        self.puts = 0
        self.broken = False

    def get(self, keys: Sequence[str]) -> tuple[bytes | None, ...]:
        self.gets += 1
        return self.inner.get(keys)

    def put(self, results: Mapping[str, bytes]) -> None:
        if self.broken:
            raise StorageError("no space left")
        self.puts += 1
        self.inner.put(results)


@pytest.fixture
def ledger(world: World) -> CountingLedger:
    return CountingLedger(world.ledger)


def test_what_is_held_is_known_and_durable_after_a_flush(ledger: CountingLedger) -> None:
    known = Remembered(ledger)
    known.hold({"a": [1]})
    known.hold({"b": [2]})
    assert known.get(["a", "b", "c"]) == ([1], [2], None)
    assert Remembered(ledger).get(["a", "b"]) == (None, None)
    known.flush()
    assert Remembered(ledger).get(["a", "b"]) == ([1], [2])
    assert ledger.puts == 1
    known.flush()
    assert ledger.puts == 1


def test_a_flush_that_fails_is_made_up_for(ledger: CountingLedger) -> None:
    known = Remembered(ledger)
    known.hold({"a": [1]})
    ledger.broken = True
    with pytest.raises(StorageError):
        known.flush()
    ledger.broken = False
    known.hold({"b": [2]})
    known.flush()
    assert Remembered(ledger).get(["a", "b"]) == ([1], [2])


def test_a_result_that_is_too_large_fails_alone(ledger: CountingLedger) -> None:
    known = Remembered(ledger)
    known.hold({"a": [1]})
    with pytest.raises(LimitError):
        known.hold({"huge": "x" * MAX_VALUE_BYTES})
    known.hold({"large": "x" * 100_000})
    assert Remembered(ledger).get(["large"]) == ("x" * 100_000,)
    known.flush()
    assert Remembered(ledger).get(["a", "huge"]) == ([1], None)


def test_fixed_results_are_given_from_memory_and_others_as_they_were_kept(
    ledger: CountingLedger,
) -> None:
    known, other = Remembered(ledger), Remembered(ledger)
    other.put({"caption": ["theirs"]})
    known.put({"caption": ["mine"], "other": [1]})
    assert known.get(["caption"]) == (["theirs"],)
    known.put({"facts": [2]}, fixed=True)
    asked = ledger.gets
    assert known.get(["facts"]) == ([2],)
    assert known.one_of(["picture", "facts"]) == (1, [2])
    assert ledger.gets == asked
    assert known.one_of(["picture", "none"]) is None


def test_a_chunk_of_photos_takes_few_commits_and_few_questions(
    world: World, ledger: CountingLedger
) -> None:
    world.chunk = 32
    for number in range(32):
        world.write(f"{number}.jpg", f"picture number-{number}")
    world.known = Remembered(ledger)
    job = world.ingest()
    assert world.made(job)["decoded"] == 32
    assert ledger.puts <= 12
    assert ledger.gets <= 40
    world.known = Remembered(world.ledger)  # another process
    assert world.made(world.ingest()) == {}


def test_what_could_not_be_made_durable_is_not_passed_on(
    world: World, ledger: CountingLedger
) -> None:
    for number in range(4):
        world.write(f"{number}.jpg", f"picture number-{number}")
    world.known = Remembered(ledger)
    job = world.start()
    world.work(1)
    ledger.broken = True
    world.stop = True  # it waits for the disk until it is told to stop
    world.work(1)
    assert {asset.digest for asset in world.assets(job).values()} == {""}
    ledger.broken, world.stop = False, False
    world.work()
    assert world.made(job)["written"] == 4
    world.known = Remembered(world.ledger)
    assert world.made(world.ingest()) == {}
