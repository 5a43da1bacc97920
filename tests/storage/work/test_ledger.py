"""The ledger, the likenesses and the jobs' tables, on SQLite and on Postgres."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.errors import LimitError, NotFoundError, SettingsError, StorageError
from core.work import AssetState, FoundAsset, Job, JobState, Stage
from storage.databases import Database, open_database
from storage.media.likenesses import StoredLikenesses
from storage.work.jobs import StoredJobs
from storage.work.ledger import MAX_VALUE_BYTES, StoredLedger

ROOT = Path(__file__).resolve().parents[3]
KEYS = st.sampled_from([f"{n:064x}" for n in range(12)])
STEPS = st.lists(
    st.one_of(
        st.dictionaries(KEYS, st.binary(max_size=40), max_size=5),
        st.lists(KEYS, max_size=6),
    ),
    max_size=12,
)


@hypothesis_settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_the_ledger_is_a_dict_whose_entries_never_change(
    database: Database, steps: list[dict[str, bytes] | list[str]]
) -> None:
    prefix = os.urandom(4).hex()
    ledger, known = StoredLedger(database), dict[str, bytes]()
    for step in steps:
        if isinstance(step, dict):
            ledger.put({prefix + key[8:]: value for key, value in step.items()})
            known = {**step, **known}
        else:
            wanted = tuple(known.get(key) for key in step)
            assert ledger.get([prefix + key[8:] for key in step]) == wanted
            assert StoredLedger(database).get([prefix + key[8:] for key in step]) == wanted


def test_many_keys_at_once(database: Database) -> None:
    ledger = StoredLedger(database)
    results = {f"{n:064x}": str(n).encode() for n in range(1_500)}
    ledger.put(results)
    assert ledger.get(list(results)) == tuple(results.values())
    assert ledger.count() == 1_500


def test_a_result_that_is_too_large_is_refused_whole(database: Database) -> None:
    ledger = StoredLedger(database)
    with pytest.raises(LimitError, match="too large"):
        ledger.put({"a" * 64: b"small", "b" * 64: bytes(MAX_VALUE_BYTES + 1)})
    assert ledger.get(["a" * 64]) == (None,)


@pytest.mark.parametrize("address", ["mysql://host/db", "nonsense", "sqlite:///x"])
def test_other_databases_are_refused(address: str) -> None:
    with pytest.raises(SettingsError):
        open_database(address)


def test_a_password_is_in_no_message() -> None:
    database = open_database("postgresql://me:sesame@127.0.0.1:1/db", patience_s=0.2)
    with pytest.raises(StorageError) as error:
        StoredLedger(database)
    assert "sesame" not in str(error.value)
    assert "127.0.0.1" in str(error.value)


def test_likenesses_are_those_of_a_scan(database: Database) -> None:
    rng = np.random.default_rng(3)
    centres = rng.integers(0, 256, (6, 32), np.uint8)
    flips = np.packbits(rng.random((60, 256)) < 0.09, axis=1)
    rows = np.repeat(centres, 10, axis=0) ^ flips
    hashes = [bytes(row).hex() for row in rows]
    kept = {hash_: f"key{n}" for n, hash_ in enumerate(hashes[:30])}
    likenesses = StoredLikenesses(database)
    assert likenesses.nearest("a", hashes, 31) == (None,) * 60
    likenesses.add("a", dict(list(kept.items())[:10]))
    assert likenesses.nearest("a", hashes[:1], 31) == ("key0",)
    other = StoredLikenesses(database)
    other.add("a", kept)
    other.add("b", {hashes[40]: "elsewhere"})
    apart = np.bitwise_count(rows[:, None] ^ rows[None, :30]).sum(axis=2)
    wanted = [list(kept.values())[int(row.argmin())] if row.min() <= 31 else None for row in apart]
    found = likenesses.nearest("a", hashes, 31)
    distance = [
        None if key is None else int(apart[n, int(key.removeprefix("key"))])
        for n, key in enumerate(found)
    ]
    assert distance == [None if w is None else int(apart[n].min()) for n, w in enumerate(wanted)]
    assert 20 < sum(key is not None for key in found) < 60
    assert likenesses.nearest("b", [hashes[40]], 0) == ("elsewhere",)
    assert likenesses.nearest("b", [hashes[0]], 0) == (None,)


def job(name: str = "job") -> Job:
    return Job(name, {"paths": ["x"]}, 10, JobState.RUNNING, 1.0)


def found_of(*names: str, stamp: str = "1") -> list[FoundAsset]:
    return [FoundAsset(f"/in/{name}", stamp, 5, {"headline": name}, ("wire",)) for name in names]


def test_a_job_knows_each_asset_once(database: Database) -> None:
    jobs = StoredJobs(database)
    jobs.create(job())
    jobs.create(job())
    assert jobs.job("job") == job()
    assert jobs.add("job", found_of("a", "b")) == 0
    assert jobs.add("job", found_of("a", "b")) is None
    assert jobs.add("job", found_of("b", "c", "c")) == 1
    assert [a.found.location for a in jobs.of_chunk("job", 1)] == ["/in/c"]
    assert jobs.of_chunk("job", 0)[0].found == found_of("a")[0]
    assert jobs.add("job", found_of("a", stamp="2")) == 2
    assert [a.number for a in jobs.find("job", list(AssetState))] == [0, 1, 2, 3]
    assert jobs.counts("job").found == 4
    with pytest.raises(NotFoundError):
        jobs.job("other")
    with pytest.raises(NotFoundError):
        jobs.asset("job", 9)


def test_what_waits_and_what_is_finished(database: Database) -> None:
    jobs = StoredJobs(database)
    jobs.create(job())
    jobs.add("job", found_of("a", "b"))
    jobs.add("job", found_of("c"))
    assert jobs.open_chunks("job") == 2
    a, b = jobs.of_chunk("job", 0)
    done = replace(a, stage=Stage.DONE, state=AssetState.DONE, made={"decoded": 1})
    jobs.update([done, replace(b, state=AssetState.DEAD, cause="x" * 10_000)])
    assert jobs.open_chunks("job") == 1
    (c,) = jobs.of_chunk("job", 1)
    over = replace(c, stage=Stage.DONE, state=AssetState.DONE)
    jobs.update([over])
    assert jobs.job("job").state is JobState.RUNNING  # not read to its end yet
    jobs.update([replace(c, stage=Stage.APPLY)])
    assert jobs.change("job", read=True, trouble="disk").state is JobState.RUNNING  # one waits
    jobs.update([over])
    assert jobs.job("job").state is JobState.FINISHED
    found = jobs.job("job")
    assert (found.state, found.trouble) == (JobState.FINISHED, "disk")
    assert found.ended > 1
    counts = jobs.counts("job")
    assert (counts.dead(), counts.waiting(), counts.past(Stage.APPLY)) == (1, 0, 2)
    assert counts.made["decoded"] == 1
    assert jobs.remarks("job") == {}  # a dead letter is none
    jobs.update([replace(done, cause="not described: spend")])
    assert jobs.remarks("job") == {"not described: spend": 1}
    assert len(jobs.asset("job", 1).cause) == 4_000


def test_jobs_that_are_over_are_forgotten_and_no_other(database: Database) -> None:
    jobs = StoredJobs(database)
    states = {
        "finished": (JobState.FINISHED, 100.0),
        "canceled": (JobState.CANCELED, 150.0),
        "fresh": (JobState.FINISHED, 900.0),
        "running": (JobState.RUNNING, 0.0),
        "paused": (JobState.PAUSED, 0.0),
        "failed": (JobState.FINISHED, 50.0),
    }
    for number, (name, (state, ended)) in enumerate(states.items()):
        jobs.create(Job(name, {}, 1, JobState.RUNNING, float(number)))
        jobs.add(name, [FoundAsset(f"/{name}.jpg", "1", 1)])
        if name == "failed":
            jobs.update([replace(jobs.asset(name, 0), state=AssetState.DEAD)])
        jobs.change(name, state=state, ended=ended)
    assert jobs.over(500.0) == ("finished", "canceled")
    assert jobs.over(500.0, with_dead=True) == ("finished", "canceled", "failed")
    assert not jobs.delete("running", 10**9)
    assert not jobs.delete("fresh", 500.0)
    assert jobs.delete("finished", 500.0)
    assert not jobs.delete("finished", 500.0)
    assert {job.id for job in jobs.jobs()} == states.keys() - {"finished"}
    assert jobs.of_chunk("finished", 0) == ()
    assert len(jobs.of_chunk("canceled", 0)) == 1


WRITER = """
import sys
from pathlib import Path
from storage.databases import open_database
from storage.work.ledger import StoredLedger
ledger = StoredLedger(open_database(Path(sys.argv[1]), synced=False))
for number in range(10_000):
    ledger.put({f"{number:064x}": bytes(900)})
    print(number, flush=True)
"""


def test_what_is_not_synced_outlives_a_killed_process(folder: Path) -> None:
    """Through checkpoints of the log, too: what was said to be kept is there."""
    place = folder / "ledger.sqlite"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(place)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert writer.stdout is not None
    for _ in range(1_500):
        assert writer.stdout.readline()
    writer.kill()
    told = 1_500 + writer.stdout.read().count("\n")
    writer.wait(120)
    writer.stdout.close()
    database = open_database(place, synced=False)
    assert StoredLedger(database).count() in (told, told + 1)
    database.close()


def test_a_synced_connection_waits_for_the_disk_and_another_does_not(folder: Path) -> None:
    def level(synced: bool) -> int:
        database = open_database(folder / "work.sqlite", synced=synced)
        try:
            query = sa.text("PRAGMA synchronous")
            return int(database.run(lambda connection: connection.execute(query).scalar_one()))
        finally:
            database.close()

    assert (level(synced=True), level(synced=False)) == (2, 1)
