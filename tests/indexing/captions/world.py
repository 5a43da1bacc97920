"""Stills made here, and a captioner over a provider's address with everything small and quick."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from PIL import Image

from core.media import ToCaption
from indexing.captions.calls import Calls, Paid, ProviderCaptioner, Rates, new_breaker
from indexing.captions.provider import Provider
from indexing.captions.spending import Prices, SpendBook, Spending
from tests.caption_provider import KEY, CaptionServer

MODEL = "small-model"
EDGE = 768
PRICES = Prices(1.0, 4.0)


def jpeg(colour: tuple[int, int, int] = (200, 40, 40), size: tuple[int, int] = (96, 64)) -> bytes:
    """A picture of one colour."""
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "JPEG")
    return stream.getvalue()


def still(colour: tuple[int, int, int] = (200, 40, 40), **changed: Any) -> ToCaption:
    made: dict[str, Any] = {"jpeg": jpeg(colour), "context": "", "may_leave": True, **changed}
    return ToCaption(**made)


class Book:
    """A book of spends in memory."""

    def __init__(self) -> None:
        self.open: dict[str, tuple[str, float]] = {}
        self.days: dict[str, float] = {}

    def reserve(self, key: str, day: str, amount: float, most: float) -> bool:
        if key in self.open:
            return True
        if self.spent(day) + amount > most:
            return False
        self.open[key] = (day, amount)
        self.days[day] = self.spent(day) + amount
        return True

    def settle(self, key: str, amount: float) -> bool:
        if key not in self.open:
            return False
        day, reserved = self.open.pop(key)
        self.days[day] += amount - reserved
        return True

    def spent(self, day: str) -> float:
        return self.days.get(day, 0.0)


@contextmanager
def captioner(
    server: CaptionServer,
    *,
    key: str = KEY,
    url: str = "",
    seconds: float = 10.0,
    book: SpendBook | None = None,
    prices: Prices = PRICES,
    most: float | None = None,
    rates: Rates | None = None,
    failures: int = 5,
    rest_s: float = 30.0,
    attempts: int = 4,
    sleep: Callable[[float], None] = lambda _: None,
    at_once: int = 4,
    model: str = MODEL,
    paid: Paid = lambda model, tokens_in, tokens_out, price: None,
) -> Iterator[ProviderCaptioner]:
    """A captioner that asks `server`. Pauses between attempts are told to `sleep`, not made."""
    calls = Calls(
        Provider.open(url or server.base_url, model, key=key, seconds=seconds),
        rates or Rates(),
        Spending(book or Book(), prices, most),
        breaker=new_breaker(failures, rest_s),
        attempts=attempts,
        sleep=sleep,
        paid=paid,
    )
    made = ProviderCaptioner(calls, EDGE, at_once)
    try:
        yield made
    finally:
        made.close()
