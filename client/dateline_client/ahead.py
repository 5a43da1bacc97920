"""A request that is sent while the answer before it is dealt with."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

A = TypeVar("A")
T = TypeVar("T")


def begun(ask: Callable[[A], T], call: A) -> Future[T]:
    """Return what `ask(call)` returns or raises, in a thread of its own that keeps no process
    alive.
    """
    future = Future[T]()

    def run() -> None:
        try:
            future.set_result(ask(call))
        except Exception as error:  # noqa: BLE001 - whoever waits for the result gets it
            future.set_exception(error)

    Thread(target=run, name="feed page", daemon=True).start()
    return future
