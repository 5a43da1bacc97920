"""The tables of profile versions and experiments, over SQLite and Postgres."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest

from core.customers.experiments import Experiment, Way
from core.errors import ConflictError, NotFoundError
from storage.customers.audit import StoredAudit
from storage.customers.experiments import StoredExperiments
from storage.databases import Database

NOW = datetime(2026, 3, 18, 12, 0, 0, 123456, tzinfo=UTC)
WANTED = Experiment("weights", Way.AB, "hybrid", 0, 0, NOW, secret=b"s" * 32)


@pytest.fixture
def store(database: Database) -> StoredExperiments:
    return StoredExperiments(database)


def test_an_experiment_makes_a_version_and_runs_alone(
    store: StoredExperiments, database: Database
) -> None:
    made = store.start(WANTED, {"lexical_weight": "0.6"})
    assert made == replace(WANTED, candidate=1)
    assert (made.candidate_name, made.base_name) == ("hybrid@1", "hybrid@0")
    book = StoredExperiments(database).book()
    assert book.running == made
    assert dict(book.versions["hybrid@1"].changes) == {"lexical_weight": "0.6"}
    with pytest.raises(ConflictError, match="weights runs"):
        store.start(replace(WANTED, name="other"), {})
    store.stop("weights", NOW + timedelta(days=1), "{}")
    with pytest.raises(ConflictError, match="called weights before"):
        store.start(WANTED, {})
    after = store.experiment("weights")
    assert (after.secret, after.outcome, after.stopped) == (b"", "{}", NOW + timedelta(days=1))
    assert store.book().running is None
    assert store.start(replace(WANTED, name="second"), {}).candidate == 2
    with pytest.raises(NotFoundError):
        store.experiment("third")


def test_threads_start_one_experiment(store: StoredExperiments) -> None:
    refused: list[str] = []

    def start(name: str) -> None:
        try:
            store.start(replace(WANTED, name=name), {})
        except ConflictError:
            refused.append(name)

    threads = [Thread(target=start, args=(f"e{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert len(store.experiments()) == 1


def test_versions_go_back_and_forth_and_the_audit_log_has_it(
    store: StoredExperiments, database: Database
) -> None:
    assert store.before("hybrid") == 0
    for number in (1, 2):
        store.put_in_force("hybrid", number, NOW, "promoted")
    store.put_in_force("best", 7, NOW, "promoted")
    assert store.book().in_force == {"hybrid": 2, "best": 7}
    assert store.before("hybrid") == 1
    store.put_in_force("hybrid", 1, NOW, "rolled back")
    assert store.before("hybrid") == 2
    assert store.before("best") == 0
    entries = [one.entry.detail for one in StoredAudit(database).rows_until(10)]
    assert entries[-1] == "hybrid@1 rolled back"
