"""How long orders wait and what captions cost, as a service and a worker tell it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from api.metrics import Metrics
from core.work import READ, STAGES, FoundAsset, Job, JobState
from dateline.build.media.waiting import Work
from dateline.settings import LEDGER, ORDERS, SPENT, Settings
from storage.databases import open_database
from storage.work.jobs import StoredJobs
from storage.work.live_lags import StoredLiveLags
from storage.work.spend import StoredSpend

NAME = "dateline_work_oldest_seconds"
SPENT_TODAY = "dateline_caption_spent_today"


def told(work: Work, name: str = NAME, by: str = "queue") -> dict[str, float]:
    """The samples of a metric on a page, by a label."""
    (metric,) = (one for one in Metrics().collected({"work": work.figures()}) if one.name == name)
    return {
        sample.labels.get(by, ""): sample.value for sample in metric.samples if sample.value >= 0
    }


def test_an_archive_without_orders_stays_without_them(folder: Path) -> None:
    work = Work(Settings(data=folder))
    assert set(told(work)) == {READ, *STAGES}
    assert set(told(work).values()) == {0.0}
    assert not (folder / ORDERS).exists()
    work.close()


def test_the_age_of_an_order_is_told(folder: Path) -> None:
    database = open_database(folder / ORDERS)
    jobs = StoredJobs(database)
    jobs.create(Job("a", {}, 1, JobState.RUNNING, 1.0, read=True))
    jobs.add("a", [FoundAsset("/1.jpg", "", 1)])
    database.run(lambda c: c.exec_driver_sql("UPDATE dateline_orders SET since = since - 500"))
    work = Work(Settings(data=folder))
    assert told(work)["decode"] >= 500
    assert told(work)["apply"] == 0
    database.run(lambda c: c.exec_driver_sql("DELETE FROM dateline_orders"))
    assert told(work)["decode"] >= 500  # it is kept for some seconds
    work.close()
    database.close()


def test_orders_that_can_not_be_read_have_no_age(folder: Path) -> None:
    (folder / ORDERS).write_bytes(b"this is no database" * 100)
    work = Work(Settings(data=folder))
    assert told(work) == {}
    work.close()


def test_the_longest_lags_of_live_shots_and_words_are_told(folder: Path) -> None:
    assert lags(folder) == {"shots": 0.0, "words": 0.0}
    assert not (folder / LEDGER).exists()
    database = open_database(folder / LEDGER)
    stored = StoredLiveLags(database)
    for lag_s in (3.0, 4.5, 2.0):
        stored.add("shots", lag_s)
    assert lags(folder) == {"shots": 4.5, "words": 0.0}
    database.run(lambda c: c.exec_driver_sql("UPDATE live_lags SET at = at - 120"))
    assert lags(folder) == {"shots": 0.0, "words": 0.0}
    database.run(lambda c: c.exec_driver_sql("UPDATE live_lags SET at = at - 3600"))
    stored.add("words", 7.0)
    assert lags(folder) == {"shots": 0.0, "words": 7.0}
    kept = database.run(lambda c: c.exec_driver_sql("SELECT count(*) FROM live_lags").scalar())
    assert kept == 1
    database.close()


def lags(folder: Path) -> dict[str, float]:
    """The samples of the lags on a page that was not looked at before."""
    work = Work(Settings(data=folder))
    found = told(work, "dateline_live_lag_seconds", "of")
    work.close()
    return found


def test_the_day_s_costs_are_told_with_what_is_set_aside_and_the_cap(folder: Path) -> None:
    work = Work(Settings(data=folder, caption_daily_spend=20))
    assert told(work, SPENT_TODAY) == {"": 0}
    assert told(work, "dateline_caption_daily_spend") == {"": 20}
    assert not (folder / SPENT).exists()
    work.close()
    database = open_database(folder / SPENT)
    book, today = StoredSpend(database), datetime.now(UTC).date().isoformat()
    book.reserve("a", today, 3.0, 20)
    book.reserve("b", "2020-01-01", 3.0, 20)
    work = Work(Settings(data=folder))
    assert told(work, SPENT_TODAY) == {"": 3}
    assert told(work, "dateline_caption_daily_spend") == {}
    work.close()
    database.close()
