"""Requests and tokens a minute, with a minute of a second and a half so that a test can wait.

Each of several is a process with limits of its own over one database, as far as it can tell.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.media import Caption, Uncaptioned
from indexing.captions import calls as calls_module
from indexing.captions.calls import Rates
from indexing.captions.prompt import question
from indexing.captions.spending import TokenEstimate
from storage.databases import Database, open_database
from storage.work.rates import StoredRates
from tests.caption_provider import CaptionServer
from tests.indexing.captions.world import captioner, still

MINUTE_S = 1.5


class TellingRates(StoredRates):
    """Tells the moment of each request that it noted, by the clock that all share, and its tokens.
    When a request arrives says less: that is after its turn, by any time on a busy machine.
    """

    def __init__(self, database: Database, taken: list[tuple[float, int]]) -> None:
        super().__init__(database)
        self._taken = taken
        self._at = threading.local()

    def take(self, name: str, tokens: int, *limits: float) -> float:
        pause = super().take(name, tokens, *limits)
        if not pause:
            self._taken.append((self._at.now, tokens))
        return pause

    def _now(self, connection: sa.Connection) -> float:
        self._at.now = super()._now(connection)
        return float(self._at.now)


@contextmanager
def opened(
    place: Path | str,
    requests: int = 0,
    tokens: int = 0,
    *,
    minute_s: float = MINUTE_S,
    taken: list[tuple[float, int]] | None = None,
) -> Iterator[Rates]:
    """The rates of one worker."""
    log = TellingRates(open_database(place, synced=False), [] if taken is None else taken)
    yield Rates(log, "provider", requests, tokens, minute_s)
    log.close()


def most_in_any_minute(taken: list[tuple[float, int]]) -> tuple[int, int]:
    """The most requests and tokens within a minute that slides along."""
    minutes = [
        [tokens for at, tokens in taken if start <= at < start + MINUTE_S] for start, _ in taken
    ]
    return max(map(len, minutes)), max(map(sum, minutes))


def test_workers_keep_to_the_requests_together(place: Path | str) -> None:
    taken: list[tuple[float, int]] = []
    with ExitStack() as open_, CaptionServer() as server:
        rates = [open_.enter_context(opened(place, requests=5, taken=taken)) for _ in range(3)]
        workers = [open_.enter_context(captioner(server, rates=each, at_once=4)) for each in rates]
        with ThreadPoolExecutor(3) as crowd:
            answers = list(crowd.map(lambda worker: worker.caption([still()] * 5), workers))
        assert all(isinstance(one, Caption) for some in answers for one in some)
        assert len(server.asked()) == len(taken) == 15
    assert most_in_any_minute(taken)[0] <= 5


def test_workers_keep_to_the_tokens_together(place: Path | str) -> None:
    expected = TokenEstimate().before(question(still()))
    each = expected.tokens_in + expected.tokens_out
    most = int(each * 3.5)
    taken: list[tuple[float, int]] = []
    with ExitStack() as open_, CaptionServer() as server:
        rates = [open_.enter_context(opened(place, tokens=most, taken=taken)) for _ in range(2)]
        workers = [open_.enter_context(captioner(server, rates=one)) for one in rates]
        with ThreadPoolExecutor(2) as crowd:
            answers = list(crowd.map(lambda worker: worker.caption([still()] * 4), workers))
        assert all(isinstance(one, Caption) for some in answers for one in some)
        assert len(server.asked()) == len(taken) == 8
    assert most_in_any_minute(taken)[1] <= most


@pytest.mark.parametrize("tokens", [1, 999, 2_000_000, 30_000_000])
def test_threads_never_take_more_tokens_than_there_are(place: Path | str, tokens: int) -> None:
    taken: list[tuple[float, int]] = []
    weight = max(1, tokens // 4)
    with opened(place, tokens=tokens, taken=taken) as rates:
        threads = [threading.Thread(target=rates.take, args=(weight, 30.0)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(taken) == 6
    assert most_in_any_minute(taken)[1] <= tokens


def test_another_provider_s_requests_do_not_count(folder: Path) -> None:
    with opened(folder / "spend.sqlite", requests=1, minute_s=60.0) as rates:
        assert rates.take(1, 0.0)
        assert not rates.take(1, 0.0)
        assert replace(rates, name="another").take(1, 0.0)


def test_a_request_larger_than_a_minute_takes_one_whole(folder: Path) -> None:
    with opened(folder / "spend.sqlite", tokens=100, minute_s=60.0) as rates:
        assert rates.take(10_000, 0.05)
        assert not rates.take(1, 0.05)


def test_a_clock_that_was_set_back_holds_nobody_up_for_longer_than_a_minute(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(folder / "spend.sqlite", requests=1, minute_s=60.0) as rates:
        with monkeypatch.context() as patched:
            patched.setattr("storage.work.rates.time.time", lambda: time.monotonic() + 1e10)
            assert rates.take(1, 0.0)
        assert rates.take(1, 0.0)


def test_no_limit_waits_for_nothing() -> None:
    assert all(Rates().take(10**9, 0.0) for _ in range(1000))


def test_patience_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "PATIENCE_S", 0.05)
    with (
        opened(folder / "spend.sqlite", requests=1, minute_s=60.0) as rates,
        CaptionServer() as server,
        captioner(server, rates=rates, at_once=1) as made,
    ):
        first, second = made.caption([still()] * 2)
        assert isinstance(first, Caption)
        assert second == Uncaptioned("no turn within the rates", again=True)
        assert len(server.asked()) == 1
