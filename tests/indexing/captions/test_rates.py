"""Requests and tokens a minute, with a minute of a second so that a test can wait for it."""

from __future__ import annotations

import threading
import time

import pytest

from core.media import Caption, Uncaptioned
from indexing.captions import calls as calls_module
from indexing.captions.prompt import question
from indexing.captions.rates import Rates
from indexing.captions.spending import TokenEstimate
from tests.caption_provider import CaptionServer
from tests.indexing.captions.world import captioner, still

MINUTE_MS = 600


def most_in_any_minute(moments: list[float], weights: list[int]) -> int:
    """The largest sum of weights within a minute that slides along."""
    pairs = sorted(zip(moments, weights, strict=True))
    minute = MINUTE_MS / 1000 * 0.9  # clocks are read a moment before and after
    return max(
        sum(weight for moment, weight in pairs if start <= moment < start + minute)
        for start, _ in pairs
    )


def test_requests_over_the_wire_keep_to_the_rate() -> None:
    rates = Rates(requests=5, minute_ms=MINUTE_MS)
    with CaptionServer() as server, captioner(server, rates=rates, at_once=8) as made:
        assert all(isinstance(one, Caption) for one in made.caption([still()] * 13))
        moments = [seen.at for seen in server.asked()]
    assert most_in_any_minute(moments, [1] * 13) <= 5


def test_tokens_over_the_wire_keep_to_the_rate() -> None:
    expected = TokenEstimate().before(question(still()))
    each = expected.tokens_in + expected.tokens_out
    rates = Rates(tokens=int(each * 3.5), minute_ms=MINUTE_MS)
    with CaptionServer() as server, captioner(server, rates=rates, at_once=8) as made:
        assert all(isinstance(one, Caption) for one in made.caption([still()] * 8))
        moments = [seen.at for seen in server.asked()]
    assert most_in_any_minute(moments, [each] * 8) <= 3.5 * each


@pytest.mark.parametrize("tokens", [1, 999, 50_000, 2_000_000, 30_000_000])
def test_threads_never_take_more_tokens_than_there_are(tokens: int) -> None:
    taken: list[tuple[float, int]] = []
    weight = max(1, tokens // 4)
    with Rates(tokens=tokens, minute_ms=MINUTE_MS) as rates:

        def take() -> None:
            if rates.take(weight, 5.0):
                taken.append((time.monotonic(), weight))

        threads = [threading.Thread(target=take) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(taken) == 6
    moments, weights = zip(*taken, strict=True)
    assert most_in_any_minute(list(moments), list(weights)) <= tokens


def test_a_request_larger_than_a_minute_takes_one_whole() -> None:
    with Rates(tokens=100, minute_ms=MINUTE_MS) as rates:
        assert rates.take(10_000, 0.05)
        assert not rates.take(1, 0.05)


def test_no_limit_waits_for_nothing() -> None:
    with Rates() as rates:
        began = time.monotonic()
        assert all(rates.take(10**9, 0.0) for _ in range(1000))
        assert time.monotonic() - began < 1


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "PATIENCE_S", 0.05)
    rates = Rates(requests=1)
    with CaptionServer() as server, captioner(server, rates=rates, at_once=1) as made:
        first, second = made.caption([still()] * 2)
        assert isinstance(first, Caption)
        assert second == Uncaptioned("no turn within the rates", again=True)
        assert len(server.asked()) == 1
