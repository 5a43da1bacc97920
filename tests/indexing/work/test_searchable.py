"""The span that ends an asset's trace."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from core import tracing
from core.errors import StorageError
from core.tracing import Finished, Sink, Trace
from core.work import Order
from indexing.work import searchable
from indexing.work.searchable import Searchable

APPLY, DECODE = (Order(1, "a", 0, queue, "one", 1) for queue in ("apply", "decode"))


@pytest.fixture
def spans() -> Iterator[list[Finished]]:
    found: list[Finished] = []
    tracing.send_to(Sink(found.append, lambda trace, said: said is not False))
    yield found
    tracing.send_to(None)


def carried_out(answers: list[str | Exception], *orders: Order, header: str = "") -> None:
    """Orders, each in a trace, where each look gets an answer, and the later ones the last."""
    last, final = threading.Event(), answers[-1]

    def cover() -> str:
        answer = answers[0] if len(answers) == 1 else answers.pop(0)
        if answer is final:
            last.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    is_asked_again = len(answers) > 1
    waits = Searchable(lambda order, stop: None, cover, rest_s=0.0)
    for order in orders:
        with Trace(order.queue, kind="consumer", header=header):
            waits.run(order, lambda: False)
    if is_asked_again:
        assert last.wait(60)
    waits.close()


def test_it_lasts_from_the_record_until_searches_find_it(spans: list[Finished]) -> None:
    carried_out(["words: 3 are not found", StorageError("full"), ""], APPLY)
    by_name = {span.name: span for span in spans}
    apply, found = by_name["apply"], by_name["searchable"]
    assert (found.trace, found.parent) == (apply.trace, apply.id)
    assert found.ended >= found.began
    assert found.attributes == {}


def test_each_order_that_wrote_the_record_gets_one(spans: list[Finished]) -> None:
    carried_out([""], DECODE, APPLY, APPLY)
    names = sorted(span.name for span in spans)
    assert names == ["apply", "apply", "decode", "searchable", "searchable"]


def test_nobody_looks_for_a_trace_that_is_not_kept(spans: list[Finished]) -> None:
    carried_out([AssertionError("nobody looks")], APPLY, header=f"00-{7:032x}-{9:016x}-00")
    assert spans == []


def test_indexes_that_stay_behind_are_told(
    spans: list[Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searchable, "TRIES", 2)
    carried_out(["words: 3 are not found"], APPLY)
    (late,) = (span for span in spans if span.name == "searchable")
    assert late.attributes == {"error.type": "late"}
