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

from core.media import Caption, Uncaptioned
from indexing.captions import calls as calls_module
from indexing.captions.prompt import question
from indexing.captions.rates import Rates
from indexing.captions.spending import TokenEstimate
from storage.databases import open_database
from storage.rates import StoredRates
from tests.caption_provider import CaptionServer
from tests.indexing.captions.world import captioner, still
from tests.storage.postgres_world import address_of

MINUTE_S = 1.5


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, folder: Path) -> Path | str:
    """A database that workers share."""
    if request.param == "sqlite":
        return folder / "spend.sqlite"
    return address_of(request.getfixturevalue("postgres"), folder)


@contextmanager
def opened(place: Path | str, requests: int = 0, tokens: int = 0) -> Iterator[Rates]:
    """The rates of one worker."""
    log = StoredRates(open_database(place, synced=False))
    yield Rates(log, "provider", requests, tokens, MINUTE_S)
    log.close()


def most_in_any_minute(moments: list[float], weights: list[int]) -> int:
    """The largest sum of weights within a minute that slides along."""
    pairs = sorted(zip(moments, weights, strict=True))
    minute = MINUTE_S * 0.8  # a request arrives some time after its turn
    return max(
        sum(weight for moment, weight in pairs if start <= moment < start + minute)
        for start, _ in pairs
    )


def test_workers_keep_to_the_requests_together(place: Path | str) -> None:
    with ExitStack() as open_, CaptionServer() as server:
        workers = [
            open_.enter_context(
                captioner(server, rates=open_.enter_context(opened(place, requests=5)), at_once=4)
            )
            for _ in range(3)
        ]
        with ThreadPoolExecutor(3) as crowd:
            answers = list(crowd.map(lambda worker: worker.caption([still()] * 5), workers))
        assert all(isinstance(one, Caption) for some in answers for one in some)
        moments = [seen.at for seen in server.asked()]
    assert len(moments) == 15
    assert most_in_any_minute(moments, [1] * 15) <= 5


def test_workers_keep_to_the_tokens_together(place: Path | str) -> None:
    expected = TokenEstimate().before(question(still()))
    each = expected.tokens_in + expected.tokens_out
    with ExitStack() as open_, CaptionServer() as server:
        workers = [
            open_.enter_context(
                captioner(server, rates=open_.enter_context(opened(place, tokens=int(each * 3.5))))
            )
            for _ in range(2)
        ]
        with ThreadPoolExecutor(2) as crowd:
            answers = list(crowd.map(lambda worker: worker.caption([still()] * 4), workers))
        assert all(isinstance(one, Caption) for some in answers for one in some)
        moments = [seen.at for seen in server.asked()]
    assert most_in_any_minute(moments, [each] * 8) <= 3.5 * each


@pytest.mark.parametrize("tokens", [1, 999, 2_000_000, 30_000_000])
def test_threads_never_take_more_tokens_than_there_are(place: Path | str, tokens: int) -> None:
    taken: list[tuple[float, int]] = []
    weight = max(1, tokens // 4)
    with opened(place, tokens=tokens) as rates:

        def take() -> None:
            if rates.take(weight, 10.0):
                taken.append((time.monotonic(), weight))

        threads = [threading.Thread(target=take) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(taken) == 6
    moments, weights = zip(*taken, strict=True)
    assert most_in_any_minute(list(moments), list(weights)) <= tokens


def test_another_provider_s_requests_do_not_count(folder: Path) -> None:
    with opened(folder / "spend.sqlite", requests=1) as rates:
        assert rates.take(1, 0.0)
        assert not rates.take(1, 0.0)
        assert replace(rates, name="another").take(1, 0.0)


def test_a_request_larger_than_a_minute_takes_one_whole(folder: Path) -> None:
    with opened(folder / "spend.sqlite", tokens=100) as rates:
        assert rates.take(10_000, 0.05)
        assert not rates.take(1, 0.05)


def test_a_clock_that_was_set_back_holds_nobody_up_for_longer_than_a_minute(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(folder / "spend.sqlite", requests=1) as rates:
        with monkeypatch.context() as patched:
            patched.setattr("storage.rates.time.time", lambda: time.monotonic() + 1e9)
            assert rates.take(1, 0.0)
        assert rates.take(1, 0.0)


def test_no_limit_waits_for_nothing() -> None:
    assert all(Rates().take(10**9, 0.0) for _ in range(1000))


def test_patience_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "PATIENCE_S", 0.05)
    with (
        opened(folder / "spend.sqlite", requests=1) as rates,
        CaptionServer() as server,
        captioner(server, rates=rates, at_once=1) as made,
    ):
        first, second = made.caption([still()] * 2)
        assert isinstance(first, Caption)
        assert second == Uncaptioned("no turn within the rates", again=True)
        assert len(server.asked()) == 1
