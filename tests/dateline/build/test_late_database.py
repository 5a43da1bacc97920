"""The customers' database of a service that opens it late."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier
from typing import Any

from core.customers.experiments import VersionBook
from dateline.build.customers.accounts import open_customers
from dateline.build.service import LateDatabase, LateVersions
from dateline.settings import configure

_TOGETHER = 8


def together(ask: Callable[[], Any]) -> list[Any]:
    """Call it in several threads at the same moment, and return what each got."""
    ready = Barrier(_TOGETHER)

    def work(_: int) -> Any:
        ready.wait(30)
        return ask()

    with ThreadPoolExecutor(_TOGETHER) as pool:
        return list(pool.map(work, range(_TOGETHER)))


def test_the_first_searches_that_come_together_open_one_database(tmp_path: Path) -> None:
    settings = configure({"data": str(tmp_path)}).settings
    open_customers(settings).close()
    with closing(LateDatabase(settings)) as database:
        books = together(LateVersions(database).book)
        assert books == [VersionBook()] * _TOGETHER
        assert len({id(each) for each in together(database.opened)}) == 1


def test_an_archive_without_customers_gets_no_database_by_a_search(tmp_path: Path) -> None:
    with closing(LateDatabase(configure({"data": str(tmp_path)}).settings)) as database:
        assert together(LateVersions(database).book) == [VersionBook()] * _TOGETHER
    assert not list(tmp_path.iterdir())
