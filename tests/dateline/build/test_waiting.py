"""How long orders wait, as a service and a worker tell it."""

from __future__ import annotations

from pathlib import Path

from api.metrics import Metrics
from core.work import FoundAsset, Job, JobState
from dateline.build.media.waiting import WaitingOrders
from dateline.settings import ORDERS, Settings
from storage.databases import open_database
from storage.work.jobs import StoredJobs

NAME = "dateline_work_oldest_seconds"


def told(orders: WaitingOrders) -> dict[str, float]:
    """The samples of a page, by queue."""
    status = {"work": {"oldest_seconds": orders.oldest()}}
    (metric,) = (one for one in Metrics().collected(status) if one.name == NAME)
    return {sample.labels["queue"]: sample.value for sample in metric.samples}


def test_an_archive_without_orders_stays_without_them(folder: Path) -> None:
    orders = WaitingOrders(Settings(data=folder))
    assert set(told(orders)) == {"read", "decode", "shots", "describe", "embed", "apply"}
    assert set(told(orders).values()) == {0.0}
    assert not (folder / ORDERS).exists()
    orders.close()


def test_the_age_of_an_order_is_told(folder: Path) -> None:
    database = open_database(folder / ORDERS)
    jobs = StoredJobs(database)
    jobs.create(Job("a", {}, 1, JobState.RUNNING, 1.0, read=True))
    jobs.add("a", [FoundAsset("/1.jpg", "", 1)])
    database.run(lambda c: c.exec_driver_sql("UPDATE dateline_orders SET since = since - 500"))
    orders = WaitingOrders(Settings(data=folder))
    assert told(orders)["decode"] >= 500
    assert told(orders)["apply"] == 0
    database.run(lambda c: c.exec_driver_sql("DELETE FROM dateline_orders"))
    assert told(orders)["decode"] >= 500  # it is kept for some seconds
    orders.close()
    database.close()


def test_orders_that_can_not_be_read_have_no_age(folder: Path) -> None:
    (folder / ORDERS).write_bytes(b"this is no database" * 100)
    orders = WaitingOrders(Settings(data=folder))
    assert told(orders) == {}
    orders.close()
